"""The labels of the expensive reference, handed back: is the target reached, and what to add if not."""

import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..._display import shown
from ..._input import InputError, came
from ...ace import LinearACE
from ...bridge import LabelledReference, read_extxyz
from ...crystal import Snapshot, defect_from_name
from ...crystal.snapshot import BULK
from ...energy.crystal_state import AT_REST
from ...errors.certificate import Certificate
from ...fit import Fit, FitWarning, fit
from ...training import Blocks, label
from ..calculations import Calculation
from ..certificates.steps import RICHER_PRIOR
from ..tasks import box
from .grid import RICHER
from .proposal import QUANTITIES, Plan, Proposal
from .search import WEIGHTS
from .steps import certificate, too_few


@dataclass(frozen=True, eq=False)
class Attempt:
    """A fit to the labels, with its certificate."""

    plan: Plan
    fit: Fit = field(repr=False)
    certificate: Certificate = field(repr=False)

    @property
    def model(self) -> LinearACE:
        """The fitted model."""
        return self.fit.model

    def worst(self, targets: dict[str, float], what: str = "estimate") -> float:
        """The largest estimate (or bound) in units of the targets; infinite if one is NaN."""
        shares = [getattr(getattr(self.certificate, name), what) / target for name, target in targets.items()]
        return max(s if s == s else math.inf for s in shares)


@dataclass(frozen=True, eq=False)
class Verdict:
    """The fits to the labels, and what to label next."""

    proposal: Proposal
    attempts: tuple[Attempt, ...]
    """One per degree of the grid that could be fitted, to the largest plan that the labels serve."""
    next: Plan | None
    """The cheapest plan that is expected to reach the targets with what is labelled already; None if reached, or if none is."""
    add: tuple[Calculation, ...] = field(repr=False)
    """What has to be computed for it."""

    def __repr__(self) -> str:
        return shown(self, self.sentence)

    @property
    def best(self) -> Attempt:
        """The attempt with the smallest estimate."""
        return min(self.attempts, key=lambda attempt: attempt.worst(self.proposal.search.targets))

    @property
    def reached(self) -> bool:
        """Whether the estimates of the best attempt are within the targets."""
        return self.best.worst(self.proposal.search.targets) <= 1

    @property
    def certain(self) -> bool:
        """Whether its bounds are, too: to first order, the worst that the residual of the fit allows."""
        return self.best.worst(self.proposal.search.targets, "bound") <= 1

    @property
    def sentence(self) -> str:
        """The answer."""
        targets, best = self.proposal.search.targets, self.best
        parts = []
        for name, target in targets.items():
            quantity, unit = getattr(best.certificate, name), QUANTITIES[name]
            numbers = f"{quantity.estimate:.2g} {unit}, bound {quantity.bound:.2g} {unit}, target {target:g} {unit}"
            parts.append(f"{name} error estimated at {numbers}")
        told = "; ".join(parts) + f" (degree {best.plan.degree:g})"
        if self.reached:
            return f"reached{' by estimate and bound' if self.certain else ' by the estimate, not by the bound'}: {told}"
        if self.next is None:
            return f"not reached: {told}; no plan of the grid is expected to reach it: raise its degrees, sizes or configurations"
        hours = sum(one.hours(self.proposal.search.cost) for one in self.add)
        return f"not reached: {told}; the cheapest next step is {self.next}: {len(self.add)} more structures for {hours:.3g} h"


def judge_labels(proposal: Proposal, files: Iterable[str | Path], units: Mapping[str, str] | None = None) -> Verdict:
    """Fit the labelled structures of a plan, and estimate the error of the fit (extended XYZ, frames in any order).

    Among the plans whose structures are all labelled, the most expensive one is fitted with every degree of the grid. If no
    estimate reaches the targets, the errors that the cheap reference predicts for the other plans are multiplied by a factor:
    the estimate of this plan divided by the error predicted for it. The next step is the plan that then reaches the targets
    at the least further cost.

    Parameters
    ----------
    proposal : Proposal
        From `plan_training`.
    files : path or iterable of path
        The labelled frames.
    units : mapping, optional
        Those of the files, as `dg.read_extxyz` takes them.

    Returns
    -------
    Verdict
        The fits and their certificates, and what to label next.

    Raises
    ------
    InputError
        For files that cannot be read, structures that are missing, a crystal that is not at equilibrium in the labels, and
        fewer labels than every fit has parameters.
    """
    if not isinstance(proposal, Proposal):
        raise InputError(f"labels are judged by the result of dg.plan_training; got {came(proposal)}")
    files = [files] if isinstance(files, str | Path) else list(files)
    truth = _truth(proposal, files, units)
    known = _Known(truth)
    served = [plan for plan in proposal.plans if known.all(proposal.structures(plan))]
    if not served:
        raise InputError(_missing(proposal, known))
    largest = max(served, key=lambda plan: plan.hours)
    _check_at_rest(truth, proposal.structures(largest))
    alike = [plan for plan in served if _data(plan) == _data(largest)]
    attempts = _attempts(proposal, truth, sorted(alike, key=lambda plan: plan.degree))
    found = Verdict(proposal, tuple(attempts), None, ())
    return found if found.reached else _with_next(found, known)


