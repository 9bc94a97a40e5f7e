"""Generalisation: learning curves, the spread between repetitions, and where a budget of labels is best spent.

theory: diversity/fixed-budget, diversity/fixed-set.
"""

from dataclasses import dataclass

import numpy as np

from .._display import shown
from .._input import InputError
from .._typing import Float
from .regression import CONFIDENCE, power_law, quantile

# ------ Errors of repeated experiments: their geometric mean with an interval, and the ratio of two that shared their draws


@dataclass(frozen=True)
class Spread:
    """A geometric mean and its interval, in the unit of the values."""

    value: float
    low: float
    high: float
    """95 % interval by Student's t in the logarithms: 0 to infinity for one repetition, which has none."""
    repetitions: int

    def __repr__(self) -> str:
        if self.repetitions < 2:
            return shown(self, f"{self.value:.4g}", "no interval", "1 repetition")
        return shown(
            self, f"{self.value:.4g}", f"95 % interval {self.low:.4g} to {self.high:.4g}", f"{self.repetitions} repetitions"
        )


def geometric_mean(values: Float[np.ndarray, " repetitions"]) -> Spread:
    """The geometric mean of independent repetitions, with a 95 % interval.

    Parameters
    ----------
    values : array (repetitions,)
        Positive numbers of any unit, for instance the error of one test in each repetition.

    Returns
    -------
    Spread
        `value`, `low`, `high` in the unit of the values, and the number of repetitions.

    Raises
    ------
    InputError
        For no values, and for values that are not positive.

    Notes
    -----
    exp(mean log e): errors of repetitions differ by factors, so their logarithms are averaged. The interval is Student's t with
    n - 1 degrees of freedom; one repetition has none.

    Examples
    --------
    >>> import numpy as np
    >>> import defectgen as dg
    >>> mean = dg.geometric_mean(np.array([0.010, 0.012, 0.009]))
    >>> print(f"{mean.value:.4f} ({mean.low:.4f} to {mean.high:.4f}) eV/A")
    0.0103 (0.0071 to 0.0147) eV/A
    """
    logs = _logs(values)
    mean, count = float(logs.mean()), len(logs)
    half = quantile(count - 1, CONFIDENCE) * float(logs.std(ddof=1)) / np.sqrt(count) if count > 1 else np.inf
    return Spread(float(np.exp(mean)), float(np.exp(mean - half)), float(np.exp(mean + half)), count)


def ratio(values: Float[np.ndarray, " repetitions"], others: Float[np.ndarray, " repetitions"]) -> Spread:
    """The geometric mean of values / others, paired: what both share (the same seed, the same tests) cancels.

    Raises InputError for lengths that differ and values that are not positive.
    """
    if np.shape(values) != np.shape(others):
        raise InputError(f"a paired ratio needs equally many values; got shapes {np.shape(values)} and {np.shape(others)}")
    return geometric_mean(np.exp(_logs(values) - _logs(others)))


def _logs(values: Float[np.ndarray, " repetitions"]) -> Float[np.ndarray, " repetitions"]:
    if len(values) == 0 or not np.all(np.isfinite(values)) or not np.all(np.asarray(values) > 0):
        raise InputError(f"errors to be averaged are positive numbers, at least one; got {np.asarray(values).tolist()}")
    return np.log(values)


# ------ Learning curves: the exponent of the error in what was added, over repetitions. theory: diversity/fixed-set


@dataclass(frozen=True)
class Exponent:
    """error ~ size^slope over all sizes, and over the last two: where the curve levels off they differ."""

    slope: float
    low: float
    high: float
    """95 % interval over the repetitions (Student's t); infinite for one."""
    last: float
    """Slope between the two largest sizes."""
    last_low: float
    last_high: float
    repetitions: int


