"""Parameters of a family of losses that make the errors of some defects small, stopped by other defects before it does harm.

A family is any function from numbers to a `Loss`, so that weights, powers, temperatures and thresholds are tuned in the same way.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import minimize

from ..._input import InputError, real, takes, whole
from ..._typing import Float
from ...fit import Fit, FitWarning, Loss, fit
from ...relax import Equilibrium
from ...training import Blocks
from .others import LOST, Trial, errors_of, largest, ratios_of, score_of

Family = Callable[[Float[np.ndarray, " parameters"]], Loss]


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
        return largest(self.trials[self.chosen].ratios)

    def __str__(self) -> str:
        last, end = self.trials[self.chosen], self.trials[-1]
        ratio = np.exp(last.held_out - self.trials[0].held_out)
        without = largest(end.ratios)
        return (
            f"{self.loss.label}: errors over those at the start: mean {1 / self.gain:.3g} for design defects, {ratio:.3g} for "
            f"held-out ones, largest {self.harm:.3g} (without early stopping {without:.3g}); "
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
        found = [errors_of(fitted, rest, by) for rest in rests]
        score = score_of(found, share)
        if not trials and score >= LOST:
            raise InputError("under the model of the start no design defect keeps its state; start from parameters that keep one")
        if not trials or score < trials[-1].design:
            told = [errors_of(fitted, rest, "errors") for rest in others]
            base[:] = base or told
            trials.append(Trial(tuple(p.tolist()), score, score_of(told, share), ratios_of(told, base)))
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