def _data(plan: Plan) -> tuple[int, int, str]:
    return plan.size, plan.configurations, plan.observations


def _truth(proposal: Proposal, files: Iterable[str | Path], units: Mapping[str, str] | None) -> LabelledReference:
    search = proposal.search
    assert search.cutoff is not None  # `prepared` has seen to it
    frames = tuple(frame for path in files for frame in read_extxyz(path, units=units))
    return LabelledReference(frames, proposal.lattice, search.step, 2 * search.cutoff)


class _Known:
    """Which calculations are among the labelled frames; each is looked up once."""

    def __init__(self, truth: LabelledReference):
        self.truth = truth
        self._found: dict[int, tuple[Snapshot, bool]] = {}

    def __call__(self, one: Calculation) -> bool:
        if id(one) not in self._found:
            self._found[id(one)] = one.snapshot, self.truth.knows(one.snapshot)
        return self._found[id(one)][1]

    def all(self, wanted: list[Calculation]) -> bool:
        return all(self(one) for one in wanted)


def _missing(proposal: Proposal, known: _Known) -> str:
    plan = proposal.nearest if proposal.best is None else proposal.best
    wanted = proposal.structures(plan)
    absent = [one.snapshot for one in wanted if not known(one)]
    groups = {group: sum(one.group == group for one in absent) for group in dict.fromkeys(one.group for one in absent)}
    listed = ", ".join(f"{count} {group}" for group, count in groups.items())
    return (
        f"{len(absent)} of the {len(wanted)} structures of the plan have no labelled frame ({listed}): give every frame, "
        "with atoms and box as they were written, and with the options of the plan"
    )


def _check_at_rest(truth: LabelledReference, wanted: list[Calculation]) -> None:
    """Raises InputError if the labels of the perfect crystal have a stress: the structures are of another lattice constant."""
    (bulk,) = (one.snapshot for one in wanted if one.snapshot.role == BULK)
    cell = bulk.cell
    virial = truth.evaluate(cell.symbols, bulk.positions, bulk.vectors, cell.periodic, True).virial
    d = cell.lattice.dimension
    assert virial is not None  # requested
    if not (size := float(np.abs(virial[:d, :d]).max()) / len(cell)) <= AT_REST:
        raise InputError(
            f"the perfect crystal of the labels is under stress: its virial is {size:.2g} eV per atom; find the lattice constant "
            "without stress of the reference that labels, give it as --lattice-constant, and label the structures that are "
            "written then"
        )


def _attempts(proposal: Proposal, truth: LabelledReference, plans: list[Plan]) -> list[Attempt]:
    """One fit per degree to the same labels."""
    search, wanted = proposal.search, proposal.structures(plans[0])
    cell = defect_from_name(search.defect).apply(box(proposal.lattice, search.simulation_size))
    settings = search.study.cases[0].basis
    assert settings is not None
    changed = {plan.degree: {"degree": plan.degree, "pair_degree": int(plan.degree)} for plan in plans}
    bases = {degree: settings.model_copy(update=change) for degree, change in changed.items()}
    widest = bases[plans[-1].degree].widened(RICHER).build(cell)
    blocks = label([one.snapshot for one in wanted if not one.column], truth, widest, plans[0].observations)
    found, refused = [], []
    for plan in plans:
        basis, richer = bases[plan.degree].build(cell), bases[plan.degree].widened(RICHER).build(cell)
        if refusal := too_few(sum(block.rows for block in blocks.items), basis.size):
            refused.append(f"degree {plan.degree:g}: {refusal}")
            continue
        try:
            one, other = (_fitted(blocks, widest, b, prior) for b, prior in ((basis, None), (richer, RICHER_PRIOR)))
            found.append(Attempt(plan, one, certificate(one, other, cell, search.material.potentials)))
        except InputError as error:
            refused.append(f"degree {plan.degree:g}: {error}")
    if not found:
        raise InputError(f"no fit to the labels can be used; {refused[0]}")
    return found


def _fitted(blocks: Blocks, widest, basis, prior: str | None) -> Fit:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)  # the certificate says what the rows leave open
        return fit(blocks.restrict(widest.columns_of(basis), basis), weights=WEIGHTS, prior=prior)


def _with_next(found: Verdict, known: _Known) -> Verdict:
    """With the cheapest plan that is expected to reach the targets."""
    proposal, best, targets = found.proposal, found.best, found.proposal.search.targets
    scale = {name: _scale(getattr(best.certificate, name).estimate, best.plan.error(name)) for name in targets}
    steps = []
    for plan in proposal.plans:
        if plan.worst({name: target / scale[name] for name, target in targets.items()}) <= 1:
            missing = [one for one in proposal.structures(plan) if not known(one)]
            if missing:
                steps.append((sum(one.hours(proposal.search.cost) for one in missing), plan, missing))
    if not steps:
        return found
    _, plan, missing = min(steps, key=lambda step: (step[0], step[1].worst(targets)))
    return Verdict(proposal, found.attempts, plan, tuple(missing))


def _scale(estimate: float, predicted: float) -> float:
    """How much larger the errors are than with the cheap reference; 1 if the cheap reference gives no error for this plan."""
    ratio = estimate / predicted if predicted > 0 else np.nan
    return ratio if np.isfinite(ratio) and ratio > 0 else 1.0
