"""Calibration and quality of a measure: conformal thresholds, and whether it is large where errors are large.

Of n exchangeable calibration scores the k-th smallest, k = ceil((n + 1)(1 - alpha)), is exceeded by a new one with probability
at most alpha. theory: domain/conformal. V. Vovk, A. Gammerman, G. Shafer, Algorithmic Learning in a Random World (2005).
"""

import math
from dataclasses import dataclass

import numpy as np

from ..._display import brief
from ..._input import InputError
from ..._typing import Bool, Float

# ------ Split conformal prediction: a threshold that a new score stays below with a chosen probability, for any distribution

ROUNDING = 1e-9
"""(n + 1)(1 - alpha) is a whole number for the usual alphas, and rounding must not lift it to the next."""


def conformal_rank(count: int, alpha: float) -> int:
    """Which of the sorted calibration scores is the threshold.

    Parameters
    ----------
    count : int
        Number n of calibration scores.
    alpha : float
        Probability of a new score above the threshold, between 0 and 1.

    Returns
    -------
    int
        k = ceil((n + 1)(1 - alpha)), counted from 1; more than n if n scores are too few.

    Raises
    ------
    InputError
        alpha is not between 0 and 1.
    """
    if not 0 < alpha < 1:
        raise InputError(f"alpha is the probability of a new score above the threshold, between 0 and 1; got {alpha!r}")
    return math.ceil((count + 1) * (1 - alpha) - ROUNDING)


def fewest_scores(alpha: float) -> int:
    """The fewest calibration scores that have a finite threshold.

    Parameters
    ----------
    alpha : float
        Probability of a new score above the threshold, between 0 and 1.

    Returns
    -------
    int
        1/alpha - 1, rounded up.

    Raises
    ------
    InputError
        alpha is not between 0 and 1.
    """
    conformal_rank(1, alpha)
    return math.ceil(1 / alpha - 1 - ROUNDING)


def conformal_quantile(scores: Float[np.ndarray, " n"], alpha: float) -> float:
    """A threshold that a new score, exchangeable with the given ones, exceeds with probability at most alpha.

    Parameters
    ----------
    scores : array (n,)
        Calibration scores.
    alpha : float
        The probability, between 0 and 1.

    Returns
    -------
    float
        The k-th smallest score, k = ceil((n + 1)(1 - alpha)); infinite if there are fewer than 1/alpha - 1 scores.

    Raises
    ------
    InputError
        Scores that are NaN, or alpha is not between 0 and 1.

    Notes
    -----
    theory: domain/conformal.

    Examples
    --------
    >>> import numpy as np
    >>> import defectgen as dg
    >>> dg.conformal_quantile(np.arange(1.0, 100.0), alpha=0.05)  # the 95th of 99 scores
    95.0
    """
    rank = conformal_rank(len(scores), alpha)
    if np.isnan(scores).any():
        raise InputError(f"scores must be numbers, and {int(np.isnan(scores).sum())} of {len(scores)} are not")
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else math.inf


def coverage(scores: Float[np.ndarray, " n"], threshold: float | Float[np.ndarray, " n"]) -> float:
    """Part of the scores that are not above the threshold.

    Parameters
    ----------
    scores : array (n,)
        The scores.
    threshold : float or array (n,)
        One threshold, or one for each score.

    Returns
    -------
    float
    """
    return float(np.mean(scores <= threshold))


def coverage_range(count: int, alpha: float, level: float = 0.9) -> tuple[float, float]:
    """Where the coverage of one calibration lies with a given probability, for continuous and independent scores.

    Parameters
    ----------
    count : int
        Number n of calibration scores.
    alpha : float
        Probability of a new score above the threshold, between 0 and 1.
    level : float
        The probability with which the coverage lies in the range.

    Returns
    -------
    low, high : float

    Raises
    ------
    InputError
        Too few scores for a finite threshold.

    Notes
    -----
    Given the calibration scores, the coverage is distributed as Beta(k, n + 1 - k), k = ceil((n + 1)(1 - alpha)).
    """
    rank = conformal_rank(count, alpha)
    if rank > count:
        raise InputError(f"alpha = {alpha:g} needs at least {fewest_scores(alpha)} calibration scores; got {count}")
    from scipy.stats import beta

    low, high = beta.ppf([(1 - level) / 2, (1 + level) / 2], rank, count + 1 - rank)
    return float(low), float(high)


def error_factor(errors: Float[np.ndarray, " n"], deviations: Float[np.ndarray, " n"], alpha: float) -> float:
    """By how much errors exceed their predicted deviations: a bound from any measure.

    Parameters
    ----------
    errors : array (n,)
        Absolute errors of the calibration cases, any unit.
    deviations : array (n,)
        Their predicted deviations, in the same unit.
    alpha : float
        Probability of a larger error, between 0 and 1.

    Returns
    -------
    float
        q: an error is at most q times its predicted deviation with probability 1 - alpha.

    Raises
    ------
    InputError
        A deviation that is not positive.
    """
    if not np.all(deviations > 0):
        raise InputError(f"errors are measured in predicted deviations, which are positive; got {float(deviations.min())!r}")
    return conformal_quantile(errors / deviations, alpha)


