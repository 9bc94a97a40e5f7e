"""Several hundred small organic molecules, wide in scaffold: names, SMILES and families, in `molecules.csv`."""

import csv
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ..._input import InputError
from .geometries import elements_of, heavy_atoms


@dataclass(frozen=True)
class Molecule:
    """One molecule of a list."""

    name: str
    smiles: str
    family: str = ""
    """What a chemist would file it under: alkane, azole, sulfonamide, ..."""


def library(elements: Collection[str] = ("H", "C", "N", "O", "F", "S"), heavy: tuple[int, int] = (3, 14)) -> tuple[Molecule, ...]:
    """The molecules of the list that are made of these elements, with so many atoms that are not hydrogen (both ends count).

    All are neutral, closed-shell and of 3 to 14 heavy atoms of C, N, O, F, S and Cl, stereocentres given. Left out are those
    whose MMFF94 geometries are none: of each that is here, geometries drawn at 300 K are in the mean 0.4 to 1.8 times the energy
    of equipartition above the minimum by GFN2-xTB too (the force field has no torsion across an allene).
    Raises InputError if none is left.
    """
    allowed, (fewest, most) = set(elements) | {"H"}, heavy
    found = tuple(m for m in _all() if elements_of(m.smiles) <= allowed and fewest <= heavy_atoms(m.smiles) <= most)
    if not found:
        raise InputError(
            f"no molecule of the list has only {', '.join(sorted(allowed))} and {fewest} to {most} heavy atoms; it holds "
            "molecules of H C N O F S Cl with 3 to 14"
        )
    return found


@cache
def _all() -> tuple[Molecule, ...]:
    text = files("defectgen.bridge.molecules").joinpath("molecules.csv").read_text(encoding="utf-8")
    return tuple(Molecule(**row) for row in csv.DictReader(text.splitlines()))
