"""Rates: the slope of log error against log size, with the window it was read in, what was dropped, and its interval."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .._display import shown
from .._input import InputError, one_line
from .._typing import Float
from .regression import before_asymptotics, near_floor, plateau, unusable
from .slopes import Slopes, power_slopes, shifted_slopes

Numbers = Sequence[float | int] | np.ndarray
Window = tuple[float | int, float | int] | Literal["automatic"] | None

ENOUGH = 3
"""Repeats from which what differs between them is known well enough to carry an interval."""

MODELS = ("power", "shifted")


@dataclass(frozen=True)
class Rate:
    """A measured power law error = prefactor (size + shift)^slope."""

    slope: float
    """Mean over the repeats; NaN if fewer than two points remain."""
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
    """(size, error) used, by size; of several repeats their geometric mean."""
    prefactor: float
    shift: float = 0.0
    """Offset delta of the finite-size law, 0 for a plain power law."""
    model: str = "power"
    """Which law: "power" or "shifted"."""
    rule: str = "all sizes"
    """How the window was chosen: "given", "automatic" or "all sizes"."""
    repeats: int = 1
    """Independent curves."""
    repeat_slopes: tuple[float, ...] = ()
    """The slope of every repeat."""
    scatter: float = 0.0
    """Standard deviation of the logarithms of the mean curve about the law."""
    spread: float = 0.0
    """Standard deviation of the slopes between the repeats; 0 for one."""
    resolution: float = 0.0
    """Shift of the size that the interval allows for, in the unit of the sizes."""
    bent: bool = False
    """Whether the slope changes over the window by more than twice the tolerance, 1, at 95 %: the curve has no single slope."""

    def __repr__(self) -> str:
        several = f" of {self.repeats} repeats" if self.repeats > 1 else ""
        return shown(
            self,
            f"slope {self.slope:.3g}",
            f"95 % interval {self.low:.3g} to {self.high:.3g}{several}" if self.interval != "none" else "no interval",
            f"sizes {self.window[0]:.3g} to {self.window[1]:.3g} ({len(self.points)} points)",
            f"{len(self.dropped)} points dropped" if self.dropped else "",
            f"shift {self.shift:.3g}" if self.shift else "",
            "bent" if self.bent else "",
        )

    @property
    def interval(self) -> str:
        """What the interval is taken from: "repeats" (three or more), "line" (one curve or two), or "none"."""
        if not np.isfinite(self.high - self.low):
            return "none"
        return "repeats" if self.repeats >= ENOUGH else "line"

    def predict(self, sizes: Numbers) -> Float[np.ndarray, " n"]:
        """The fitted law at some sizes."""
        return self.prefactor * (np.asarray(sizes, dtype=float) + self.shift) ** self.slope


def estimate_rate(
    sizes: Numbers,
    errors: Numbers,
    floor: float | int | None = None,
    window: Window = "automatic",
    converged: Sequence[bool] | np.ndarray | None = None,
    model: str = "power",
    repeats: Sequence[Hashable] | np.ndarray | None = None,
    resolution: float | int = 0.0,
) -> Rate:
    """Slope of log error against log size with a 95 % interval.

    Parameters
    ----------
    sizes : array (n,)
        Positive sizes, in any unit.
    errors : array (n,) or (repeats, n)
        Their errors, in any unit. Rows are independent repeats of the same sizes: other perturbations, other defects.
    floor : float, optional
        Errors within a factor 5 of it are dropped.
    window : (low, high), "automatic" or None
        Sizes outside are dropped; None uses all. Choose it before the errors are known. "automatic" looks at the errors: it drops
        a plateau at the largest sizes (if no floor is given) and pre-asymptotic points at the smallest, by the rules in
        errors/regression.py.
    converged : array of bool, shape of `errors`, optional
        Cases that are not converged are dropped.
    model : {"power", "shifted"}
        "shifted" fits the finite-size law C (size + delta)^p, for rates approached slowly. Choose it before the errors are known.
    repeats : sequence (n,), optional
        The repeat of each point, if `errors` has one dimension. A size missing from a repeat is dropped. Without it, several
        errors at one size are points of one line.
    resolution : float
        How well the size itself is defined, in its unit: the interval allows for a shift of all sizes by up to this much.

    Returns
    -------
    Rate
        Slope, interval, window, and every point that was dropped, with its reason.

    Raises
    ------
    InputError
        For sizes that are not positive, sizes and errors that seem swapped, shapes that differ, a window or floor that is none,
        repeats that hold a size twice, an unknown model, or a negative resolution.

    Notes
    -----
    The interval adds what differs between repeats and what their mean deviates from the law, by Student's t, and covers every
    shift within `resolution` that the curvature does not exclude (`defectgen.errors.slopes.power_slopes`). From one curve it
    says nothing of what would differ in another one: `Rate.interval` is "line". Errors that are zero or not finite are always
    dropped. theory: bounds/verdicts, bounds/visibility.
    """
    size, error, good = _table(sizes, errors, converged, repeats)
    if model not in MODELS:
        raise InputError(f"the model of a rate is 'power' or 'shifted'; got {model!r}")
    limits = _limits(window)
    if not (np.isfinite(resolution) and resolution >= 0):
        raise InputError(f"the resolution of the sizes is a number of their unit, zero or positive; got {resolution!r}")
    order = np.argsort(size, kind="stable")
    size, error, good = size[order], error[:, order], good[:, order]

    dropped: list[tuple[float, str]] = []

    def drop(bad: np.ndarray, reasons: list[str] | str) -> None:
        """Take points out of the window and remember why."""
        nonlocal size, error
        named = [reasons] * len(size) if isinstance(reasons, str) else reasons
        dropped.extend((float(s), why) for s, why, b in zip(size, named, bad, strict=True) if b)
        size, error = size[~bad], error[:, ~bad]

    drop(*_unusable(error, good))
    if limits is not None:
        drop((size < limits[0]) | (size > limits[1]), _outside(*limits))
    if floor is not None:
        drop(near_floor(_mean(error), floor), f"within a factor 5 of the floor {floor:.2g}")
    if window == "automatic":
        found = plateau(size, _mean(error)) if floor is None else None
        if found is not None:
            drop(*found)
        if model == "power":
            drop(before_asymptotics(size, _mean(error)), "before the asymptotic regime")

    if len(size) and resolution >= size[0]:
        raise InputError(
            f"the resolution of the sizes is less than the smallest of them; got {resolution:g} for sizes from {size[0]:g}"
        )
    law = _fitted(size, np.log(error), model, float(resolution))
    return Rate(
        slope=float(law.slope[0]),
        low=float(law.low[0]),
        high=float(law.high[0]),
        window=(float(size[0]), float(size[-1])) if len(size) else (float("nan"), float("nan")),
        dropped=tuple(dropped),
        local_slopes=local_slopes(size, _mean(error)),
        points=tuple(zip(size.tolist(), _mean(error).tolist(), strict=True)),
        prefactor=float(np.exp(law.log_prefactor[0])),
        shift=float(law.shift[0]),
        model=model,
        rule="all sizes" if window is None else "automatic" if limits is None else "given",
        repeats=len(error),
        repeat_slopes=tuple(float(_fitted(size, np.log(own[None]), "power", 0.0).slope[0]) for own in error),
        scatter=float(law.scatter[0]),
        spread=float(law.spread[0]),
        resolution=float(resolution) if model == "power" else 0.0,
        bent=bool(law.bent[0]),
    )


def _table(
    sizes: Numbers,
    errors: Numbers,
    converged: Sequence[bool] | np.ndarray | None,
    repeats: Sequence[Hashable] | np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sizes (n,), errors (repeats, n), and which converged. Raises InputError for what does not fit together."""
    size, error = _numbers("sizes", sizes), _numbers("errors", errors)
    if size.ndim != 1 or error.ndim not in (1, 2) or size.shape != error.shape[-1:] or (error.ndim == 2 and not len(error)):
        raise InputError(f"a rate needs as many errors as sizes; got shapes {size.shape} and {error.shape}")
    if not np.all(np.isfinite(size)) or np.any(size <= 0):
        hint = "; sizes come first, then errors" if np.all(error >= 1) else ""
        raise InputError(f"sizes must be positive numbers; got {size.tolist()}{hint}")
    if len(size) > 1 and size.max() < 1 <= error.min():
        raise InputError(
            f"sizes come first and errors second, and these seem swapped: sizes {size.min():.3g} to {size.max():.3g}, errors "
            f"{error.min():.3g} to {error.max():.3g}; call estimate_rate(sizes, errors), in another unit if they are not"
        )
    good = np.ones(error.shape, dtype=bool) if converged is None else np.asarray(converged) == True  # noqa: E712 - NaN is not
    if good.shape != error.shape:
        raise InputError(f"`converged` needs one entry per size; got {good.shape} for errors of shape {error.shape}")
    if repeats is None:
        return size, np.atleast_2d(error), np.atleast_2d(good)
    if not isinstance(repeats, Sequence | np.ndarray) or not all(isinstance(r, Hashable) for r in repeats):
        raise InputError(f"`repeats` has the name or number of the repeat of each point; got {one_line(repr(repeats), 80)}")
    if error.ndim != 1 or len(repeats) != len(size):
        raise InputError(
            f"`repeats` has the repeat of each point, for errors of one dimension; got {len(repeats)} entries for errors of "
            f"shape {error.shape}"
        )
    return _by_repeat(size, error, good, list(repeats))


