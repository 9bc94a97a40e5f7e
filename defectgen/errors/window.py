"""The honest window: which points of an error curve are no evidence for its slope, each with a reason that can be printed.

Rules look at the points in order of size and never at a predicted rate.
"""

import numpy as np
from scipy.stats import f as variance_ratio

from .._input import InputError
from .._typing import Bool, Float
from .regression import floored_power_law, power_law, prediction_spread, quantile

FLOOR = 5.0
"""A point is dropped within this factor of a floor: error = L^-p + floor has lost a fifth of its local slope there."""

FLAT = 0.5
"""A tail that decays with a slope below this (or below a sixth of the head's, for short noisy tails) is flat: no predicted rate is
smaller than 1, so a slow regime that takes over from a fast one is not mistaken for a floor."""

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

    C size^p + floor must describe the points better than C size^p by an F test at 99 %; at least two points must lie where the
    floor exceeds the power law, and decay no longer. Then everything at the end within a factor 5 of the floor goes.
    """
    if len(np.unique(size)) < 5:
        return None
    freedom = len(size) - 3
    plain, floored = power_law(size, error), floored_power_law(size, error)
    before, after = plain.scatter**2 * (freedom + 1), floored.squares
    gained = before - after
    if gained < len(size) * np.log(1.05) ** 2 or gained < float(variance_ratio.ppf(SURE, 1, freedom)) * after / freedom:
        return None
    beyond = floored.prefactor * size**floored.slope < floored.floor
    if floored.slope > 0 or len(np.unique(size[beyond])) < 2:
        return None
    if power_law(size[beyond], error[beyond]).slope < -max(FLAT, -floored.slope / 6):
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
