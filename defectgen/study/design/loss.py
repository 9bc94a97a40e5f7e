"""Designed losses: how much smaller does one make the error of a defect, also of defects that it was not designed for?"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..._input import InputError
from ...campaign import Given, Step
from ...errors.design import design_loss
from ...fit import Fit, Loss, fit
from ...relax import greens_function
from ..certificates.steps import RICHER_PRIOR
from ..fitting import Fits
from ..interface import Tables
from ..settings import Basis, Case
from ..spec import RunSpec
from ..tasks import Exact, FitTrial, Trial, assess, called, rested, truth_of
from .choice import START
from .settings import Design

NAME = "design"
WEIGHTS = "design_weights"
DESIGNED, STOPPED, DEFAULT = "designed for", ", stopped early", "default 30:1:1"

ESTIMATES = ("geometry_before", "geometry_after", "energy_before", "energy_after", "harm", "harm_without_stopping")

LOSSES = {DEFAULT: START, "uniform": {"E": 1.0, "F": 1.0, "FC": 1.0, "V": 1.0, "V0": 1.0, "VF": 1.0}}
"""What a design is compared with in every study."""

THEORY = "theory-weighted"
THEORY_LOSS = {"force_distance_power": 1.0, "force_constant_range_power": 2.0, "constraints": ["E:bulk"]}
"""The weighting that minimises the bound, at the weights 30 : 1 : 1 (theory: fit/loss): forces by their distance to the defect,
force
constants by the square of their range, energies from that of the crystal, which is held exactly."""

Weights = dict[str, Any]
"""By kind, or by kind and group."""


@dataclass(frozen=True, eq=False)
class Designed:
    """Weights that minimise the certificate of a defect, and the estimates before and after; or why there are none."""

    refused: str
    weights: Weights
    geometry_before: float | None = None
    """A."""
    geometry_after: float | None = None
    energy_before: float | None = None
    """eV."""
    energy_after: float | None = None
    stopped: Weights | None = None
    """Where held-out defects stop the design, which the estimates are of; None without such defects."""
    harm: float | None = None
    """Largest ratio of an error of a held-out defect, at the stopped weights over before."""
    harm_without_stopping: float | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class LossDesign(Step[Designed]):
    """A loss designed in the neighbourhood of the training cell: the reference is not used in the large cell."""

    trial: FitTrial
    """Of the same case and observations; it is not carried out, its inputs are those of the design."""
    richer: Basis
    share: float
    """Of the energy in the mean of logarithms that is minimised."""
    others: tuple[Exact, ...] = ()
    """Defects that stop the design."""

    @property
    def after(self) -> tuple[Step[Any], ...]:
        """The crystal, the rows, and the defects that stop the design."""
        return self.trial.crystal, self.trial.rows, *self.others

    @property
    def label(self) -> str:
        return f"design of {self.trial.observations} for {self.case}"

    @property
    def case(self) -> str:
        """Material and defect."""
        return f"{self.trial.crystal.material.name} {self.trial.rows.defect}"

    @property
    def weight(self) -> float:
        return 3.0

    def run(self, given: Given) -> Designed:
        """Weights that minimise the certificate, from 30 : 1 : 1."""
        pilot = plain(self.trial).fitted(given)
        richer = plain(self.trial).fitted(given, self.richer, RICHER_PRIOR)
        cell = self.trial.cell(given)
        green = greens_function(cell, pilot.model)
        try:
            rest = rested(cell, pilot.model, preconditioner=green, potentials=self.trial.crystal.material.potentials)
            others = [given[other].at(other.cell(given)) for other in self.others]
            found = design_loss(pilot, rest, richer=richer, share=self.share, held_out=others)
        except InputError as error:
            return Designed(str(error), {})
        estimates = (found.before.geometry, found.after.geometry, found.before.energy, found.after.energy)
        stopped = found.weights if others else None
        values = (each.estimate for each in estimates)
        harms = {"harm": found.harm, "harm_without_stopping": found.harm_without_stopping}
        return Designed("", found.unstopped, *values, stopped=stopped, **harms)


@dataclass(frozen=True, eq=False)
class Tried:
    """A trial, or why there is none."""

    refused: str
    trial: Trial | None


@dataclass(frozen=True, eq=False, kw_only=True)
class LossTried(Step[Tried]):
    """A fit with some loss, relaxed and compared."""

    trial: FitTrial
    """The trial of the same case and observations with the weights of the run; its inputs are those of this one."""
    loss: str
    """Name of the loss, or the case that it was designed for."""
    weights: Weights | None
    """None: those of the design."""
    design: LossDesign | None = None
    stopped: bool = False
    """Whether the weights are those at which held-out defects stop the design."""
    powers: dict[str, Any] | None = None
    """Settings of the loss beyond weights."""

    @property
    def after(self) -> tuple[Step[Any], ...]:
        """The inputs of the trial, and the design."""
        own = (self.trial.crystal, self.trial.exact, self.trial.rows)
        return own if self.design is None else (*own, self.design)

    @property
    def name(self) -> str:
        """Of the loss, in words."""
        return self.loss if self.weights is not None else f"{DESIGNED} {self.loss}{STOPPED if self.stopped else ''}"

    @property
    def label(self) -> str:
        name = self.name
        return f"{self.trial.crystal.material.name} {self.trial.rows.defect} {self.trial.observations}, loss {name}"

    def run(self, given: Given) -> Tried:
        """Fit, relax, compare."""
        design = None if self.design is None else given[self.design]
        if design is not None and design.refused:
            return Tried(design.refused, None)
        trial = self.trial
        weights = self.weights if design is None else design.stopped if self.stopped else design.weights
        exact, truth = trial.reference(given), truth_of(trial.crystal.material)
        return Tried("", assess(exact, truth, lambda: self._fitted(given, weights or {})))

    def _fitted(self, given: Given, weights: Weights) -> Fit:
        trial = self.trial
        if self.powers is not None:
            powers: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in self.powers.items()}
            loss = Loss(trial.observations, weights, prior=trial.fit.prior, solver=trial.fit.solver, **powers)
            return fit(given[trial.rows].of(trial.basis, trial.rows.basis, trial.cell(given)), loss)
        pilot = plain(trial).fitted(given)
        return fit(pilot.blocks, pilot.observations, _known(weights, pilot.weights), pilot.prior, pilot.solver)


def plain(trial: FitTrial) -> FitTrial:
    """The trial at the weights 30 : 1 : 1, from which losses are designed."""
    return replace(trial, fit=trial.fit.model_copy(update={"weights": START}))


def _known(weights: Weights, present: dict) -> Weights:
    """Without kinds and groups that this crystal has no rows for: a design for silicon has internal forces, copper none."""
    found = {}
    for kind, value in weights.items():
        if kind not in present:
            continue
        found[kind] = {g: w for g, w in value.items() if g in present[kind]} if isinstance(value, dict) else value
    return found


def loss_designs(spec: RunSpec, asked: Design) -> Iterator[LossDesign]:
    """One design per case and observation set."""
    for observations in spec.observations:
        for case in _cases(spec):
            yield _design(spec, asked, case, observations)


def loss_trials(spec: RunSpec, asked: Design) -> Iterator[LossTried]:
    """Trials of all designs and all other losses on every case, one observation set at a time."""
    for observations in spec.observations:
        designs = {called(case): _design(spec, asked, case, observations) for case in _cases(spec)}
        for case in _cases(spec):
            trial = _like(spec, asked, case, observations)
            for name, design in designs.items():
                yield LossTried(trial=trial, loss=name, weights=None, design=design)
                if design.others:
                    yield LossTried(trial=trial, loss=name, weights=None, design=design, stopped=True)
            for name, weights in {**LOSSES, **asked.losses}.items():
                yield LossTried(trial=trial, loss=name, weights=weights)
            apart = Fits(spec).rows(case, asked.size, subdivide=True)  # its powers weigh rows by distance, late
            yield LossTried(trial=replace(trial, rows=apart), loss=THEORY, weights=START, powers=THEORY_LOSS)


def _cases(spec: RunSpec) -> list[Case]:
    return [case for case in spec.cases if case.basis is not None]


def _like(spec: RunSpec, asked: Design, case: Case, observations: str) -> FitTrial:
    assert case.basis is not None  # `_cases` has none without
    return Fits(spec).trial(case, asked.size, case.basis.degree, observations)


def _design(spec: RunSpec, asked: Design, case: Case, observations: str) -> LossDesign:
    trial = _like(spec, asked, case, observations)
    names = [name for name in asked.held_out.get(case.material.name, ()) if name != case.defect]
    others = tuple(Fits(spec).exact(case.model_copy(update={"defect": name}), case.simulation_size, True) for name in names)
    return LossDesign(trial=trial, richer=trial.basis.widened(asked.richer), share=asked.share, others=others)


def loss_design_tables(designs: Iterable[LossDesign], trials: Iterable[LossTried], given: Given) -> Tables:
    """design.csv: every loss on every defect, with the error over that of the default; design_weights.csv: the weights."""
    lines = [_line(step, found) for step in trials if (found := given.get(step)) is not None]
    if not lines:
        return Tables()
    base = {_place(line): line for line in lines if line["loss"] == DEFAULT}
    for line in lines:
        own = base.get(_place(line))
        for what in ("geometry", "energy"):
            error, other = line[f"{what}_error"], None if own is None else own[f"{what}_error"]
            line[f"{what}_gain"] = other / error if other and error else None
    weights = [
        {
            "designed_for": step.case,
            "observations": step.trial.observations,
            "group": f"{kind}:{group}",
            "weight": weight,
            "stopped_weight": None if found.stopped is None else found.stopped[kind][group],
            **{name: getattr(found, name) for name in ESTIMATES},
        }
        for step in designs
        if (found := given.get(step)) is not None
        for kind, groups in found.weights.items()
        for group, weight in groups.items()
    ]
    return Tables(others={NAME: lines, WEIGHTS: weights})


def _place(line: dict) -> tuple:
    return line["material"], line["defect"], line["observations"]


def _line(step: LossTried, found: Tried) -> dict:
    trial, name = found.trial, step.loss
    material, defect = step.trial.crystal.material.name, step.trial.rows.defect
    own = f"{material} {defect}"
    kind = "other" if step.weights is not None else "own" if name == own else _kinship(name, own)
    good = trial is not None and trial.converged and trial.same_basin
    return {
        "material": material,
        "defect": defect,
        "observations": step.trial.observations,
        "loss": step.name,
        "designed_for": kind,
        "stopped": step.stopped,
        "geometry_error": trial.geometry_error if trial is not None and good else np.nan,
        "energy_error": trial.energy_error if trial is not None and good else np.nan,
        "rmse_forces": None if trial is None else trial.rmse.get("F"),
        "trusted": bool(good),
        "refused": found.refused,
    }


def _kinship(name: str, own: str) -> str:
    return "another defect" if name.split(" ")[0] == own.split(" ")[0] else "another material"
