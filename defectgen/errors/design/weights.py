"""Weights of a loss that make the certificate of one defect, or of several, smallest."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from ..._input import InputError, InputWarning, takes
from ...ace import LinearACE
from ...fit import Fit, FitWarning, Loss
from ...fit.fitting import solved
from ...fit.weights import Weights
from ...relax import Equilibrium, relax
from ..certificate import Certificate, certify
from ..certificate.sensitivity import sensitivity
from .objective import pose_design
from .others import Trial, errors_of, largest, ratios_of, score_of

RANGE = 1e3
"""Largest factor by which a design changes a weight in one round: beyond, a group is as good as ignored, or alone."""

STEPS = 3
"""Steps from the weights of one round to those of the next, of which the held-out defects choose."""


@dataclass(frozen=True, eq=False)
class LossDesign:
    """Weights and what they promise."""

    weights: Weights
    """weights[kind][group]: what dg.fit takes."""
    fit: Fit = field(repr=False)
    """With these weights."""
    pilot: Fit = field(repr=False)
    """With the weights before."""
    before: Certificate = field(repr=False)
    """Of the pilot, for the first defect."""
    after: Certificate = field(repr=False)
    """Of the design, for the first defect."""
    rounds: tuple[float, ...]
    """Mean log estimate at the start of every round and at the end."""
    trials: tuple[Trial, ...] = ()
    """The pilot and the weights on the way from it, with the errors of held-out defects; none without such defects."""
    chosen: int = 0
    """Number of the trial that is taken: the one with the smallest errors of the held-out defects."""

    @property
    def harm(self) -> float | None:
        """The largest ratio of an error of a held-out defect, with the design over with the pilot; None if none was given."""
        return largest(self.trials[self.chosen].ratios) if self.trials else None

    @property
    def harm_without_stopping(self) -> float | None:
        """The same of the weights with the smallest estimate."""
        return largest(self.trials[-1].ratios) if self.trials else None

    @property
    def unstopped(self) -> Weights:
        """The weights with the smallest estimate, which held-out defects may not have chosen."""
        if not self.trials:
            return self.weights
        values = iter(self.trials[-1].parameters)
        return {kind: {group: next(values) for group in groups} for kind, groups in self.weights.items()}

    def harms(self) -> str:
        """The harm in words."""
        if not self.trials:
            return "errors of other defects were not measured: give held_out=, defects relaxed with the reference"
        ratio = np.exp(self.trials[self.chosen].held_out - self.trials[0].held_out)
        return (
            f"errors of held-out defects over those before: mean {ratio:.3g}, largest {self.harm:.3g} (without early "
            f"stopping {self.harm_without_stopping:.3g}); step {self.chosen} of {len(self.trials) - 1}"
        )

    def summary(self) -> str:
        """The weights, and the estimates before and after."""
        spelled = ", ".join(f"{k}:{g} {w:.3g}" for k, groups in self.weights.items() for g, w in groups.items())
        return (
            f"weights {spelled}\n"
            f"geometry estimate {self.before.geometry.estimate:.3g} -> {self.after.geometry.estimate:.3g} A, "
            f"energy {self.before.energy.estimate:.3g} -> {self.after.energy.estimate:.3g} eV\n"
            f"{self.harms()}"
        )

    def __str__(self) -> str:
        return self.summary()


@takes(pilot=(Fit, "the result of dg.fit"), rests=(Equilibrium | list | tuple, "results of dg.relax with the model of the fit"))
def design_loss(
    pilot: Fit,
    rests: Equilibrium | Sequence[Equilibrium],
    *,
    richer: Fit | None = None,
    share: float = 0.5,
    rounds: int = 2,
    held_out: Sequence[Equilibrium] = (),
) -> LossDesign:
    """Weights that minimise the mean logarithm of the estimated errors of some defects.

    Parameters
    ----------
    pilot : Fit
        The fit to start from. Only kinds and groups that it fits are weighted.
    rests : Equilibrium or sequence of Equilibrium
        Defects relaxed with the pilot's model.
    richer : Fit, optional
        A fit of a larger basis to the same labels; the estimate then includes what the pilot's basis cannot represent.
    share : float
        Share of the energies in the mean of logarithms, 0 to 1.
    rounds : int
        Rounds of minimisation; fit and equilibria are made again after each.
    held_out : sequence of Equilibrium
        Other defects of the crystal, relaxed with the reference. The weights change step by step, and those are taken with
        which the errors of these defects are smallest; without them nothing is known of the harm that a design does.

    Returns
    -------
    LossDesign
        The weights as `dg.fit` takes them, the fit with them, and the certificates before and after.

    Raises
    ------
    InputError
        For a pilot without a basis, no defects, a share outside 0 to 1, and a held-out defect that the loss is designed for.

    Notes
    -----
    In every round the estimates are differentiated through fit and relaxation (equilibria to first order, theory:
    fit/certificate) and minimised by L-BFGS-B over weights between 1/1000 and 1000 times the present ones. A round that makes the
    estimate worse, or a defect unstable, is not taken. With held-out defects the logarithms of the weights go from one round to
    the next in `STEPS` equal steps. theory: fit/design.
    """
    rests = [rests] if isinstance(rests, Equilibrium) else list(rests)
    if not rests:
        raise InputError("a loss is designed for at least one relaxed defect; got none")
    if not 0 <= share <= 1:
        raise InputError(f"the share of the energy in the design lies between 0 and 1; got {share}")
    others = list(held_out)
    if any(not isinstance(each, Equilibrium) for each in others):
        raise InputError("held-out defects are relaxed with the reference; give results of dg.relax")
    if any((a.cell.defect, len(a.cell)) == (b.cell.defect, len(b.cell)) for a in rests for b in others):
        raise InputError(
            "a defect is among those that the loss is designed for and the held-out ones; take it out of one of them"
        )
    first = [certify(pilot, rest, richer=richer) for rest in rests]
    ways = [pilot.weights]
    now, wide, places, certificates = pilot, richer, rests, first
    history = [_mean_log(certificates, share)]
    for _ in range(rounds):
        weights = _round(now, wide, places, certificates, share)
        trial = _again(pilot, weights)
        trial_wide = None if richer is None else _again(richer, weights)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", InputWarning)  # what there is to say of the crystal was said of the pilot
                found = [_moved(r, trial.model) for r in places]
                judged = [certify(trial, r, richer=trial_wide) for r in found]
        except InputError:
            break
        value = _mean_log(judged, share)
        if not value < history[-1]:
            break
        now, wide, places, certificates = trial, trial_wide, found, judged
        ways.append(now.weights)
        history.append(value)
    if not others:
        return LossDesign(now.weights, now, pilot, first[0], certificates[0], tuple(history))
    trials, fits = _stopped(pilot, ways, history, others, share)
    chosen = int(np.argmin([trial.held_out for trial in trials]))
    if chosen < len(trials) - 1:
        now, wide = fits[chosen], None if richer is None else _again(richer, fits[chosen].weights)
        certificates = first if not chosen else [certify(now, _moved(rests[0], now.model), richer=wide)]
    return LossDesign(now.weights, now, pilot, first[0], certificates[0], tuple(history), tuple(trials), chosen)


def _flat(weights: Weights) -> tuple[float, ...]:
    return tuple(w for own in weights.values() for w in own.values())


def _stopped(
    pilot: Fit, ways: Sequence[Weights], history: Sequence[float], others: Sequence[Equilibrium], share: float
) -> tuple[list[Trial], list[Fit]]:
    """Errors of held-out defects at the pilot and along the way to every round, and the fits."""
    base = [errors_of(pilot, rest) for rest in others]
    trials, fits = [Trial(_flat(ways[0]), history[0], score_of(base, share), ratios_of(base, base))], [pilot]
    for number, (before, after) in enumerate(pairwise(ways)):
        for step in range(1, STEPS + 1):
            part = step / STEPS
            weights = {k: {g: w ** (1 - part) * after[k][g] ** part for g, w in own.items()} for k, own in before.items()}
            fits.append(_again(pilot, weights))
            found = [errors_of(fits[-1], rest) for rest in others]
            estimate = (1 - part) * history[number] + part * history[number + 1]  # between rounds not computed
            trials.append(
                Trial(
                    _flat(weights),
                    estimate,
                    score_of(found, share),
                    ratios_of(found, base),
                )
            )
    return trials, fits


def _moved(rest: Equilibrium, model: LinearACE) -> Equilibrium:
    """The equilibrium of another model near one."""
    return relax(rest.cell, model, start=rest.positions, eigenvalue=False, chemical_potentials=rest.chemical_potentials)


def _again(old: Fit, weights: Weights) -> Fit:
    """The same fit with other weights: its constraints, and what its loss weighted block by block, stay as they are."""
    loss = Loss(old.observations, weights, prior=old.prior, constraints=old.constraints)
    items = list(old.blocks.items)
    multipliers = np.zeros(len(items))
    fitted = [place for place, block in enumerate(items) if block.kind in old.weights]
    for place, block, multiplier in zip(fitted, old.problem.blocks.items, old.problem.multipliers, strict=True):
        items[place] = block  # with the late weights of its rows
        before = old.weights[block.kind][block.group]
        multipliers[place] = multiplier * weights[block.kind][block.group] / before if before else 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)  # the pilot has said which coefficients its rows leave open
        weighed = replace(old.problem.blocks, items=tuple(items))
        return solved(weighed, loss, weights, multipliers, old.solver, labelled=old.blocks)


def _mean_log(certificates: Sequence[Certificate], share: float) -> float:
    logs = [(1 - share) * np.log(c.geometry.estimate) + share * np.log(max(c.energy.estimate, 1e-300)) for c in certificates]
    return float(np.mean(logs))


def _round(
    now: Fit, wide: Fit | None, rests: Sequence[Equilibrium], certificates: Sequence[Certificate], share: float
) -> Weights:
    """One minimisation at fixed sensitivities; the new weights."""
    posed = []
    for rest, certificate in zip(rests, certificates, strict=True):
        beside = None
        if wide is not None:
            assert isinstance(wide.model, LinearACE)
            beside = wide, sensitivity(rest, wide.model, answer=certificate.sensitivity.answer)
        posed.append(pose_design(now, certificate.sensitivity, beside, share))
    names = posed[0].names
    grads = [eqx.filter_jit(eqx.filter_value_and_grad(lambda x, f: f(x))) for _ in posed]

    def total(x: np.ndarray) -> tuple[float, np.ndarray]:
        centred = x - x.mean()  # weights have no common scale
        parts = [g(jnp.asarray(centred), p.objective) for g, p in zip(grads, posed, strict=True)]
        value = float(np.mean([float(v) for v, _ in parts]))
        slope = np.mean([np.asarray(s) for _, s in parts], axis=0)
        return value, slope - slope.mean()

    limit = np.log(RANGE)
    found = minimize(total, np.zeros(len(names)), jac=True, method="L-BFGS-B", bounds=[(-limit, limit)] * len(names))
    change = dict(zip(names, np.exp(found.x - found.x.mean()), strict=True))
    return {
        kind: {group: w * float(change.get(f"{kind}:{group}", 1.0)) for group, w in groups.items()}
        for kind, groups in now.weights.items()
    }
