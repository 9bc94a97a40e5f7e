"""What a defect is before it meets a crystal: a name and a plan of edits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ParamSpec

import numpy as np

from .._input import InputError, did_you_mean
from .cell import Cell
from .edits import Edits, place
from .lattice import Lattice


@dataclass(frozen=True, eq=False)
class Defect:
    """A defect that knows no crystal yet; `apply` makes it in the middle of a cell."""

    name: str
    """How it is written in a study file, `divacancy(2)` for instance; the name in a crystal is `label(lattice)`."""
    plan: Callable[[Lattice], Edits]
    """What it edits in a given crystal."""

    def label(self, lattice: Lattice) -> str:
        """Name in the crystal in the style of doped and pymatgen: `v_Cu`, `Cu_Ni` (Cu on Ni), `Si_i_Td`."""
        return self.plan(lattice).label

    def apply(self, cell: Cell, at: Sequence[float | int] | np.ndarray | None = None) -> Cell:
        """The cell with the defect made as near as the lattice allows to `at` (A), by default to the cell's centre.

        The host stays: `.apply(cell).perfect` is the crystal again. On a cell that has a defect already the two add up.
        Raises InputError for what is no cell, if the crystal has no such site, the cell is too small, or atoms would overlap
        or be clamped.
        """
        if not isinstance(cell, Cell):
            raise InputError(f"a defect is made in a cell, such as dg.supercell(lattice, 4); got {type(cell).__name__}")
        return place(cell, self.plan(cell.lattice), cell.centre if at is None else _point(at))


P = ParamSpec("P")


def maker(function: Callable[P, Defect]) -> Callable[P, Defect]:
    """A function that makes a recipe; `dg.vacancy.apply(cell)`, without the call, is answered in a sentence."""

    def forgotten(*args: object, **kwargs: object) -> None:
        raise InputError(f"{function.__name__} makes a defect when it is called: write dg.{function.__name__}(...).apply(cell)")

    function.apply = forgotten  # type: ignore[attr-defined]
    return function


def sublattice_of(lattice: Lattice, site: int | str) -> int:
    """The sublattice meant by its number or by a species.

    Raises InputError if the crystal has none such.
    """
    if isinstance(site, str):
        if site in lattice.species:
            return lattice.species.index(site)
        known = tuple(dict.fromkeys(lattice.species))
        raise InputError(f"{lattice.name} has no {site} site; it has {', '.join(known)}{did_you_mean(site, known)}")
    whole_number = isinstance(site, int | np.integer) and not isinstance(site, bool)
    if not whole_number or not 0 <= site < lattice.sublattices:
        raise InputError(
            f"{lattice.name} has sublattices 0 to {lattice.sublattices - 1} ({', '.join(lattice.species)}); got {site!r}"
        )
    return int(site)


def _point(at) -> np.ndarray:
    """Three finite coordinates, A."""
    try:
        point = np.asarray(at, dtype=float)
    except (TypeError, ValueError):
        point = np.zeros(0)
    if point.shape != (3,) or not np.all(np.isfinite(point)):
        raise InputError(f"a defect is placed at=(x, y, z) in Angstrom; got {at!r}")
    return point
