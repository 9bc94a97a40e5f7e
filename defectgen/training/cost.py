"""What labels cost, the front of error against cost, and the cheapest that is good enough."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .._input import InputError
from .._typing import Bool, Float, Int
from .observations import parse_observations

# ------ What labels cost: a power of the number of atoms, with extras for a stress and for a column of force constants


@dataclass(frozen=True)
class Cost:
    """Cost of one calculation in hours: prefactor * max(atoms, smallest)^exponent, times (1 + stress) and `column` if they apply.

    The cube of the number of atoms is what diagonalisation costs in density-functional codes. Calibrate the prefactor with one
    run of your own: hours / atoms^exponent.
    Raises InputError for numbers that are negative or not finite, and for a prefactor of zero.

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.Cost(prefactor=2e-6)  # hours: 2e-6 N^3 for N atoms
    Cost(exponent=3.0, prefactor=2e-06, stress=0.1, column=1.0, smallest=1.0)
    """

    exponent: float | int = 3.0
    prefactor: float | int = 1e-6
    """Hours; the default is two hours for 128 atoms."""
    stress: float | int = 0.1
    """Extra for a stress, as a fraction of the energy and the forces."""
    column: float | int = 1.0
    """A column of force constants, in calculations of the supercell: 1 for a displaced atom, less where a code has perturbation
    theory or uses more symmetry than the displacements already do."""
    smallest: float | int = 1.0
    """Atoms: a cell with fewer costs as much as this many, because it needs more k-points."""

    def __post_init__(self):
        for name in ("exponent", "prefactor", "stress", "column", "smallest"):
            value = getattr(self, name)
            if (
                isinstance(value, str)
                or not isinstance(value, int | float | np.number)
                or not np.isfinite(value)
                or value < 0
                or (name == "prefactor" and value == 0)
            ):
                wanted = "positive" if name == "prefactor" else "zero or positive"
                raise InputError(f"the {name} of a cost is a {wanted} number; got {value!r}")

    def hours(self, atoms: int, *, stress: bool = False, column: bool = False) -> float:
        """Hours of one calculation.

        Parameters
        ----------
        atoms : int
            Of the cell.
        stress : bool
            Whether the stress is computed too.
        column : bool
            Whether it is a column of force constants.

        Returns
        -------
        float
            Hours.
        """
        single = self.prefactor * max(atoms, self.smallest) ** self.exponent
        return float(single * (1.0 + self.stress * stress) * (self.column if column else 1.0))


@dataclass(frozen=True)
class TrainingLabels:
    """What a training set has labelled, in numbers of atoms: all that its cost depends on."""

    cells: tuple[int, ...]
    """Atoms of each defect cell."""
    crystal: int
    """Atoms of the cell of the perfect crystal."""
    strained: tuple[int, ...]
    """Atoms of each strained crystal."""
    columns: tuple[int, ...]
    """Atoms of the supercell of each displaced atom, those that symmetry does not make of each other."""
    modes: int = 6
    """Independent strains: six in three dimensions, three in two."""

    def hours(self, observations: str | Iterable[str], cost: Cost) -> float:
        """Hours for the labels of an observation set.

        Parameters
        ----------
        observations : str or iterable of str
            Such as "E+F+FC". Every set takes energies and forces of the defect cells, and the perfect crystal with its stress,
            which fixes the lattice constant. V adds the strained crystals with their stress, FC the columns of force constants,
            C (elastic constants) two strained crystals with their stress for each independent strain.
        cost : Cost
            What one calculation costs.

        Returns
        -------
        float
            Hours. What it takes to relax or to choose the cells is not in it.

        Raises
        ------
        InputError
            For observations that are not known.
        """
        kinds = parse_observations(observations)
        hours = sum(cost.hours(atoms) for atoms in self.cells) + cost.hours(self.crystal, stress=True)
        if "V" in kinds:
            hours += sum(cost.hours(atoms, stress=True) for atoms in self.strained)
        if "FC" in kinds:
            hours += sum(cost.hours(atoms, column=True) for atoms in self.columns)
        if "C" in kinds:
            hours += 2 * self.modes * cost.hours(self.crystal, stress=True)
        return hours


# ------ The front of error against cost: what can be had for how much, and the cheapest that is good enough


def undominated(errors: Float[np.ndarray, "n quantities"]) -> Bool[np.ndarray, " n"]:
    """Which rows no other beats: at least as good in every column and better in one.

    Parameters
    ----------
    errors : array (n, quantities)
        Small is good. Rows that are not finite are always beaten.

    Returns
    -------
    array (n,) of bool
    """
    errors = np.asarray(errors, dtype=float)
    finite = np.isfinite(errors).all(axis=1)
    rivals = errors[finite]
    beaten = [np.any(np.all(rivals <= own, axis=1) & np.any(rivals < own, axis=1)) for own in errors]
    return finite & ~np.array(beaten, dtype=bool)


def pareto_front(cost: Float[np.ndarray, " n"], error: Float[np.ndarray, " n"]) -> Int[np.ndarray, " front"]:
    """Those that nothing else beats in cost and error.

    Parameters
    ----------
    cost, error : array (n,)
        Small is good.

    Returns
    -------
    array (front,) of int
        Numbers in the order of cost, which rises while the error falls strictly; the first of equal ones.
    """
    points = np.column_stack([cost, error]).astype(float)
    best = np.flatnonzero(undominated(points))
    _, first = np.unique(points[best], axis=0, return_index=True)
    return best[first]


def cheapest(cost: Float[np.ndarray, " n"], error: Float[np.ndarray, " n"], target: float) -> int | None:
    """The cheapest that is good enough, of equally cheap ones the most accurate.

    Parameters
    ----------
    cost, error : array (n,)
        Small is good.
    target : float
        The largest error that is good enough, in the unit of `error`.

    Returns
    -------
    int or None
        Its number; None if no error is at most `target`.
    """
    front = pareto_front(cost, error)
    reached = [int(k) for k in front if error[k] <= target]
    return reached[0] if reached else None


def lasting(amount: Float[np.ndarray, " n"] | Int[np.ndarray, " n"], error: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The largest error at an amount of data and at any larger one.

    The error of an energy has a sign and passes through zero: one that is small and comes back with more data was luck, and
    nothing can be planned on it. What lasts falls with the amount, however the errors behave.

    Parameters
    ----------
    amount : array (n,)
        How much data.
    error : array (n,)
        Its error, any unit; NaN, no result, counts as infinite.

    Returns
    -------
    array (n,)
        In the unit of `error`.
    """
    amount, error = np.asarray(amount), np.nan_to_num(np.asarray(error, dtype=float), nan=np.inf, posinf=np.inf)
    return np.array([error[amount >= a].max() for a in amount])
