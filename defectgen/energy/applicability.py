"""The domain of applicability as calculators use it: how far every atom is from the surroundings a model was made for."""

from abc import ABC, abstractmethod

import numpy as np

from .._typing import Bool, Float
from .site import SiteEnergy


class DomainWarning(UserWarning):
    """A model was asked about surroundings unlike those it was trained on."""


class Applicability(ABC):
    """One number an atom, and the threshold above which the atom counts as outside."""

    measure: str
    """What the numbers are called."""

    @property
    @abstractmethod
    def threshold(self) -> float:
        """The largest number that still counts as inside."""

    def belongs_to(self, potential: SiteEnergy) -> bool:
        """Whether it may speak for this potential; True if it does not know."""
        return True

    @abstractmethod
    def levels(
        self,
        symbols: tuple[str, ...],
        positions: Float[np.ndarray, "atoms 3"],
        vectors: Float[np.ndarray, "3 3"],
        periodic: tuple[bool, bool, bool],
    ) -> Float[np.ndarray, " atoms"]:
        """The number of every atom at `positions` (A) in the box `vectors` (A); infinite where nothing alike was known."""


def above(levels: Float[np.ndarray, " atoms"], threshold: float) -> Bool[np.ndarray, " atoms"]:
    """Which levels do not count as inside: above the threshold, NaN, or infinite (nothing alike was known)."""
    return ~(levels <= threshold) | ~np.isfinite(levels)


def outside_sentence(
    levels: Float[np.ndarray, " atoms"], threshold: float, measure: str, counted: Bool[np.ndarray, " atoms"] | None = None
) -> str:
    """One sentence about the atoms whose level is outside the threshold, the worst by number; empty if there is none."""
    outside = above(levels, threshold)
    outside = outside if counted is None else outside & counted
    if not outside.any():
        return ""
    worst = int(np.argmax(np.where(outside, np.nan_to_num(levels, nan=np.inf), -np.inf)))
    others = int(outside.sum()) - 1
    who = f"atom {worst} is" if not others else f"atom {worst} and {others} other{'s' if others > 1 else ''} are"
    return f"{who} outside the domain ({measure} {levels[worst]:.3g}, threshold {threshold:.3g})"
