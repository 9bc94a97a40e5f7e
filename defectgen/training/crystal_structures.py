"""Structures of a crystal data set: a phase at a volume, a defect and a cell; what stays when atoms move."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .._input import InputError
from ..crystal.cell import Cell, supercell, widths
from ..crystal.lattice import Lattice
from ..crystal.naming import defect_from_name
from ..crystal.slab import slab

NONE, SURFACE = "none", "surface"
"""What stands in the place of a defect: the perfect crystal, and a slab between two gaps."""


@dataclass(frozen=True)
class CrystalStructure:
    """One structure by its four parts; `name` is its id in a data set."""

    phase: str
    defect: str
    """A name of `defect_from_name`, or NONE, or SURFACE."""
    size: tuple[int, int, int]
    """Conventional cells."""
    dilation: float = 0.0
    """Change of all lengths, as a part, from the phase's own volume at zero pressure."""

    @property
    def name(self) -> str:
        """Such as "fcc vacancy 2x2x3 +2%"."""
        return f"{self.phase} {self.defect} {'x'.join(map(str, self.size))} {100 * self.dilation:+g}%"

    def cell(self, lattice: Lattice) -> Cell:
        """The unrelaxed cell, of the phase's lattice at rest. Raises InputError where the defect does not fit."""
        there = lattice.deformed((1 + self.dilation) * np.eye(3)) if self.dilation else lattice
        if self.defect == SURFACE:
            return slab(there, self.size)
        whole = supercell(there, self.size)
        return whole if self.defect == NONE else defect_from_name(self.defect).apply(whole)


def repeats(lattice: Lattice, width: Sequence[float]) -> tuple[int, int, int]:
    """Conventional cells along each vector so that opposite faces of the box are at least so far apart (A)."""
    found = np.ceil(np.asarray(width, dtype=float) / widths(lattice.conventional @ lattice.vectors) - 1e-9).astype(int)
    return (int(found[0]), int(found[1]), int(found[2]))


def crystal_structures(
    lattices: Mapping[str, Lattice],
    defects: Iterable[str],
    cells: Iterable[Sequence[float]],
    dilations: Iterable[float] = (0.0,),
) -> tuple[dict[str, CrystalStructure], dict[str, str]]:
    """Every phase with every defect in every cell at every dilation, by name; and those that cannot be made, with the reason.

    `lattices` are the phases at rest; `cells` are three widths each (A), so that phases of different shapes have cells alike.
    Raises InputError if nothing can be made.
    """
    found: dict[str, CrystalStructure] = {}
    refused: dict[str, str] = {}
    wanted = list(defects), [tuple(c) for c in cells], list(dilations)
    for phase, lattice in lattices.items():
        for defect in wanted[0]:
            for width in wanted[1]:
                for dilation in wanted[2]:
                    one = CrystalStructure(phase, defect, repeats(lattice, width), dilation)
                    try:
                        one.cell(lattice)
                        found[one.name] = one
                    except InputError as error:
                        refused[one.name] = str(error)
    if not found:
        raise InputError(
            f"no structure can be made of {len(lattices)} phases, {len(wanted[0])} defects and {len(wanted[1])} cells"
            + (f", such as {next(iter(refused))}: {next(iter(refused.values()))}" if refused else "; give at least one of each")
        )
    return found, refused
