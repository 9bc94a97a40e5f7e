"""What labels cost, the front of error against cost, and the cheapest that is good enough."""

from dataclasses import dataclass

import numpy as np

from .._input import InputError
from .._typing import Float, Int

# ------ What labels cost: a power of the number of atoms, with extras for a stress and for a column of force constants


@dataclass(frozen=True)
class Cost:
    """Hours of one calculation: prefactor * max(atoms, smallest)^exponent, times (1 + stress) and `column` where they apply.

    The cube of the number of atoms is what diagonalisation costs in density-functional codes. Calibrate the prefactor with one
    run of your own: hours / atoms^exponent.
    Raises InputError for numbers that are negative or not finite, and for a prefactor of zero.
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
    """Atoms: a cell with fewer costs as much as this many, because it wants more k-points."""

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
        """Hours for the energy and forces of a cell of so many atoms, with a stress, or as a column of force constants."""
        single = self.prefactor * max(atoms, self.smallest) ** self.exponent
        return float(single * (1.0 + self.stress * stress) * (self.column if column else 1.0))


# ------ The front of error against cost: what can be had for how much, and the cheapest that is good enough


def pareto_front(cost: Float[np.ndarray, " n"], error: Float[np.ndarray, " n"]) -> Int[np.ndarray, " front"]:
    """Those that nothing else beats: cost rises and error falls strictly. Errors that are not finite are never among them."""
    cost, error = np.asarray(cost, dtype=float), np.asarray(error, dtype=float)
    order = [k for k in np.lexsort((error, cost)) if np.isfinite(error[k])]
    found: list[int] = []
    for k in order:
        if not found or error[k] < error[found[-1]]:
            found.append(int(k))
    return np.array(found, dtype=int)


def cheapest(cost: Float[np.ndarray, " n"], error: Float[np.ndarray, " n"], target: float) -> int | None:
    """The cheapest with an error of at most `target`, of equally cheap ones the most accurate; None if there is none."""
    front = pareto_front(cost, error)
    reached = [int(k) for k in front if error[k] <= target]
    return reached[0] if reached else None


def lasting(amount: Float[np.ndarray, " n"] | Int[np.ndarray, " n"], error: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The largest error at this amount of data and at any larger one; NaN, no result, counts as infinite.

    The error of an energy has a sign and passes through zero: one that is small and comes back with more data was luck, and
    nothing can be planned on it. What lasts falls with the amount, whatever the errors do.
    """
    amount, error = np.asarray(amount), np.nan_to_num(np.asarray(error, dtype=float), nan=np.inf, posinf=np.inf)
    return np.array([error[amount >= a].max() for a in amount])