def exponent(sizes: Float[np.ndarray, " k"], errors: Float[np.ndarray, "repetitions k"]) -> Exponent:
    """The mean over repetitions of the slope of log error against log size.

    Repetitions are independent, sizes of one repetition are not (they share structures and tests): so the interval comes from
    the scatter of the slopes and not from the points about a line.
    Raises InputError for fewer than two sizes and for errors that are not positive.
    """
    sizes, errors = np.asarray(sizes, dtype=float), np.asarray(errors, dtype=float)
    if errors.ndim != 2 or errors.shape[1] != len(sizes) or len(np.unique(sizes)) < 2 or len(errors) == 0:
        raise InputError(f"an exponent needs errors at two sizes or more; got sizes {sizes.tolist()}, errors {errors.shape}")
    if np.any(sizes <= 0) or not np.all(np.isfinite(errors)) or np.any(errors <= 0):
        raise InputError("an exponent needs positive sizes and errors; leave out what is zero or not finite")
    order = np.argsort(sizes)
    slopes = np.array([power_law(sizes, own).slope for own in errors])
    last = np.array([power_law(sizes[order[-2:]], own[order[-2:]]).slope for own in errors])
    return Exponent(*_mean(slopes), *_mean(last), len(errors))


def _mean(values: Float[np.ndarray, " repetitions"]) -> tuple[float, float, float]:
    mean, count = float(values.mean()), len(values)
    half = float(quantile(count - 1, CONFIDENCE) * values.std(ddof=1) / np.sqrt(count)) if count > 1 else np.inf
    return mean, mean - half, mean + half


# ------ A budget of N labels as S structures with C = N / S configurations each

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
    """95 % interval of `best`: every S that the repetitions do not exclude as the vertex (`vertex_interval`)."""
    tolerated: tuple[float, float]
    """Fewest and most structures of the splits around the best one whose mean error is at most TOLERATED times the least."""
    fewest: Spread
    """Error with the fewest structures over that of the best split between the ends."""
    most: Spread
    """Error with the most structures over that of the best split between the ends."""
    verdict: str
    """One of VERDICTS."""

    def __repr__(self) -> str:
        tolerated = f"{self.tolerated[0]:g} to {self.tolerated[1]:g} within 10 %"
        best = f"best {self.best:.3g} structures, 95 % interval {self.low:.3g} to {self.high:.3g}"
        return shown(
            self, self.verdict, best, tolerated, f"{len(self.structures)} splits, {self.errors[0].repetitions} repetitions"
        )


def tradeoff(structures: Float[np.ndarray, " splits"], errors: Float[np.ndarray, "repetitions splits"]) -> Tradeoff:
    """How a fixed budget of labels is best divided into structures and configurations of each.

    Parameters
    ----------
    structures : array (splits,)
        Number of structures of each split of the budget, ascending.
    errors : array (repetitions, splits)
        Positive errors of any unit; a row is one repetition of all splits.

    Returns
    -------
    Tradeoff
        The best number of structures with its 95 % interval, the errors of both ends relative to it, and a verdict.

    Raises
    ------
    InputError
        For fewer than three splits, and for errors that are not positive.

    Notes
    -----
    The verdict compares both ends with the best split between them, which the other repetitions choose for each repetition, so
    that a minimum of noise is not taken for a balance. "balance": both ends are worse, each with 95 % confidence. "more
    structures", "more configurations": one end is worse than the splits between, and the end towards which the error falls is
    not. "no difference": all splits are within 10 % of the best. "undecided": the repetitions are too few or differ too much.
    theory: diversity/fixed-budget.

    Examples
    --------
    >>> import numpy as np
    >>> import defectgen as dg
    >>> errors = np.array([[0.20, 0.11, 0.19], [0.22, 0.10, 0.21], [0.21, 0.12, 0.20]])  # eV/A, three repetitions
    >>> found = dg.tradeoff(np.array([1.0, 4.0, 16.0]), errors)
    >>> found.verdict, round(found.best, 1)
    ('balance', 4.1)
    """
    structures, errors = np.asarray(structures, dtype=float), np.asarray(errors, dtype=float)
    if errors.ndim != 2 or errors.shape[1] != len(structures) or len(structures) < 3 or np.any(np.diff(structures) <= 0):
        raise InputError(
            f"a trade-off needs three ascending splits or more and an error for each; got {len(structures)} splits and errors "
            f"of shape {errors.shape}"
        )
    spreads = tuple(geometric_mean(column) for column in errors.T)
    logs = np.log(errors)
    mean = logs.mean(axis=0)
    low, high = vertex_interval(structures, logs)
    inside = _inside(logs)
    fewest, most = (ratio(errors[:, end], inside) for end in (0, -1))
    return Tradeoff(
        *(structures, spreads, float(vertex(structures, mean)), low, high, _tolerated(structures, mean)),
        *(fewest, most, _verdict(mean, fewest, most)),
    )


