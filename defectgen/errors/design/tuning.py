"""Parameters of a family of losses that make the errors of some defects small, stopped by other defects before it does harm.

A family is any function from numbers to a `Loss`, so that weights, powers, temperatures and thresholds are tuned alike.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import minimize

from ..._input import InputError, InputWarning, real, takes, whole
from ..._typing import Float
from ...fit import Fit, FitWarning, Loss, fit
from ...relax import Equilibrium, relax
from ...training import Blocks
from ..certificate import certify
from ..compare import compare

Family = Callable[[Float[np.ndarray, " parameters"]], Loss]

LOST = 20.0
"""Logarithm of an error, above all others, that a defect which a model loses counts with."""


@dataclass(frozen=True)
class Trial:
    """One set of parameters that lowered the errors of the design defects."""

    parameters: tuple[float, ...]
    design: float
    """Mean logarithm of the errors of the design defects."""
    held_out: float
    """The same of the held-out defects."""
    ratios: tuple[tuple[float, float], ...]
    """Geometry and energy error of every held-out defect over those at the start; NaN where one of them is lost."""


@dataclass(frozen=True, eq=False)
class LossTuning:
    """A tuned loss and what it does to defects that it was not tuned on."""

    loss: Loss
    fit: Fit = field(repr=False)
    parameters: tuple[float, ...]
    trials: tuple[Trial, ...]
    """The start, then all parameters that lowered the errors of the design defects."""
    chosen: int
    """Number of the trial that is taken: the one with the smallest errors of the held-out defects."""

    @property
    def gain(self) -> float:
        """Mean ratio of the errors of the design defects, at the start over now."""
        return float(np.exp(self.trials[0].design - self.trials[self.chosen].design))

    @property
    def harm(self) -> float:
        """The largest ratio of an error of a held-out defect, now over at the start; one if nothing was changed."""
        return float(np.nanmax(np.array(self.trials[self.chosen].ratios), initial=0.0))

    def __str__(self) -> str:
        last, end = self.trials[self.chosen], self.trials[-1]
        gain = np.exp(self.trials[0].held_out - last.held_out)
        without = np.nanmax(np.array(end.ratios), initial=0.0)
        return (
            f"{self.loss.label}: errors of the design defects {self.gain:.3g} times smaller, of the held-out defects "
            f"{gain:.3g} times; largest ratio of a held-out error {self.harm:.3g} (without early stopping {without:.3g}); "
            f"trial {self.chosen} of {len(self.trials) - 1}"
        )


@takes(blocks=(Blocks, "rows and labels, as dg.label returns them"), family=(Callable, "a function from parameters to a dg.Loss"))
def tune_loss(
    blocks: Blocks,
    family: Family,
    start: Sequence[float] | Float[np.ndarray, " parameters"],
    design: Sequence[Any],
    held_out: Sequence[Any],
    *,
    by: str = "errors",
    share: float = 0.5,
    step: float = 0.5,
    evaluations: int = 40,
    patience: int = 4,
) -> LossTuning:
    """Tune the parameters of a family of losses on some defects, and stop when others get worse.

    Parameters
    ----------
    blocks : Blocks
        Rows, kept apart as the losses of the family need it.
    family : callable
        From an array of parameters to a `Loss`, such as ``lambda p: dg.Loss("E+F", weight=f"by_distance({p[0]})")``.
    start : sequence of float
        Parameters to start from.
    design, held_out : sequence of Equilibrium
        Defects relaxed with the reference: those whose errors are made small, and those that stop it and tell the harm.
    by : {"errors", "certificate"}
        What is made small for the design defects: errors against the reference, or the certificate's estimates, which use no
        reference but its positions as a start. Held-out defects are always compared with the reference.
    share : float
        Of the energy in the mean of logarithms, 0 to 1.
    step : float
        First step of every parameter.
    evaluations : int
        Fits at most.
    patience : int
        Improvements on the design defects without one on the held-out defects after which the tuning ends.

    Returns
    -------
    LossTuning
        The loss of the trial with the smallest held-out errors, the gain, and the harm.

    Raises
    ------
    InputError
        No defects on one of the sides, a defect on both, a share outside 0 to 1, a start that is no list of numbers, a family
        that gives no `Loss`, and a start whose model loses all design defects.

    Notes
    -----
    Nelder and Mead's method. The held-out errors decide when to stop, so they are smaller than those of a third set of defects
    would be. theory: fit/design.
    """
    rests, others = list(design), list(held_out)
    if not rests or not others or any(not isinstance(each, Equilibrium) for each in (*rests, *others)):
        raise InputError("a loss is tuned on one relaxed defect at least and stopped by another one; give results of dg.relax")
    if any(a is b or (a.cell.defect, len(a.cell)) == (b.cell.defect, len(b.cell)) for a in rests for b in others):
        raise InputError("a defect is among the design defects and the held-out ones; take it out of one of them")
    if by not in ("errors", "certificate"):
        raise InputError(f"a loss is tuned by 'errors' or 'certificate'; got {by!r}")
    share = real(share, "the share of the energy", 0.0, 1.0)
    budget, patience = whole(evaluations, "evaluations", 1), whole(patience, "patience", 1)
    first = np.asarray(start, dtype=float)
    if first.ndim != 1 or not first.size or not np.all(np.isfinite(first)):
        raise InputError(f"parameters to start from are a list of finite numbers; got {start!r}")
    trials: list[Trial] = []
    fits: list[Fit] = []
    base: list[tuple[float, float]] = []

    def value(p: np.ndarray) -> float:
        fitted = _fitted(blocks, family, p)
        found = [_errors(fitted, rest, by) for rest in rests]
        score = _score(found, share)
        if not trials and score >= LOST:
            raise InputError("the model of the start loses all design defects; start from parameters that keep one")
        if not trials or score < trials[-1].design:
            told = [_errors(fitted, rest, "errors") for rest in others]
            base[:] = base or told
            ratios = tuple((g / g0, e / e0) for (g, e), (g0, e0) in zip(told, base, strict=True))
            trials.append(Trial(tuple(p.tolist()), score, _score(told, share), ratios))
            fits.append(fitted)
            if len(trials) - 1 - _best(trials) >= patience:
                raise StopIteration
        return score

    simplex = np.vstack([first, first + step * np.eye(len(first))])
    try:
        minimize(value, first, method="Nelder-Mead", options={"maxfev": budget, "initial_simplex": simplex})
    except StopIteration:
        pass
    chosen = _best(trials)
    return LossTuning(
        _loss(family, np.array(trials[chosen].parameters)), fits[chosen], trials[chosen].parameters, tuple(trials), chosen
    )


def _best(trials: Sequence[Trial]) -> int:
    return int(np.argmin([trial.held_out for trial in trials]))


def _loss(family: Family, p: np.ndarray) -> Loss:
    made = family(p)
    if not isinstance(made, Loss):
        raise InputError(f"a family gives a dg.Loss for its parameters; got {type(made).__name__}")
    return made


def _fitted(blocks: Blocks, family: Family, p: np.ndarray) -> Fit:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        return fit(blocks, _loss(family, p))


def _errors(fitted: Fit, exact: Equilibrium, by: str) -> tuple[float, float]:
    """Geometry (A) and energy error (eV) of a defect, or their estimates; NaN if the model loses it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        try:
            rest = relax(exact.cell, fitted.model, start=exact.positions, eigenvalue=False)
            if not rest.settled:
                return np.nan, np.nan
            if by == "certificate":
                found = certify(fitted, rest)
                return float(found.geometry.estimate), float(found.energy.estimate)
            error = compare(exact, rest)
        except InputError:
            return np.nan, np.nan
    return (float(error.geometry), float(error.energy)) if error.same_basin else (np.nan, np.nan)


def _score(errors: Sequence[tuple[float, float]], share: float) -> float:
    """Mean of the weighted logarithms; a lost defect counts LOST."""
    logs = [
        LOST if not np.isfinite(g + e) else (1 - share) * np.log(max(g, 1e-12)) + share * np.log(max(e, 1e-12)) for g, e in errors
    ]
    return float(np.mean(logs))
