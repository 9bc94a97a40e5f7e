"""The front of error against cost: what can be had for how much, and the cheapest that is good enough."""

import numpy as np

from .._typing import Float, Int


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