def vertex(structures: Float[np.ndarray, " splits"], mean: Float[np.ndarray, "*more splits"]) -> Float[np.ndarray, "*more"]:
    """S of the least mean logarithm; between grid points by the parabola through the least and its neighbours.

    With divided differences d01, d12 and curvature a = (d12 - d01) / (x2 - x0) the vertex is at (x0 + x1) / 2 - d01 / (2 a).
    """
    x, k = np.log(structures), np.argmin(mean, axis=-1)
    inner = np.clip(k, 1, len(x) - 2)
    x0, x1, x2 = x[inner - 1], x[inner], x[inner + 1]
    y0, y1, y2 = (np.take_along_axis(mean, (inner + d)[..., None], axis=-1)[..., 0] for d in (-1, 0, 1))
    first, second = (y1 - y0) / (x1 - x0), (y2 - y1) / (x2 - x1)
    curvature = (second - first) / (x2 - x0)
    safe = np.where(curvature > 0, curvature, 1.0)
    at = np.where(curvature > 0, np.clip((x0 + x1) / 2 - first / (2 * safe), x0, x2), x1)
    return np.where(k == inner, np.exp(at), structures[k])


def vertex_interval(
    structures: Float[np.ndarray, " splits"], logs: Float[np.ndarray, "repetitions splits"]
) -> tuple[float, float]:
    """95 % interval of the vertex of the mean curve: from the least to the greatest S that a test does not exclude.

    Parameters
    ----------
    structures : array (splits,)
        Ascending, three or more.
    logs : array (repetitions, splits)
        Logarithms of the errors.

    Returns
    -------
    tuple of float
        The whole grid for one repetition.

    Notes
    -----
    At the vertex x of the parabola through a split and its neighbours the derivative, d01 + a (2 x - x0 - x1) with the symbols of
    `vertex`, has the mean zero. Every repetition has such a derivative, so that Student's t over the repetitions tests each x (E.
    C. Fieller, J. R. Stat. Soc. B 16, 175 (1954)): where (mean)^2 <= t^2 variance / n, a quadratic inequality in x, x stays. An
    end of the grid stays where its neighbour is not better at the same level. No resampling, so no percentiles of five values:
    those cover 68 to 93 % at 3 to 8 repetitions. theory: diversity/fixed-budget.
    """
    x, count = np.log(structures), len(logs)
    if count < 2:
        return float(structures[0]), float(structures[-1])
    scale = quantile(count - 1, CONFIDENCE) ** 2 / count
    kept = [float(np.log(vertex(structures, logs.mean(axis=0))))]
    for end, neighbour in ((0, 1), (-1, -2)):
        worse = logs[:, neighbour] - logs[:, end]
        if worse.mean() >= -np.sqrt(scale * worse.var(ddof=1)):
            kept.append(float(x[end]))
    for k in range(1, len(x) - 1):
        first = (logs[:, k] - logs[:, k - 1]) / (x[k] - x[k - 1])
        second = (logs[:, k + 1] - logs[:, k]) / (x[k + 1] - x[k])
        bend = (second - first) / (x[k + 1] - x[k - 1])
        line = np.array([2 * bend, first - bend * (x[k - 1] + x[k])])  # derivative = line[0] x + line[1]
        middle, spread = line.mean(axis=1), np.cov(line)
        outer = np.outer(middle, middle) - scale * spread
        square = np.poly1d([outer[0, 0], 2 * outer[0, 1], outer[1, 1]])
        low, high = (x[k - 1] + x[k]) / 2, (x[k] + x[k + 1]) / 2
        turns = [float(root.real) for root in square.roots if np.isreal(root) and low < root.real < high]
        rounding = 1e-12 * float(np.abs(outer).max() * (1 + x[-1]) ** 2)
        kept += [*turns, *(end for end in (float(low), float(high)) if square(end) <= rounding)]
    return float(np.exp(min(kept))), float(np.exp(max(kept)))


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
