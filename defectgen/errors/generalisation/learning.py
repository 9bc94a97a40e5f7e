"""Learning curves: the exponent of the error in what was added, over repetitions. theory: diversity/fixed-set."""

from dataclasses import dataclass

import numpy as np

from ..._input import InputError
from ..._typing import Float
from ..regression import CONFIDENCE, power_law, quantile


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
        raise InputError(f"an exponent wants errors at two sizes or more; got sizes {sizes.tolist()}, errors {errors.shape}")
    if np.any(sizes <= 0) or not np.all(np.isfinite(errors)) or np.any(errors <= 0):
        raise InputError("an exponent wants positive sizes and errors; leave out what is zero or not finite")
    order = np.argsort(sizes)
    slopes = np.array([power_law(sizes, own).slope for own in errors])
    last = np.array([power_law(sizes[order[-2:]], own[order[-2:]]).slope for own in errors])
    return Exponent(*_mean(slopes), *_mean(last), len(errors))


def _mean(values: Float[np.ndarray, " repetitions"]) -> tuple[float, float, float]:
    mean, count = float(values.mean()), len(values)
    half = float(quantile(count - 1, CONFIDENCE) * values.std(ddof=1) / np.sqrt(count)) if count > 1 else np.inf
    return mean, mean - half, mean + half
