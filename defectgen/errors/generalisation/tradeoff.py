"""A budget of N labels as S structures with C = N / S configurations each: which S is best, how surely, and is it a balance?

theory: diversity/fixed-budget.
"""

from dataclasses import dataclass

import numpy as np

from ..._input import InputError
from ..._typing import Float
from .spread import Spread, geometric_mean, ratio

RESAMPLES = 2000
"""Bootstrap samples of the repetitions: percentiles of 2.5 and 97.5 are then known to about half a per cent in rank."""
TOLERATED = 1.1
"""Splits whose error is within ten per cent of the best are as good for a producer of data."""
VERDICTS = ("balance", "more structures", "more configurations", "no difference", "undecided")


@dataclass(frozen=True, eq=False)
class Tradeoff:
    """What one budget says, for one test and one quantity."""

    structures: Float[np.ndarray, " splits"]
    errors: tuple[Spread, ...]
    """Of every split."""
    best: float
    """Structures of the least mean error: the vertex of a parabola through the best split and its neighbours, in log S."""
    low: float
    high: float
    """95 % interval of `best` by resampling the repetitions (percentiles); the ends of the grid where it reaches them."""
    tolerated: tuple[float, float]
    """Fewest and most structures of the splits around the best one whose mean error is at most TOLERATED times the least."""
    fewest: Spread
    """Error with the fewest structures over that of the best split between the ends."""
    most: Spread
    """Error with the most structures over that of the best split between the ends."""
    verdict: str
    """One of VERDICTS."""


def tradeoff(
    structures: Float[np.ndarray, " splits"], errors: Float[np.ndarray, "repetitions splits"], seed: int = 0
) -> Tradeoff:
    """Where the error of a fixed budget is least; `structures` ascend, a row of `errors` is one repetition of all splits.

    The verdict compares both ends with the best split between them. That split is chosen by the other repetitions and judged by
    this one, for each in turn, so that a minimum of noise is no balance:
    "balance": both ends are worse, each at 95 %; "more structures" (configurations): the error falls towards that end, which is
    not worse than the inside while the other end is; "no difference": all splits are within TOLERATED of the best;
    "undecided": the repetitions are too few or too different to say.
    Raises InputError for fewer than three splits, and errors that are not positive.
    """
    structures, errors = np.asarray(structures, dtype=float), np.asarray(errors, dtype=float)
    if errors.ndim != 2 or errors.shape[1] != len(structures) or len(structures) < 3 or np.any(np.diff(structures) <= 0):
        raise InputError(
            f"a trade-off wants three ascending splits or more and an error for each; got {len(structures)} splits and errors "
            f"of shape {errors.shape}"
        )
    spreads = tuple(geometric_mean(column) for column in errors.T)
    logs = np.log(errors)
    mean = logs.mean(axis=0)
    rng = np.random.default_rng(seed)
    drawn = vertices(structures, logs[rng.integers(len(logs), size=(RESAMPLES, len(logs)))].mean(axis=1))
    low, high = np.quantile(drawn, [0.025, 0.975])
    inside = _inside(logs)
    fewest, most = (ratio(errors[:, end], inside) for end in (0, -1))
    return Tradeoff(
        *(structures, spreads, vertex(structures, mean), float(low), float(high), _tolerated(structures, mean)),
        *(fewest, most, _verdict(mean, fewest, most)),
    )


def vertex(structures: Float[np.ndarray, " splits"], mean: Float[np.ndarray, " splits"]) -> float:
    """S at the minimum of the mean of the logarithms; between grid points by the parabola through the least three."""
    return float(vertices(structures, mean[None])[0])


def vertices(
    structures: Float[np.ndarray, " splits"], means: Float[np.ndarray, "resamples splits"]
) -> Float[np.ndarray, " resamples"]:
    """The vertex of many means at once, as resampling wants it."""
    x, last = np.log(structures), len(structures) - 1
    k = np.argmin(means, axis=1)
    inner = np.clip(k, 1, last - 1)
    left, right = x[inner - 1] - x[inner], x[inner + 1] - x[inner]  # the least is at the origin: y = a t^2 + b t
    each = np.arange(len(means))
    down, up = (means[each, inner + step] - means[each, inner] for step in (-1, 1))
    a = (up / right - down / left) / (right - left)
    b = up / right - a * right
    step = np.clip(np.divide(-b, 2 * a, out=np.zeros(len(a)), where=a > 0), left, right)
    return np.exp(np.where((k == 0) | (k == last), x[k], x[inner] + step))


def _inside(logs: Float[np.ndarray, "repetitions splits"]) -> Float[np.ndarray, " repetitions"]:
    """Of every repetition the error of the split between the ends that is best in the mean of the others."""
    total, count = logs[:, 1:-1].sum(axis=0), len(logs)
    found = [own[np.argmin(total - own if count > 1 else own)] for own in logs[:, 1:-1]]
    return np.exp(np.array(found))


def _tolerated(structures: Float[np.ndarray, " splits"], mean: Float[np.ndarray, " splits"]) -> tuple[float, float]:
    """The run of splits around the best one that are nearly as good."""
    good, k = mean <= mean.min() + np.log(TOLERATED), int(np.argmin(mean))
    first, last = k, k
    while first > 0 and good[first - 1]:
        first -= 1
    while last < len(good) - 1 and good[last + 1]:
        last += 1
    return float(structures[first]), float(structures[last])


def _verdict(mean: Float[np.ndarray, " splits"], fewest: Spread, most: Spread) -> str:
    if fewest.low > 1 and most.low > 1:
        return "balance"
    if fewest.low > 1 and most.value <= 1:
        return "more structures"
    if most.low > 1 and fewest.value <= 1:
        return "more configurations"
    return "no difference" if mean.max() <= mean.min() + np.log(TOLERATED) else "undecided"
