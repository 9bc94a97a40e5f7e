"""Power laws through a handful of points, with intervals."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares, minimize_scalar

from .._typing import Float

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Line:
    """log error = log prefactor + slope log(size + shift)."""

    slope: float
    low: float
    high: float
    prefactor: float
    scatter: float
    """Standard deviation of the logarithms about the line; 0 with no spare point."""
    shift: float = 0.0


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


def shifted_power_law(size: Float[np.ndarray, " n"], error: Float[np.ndarray, " n"]) -> Line:
    """C (size + delta)^p by least squares in the logarithms (linear for each delta); interval from the linearised problem.

    delta is sought between -0.9 times the smallest and twice the largest size; n - 3 degrees of freedom.
    """
    y = np.log(error)
    centred = y - y.mean()

    def squares(delta: np.ndarray | float) -> np.ndarray:
        """Squared misfit of the best line for each delta."""
        x = np.log(size + np.reshape(delta, (-1, 1)))
        x = x - x.mean(axis=1, keepdims=True)
        slope = (x @ centred) / np.sum(x**2, axis=1)
        return np.sum((centred - slope[:, None] * x) ** 2, axis=1)

    trials = np.concatenate([np.linspace(-0.9, 0, 40)[:-1] * size.min(), np.linspace(0, 2, 160) * size.max()])
    misfit = squares(trials)
    best = int(np.argmin(np.where(np.isnan(misfit), np.inf, misfit)))
    around = (trials[max(best - 1, 0)], trials[min(best + 1, len(trials) - 1)])
    found = minimize_scalar(lambda delta: squares(delta)[0], bounds=around, method="bounded", options={"xatol": 1e-10})
    delta = float(found.x)  # pyright: ignore[reportAttributeAccessIssue]
    line = power_law(size + delta, error)
    freedom = len(size) - 3
    shifted = size + delta
    jacobian = np.column_stack([np.ones(len(size)), np.log(shifted), line.slope / shifted])
    residual = y - np.log(line.prefactor) - line.slope * np.log(shifted)
    scatter = float(np.sqrt(residual @ residual / freedom))
    triangle = np.linalg.qr(jacobian, mode="r")
    deviation = scatter * np.linalg.norm(np.linalg.inv(triangle)[1])
    half = float(quantile(freedom, CONFIDENCE) * deviation)
    return Line(line.slope, line.slope - half, line.slope + half, line.prefactor, scatter, delta)


@dataclass(frozen=True)
class Floored:
    """error = prefactor size^slope + floor (size^tail, if a tail is asked for)."""

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
