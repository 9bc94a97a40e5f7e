"""Rates: the slope of log error against log size, with the window it was read in, what was dropped, and its interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .._input import InputError, takes
from .._typing import Float
from .regression import Line, before_asymptotics, near_floor, plateau, power_law, shifted_power_law, unusable

Numbers = Sequence[float | int] | np.ndarray


TOLERANCE = 0.6
"""A slope this near is a confirmation: in d = 3 V and FC+V settle only beyond L = 10 (theory: when a rate can be seen)."""

SHARP = 1.0
"""Width of an interval that can carry a confirmation by nearness alone: the smallest gap between rates of one dimension."""

BLUNT = 2.0
"""Width of an interval that decides nothing: the gap between neighbouring rows of the table in two dimensions."""


@dataclass(frozen=True)
class Rate:
    """A measured power law error = prefactor (size + shift)^slope."""

    slope: float
    """NaN if fewer than two points remain."""
    low: float
    high: float
    """95 % interval of the slope; infinite with too few points to have one."""
    window: tuple[float, float]
    """Smallest and largest size used."""
    dropped: tuple[tuple[float, str], ...]
    """(size, reason) of every point left out."""
    local_slopes: tuple[tuple[float, float], ...]
    """(size, slope) between neighbouring sizes used, at their geometric mean."""
    points: tuple[tuple[float, float], ...]
    """(size, error) used, by size."""
    prefactor: float
    shift: float = 0.0
    """Offset delta of the finite-size model, 0 for a plain power law."""

    def predict(self, sizes: Numbers) -> Float[np.ndarray, " n"]:
        """The fitted law at some sizes."""
        return self.prefactor * (np.asarray(sizes, dtype=float) + self.shift) ** self.slope


def estimate_rate(
    sizes: Numbers,
    errors: Numbers,
    floor: float | int | None = None,
    window: tuple[float | int, float | int] | None = None,
    converged: Sequence[bool] | np.ndarray | None = None,
    model: str = "power",
) -> Rate:
    """Slope of log error against log size by least squares, with a 95 % interval from Student's t.

    Parameters
    ----------
    sizes, errors : array (n,)
        Positive sizes and their errors, in any units; the slope has none.
    floor : float, optional
        Errors within a factor 5 of it are dropped.
    window : (low, high), optional
        Sizes outside are dropped. Without it a plateau at the largest sizes (looked for if no floor is given) and pre-asymptotic
        points at the smallest are dropped, by the rules in errors/regression.py.
    converged : array of bool (n,), optional
        Cases that are not converged are dropped.
    model : {"power", "shifted"}
        "shifted" fits C (size + delta)^p, for rates approached slowly, and keeps small sizes: delta describes how they bend.

    Returns
    -------
    Rate
        Slope, interval, window, and every point that was dropped, with its reason.

    Raises
    ------
    InputError
        For sizes that are not positive, sizes and errors that seem swapped, lengths that differ, a window or floor that is none,
        or an unknown model.

    Notes
    -----
    Errors that are zero or not finite are always dropped. theory: bounds/visibility.
    """
    size, error = _numbers("sizes", sizes), _numbers("errors", errors)
    if size.ndim != 1 or size.shape != error.shape:
        raise InputError(f"a rate wants as many errors as sizes; got shapes {size.shape} and {error.shape}")
    if not np.all(np.isfinite(size)) or np.any(size <= 0):
        hint = "; sizes come first, then errors" if np.all(error >= 1) else ""
        raise InputError(f"sizes must be positive numbers; got {size.tolist()}{hint}")
    if len(size) > 1 and size.max() < 1 <= error.min():
        raise InputError(
            f"sizes come first and errors second, and these seem swapped: sizes {size.min():.3g} to {size.max():.3g}, errors "
            f"{error.min():.3g} to {error.max():.3g}; call estimate_rate(sizes, errors), in another unit if they are not"
        )
    if model not in ("power", "shifted"):
        raise InputError(f"the model of a rate is 'power' or 'shifted'; got {model!r}")
    if window is not None and (len(window) != 2 or not float(window[0]) <= float(window[1])):
        raise InputError(f"a window is the smallest and the largest size to use, (low, high); got {window!r}")
    good = np.ones(len(size), dtype=bool) if converged is None else np.asarray(converged) == True  # noqa: E712 - NaN is not
    if good.shape != size.shape:
        raise InputError(f"`converged` wants one entry per size; got {len(good)} for {len(size)} sizes")
    order = np.argsort(size, kind="stable")
    size, error, good = size[order], error[order], good[order]

    dropped: list[tuple[float, str]] = []

    def drop(bad: np.ndarray, reasons: list[str] | str) -> None:
        """Take points out of the window and remember why."""
        nonlocal size, error
        named = [reasons] * len(size) if isinstance(reasons, str) else reasons
        dropped.extend((float(s), why) for s, why, b in zip(size, named, bad, strict=True) if b)
        size, error = size[~bad], error[~bad]

    bad, reasons = unusable(error, good)
    drop(bad, reasons)
    if window is not None:
        drop((size < window[0]) | (size > window[1]), f"outside the window {window[0]:g} to {window[1]:g}")
    if floor is not None:
        drop(near_floor(error, floor), f"within a factor 5 of the floor {floor:.2g}")
    if window is None:
        found = plateau(size, error) if floor is None else None
        if found is not None:
            drop(*found)
        if model == "power":
            drop(before_asymptotics(size, error), "before the asymptotic regime")

    line = _fitted(size, error, model)
    return Rate(
        slope=line.slope,
        low=line.low,
        high=line.high,
        window=(float(size[0]), float(size[-1])) if len(size) else (float("nan"), float("nan")),
        dropped=tuple(dropped),
        local_slopes=local_slopes(size, error),
        points=tuple(zip(size.tolist(), error.tolist(), strict=True)),
        prefactor=line.prefactor,
        shift=line.shift,
    )


def _numbers(what: str, given: Numbers) -> Float[np.ndarray, " n"]:
    """The numbers as an array. Raises InputError for what are no numbers."""
    try:
        return np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        raise InputError(f"{what} are a sequence of numbers; got {given!r:.80}") from None


def _fitted(size: np.ndarray, error: np.ndarray, model: str) -> Line:
    """The law through the points of the window. Raises InputError if the shifted law has too few."""
    if model == "power":
        return power_law(size, error)
    if len(np.unique(size)) < 4:
        raise InputError(
            f"the shifted law has three parameters and wants four sizes; got {len(np.unique(size))}: use model='power'"
        )
    return shifted_power_law(size, error)


def local_slopes(size: np.ndarray, error: np.ndarray) -> tuple[tuple[float, float], ...]:
    """Slopes between neighbouring sizes (repeated sizes averaged in the logarithm)."""
    distinct = np.unique(size)
    mean = np.array([np.log(error[size == s]).mean() for s in distinct])
    slope = np.diff(mean) / np.diff(np.log(distinct))
    return tuple(zip(np.sqrt(distinct[1:] * distinct[:-1]).tolist(), slope.tolist(), strict=True))


@takes(rate=(Rate, "the result of dg.estimate_rate"))
def verdict(rate: Rate, predicted: float | int, tolerance: float | int = TOLERANCE) -> str:
    """What a measured rate says about a predicted one.

    Parameters
    ----------
    rate : Rate
        From `dg.estimate_rate`.
    predicted : float
        The predicted slope.
    tolerance : float
        How near the slope must be for a confirmation outside the interval.

    Returns
    -------
    {"confirmed", "steeper", "shallower", "inconclusive"}
        Inconclusive: fewer than three points, or an interval wider than 2. Confirmed: the prediction lies in the 95 % interval,
        or within `tolerance` of the slope while the interval is narrower than 1. Otherwise the sign of the difference decides; a
        steeper decay does not contradict a prediction, which is an upper bound on the error.

    Raises
    ------
    InputError
        For a prediction or a tolerance that is no number.
    """
    if not (np.isfinite(predicted) and tolerance >= 0):
        raise InputError(
            f"a verdict is about a finite slope, with a tolerance of at least 0; got {predicted!r} and {tolerance!r}"
        )
    width = rate.high - rate.low
    if len(rate.points) < 3 or not np.isfinite(rate.slope) or not width <= BLUNT:
        return "inconclusive"
    near = abs(rate.slope - predicted) <= tolerance and width < SHARP
    if rate.low <= predicted <= rate.high or near:
        return "confirmed"
    return "steeper" if rate.slope < predicted else "shallower"


def rejects(rate: Rate, exponent: float | int) -> bool:
    """Whether the measured rate excludes an exponent: outside the interval, and farther than half a power of the size."""
    return verdict(rate, exponent, tolerance=0.5) in ("steeper", "shallower")
