"""Verdicts: what a measured rate says about a predicted one, and how often such a verdict would be wrong or missed.

theory: bounds/verdicts.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .._input import InputError, takes
from .rates import ENOUGH, MODELS, Numbers, Rate, Window, estimate_rate
from .slopes import power_slopes, shifted_slopes, student

TOLERANCE = 0.5
"""Exponents that differ by this much are distinguished: half the smallest gap between rates of one dimension."""

VERDICTS = {
    "confirmed": "the 95 % interval contains the prediction and lies within the tolerance of it",
    "within tolerance": "the interval excludes the prediction and lies within the tolerance of it",
    "steeper": "the interval lies below the prediction and reaches farther than the tolerance; an upper bound allows this",
    "shallower": "the interval lies above the prediction and reaches farther than the tolerance, against an upper bound",
    "inconclusive": "the interval contains the prediction and reaches farther than the tolerance, or there is none, or the "
    "slope changes by more than 1 over the window",
}
"""Every verdict and what it means."""

ALLOWED = 0.05
"""Largest share of false confirmations with which a confirmation counts."""

WANTED = 0.8
"""Power below which a verdict has to say so."""

FLOOR = 0.05
"""Floor of the simulated curves that have one, in units of the smallest error: larger ones are visible in the local slopes."""

SAMPLES = 2000
"""Simulated curves of each case: 5 % are then known to within 1 %."""


@takes(rate=(Rate, "the result of dg.estimate_rate"))
def verdict(rate: Rate, predicted: float | int, tolerance: float | int = TOLERANCE) -> str:
    """Whether a measured rate agrees with a predicted one.

    Parameters
    ----------
    rate : Rate
        From `dg.estimate_rate`.
    predicted : float
        The predicted slope.
    tolerance : float
        Exponents that differ from the prediction by this much or more are distinguished from it.

    Returns
    -------
    {"confirmed", "within tolerance", "steeper", "shallower", "inconclusive"}
        As `defectgen.errors.VERDICTS` defines them; fewer than three sizes are inconclusive. A steeper decay does not contradict
        a prediction, which is an upper bound on the error.

    Raises
    ------
    InputError
        For a prediction or a tolerance that is no number.

    Notes
    -----
    Where the interval covers the true slope with 95 %, an exponent that is off by the tolerance or more is confirmed in at most
    5 % of curves: a confirmation is an equivalence test. `verdict_power` measures this. theory: bounds/verdicts.
    """
    if not (np.isfinite(predicted) and tolerance >= 0):
        raise InputError(
            f"a verdict is about a finite slope, with a tolerance of at least 0; got {predicted!r} and {tolerance!r}"
        )
    if len({size for size, _ in rate.points}) < 3 or not np.isfinite(rate.high - rate.low):
        return "inconclusive"
    near = predicted - tolerance <= rate.low and rate.high <= predicted + tolerance
    inside = rate.low <= predicted <= rate.high
    if rate.bent and (near or inside):
        return "inconclusive"
    if inside:
        return "confirmed" if near else "inconclusive"
    if near:
        return "within tolerance"
    return "steeper" if rate.high < predicted else "shallower"


def rejects(rate: Rate, exponent: float | int, tolerance: float | int = TOLERANCE) -> bool:
    """Whether the measured rate excludes an exponent: outside the interval, which reaches farther from it than the tolerance."""
    return verdict(rate, exponent, tolerance) in ("steeper", "shallower")


@dataclass(frozen=True)
class Power:
    """How often simulated curves are confirmed."""

    false_confirmation: float
    """Largest share of confirmed curves whose exponent is off by the tolerance, over both signs and all nuisances."""
    worst: str
    """The nuisance of that share, in words."""
    power: float
    """Share of confirmed curves whose exponent is the predicted one."""


def verdict_power(
    sizes: Numbers,
    scatter: float,
    repeats: int = 1,
    predicted: float = -3.0,
    spread: float = 0.0,
    resolution: float = 0.0,
    model: str = "power",
    window: Window = None,
    tolerance: float = TOLERANCE,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Power:
    """How often a curve like this one would be confirmed rightly and wrongly, by simulation with the code of `estimate_rate`.

    Parameters
    ----------
    sizes : array (n,)
        At least three sizes, in any unit.
    scatter : float
        Standard deviation of the logarithm of the error about the law, common to all repeats (`Rate.scatter`).
    repeats : int
        Independent curves.
    predicted : float
        The predicted slope.
    spread : float
        Standard deviation of the slopes between the repeats (`Rate.spread`).
    resolution : float
        As in `estimate_rate`; also the largest shift of the size that the simulated curves have.
    model, window
        As in `estimate_rate`. "automatic" runs the rules of the window on every curve, which takes a thousand times longer: use
        fewer samples.
    tolerance : float
        As in `verdict`.
    samples : int
        Curves of every case.
    seed : int
        Of the random numbers.

    Returns
    -------
    Power
        Share of false confirmations, with the nuisance for which it is largest, and power.

    Raises
    ------
    InputError
        For fewer than three sizes, fewer than one repeat or sample, a negative scatter, or an unknown model.

    Notes
    -----
    Curves are (L + delta)^p (1 + floor) with normal deviations of every size, common to the repeats, and of the slope of every
    repeat. False confirmations: p = predicted +- tolerance; delta = 0, -resolution and +resolution without a floor, and delta = 0
    with a floor of 5 % of the smallest error. Power: p = predicted, delta = 0, no floor. theory: bounds/verdicts.
    """
    size = np.unique(np.asarray(sizes, dtype=float))
    if len(size) < 3 or np.any(size <= resolution) or repeats < 1 or samples < 1:
        raise InputError(
            f"a simulation of verdicts takes three positive sizes or more, a repeat and a sample; got {size.tolist()}, "
            f"{repeats!r} and {samples!r}"
        )
    if not (scatter >= 0 and spread >= 0 and np.isfinite(scatter + spread)) or model not in MODELS:
        raise InputError(f"scatter and spread are numbers, zero or positive, and the model 'power' or 'shifted'; got {scatter!r}")
    given = (float(scatter), int(repeats), float(predicted), float(spread), float(resolution))
    return _power(tuple(size.tolist()), *given, model, window, float(tolerance), int(samples), int(seed))


@lru_cache(maxsize=512)
def _power(
    sizes: tuple[float, ...],
    scatter: float,
    repeats: int,
    predicted: float,
    spread: float,
    resolution: float,
    model: str,
    window: Window,
    tolerance: float,
    samples: int,
    seed: int,
) -> Power:
    size = np.array(sizes)
    x = np.log(size) - np.log(size).mean()
    rng = np.random.default_rng(seed)
    noise = scatter * rng.normal(size=(samples, 1, len(size)))
    noise = noise + spread * rng.normal(size=(samples, repeats, 1)) * x

    def confirmed(exponent: float, delta: float = 0.0, floor: float = 0.0) -> float:
        """Share of curves of this law that are confirmed."""
        error = (size + delta) ** exponent
        logs = np.log(error + floor * error.min()) + noise
        if window is not None:
            rates = (estimate_rate(size, np.exp(own), None, window, None, model, None, resolution) for own in logs)
            return float(np.mean([verdict(rate, predicted, tolerance) == "confirmed" for rate in rates]))
        found = power_slopes(size, logs, resolution) if model == "power" else shifted_slopes(size, logs)
        inside = (found.low <= predicted) & (predicted <= found.high)
        near = (found.low >= predicted - tolerance) & (found.high <= predicted + tolerance)
        return float(np.mean(inside & near & ~found.bent))

    nuisances = {"no nuisance": {}, f"a floor of {100 * FLOOR:.0f} % of the smallest error": {"floor": FLOOR}}
    if resolution > 0:
        nuisances |= {f"sizes shifted by {s * resolution:+g}": {"delta": s * resolution} for s in (-1, 1)}
    wrong = {
        name: max(confirmed(predicted + sign * tolerance, **nuisance) for sign in (-1, 1)) for name, nuisance in nuisances.items()
    }
    worst = max(wrong, key=wrong.__getitem__)
    return Power(wrong[worst], worst, confirmed(predicted))


@dataclass(frozen=True)
class Judgement:
    """The verdict on a rate with what it is worth."""

    verdict: str
    false_confirmation: float | None
    """None where nothing was simulated: no interval, or no prediction."""
    power: float | None
    remark: str
    """What is missing for a verdict, or what weakens it; empty if nothing."""


@takes(rate=(Rate, "the result of dg.estimate_rate"))
def judge(rate: Rate, predicted: float | int, tolerance: float | int = TOLERANCE) -> Judgement:
    """The verdict on a rate, with its false confirmations and its power by simulation, and what is missing.

    Parameters
    ----------
    rate : Rate
        From `dg.estimate_rate`.
    predicted : float
        The predicted slope.
    tolerance : float
        As in `verdict`.

    Returns
    -------
    Judgement
        The word is that of `verdict`, but for a confirmation of which more than 5 % would be false: it is inconclusive.

    Raises
    ------
    InputError
        For a prediction or a tolerance that is no number.

    Notes
    -----
    The simulated curves have the sizes, repeats, scatter and spread of this one. theory: bounds/verdicts.
    """
    word = verdict(rate, predicted, tolerance)
    sizes = sorted({size for size, _ in rate.points})
    if len(sizes) < 3 or not np.isfinite(rate.high - rate.low):
        return Judgement(word, None, None, f"{_counted(len(sizes), 'size')} in the window: three are the least, five can decide")
    # rounded to two digits, so that similar curves are simulated once
    scatter, spread = (float(f"{value:.1e}") for value in (rate.scatter, rate.spread))
    window = "automatic" if rate.rule == "automatic" else None
    samples = SAMPLES if window is None else SAMPLES // 20
    curve = (sizes, scatter, rate.repeats, float(predicted), spread, rate.resolution, rate.model, window, float(tolerance))
    found = verdict_power(*curve, samples)
    chance = 2 * np.sqrt(ALLOWED * (1 - ALLOWED) / samples)  # of the simulation itself
    if word == "confirmed" and found.false_confirmation > ALLOWED + chance:
        doubt = f"{100 * found.false_confirmation:.0f} % of such curves would be confirmed wrongly ({found.worst})"
        return Judgement("inconclusive", found.false_confirmation, found.power, doubt)
    return Judgement(word, found.false_confirmation, found.power, _remark(rate, word, found))


def _remark(rate: Rate, word: str, found: Power) -> str:
    """What is missing, or weak, in words."""
    parts = []
    if rate.bent:
        parts.append("the slope changes over the window")
    if found.power < WANTED and word in ("confirmed", "inconclusive"):
        parts.append(f"power {100 * found.power:.0f} %: {_missing(rate)}")
    if rate.interval == "line":
        parts.append("interval of one line" if rate.repeats == 1 else f"two repeats, {ENOUGH} are the least")
    return "; ".join(parts)


def _missing(rate: Rate) -> str:
    """What would narrow the interval most, by its largest part."""
    x = np.log(sorted({size for size, _ in rate.points}))
    parts = {
        "the repeats differ, and more of them": rate.spread / np.sqrt(rate.repeats),
        "the errors scatter about the law, and more sizes": rate.scatter / np.linalg.norm(x - x.mean()),
        f"the size is known to {rate.resolution:g} only, and larger sizes": abs(rate.slope)
        * rate.resolution
        / float(np.exp(x.mean()))
        / student(np.inf),
    }
    return f"{max(parts, key=parts.__getitem__)} would narrow the interval"


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
