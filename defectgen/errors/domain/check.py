"""What a domain says of one configuration: the number of every atom, and which atoms are outside."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..._typing import Bool, Float, Int
from ...crystal.cell import Cell
from ...energy.gauge import above, outside_sentence


@dataclass(frozen=True, eq=False)
class Check:
    """The verdict on a configuration; printed, it is one sentence."""

    cell: Cell
    positions: Float[np.ndarray, "atoms 3"]
    """Where the atoms were, A."""
    grades: Float[np.ndarray, " atoms"]
    measure: str
    unit: str
    threshold: float
    counted: Bool[np.ndarray, " atoms"]
    """Atoms whose surroundings are complete: all but the clamped ones of a ball or cylinder, which ends there."""

    @cached_property
    def outside(self) -> Int[np.ndarray, " outside"]:
        """Counted atoms that are not within the threshold, the worst first; those whose number is NaN or infinite are outside."""
        found = np.flatnonzero(above(self.grades, self.threshold) & self.counted)
        return found[np.argsort(-np.nan_to_num(self.grades[found], nan=np.inf), kind="stable")]

    @property
    def inside(self) -> bool:
        """Whether every counted atom is within the threshold."""
        return not len(self.outside)

    @property
    def worst(self) -> float:
        """The largest number of a counted atom; NaN if one is."""
        return float(self.grades[self.counted].max(initial=-np.inf))

    def __str__(self) -> str:
        sentence = outside_sentence(self.grades, self.threshold, self.measure, self.counted)
        return (
            sentence or f"all atoms are inside the domain ({self.measure} up to {self.worst:.3g}, threshold {self.threshold:.3g})"
        )
