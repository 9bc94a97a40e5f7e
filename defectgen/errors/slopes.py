"""The slope of log error against log size from repeated curves, with its interval, for one curve or for many at once.

Arrays have the curves first, at least one: a simulation of a thousand curves is one call. theory: bounds/verdicts.
"""

from dataclasses import dataclass, replace

import numpy as np

from .._display import brief
from .._typing import Bool, Float

CONFIDENCE = 0.95

NEGLIGIBLE = 1e-4
"""Scatter of the logarithms below which curvature is no evidence for a shift: a tenth of a per mille of the error."""

FLAT = 0.1
"""Slopes below this are taken as this where a curvature is turned into a shift of the size, which a flat curve does not have."""


SINGLE = 1.0
"""Change of the slope over the window beyond which a curve has no single slope: twice the tolerance of a verdict: all local
slopes of a curve that is not bent lie within the tolerance of the measured one."""


@dataclass(frozen=True, eq=False)
class Slopes:
    """log error = log prefactor + slope log(size + shift), of every curve of a stack."""

    slope: Float[np.ndarray, " curves"]
    """NaN with fewer than two sizes."""
    low: Float[np.ndarray, " curves"]
    high: Float[np.ndarray, " curves"]
    """95 % interval; infinite with too few points."""
    log_prefactor: Float[np.ndarray, " curves"]
    shift: Float[np.ndarray, " curves"]
    scatter: Float[np.ndarray, " curves"]
    """Standard deviation of the mean curve's logarithms about the law; 0 with no spare point."""
    spread: Float[np.ndarray, " curves"]
    """Standard deviation of the slopes between the repeats; 0 for one."""
    bent: Bool[np.ndarray, " curves"]
    """Whether the slope changes over the window by more than SINGLE, at 95 %."""

    __repr__ = brief


def power_slopes(size: Float[np.ndarray, " n"], logs: Float[np.ndarray, "curves repeats n"], resolution: float = 0.0) -> Slopes:
    """The power law, with an interval that covers the repeats, the lack of fit and a shift of the size.

    Parameters
    ----------
    size : array (n,)
        Sizes; the same for all repeats.
    logs : array (curves, repeats, n)
        Logarithms of the errors.
    resolution : float
        Largest shift delta of the size that is allowed for, in the unit of `size`.

    Returns
    -------
    Slopes
        Slope of the power law; the interval as described below.

    Notes
    -----
    At a given shift, x = log(size + delta), the slope is the mean of the slopes of the repeats, and its variance

        spread^2 / repeats + scatter^2 / sum (x - mean x)^2

    adds what differs between repeats (repeats - 1 degrees of freedom) and what the mean curve of all repeats deviates from the
    law (n - 2), which repeats share and cannot show; Student's t with the degrees of freedom of Welch and Satterthwaite. The
    two overlap where the deviations of the repeats are independent: then the interval is too wide, not too narrow.

    The interval is the hull of the intervals at delta = 0 and at delta = -s and +s, where s is the largest shift within
    `resolution` that the curvature of the mean curve does not exclude at 95 %. The curvature is the coefficient of 1 / size in
    log error = a + p log(size) + c / size, with n - 3 degrees of freedom. Both signs count, as a curve also bends for other
    reasons than a shift (a floor, a slower term, the finite simulation cell). Where even the smallest shift that the curvature
    leaves possible changes the slope by more than 1 from the first to the last size, the curve is `bent`: the window has no
    single slope. A smaller change is part of the lack of fit.
    B. L. Welch, Biometrika 34, 28 (1947); F. E. Satterthwaite, Biometrics Bull. 2, 110 (1946).
    """
    plain = _law(np.log(size)[None], logs)
    low, high, bent = plain.low, plain.high, np.zeros(len(logs), dtype=bool)
    reach = np.full_like(plain.slope, resolution)
    if len(size) > 3 and len(np.unique(size)) > 3:
        least, most = _shifts(size, logs, plain.slope)
        local = size / (size + least[..., None])  # of the slopes of (size + delta)^p, whose mean is the measured one
        bent = np.abs(plain.slope / local.mean(axis=-1)) * np.ptp(local, axis=-1) > SINGLE
        reach = np.minimum(most, resolution)
    if resolution > 0:
        for sign in (-1, 1):
            other = _law(np.log(size + sign * reach[..., None]), logs)
            low, high = np.fmin(low, other.low), np.fmax(high, other.high)
    return replace(plain, low=low, high=high, bent=bent)


def shifted_slopes(size: Float[np.ndarray, " n"], logs: Float[np.ndarray, "curves repeats n"]) -> Slopes:
    """C (size + delta)^p by least squares in the logarithms of the mean curve (linear for each delta); at least four sizes.

    delta is sought between -0.9 times the smallest and twice the largest size; the interval is that of the linearised problem,
    with n - 3 degrees of freedom for the lack of fit, and what differs between repeats added as in `power_slopes`.
    """
    y = _mean(logs)
    square = (y**2).sum(axis=-1)

    def misfit(delta: np.ndarray) -> np.ndarray:
        """Squared misfit of the best line, for a shift of every curve."""
        x = _centred(np.log(size + delta[..., None]))
        return square - (x * y).sum(axis=-1) ** 2 / (x**2).sum(axis=-1)

    trials = np.concatenate([np.linspace(-0.9, 0, 40)[:-1] * size.min(), np.linspace(0, 2, 160) * size.max()])
    x = _centred(np.log(size + trials[:, None]))
    best = np.argmin(square[..., None] - (y @ x.T) ** 2 / (x**2).sum(axis=1), axis=-1)
    delta = _least(misfit, trials[np.maximum(best - 1, 0)], trials[np.minimum(best + 1, len(trials) - 1)])

    law = _law(np.log(size + delta[..., None]), logs)
    x, w = _centred(np.log(size + delta[..., None])), _centred(1 / (size + delta[..., None]))
    own = (x**2).sum(axis=-1) - (x * w).sum(axis=-1) ** 2 / (w**2).sum(axis=-1)
    freedom = len(size) - 3
    scatter = np.sqrt(((y - law.slope[..., None] * x) ** 2).sum(axis=-1) / freedom)
    half = _half(law.spread, logs.shape[-2], scatter**2 / own, freedom)
    return replace(law, low=law.slope - half, high=law.slope + half, shift=delta, scatter=scatter)