# ------ How good a measure is: whether it is large where errors are large. Pure functions of scores and errors


def auroc(scores: Float[np.ndarray, " n"], bad: Bool[np.ndarray, " n"]) -> float:
    """Probability that a bad case has a larger score than a good one: 1 for a perfect score, 1/2 for a random one.

    Parameters
    ----------
    scores : array (n,)
        Scores; infinite ones are the worst.
    bad : array (n,) of bool
        Which cases are bad.

    Returns
    -------
    float

    Raises
    ------
    InputError
        All cases are bad, or none; scores that are NaN.

    Notes
    -----
    The area under the receiver operating characteristic by ranks:
    (sum of the ranks of the bad - n_b (n_b + 1) / 2) / (n_b n_g).
    J. A. Hanley, B. J. McNeil, Radiology 143, 29 (1982).

    Examples
    --------
    >>> import numpy as np
    >>> import defectgen as dg
    >>> dg.auroc(np.array([0.1, 0.4, 0.3, 0.9]), bad=np.array([False, False, True, True]))
    0.75
    """
    from scipy.stats import rankdata

    count = int(bad.sum())
    if count in (0, len(bad)):
        raise InputError(f"the AUROC compares bad cases with good ones; got {count} bad of {len(bad)}; change the tolerance")
    if np.isnan(scores).any():
        raise InputError(f"scores must be numbers, and {int(np.isnan(scores).sum())} of {len(scores)} are not")
    ranks = rankdata(scores)
    return float((ranks[bad].sum() - count * (count + 1) / 2) / (count * (len(bad) - count)))


@dataclass(frozen=True, eq=False)
class Retention:
    """Root mean square error of the part of the cases that is kept when those with the largest scores are given up."""

    kept: Float[np.ndarray, " n"]
    """Parts, 1/n to 1."""
    error: Float[np.ndarray, " n"]
    """Error of the part with the smallest scores, in the unit of the errors."""
    ideal: Float[np.ndarray, " n"]
    """The same had the errors been known."""

    __repr__ = brief

    @property
    def area(self) -> float:
        """Mean over the parts of (error - ideal), as a part of the error of all: 0 if the measure sorts like the error."""
        return float(np.mean(self.error - self.ideal) / self.error[-1]) if self.error[-1] > 0 else 0.0


def retention(scores: Float[np.ndarray, " n"], errors: Float[np.ndarray, " n"]) -> Retention:
    """The curve of coverage against error: what is left of the error when the cases with the largest scores are given up.

    Parameters
    ----------
    scores, errors : array (n,)
        Scores, and errors in any unit. Equal scores are kept together, with their mean square error in the place of each.

    Returns
    -------
    Retention

    Raises
    ------
    InputError
        Scores or errors that are not numbers.
    """
    _check(scores, errors)
    squares = errors**2
    _, place = np.unique(scores, return_inverse=True)
    mean = np.bincount(place, squares) / np.bincount(place)
    count = np.arange(1, len(errors) + 1)
    by_score, by_error = (np.sqrt(np.cumsum(s) / count) for s in (mean[np.sort(place)], np.sort(squares)))
    return Retention(count / len(errors), by_score, by_error)


@dataclass(frozen=True, eq=False)
class ErrorByScore:
    """Error against score, in bins with equally many cases."""

    score: Float[np.ndarray, " bins"]
    """Median score of each bin."""
    error: Float[np.ndarray, " bins"]
    """Root mean square error of each bin."""
    largest: Float[np.ndarray, " bins"]

    __repr__ = brief


def error_by_score(scores: Float[np.ndarray, " n"], errors: Float[np.ndarray, " n"], bins: int = 10) -> ErrorByScore:
    """Errors binned by the rank of their score.

    Parameters
    ----------
    scores, errors : array (n,)
        Scores, and errors in any unit.
    bins : int
        How many, with equally many cases each.

    Returns
    -------
    ErrorByScore

    Raises
    ------
    InputError
        More bins than cases, scores or errors that are not numbers.
    """
    if not 1 <= bins <= len(scores):
        raise InputError(f"{len(scores)} cases fill between 1 and {len(scores)} bins; got {bins}")
    _check(scores, errors)
    parts = np.array_split(np.argsort(scores, kind="stable"), bins)
    rms = [np.sqrt(np.mean(errors[p] ** 2)) for p in parts]
    return ErrorByScore(*(np.array(x) for x in ([np.median(scores[p]) for p in parts], rms, [errors[p].max() for p in parts])))


def _check(scores: np.ndarray, errors: np.ndarray) -> None:
    """Infinite scores are the worst ones; NaN has no place in an order."""
    for what, values in (("scores", scores), ("errors", errors)):
        if np.isnan(values).any():
            raise InputError(f"{what} must be numbers, and {int(np.isnan(values).sum())} of {len(values)} are not")
