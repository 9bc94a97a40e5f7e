"""Split conformal prediction: a threshold that a new score stays below with a chosen probability, whatever the distribution.

Of n exchangeable calibration scores the k-th smallest, k = ceil((n + 1)(1 - alpha)), is exceeded by a new one with probability
at most alpha. theory: domain/conformal. V. Vovk, A. Gammerman, G. Shafer, Algorithmic Learning in a Random World (2005).
"""

import math

import numpy as np

from ..._input import InputError
from ..._typing import Float

ROUNDING = 1e-9
"""(n + 1)(1 - alpha) is a whole number for the usual alphas, and rounding must not lift it to the next."""


def conformal_rank(count: int, alpha: float) -> int:
    """k = ceil((n + 1)(1 - alpha)); more than n if n scores are too few. Raises InputError for an alpha outside (0, 1)."""
    if not 0 < alpha < 1:
        raise InputError(f"alpha is the probability of a new score above the threshold, between 0 and 1; got {alpha!r}")
    return math.ceil((count + 1) * (1 - alpha) - ROUNDING)


def fewest_scores(alpha: float) -> int:
    """The fewest scores that have a finite threshold, 1/alpha - 1. Raises InputError for an alpha outside (0, 1)."""
    conformal_rank(1, alpha)
    return math.ceil(1 / alpha - 1 - ROUNDING)


def conformal_quantile(scores: Float[np.ndarray, " n"], alpha: float) -> float:
    """The k-th smallest score: a new one, exchangeable with these, is above it with probability at most alpha.

    Infinite if there are fewer than 1/alpha - 1 scores. Raises InputError for scores that are NaN and an alpha outside (0, 1).
    """
    rank = conformal_rank(len(scores), alpha)
    if np.isnan(scores).any():
        raise InputError(f"scores must be numbers, and {int(np.isnan(scores).sum())} of {len(scores)} are not")
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else math.inf


def coverage(scores: Float[np.ndarray, " n"], threshold: float | Float[np.ndarray, " n"]) -> float:
    """Part of the scores that are not above the threshold (one, or one for each)."""
    return float(np.mean(scores <= threshold))


def coverage_range(count: int, alpha: float, level: float = 0.9) -> tuple[float, float]:
    """Where the coverage of one calibration with n continuous, independent scores lies with probability `level`.

    Given the calibration scores the coverage is distributed as Beta(k, n + 1 - k). Raises InputError for too few scores.
    """
    from scipy.stats import beta

    rank = conformal_rank(count, alpha)
    if rank > count:
        raise InputError(f"alpha = {alpha:g} wants at least {fewest_scores(alpha)} calibration scores; got {count}")
    low, high = beta.ppf([(1 - level) / 2, (1 + level) / 2], rank, count + 1 - rank)
    return float(low), float(high)


def error_factor(errors: Float[np.ndarray, " n"], deviations: Float[np.ndarray, " n"], alpha: float) -> float:
    """q such that an error is at most q times its predicted deviation with probability 1 - alpha: a bound from any measure.

    Raises InputError for a deviation that is not positive.
    """
    if not np.all(deviations > 0):
        raise InputError(f"errors are measured in predicted deviations, which are positive; got {float(deviations.min())!r}")
    return conformal_quantile(errors / deviations, alpha)
