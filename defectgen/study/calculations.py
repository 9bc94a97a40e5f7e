"""The calculations that a code has to do: structures, what has to be computed for each, and the cost."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..bridge import inequivalent, write_extxyz
from ..crystal import Lattice, Snapshot
from ..energy.blackbox import displacements
from ..training import Cost

DISPLACED = "displaced"
"""Group of the perfect supercells with one atom moved, whose forces are columns of force constants."""


@dataclass(frozen=True, eq=False)
class Calculation:
    """One structure and what has to be computed for it in addition to energy and forces."""

    snapshot: Snapshot
    stress: bool = False
    column: bool = False
    """Whether its forces are a column of force constants."""

    @property
    def compute(self) -> str:
        """What the code has to compute."""
        return "forces" if self.column else "energy forces stress" if self.stress else "energy forces"

    def hours(self, cost: Cost) -> float:
        """What it costs."""
        return cost.hours(len(self.snapshot.cell), stress=self.stress, column=self.column)


def displaced(crystal: Lattice, step: float, reach: float) -> list[Snapshot]:
    """Perfect supercells with one atom moved by `step` (A), one for each class of displacements equivalent by symmetry."""
    asked = [
        Snapshot(d.cell, d.positions, d.cell.vectors, DISPLACED, source=f"atom {d.atom} {'xyz'[d.axis]} {d.sign * step:+g} A")
        for d in displacements(crystal, step, reach)
    ]
    return inequivalent(asked, crystal)


def write_structures(path: Path, wanted: Iterable[Calculation], crystal: Lattice, defect: str) -> None:
    """Extended XYZ with, for every frame, its group, what to compute, how it was made, and crystal and defect in words."""
    wanted = list(wanted)
    constant = np.linalg.norm(crystal.conventional[0] @ crystal.vectors)
    words = {"crystal": f"{crystal.name} a={constant:.6f}", "defect": defect}
    notes = [{"compute": one.compute, "made": one.snapshot.source, **words} for one in wanted]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_extxyz(path, [one.snapshot for one in wanted], notes)
