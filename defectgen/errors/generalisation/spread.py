"""Errors of repeated experiments: their geometric mean with an interval, and the ratio of two that shared their draws."""

from dataclasses import dataclass

import numpy as np

from ..._input import InputError
from ..._typing import Float
from ..regression import CONFIDENCE, quantile


@dataclass(frozen=True)
class Spread:
    """A geometric mean and its interval, in the unit of the values."""

    value: float
    low: float
    high: float
    """95 % interval by Student's t in the logarithms: 0 to infinity for one repetition, which has none."""
    repetitions: int


def geometric_mean(values: Float[np.ndarray, " repetitions"]) -> Spread:
    """exp(mean log e) over independent repetitions, low and high by t with n - 1 degrees of freedom.

    Errors span factors, so their logarithms are averaged. Raises InputError for no values and values that are not positive.
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
        raise InputError(f"a paired ratio wants equally many values; got shapes {np.shape(values)} and {np.shape(others)}")
    return geometric_mean(np.exp(_logs(values) - _logs(others)))


def _logs(values: Float[np.ndarray, " repetitions"]) -> Float[np.ndarray, " repetitions"]:
    if len(values) == 0 or not np.all(np.isfinite(values)) or not np.all(np.asarray(values) > 0):
        raise InputError(f"errors to be averaged are positive numbers, at least one; got {np.asarray(values).tolist()}")
    return np.log(values)
