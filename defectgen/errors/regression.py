"""Power laws fitted to errors, and the window of sizes in which they are fitted.

The rules of the window look at the points in order of size and never at a predicted rate.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from .._input import InputError
from .._typing import Bool, Float
from .slopes import CONFIDENCE

# ------ Power laws through a handful of points, with intervals


@dataclass(frozen=True)
class Line:
    """log error = log prefactor + slope log(size)."""

    slope: float
    low: float
    high: float
    prefactor: float
    scatter: float
    """Standard deviation of the logarithms about the line; 0 with no spare point."""


def power_law(size: Float[np.ndarray, " n"], error: Float[np.ndarray, " n"]) -> Line:
    """Least squares in the logarithms; 95 % interval of the slope by Student's t with n - 2 degrees of freedom.

    Two points have a slope and no interval (minus to plus infinity), fewer have none.
    """
    x, y = np.log(size), np.log(error)
    if len(np.unique(x)) < 2:
        return Line(float("nan"), -np.inf, np.inf, float("nan"), 0.0)
    centred = x - x.mean()
    spread = float(centred @ centred)
    slope = float(centred @ y) / spread
    prefactor = float(np.exp(y.mean() - slope * x.mean()))
    freedom = len(x) - 2
    if freedom == 0:
        return Line(slope, -np.inf, np.inf, prefactor, 0.0)
    scatter = float(np.sqrt(np.sum((y - y.mean() - slope * centred) ** 2) / freedom))
    half = quantile(freedom, CONFIDENCE) * scatter / np.sqrt(spread)
    return Line(slope, slope - half, slope + half, prefactor, scatter)


@dataclass(frozen=True)
class Floored:
    """error = prefactor size^slope + floor (size^tail, if a tail is requested)."""

    slope: float
    prefactor: float
    floor: float
    squares: float
    """Sum of squared misfits of the logarithms."""


def floored_power_law(size: Float[np.ndarray, " n"], error: Float[np.ndarray, " n"], tail: float = 0.0) -> Floored:
    """C size^p + floor size^tail by least squares in the logarithms; the best of three starts, as there may be two valleys."""
    x, y = np.log(size), np.log(error)
    count = len(x)
    starts = []
    for head in sorted({3, max(count // 2, 3), count - 2}):
        slope, offset = np.polyfit(x[:head], y[:head], 1)
        starts.append([offset, slope, (y - tail * x)[head:].mean()])
    fits = [least_squares(lambda p: np.logaddexp(p[0] + p[1] * x, p[2] + tail * x) - y, start, method="lm") for start in starts]
    best = min(fits, key=lambda fit: fit.cost if np.isfinite(fit.cost) else np.inf)
    return Floored(float(best.x[1]), float(np.exp(best.x[0])), float(np.exp(best.x[2])), 2 * float(best.cost))


def quantile(freedom: int, confidence: float) -> float:
    """Two-sided quantile of Student's t."""
    from scipy.stats import t as student

    return float(student.ppf((1 + confidence) / 2, freedom))


def prediction_spread(size: Float[np.ndarray, " n"], line: Line, at: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """Standard deviation of a new point's logarithm about the line fitted to `size`."""
    x = np.log(size)
    centred = x - x.mean()
    return line.scatter * np.sqrt(1 + 1 / len(x) + (np.log(at) - x.mean()) ** 2 / float(centred @ centred))


# ------ The honest window: which points of an error curve are no evidence for its slope, each with a reason that can be printed

FLOOR = 5.0
"""A point is dropped within this factor of a floor: error = L^-p + floor has lost a fifth of its local slope there."""

SLOWEST = -1.0
"""The slowest rate that the theory predicts: what decays like this takes over from faster terms, but is no floor."""

SURE = 0.99
"""Confidence with which a single point must miss the law of the others before it is dropped as noise never would be."""


def unusable(error: Float[np.ndarray, " n"], converged: Bool[np.ndarray, " n"]) -> tuple[Bool[np.ndarray, " n"], list[str]]:
    """Points without a logarithm, and cases that did not converge."""
    reasons = [
        "not converged"
        if not fine
        else "not a finite number"
        if not np.isfinite(e)
        else "zero or negative error"
        if e <= 0
        else ""
        for e, fine in zip(error, converged, strict=True)
    ]
    return np.array([bool(reason) for reason in reasons], dtype=bool), reasons


def near_floor(error: Float[np.ndarray, " n"], floor: float | int) -> Bool[np.ndarray, " n"]:
    """Points within a factor 5 of a known floor (solver tolerance, fit accuracy)."""
    if not np.isfinite(floor) or floor < 0:
        raise InputError(f"a floor is an error level, zero or positive; got {floor!r}")
    return error <= FLOOR * floor


def plateau(size: Float[np.ndarray, " n"], error: Float[np.ndarray, " n"]) -> tuple[Bool[np.ndarray, " n"], str] | None:
    """A floor detected at the largest sizes, or None (always, with fewer than five points).

    C size^p + floor must describe the points better than C size^p by an F test at 99 %, and better than a slow rate that takes
    over, C size^p + c / size; at least two sizes must lie where the floor exceeds the power law. Then everything at the end
    within a factor 5 of the floor goes.
    """
    from scipy.stats import f as variance_ratio

    freedom = len(size) - 3
    if len(np.unique(size)) < 5:
        return None
    before = power_law(size, error).scatter ** 2 * (freedom + 1)
    noticeable = len(size) * np.log(1.05) ** 2  # 5 % off a line is no floor, however exact the data
    if before < noticeable:
        return None
    floored = floored_power_law(size, error)
    gained, noise = before - floored.squares, floored.squares / freedom
    if gained < max(noticeable, float(variance_ratio.ppf(SURE, 1, freedom)) * noise):
        return None
    beyond = floored.prefactor * size**floored.slope < floored.floor
    if floored.slope > SLOWEST / 2 or len(np.unique(size[beyond])) < 2:
        return None
    if floored_power_law(size, error, SLOWEST).squares < floored.squares:
        return None
    clear = np.flatnonzero(error > FLOOR * floored.floor)
    first = int(clear[-1]) + 1 if len(clear) else 0
    return np.arange(len(size)) >= first, f"at a plateau of about {floored.floor:.2g}"


def before_asymptotics(size: Float[np.ndarray, " n"], error: Float[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Leading points that the law of the later ones excludes with 99 % confidence, as long as four points remain."""
    start = 0
    while len(size) - start > 4:
        rest = slice(start + 1, None)
        if len(np.unique(size[rest])) < 3:
            break
        law = power_law(size[rest], error[rest])
        miss = abs(np.log(error[start] / law.prefactor) - law.slope * np.log(size[start]))
        noise = quantile(len(size) - start - 3, SURE) * prediction_spread(size[rest], law, size[start : start + 1])[0]
        if miss <= max(noise, np.log(1.05)):  # 5 % off the law cannot tilt it noticeably
            break
        start += 1
    return np.arange(len(size)) < start
