"""The structures of a plan."""

from functools import cached_property

import numpy as np

from ..._typing import Float
from ...crystal import Lattice, Snapshot, defect_from_name
from ...crystal.snapshot import BULK, DEFECT, STRAIN
from ...training import parse_observations, training_cells
from ..calculations import Calculation, displaced
from ..settings import Training


def spread_order(count: int) -> list[int]:
    """1 ... count in an order of which every beginning is spread out: each the farthest from 0 and from those before it."""
    taken: list[int] = []
    while len(taken) < count:
        left = [k for k in range(count, 0, -1) if k not in taken]
        taken.append(max(left, key=lambda k: min(abs(k - t) for t in [*taken, 0])))
    return taken


def configurations(
    lattice: Lattice, defect: str, size: int, training: Training, displacement: Float[np.ndarray, "atoms 3"] | None
) -> list[Snapshot]:
    """All training cells of one size: the relaxed defect, its rattled copies in `spread_order`, the crystal, strained crystals.

    The first n copies are those of a plan of n: what is labelled for a small plan serves a larger one.
    """
    cells = training_cells(
        lattice,
        defect_from_name(defect),
        size,
        training.seed,
        displacement=displacement,
        rattle=training.rattles(),
        strains=training.strains(),
    )
    copies = [cells[k] for k in spread_order(training.configurations)]
    return [cells[0], *copies, *cells[training.configurations + 1 :]]


class Menu:
    """The calculations of every plan. Structures that plans share are the same objects, so that they are counted once."""

    def __init__(
        self, lattice: Lattice, defect: str, training: Training, resting: dict[int, np.ndarray], step: float, reach: float
    ):
        self.lattice, self.defect, self.training, self.resting = lattice, defect, training, resting
        """`resting`: displacement (A) of the relaxed defect by size."""
        self.step, self.reach = step, reach
        self._defective: dict[int, list[Calculation]] = {}

    def of(self, size: int, count: int, observations: str) -> list[Calculation]:
        """The calculations of a plan with `count` rattled copies.

        The perfect crystal is always among them, with its stress: it fixes the lattice constant. V adds the strained crystals
        with their stress, FC one displaced atom of each class equivalent by symmetry, in a supercell `reach` (A) wide.
        """
        kinds = parse_observations(observations)
        if size not in self._defective:
            self._defective[size] = [Calculation(cell) for cell in self._cells(size) if cell.role == DEFECT]
        roles = (BULK, STRAIN) if "V" in kinds else (BULK,)
        crystals = [one for one in self._crystals if ("FC" in kinds if one.column else one.snapshot.role in roles)]
        return self._defective[size][: count + 1] + crystals

    def _cells(self, size: int) -> list[Snapshot]:
        return configurations(self.lattice, self.defect, size, self.training, self.resting[size])

    @cached_property
    def _crystals(self) -> list[Calculation]:
        """Perfect, strained and displaced crystals, for any size of the defect cells."""
        small = [Calculation(cell, stress=True) for cell in self._cells(min(self.resting)) if cell.role != DEFECT]
        return small + [Calculation(cell, column=True) for cell in displaced(self.lattice, self.step, self.reach)]
