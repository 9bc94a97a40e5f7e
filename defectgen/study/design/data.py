"""Chosen data: how much smaller do data chosen before labelling make the error of a defect than random data of the same cost?"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._input import InputError
from ...ace import LinearACE
from ...campaign import Given, Step
from ...crystal import Cell
from ...errors.certificate import sensitivity
from ...errors.certificate.sensitivity import inverse_hessian
from ...errors.compare import BASIN
from ...fit import Fit, fit
from ...relax import greens_function
from ...training import Blocks, spell_observations
from ...training.blocks import Block
from ...training.observations import KINDS as OBSERVED
from ..certificates.steps import RICHER_PRIOR
from ..fitting import Fits
from ..interface import Tables
from ..settings import Basis, Case, FitSettings
from ..spec import RunSpec
from ..tasks import Crystal, Exact, Trial, assess, defect_cell, kept, rested, truth_of
from .choice import RANDOM, START, USUAL, Offer, Promise, by_kind
from .pool import KINDS, candidates, cost_of, rows_of
from .settings import Design, DesignData

NAME = "design_data"

STRONGER = ("smoothness(1e-5)", "smoothness(1e-4)", "smoothness(1e-3)")
"""Priors of a pilot that does not hold its defect with that of the fits."""


@dataclass(frozen=True)
class Listed:
    """A candidate of a pool."""

    kind: str
    atoms: int
    cost: float


@dataclass(frozen=True, eq=False)
class Pool:
    """Rows of the start and of every candidate by itself."""

    start: tuple[Block, ...]
    parts: tuple[tuple[Block, ...], ...]
    """Of every candidate."""
    truth: str
    candidates: tuple[Listed, ...]
    start_cost: float
    unit: float
    """Cost of a calculation of the largest defect cell."""

    def offer(self, basis: Basis, full: Basis, fitting: FitSettings, cell: Cell) -> Offer:
        """What can be chosen; `full` is the basis of the rows, `basis` that of the fits."""
        whole = full.build(cell)
        return Offer(
            start=Blocks(whole, self.start, self.truth),
            parts=[Blocks(whole, part, self.truth) for part in self.parts],
            basis=basis.build(cell),
            kinds=[each.kind for each in self.candidates],
            atoms=np.array([each.atoms for each in self.candidates]),
            costs=np.array([each.cost for each in self.candidates]),
            weights=fitting.weights,
            prior=fitting.prior,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class PoolRows(Step[Pool]):
    """Rows and labels of the start and of every candidate by itself."""

    crystal: Crystal
    rest: tuple[Exact, ...]
    """The relaxed defect in every size of training cell."""
    defect: str
    full: Basis
    data: DesignData

    @property
    def label(self) -> str:
        return f"{self.crystal.material.name} {self.defect} pool of training data"

    @property
    def weight(self) -> float:
        return 10.0

    def run(self, given: Given) -> Pool:
        """Make the candidates, label each, count what it costs."""
        lattice = given[self.crystal].lattice(self.crystal.material)
        displacement = {
            rest.size: given[rest].positions - defect_cell(lattice, self.defect, rest.size).positions for rest in self.rest
        }
        start, offered = candidates(lattice, self.defect, self.data, displacement, self.full.cutoff)
        cell = next(one for one in start if one.snapshot.cell.defect).snapshot.cell
        truth, basis, cost = truth_of(self.crystal.material), self.full.build(cell), cost_of(self.data)
        first = [rows_of(one, truth, basis) for one in start]
        listed = tuple(Listed(each.kind, each.atoms, each.hours(cost)) for each in offered)
        return Pool(
            start=tuple(block for blocks in first for block in blocks.items),
            parts=tuple(tuple(rows_of(one, truth, basis).items) for one in offered),
            truth=first[0].truth,
            candidates=listed,
            start_cost=sum(each.hours(cost) for each in start),
            unit=max(each.cost for each in listed if each.kind == KINDS[0]),
        )


def fitted(fitting: FitSettings, blocks: Blocks, prior: str | None = None) -> Fit:
    """A fit to all rows that were chosen, with another prior if one is given."""
    observed = spell_observations(kind for kind in blocks.kinds if kind in OBSERVED)
    weights = {kind: value for kind, value in fitting.weights.items() if kind in blocks.kinds}
    return fit(blocks, observed, weights or None, fitting.prior if prior is None else prior, fitting.solver)


@dataclass(frozen=True)
class Choice:
    """Candidates chosen in one way within one budget, and the expected errors."""

    choice: str
    budget: float
    numbers: tuple[int, ...]
    """Of the candidates."""
    cost: float
    """In calculations of the largest defect cell."""
    geometry_spread: float
    energy_spread: float
    geometry_expected: float
    energy_expected: float


@dataclass(frozen=True)
class Choices:
    """Every choice, or why there are none."""

    refused: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Choosing(Step[Choices]):
    """Every choice from a pool, with a pilot fitted to the start. There is none if the defect is stable under no pilot."""

    pool: PoolRows
    basis: Basis
    simulation_size: Any
    fitting: FitSettings

    @property
    def after(self) -> tuple[Step[Any], ...]:
        """The crystal and the pool."""
        return self.pool.crystal, self.pool

    @property
    def label(self) -> str:
        return f"{self.pool.crystal.material.name} {self.pool.defect} choices of training data"

    @property
    def weight(self) -> float:
        return 10.0

    def run(self, given: Given) -> Choices:
        """Choose in every way within every budget."""
        pool, asked = given[self.pool], self.pool.data
        lattice = given[self.pool.crystal].lattice(self.pool.crystal.material)
        cell = defect_cell(lattice, self.pool.defect, self.simulation_size)
        offer = pool.offer(self.basis, self.pool.full, self.fitting, cell)
        try:
            promise = promise_of(self.fitting, cell, offer, self.pool.crystal.material.potentials)
        except InputError as error:
            return Choices(str(error), ())
        found = []
        for budget in asked.budgets:
            most = budget * pool.unit
            takes = {name: promise.choose(name, most) for name in asked.criteria}
            takes[USUAL] = offer.usual(most)
            takes |= {f"{RANDOM} {seed}": offer.random(most, seed) for seed in range(asked.seeds)}
            for name, numbers in takes.items():
                cost = float(offer.costs[numbers].sum()) / pool.unit
                found.append(Choice(name, budget, tuple(numbers), cost, *promise.spreads(numbers), *promise.errors(numbers)))
        return Choices("", tuple(found))


def promise_of(fitting: FitSettings, cell: Cell, offer: Offer, potentials: dict[str, float] | None = None) -> Promise:
    """The expected errors of the defect after each choice, at the equilibrium that a pilot gives from the unrelaxed defect.

    The pilot has the prior of the fits, or a stronger one if the defect is not stable with that. Raises InputError if it is
    stable with none.
    """
    richer = fitted(fitting, offer.start, RICHER_PRIOR)
    assert isinstance(richer.model, LinearACE)
    why = ""
    for prior in (None, *STRONGER):
        pilot = fitted(fitting, offer.blocks(), prior)
        green = greens_function(cell, pilot.model)
        rest = rested(cell, pilot.model, preconditioner=green, potentials=potentials)
        moved = float(np.linalg.norm(rest.displacement - rest.displacement.mean(axis=0), axis=1).max())
        if not rest.converged or moved > 2 * BASIN * cell.lattice.nearest_neighbour:
            why = f"the pilot does not hold the defect: an atom moves by {moved:.2f} A, {rest.message}"
            continue
        try:
            return Promise(offer, sensitivity(rest, richer.model, answer=inverse_hessian(rest, pilot.model, green)), richer)
        except InputError as error:
            why = str(error)
    raise InputError(why)


@dataclass(frozen=True, eq=False)
class ChoiceTried:
    """A fit to one choice, relaxed and compared; or why there is none."""

    refused: str
    choice: Choice | None = None
    kinds: dict[str, int] | None = None
    """Number of candidates of every kind."""
    trial: Trial | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class ChoiceTrial(Step[ChoiceTried]):
    """A fit to one choice, relaxed and compared, of the defect that it was chosen for or of another one."""

    crystal: Crystal
    exact: Exact
    pool: PoolRows
    choosing: Choosing
    basis: Basis
    choice: str
    budget: float

    @property
    def label(self) -> str:
        own = f"{self.crystal.material.name} {self.exact.defect}"
        return f"{own}, data {self.choice} for {self.pool.defect}, budget {self.budget:g}"

    def run(self, given: Given) -> ChoiceTried:
        """Fit, relax, compare."""
        choices = given[self.choosing]
        if choices.refused:
            return ChoiceTried(choices.refused)
        cell, fitting = self.exact.cell(given), self.choosing.fitting
        key = ("design data", self.pool.key, self.exact.key, self.basis.model_dump(mode="json"), fitting.model_dump(mode="json"))
        offer = kept(key, lambda: given[self.pool].offer(self.basis, self.pool.full, fitting, cell))
        (own,) = (each for each in choices.choices if (each.choice, each.budget) == (self.choice, self.budget))
        exact, truth = given[self.exact].at(cell), truth_of(self.crystal.material)
        trial = assess(exact, truth, lambda: fitted(fitting, offer.blocks(own.numbers)))
        return ChoiceTried("", own, by_kind(offer.kinds, own.numbers), trial)


def choice_trials(spec: RunSpec, asked: Design) -> Iterator[ChoiceTrial]:
    """Trials of every choice of every case on all defects of the same crystal."""
    if asked.data is None:
        return
    cases = [case for case in spec.cases if case.basis is not None]
    for case in cases:
        pool, choosing = _choices(spec, asked, asked.data, case)
        for other in cases:
            if other.material != case.material or other.basis != case.basis:
                continue
            exact = Fits(spec).exact(other, other.simulation_size, True)
            common = {"crystal": pool.crystal, "exact": exact, "pool": pool, "choosing": choosing, "basis": choosing.basis}
            for budget in asked.data.budgets:
                names = [*asked.data.criteria, USUAL, *(f"{RANDOM} {seed}" for seed in range(asked.data.seeds))]
                yield from (ChoiceTrial(**common, choice=name, budget=budget) for name in names)


def _choices(spec: RunSpec, asked: Design, data: DesignData, case: Case) -> tuple[PoolRows, Choosing]:
    """The pool of a case and what is chosen from it; the reference is not used in the large cell."""
    assert case.basis is not None  # `choice_trials` has none without
    fits, crystal = Fits(spec), Crystal(material=case.material)
    basis = fits.basis(case, case.basis.degree)
    rest = tuple(fits.exact(case, size, False) for size in dict.fromkeys(data.sizes))
    wide = basis.widened(asked.richer)
    pool = PoolRows(crystal=crystal, rest=rest, defect=case.defect, full=wide, data=data)
    prior = spec.fit.prior if spec.fit.prior is not None else data.prior
    fitting = spec.fit.model_copy(update={"prior": prior, "weights": START | spec.fit.weights})
    return pool, Choosing(pool=pool, basis=basis, simulation_size=case.simulation_size, fitting=fitting)


def choice_tables(trials: Iterable[ChoiceTrial], given: Given) -> Tables:
    """design_data.csv: every choice on every defect, with its error over that of the median random choice of the same cost."""
    lines = [_line(step, found) for step in trials if (found := given.get(step)) is not None]
    if not lines:
        return Tables()
    for line in lines:
        others = [other for other in lines if other["choice"] == RANDOM and _place(other) == _place(line)]
        for what in ("geometry", "energy"):
            for name in ("error", "spread", "expected"):
                median = float(np.median([_or_worst(other[f"{what}_{name}"]) for other in others]))
                own = line[f"{what}_{name}"]
                line[f"{what}_{name}_ratio"] = own / median if own is not None and 0 < median < np.inf else None
    return Tables(others={NAME: lines})


def _or_worst(error: float | None) -> float:
    """A fit that lost the defect counts as worse than all others."""
    return np.inf if error is None or not np.isfinite(error) else error


def _place(line: dict) -> tuple:
    return line["material"], line["defect"], line["chosen_for"], line["budget"]


def _line(step: ChoiceTrial, found: ChoiceTried) -> dict:
    trial, own = found.trial, found.choice
    good = trial is not None and trial.converged and trial.same_basin
    name, _, seed = step.choice.partition(f"{RANDOM} ")
    kinds = found.kinds or {}
    return {
        "material": step.crystal.material.name,
        "defect": step.exact.defect,
        "chosen_for": step.pool.defect,
        "choice": RANDOM if seed else name,
        "seed": int(seed) if seed else None,
        "budget": step.budget,
        "cost": None if own is None else own.cost,
        "configurations": sum(kinds.values()),
        **{kind.replace(" ", "_"): kinds.get(kind, 0) for kind in KINDS},
        "geometry_error": trial.geometry_error if trial is not None and good else None,
        "energy_error": trial.energy_error if trial is not None and good else None,
        **{
            name: None if own is None else getattr(own, name)
            for name in ("geometry_spread", "energy_spread", "geometry_expected", "energy_expected")
        },
        "rmse_forces": None if trial is None else trial.rmse.get("F"),
        "trusted": bool(good),
        "refused": found.refused,
    }