def _law(x: Float[np.ndarray, "#curves n"], logs: Float[np.ndarray, "curves repeats n"]) -> Slopes:
    """Mean slope of the repeats against x, which may differ from curve to curve, and its interval."""
    repeats, n = logs.shape[-2:]
    if x.shape[-1] == 0 or not np.all(np.ptp(x, axis=-1) > 0):  # no size, or one
        nothing, zero = np.full(len(logs), np.nan), np.zeros(len(logs))
        return Slopes(nothing, zero - np.inf, zero + np.inf, nothing, zero, zero, zero, zero > 0)
    middle, x = x.mean(axis=-1), _centred(x)
    width = (x**2).sum(axis=-1)
    slopes = (logs * x[..., None, :]).sum(axis=-1) / width[..., None]
    slope, y = slopes.mean(axis=-1), _mean(logs)
    spread = slopes.std(axis=-1, ddof=1) if repeats > 1 else np.zeros_like(slope)
    prefactor = logs.mean(axis=(-1, -2)) - slope * middle
    zero = np.zeros_like(slope)
    if n == 2:
        return Slopes(slope, zero - np.inf, zero + np.inf, prefactor, zero, zero, spread, zero > 0)
    scatter = np.sqrt(((y - slope[..., None] * x) ** 2).sum(axis=-1) / (n - 2))
    half = _half(spread, repeats, scatter**2 / width, n - 2)
    return Slopes(slope, slope - half, slope + half, prefactor, zero, scatter, spread, zero > 0)


def _shifts(
    size: Float[np.ndarray, " n"], logs: Float[np.ndarray, "curves repeats n"], slope: Float[np.ndarray, " curves"]
) -> tuple[np.ndarray, np.ndarray]:
    """Of the shifts that the curvature of the mean curve leaves possible at 95 %, the smallest, and the size of the largest.

    The ratio of curvature and slope of (size + delta)^p depends on delta alone, and grows with it.
    """
    x, z = _centred(np.log(size)), _centred(1 / size)
    own = z - (x @ z) / (x @ x) * x
    y = _mean(logs)
    basis, _ = np.linalg.qr(np.column_stack([x, z]))
    left = y - (y @ basis) @ basis.T
    freedom = len(size) - 3
    noise = np.maximum(np.sqrt((left**2).sum(axis=-1) / freedom), NEGLIGIBLE)
    half = student(freedom) * noise * np.sqrt(own @ own)
    power = np.where(np.abs(slope) < FLAT, np.copysign(FLAT, slope), slope) * (x @ x)
    delta = np.concatenate([np.linspace(-0.9, 0, 50)[:-1], np.linspace(0, 2, 101)]) * size.min()
    law = np.log(size + delta[:, None])
    ratio = (law @ own) / (law @ x)
    low, high = np.sort(np.interp(np.stack([y @ own - half, y @ own + half]) / power, ratio, delta), axis=0)
    return np.where(low > 0, low, np.where(high < 0, high, 0.0)), np.maximum(np.abs(low), np.abs(high))


def _half(spread: np.ndarray, repeats: int, lack: np.ndarray, freedom: int) -> np.ndarray:
    """Half the width of an interval whose variance has the parts spread^2 / repeats and `lack`."""
    between = spread**2 / repeats
    total = between + lack
    parts = between**2 / max(repeats - 1, 1) + lack**2 / freedom
    with np.errstate(divide="ignore", invalid="ignore"):
        effective = np.where(parts > 0, total**2 / parts, freedom)
    return student(effective) * np.sqrt(total)


def student(freedom: np.ndarray | float) -> np.ndarray:
    """Two-sided quantile of Student's t at CONFIDENCE; the degrees of freedom may be fractions."""
    from scipy.special import stdtrit

    return np.asarray(stdtrit(freedom, (1 + CONFIDENCE) / 2))


def _mean(logs: Float[np.ndarray, "curves repeats n"]) -> Float[np.ndarray, "curves n"]:
    """The mean curve, centred."""
    return _centred(logs.mean(axis=-2))


def _centred(x: Float[np.ndarray, "*curves n"]) -> Float[np.ndarray, "*curves n"]:
    return x - x.mean(axis=-1, keepdims=True)


def _least(function, low: np.ndarray, high: np.ndarray, rounds: int = 60) -> np.ndarray:
    """Argument of the least value between two ends, of every curve, by golden section."""
    golden = (np.sqrt(5) - 1) / 2
    a, b = np.array(low, dtype=float), np.array(high, dtype=float)
    for _ in range(rounds):
        c, d = b - golden * (b - a), a + golden * (b - a)
        left = function(c) < function(d)
        a, b = np.where(left, a, c), np.where(left, d, b)
    return (a + b) / 2