def _by_repeat(
    size: np.ndarray, error: np.ndarray, good: np.ndarray, repeats: list[Hashable]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points with labels as a table, NaN where a repeat has no such size. Raises InputError for a size twice in a repeat."""
    names, distinct = list(dict.fromkeys(repeats)), np.unique(size)
    table = np.full((len(names), len(distinct)), np.nan)
    fine, seen = np.ones(table.shape, dtype=bool), np.zeros(table.shape, dtype=bool)
    for s, e, g, name in zip(size, error, good, repeats, strict=True):
        place = names.index(name), int(np.searchsorted(distinct, s))
        if seen[place]:
            raise InputError(f"the repeat {name!r} has the size {s:g} twice; give repeats of their own, or average them before")
        seen[place], table[place], fine[place] = True, e, g
    return distinct, table, fine


def _limits(window: Window) -> tuple[float, float] | None:
    """The ends of a window that is given. Raises InputError for what is no window."""
    if window is None or window == "automatic":
        return None
    if isinstance(window, str) or len(window) != 2 or not float(window[0]) <= float(window[1]):
        raise InputError(
            f"a window is the smallest and the largest size to use, (low, high), 'automatic', or None for all; got {window!r}"
        )
    return float(window[0]), float(window[1])


def _outside(low: float, high: float) -> str:
    return f"below the window, which begins at {low:.3g}" if np.isinf(high) else f"outside the window {low:g} to {high:g}"


def _unusable(error: np.ndarray, good: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Sizes at which some repeat has no error that can be used, with the first reason."""
    found = [unusable(own, fine) for own, fine in zip(error, good, strict=True)]
    bad = np.any([each for each, _ in found], axis=0) if error.shape[1] else np.zeros(0, dtype=bool)
    return bad, [next((reason for reason in reasons if reason), "") for reasons in zip(*(r for _, r in found), strict=True)]


def _mean(error: np.ndarray) -> np.ndarray:
    """The geometric mean of the repeats."""
    return error[0] if len(error) == 1 else np.exp(np.log(error).mean(axis=0))


def _numbers(what: str, given: Numbers) -> Float[np.ndarray, "*shape"]:
    """The numbers as an array. Raises InputError for what are no numbers."""
    try:
        return np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        raise InputError(f"{what} are a sequence of numbers; got {given!r:.80}") from None


def _fitted(size: np.ndarray, logs: np.ndarray, model: str, resolution: float) -> Slopes:
    """The law through the points of the window, as a stack of one. Raises InputError if the shifted law has too few."""
    if model == "power":
        return power_slopes(size, logs[None], resolution)
    if len(np.unique(size)) < 4:
        raise InputError(
            f"the shifted law has three parameters and needs four sizes; got {len(np.unique(size))}: use model='power'"
        )
    return shifted_slopes(size, logs[None])


def local_slopes(size: np.ndarray, error: np.ndarray) -> tuple[tuple[float, float], ...]:
    """Slopes between neighbouring sizes (repeated sizes averaged in the logarithm)."""
    distinct = np.unique(size)
    mean = np.array([np.log(error[size == s]).mean() for s in distinct])
    slope = np.diff(mean) / np.diff(np.log(distinct))
    return tuple(zip(np.sqrt(distinct[1:] * distinct[:-1]).tolist(), slope.tolist(), strict=True))
