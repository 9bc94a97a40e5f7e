"""The domain of applicability as calculators use it: how far every atom is from the surroundings a model was made for."""

from abc import ABC, abstractmethod

import numpy as np

from .._typing import Bool, Float, Int
from .site import SiteEnergy


class DomainWarning(UserWarning):
    """A model was evaluated for environments unlike those of its training data."""


class Applicability(ABC):
    """One number an atom, and the threshold above which the atom counts as outside."""

    measure: str
    """What the numbers are called."""

    @property
    @abstractmethod
    def threshold(self) -> float:
        """The largest number that still counts as inside."""

    def belongs_to(self, potential: SiteEnergy) -> bool:
        """Whether it may judge this potential.

        Parameters
        ----------
        potential : SiteEnergy
            A fitted model.

        Returns
        -------
        bool
            True also where it is not known.
        """
        return True

    @abstractmethod
    def levels(
        self,
        symbols: tuple[str, ...],
        positions: Float[np.ndarray, "atoms 3"],
        vectors: Float[np.ndarray, "3 3"],
        periodic: tuple[bool, bool, bool],
    ) -> Float[np.ndarray, " atoms"]:
        """The number of every atom.

        Parameters
        ----------
        symbols : tuple of str
            Chemical symbols of the atoms.
        positions : array, (atoms, 3)
            A.
        vectors : array, (3, 3)
            Box vectors as rows, A.
        periodic : tuple of bool
            Along which of them the box repeats.

        Returns
        -------
        array, (atoms,)
            Infinite where there is nothing similar.
        """


def above(levels: Float[np.ndarray, " atoms"], threshold: float) -> Bool[np.ndarray, " atoms"]:
    """Which levels do not count as inside: above the threshold, NaN, or infinite (nothing similar in the data).

    Parameters
    ----------
    levels : array, (atoms,)
        The number of every atom.
    threshold : float
        The largest number that still counts as inside.

    Returns
    -------
    bool array, (atoms,)
        True where an atom is outside.
    """
    return ~(levels <= threshold) | ~np.isfinite(levels)


def worst_first(levels: Float[np.ndarray, " atoms"], atoms: Int[np.ndarray, " chosen"]) -> Int[np.ndarray, " chosen"]:
    """Atoms by falling level; equal ones, as those that a symmetry maps onto each other, by number.

    Levels that agree to five digits are equal: the rest is rounding, which differs between machines.

    Parameters
    ----------
    levels : array, (atoms,)
        The number of every atom.
    atoms : integer array, (chosen,)
        Those to be sorted.

    Returns
    -------
    integer array, (chosen,)
        The atoms, the worst first; NaN and infinite levels before all others.
    """
    found = np.nan_to_num(levels[atoms], nan=np.inf)
    rounded = np.array([float(f"{level:.4e}") for level in found])
    return atoms[np.lexsort((atoms, -rounded))]


def outside_sentence(
    levels: Float[np.ndarray, " atoms"], threshold: float, measure: str, counted: Bool[np.ndarray, " atoms"] | None = None
) -> str:
    """One sentence about the atoms whose level is outside the threshold, the worst by number.

    Parameters
    ----------
    levels : array, (atoms,)
        The number of every atom.
    threshold : float
        The largest number that still counts as inside.
    measure : str
        What the numbers are called.
    counted : bool array, (atoms,), optional
        The atoms that count; all if not given.

    Returns
    -------
    str
        Empty if no atom is outside.
    """
    outside = above(levels, threshold)
    outside = outside if counted is None else outside & counted
    if not outside.any():
        return ""
    worst = worst_first(levels, np.flatnonzero(outside))[0]
    others = int(outside.sum()) - 1
    who = f"atom {worst} is" if not others else f"atom {worst} and {others} other{'s' if others > 1 else ''} are"
    return f"{who} outside the domain ({measure} {levels[worst]:.3g}, threshold {threshold:.3g})"
