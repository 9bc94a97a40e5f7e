"""The steps of a search for plans: the rows of a pool of configurations, and the error of a fit to some of them."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._input import InputError
from ...campaign import Given, Step
from ...crystal import Cell
from ...crystal.snapshot import DEFECT
from ...errors import certify
from ...errors.certificate import Certificate
from ...errors.compare import BASIN
from ...fit import Fit, FitWarning, fit
from ...relax import greens_function
from ...training import label, parse_observations
from ...training.blocks import Block
from ...training.observations import parts_of
from ..certificates.steps import RICHER_PRIOR
from ..settings import Basis
from ..tasks import Exact, FitTrial, Rows, TrainingRows, assess, defect_cell, rested, truth_of
from .structures import configurations


@dataclass(frozen=True, eq=False)
class Pool:
    """Rows of every configuration of one training size, each by itself."""

    configurations: tuple[tuple[Block, ...], ...]
    """Of the relaxed defect, then of each rattled copy."""
    every: tuple[Block, ...]
    """What belongs to every plan: the rows of the perfect and the strained crystals."""
    truth: str
    radius: float
    """Nearest-neighbour spacings."""
    atoms: int

    def taken(self, count: int) -> Rows:
        """The rows of a plan of `count` rattled copies."""
        own = [block for blocks in self.configurations[: count + 1] for block in blocks]
        return Rows((*own, *self.every), self.truth, self.radius, self.atoms)


@dataclass(frozen=True, eq=False, kw_only=True)
class PoolRows(Step[Pool]):
    """Rows of every configuration of one training size, each by itself, so that any number of them makes a plan."""

    rows: TrainingRows
    """The rows of the largest plan; they are not computed, their inputs are those of the pool."""

    @property
    def after(self) -> tuple[Step[Any], ...]:
        """The crystal and the relaxed defect in the training cell."""
        assert self.rest is not None  # plans rest at the equilibrium of the reference
        return self.rows.crystal, self.rest

    @property
    def rest(self) -> Exact | None:
        """The relaxed defect in the training cell."""
        return self.rows.rest

    @property
    def label(self) -> str:
        return f"{self.rows.label} (pool)"

    @property
    def weight(self) -> float:
        return self.rows.weight

    def run(self, given: Given) -> Pool:
        """Label every configuration by itself."""
        rows = self.rows
        lattice = given[rows.crystal].lattice(rows.crystal.material)
        assert rows.rest is not None  # see `after`
        displacement = given[rows.rest].positions - defect_cell(lattice, rows.defect, rows.training_size).positions
        cells = configurations(lattice, rows.defect, rows.training_size, rows.training, displacement)
        cell = cells[0].cell
        basis, truth = rows.basis.build(cell), truth_of(rows.crystal.material)
        inner = "F+" if lattice.sublattices > 1 else ""  # the atom of a Bravais crystal has no force with any potential
        own = [label([each], truth, basis, "E+F") for each in cells if each.role == DEFECT]
        every = label([each for each in cells if each.role != DEFECT], truth, basis, f"E+{inner}FC+V")
        return Pool(tuple(tuple(b.items) for b in own), tuple(every.items), own[0].truth, cell.radius, len(cell))


@dataclass(frozen=True)
class Judged:
    """The errors of one plan, measured or certified, and what it was fitted to."""

    rows: int
    functions: int
    refused: str
    """Why there are no errors; empty if there are."""
    energy_error: float | None = None
    """eV; None if it is not finite."""
    geometry_error: float | None = None
    """A."""
    energy_bound: float | None = None
    geometry_bound: float | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class PlanStep(Step[Judged]):
    """The error of one plan."""

    trial: FitTrial
    """A trial of the same size, observations and degree; it is not carried out, its inputs are those of the plan."""
    pool: PoolRows
    configurations: int
    """Rattled copies."""

    @property
    def label(self) -> str:
        return f"{self.trial.label}, {self.configurations} rattled"

    def fitted(self, rows: Rows, cell: Cell, basis: Basis, prior: str | None = None) -> Fit:
        """The fit of the plan, or of another basis; `prior` where the settings give none."""
        trial = self.trial
        chosen = trial.fit.prior if trial.fit.prior is not None else prior
        blocks = rows.of(basis, trial.rows.basis, cell)
        return fit(blocks, trial.observations, trial.fit.weights or None, chosen, trial.fit.solver)

    def counts(self, rows: Rows, cell: Cell) -> tuple[int, int]:
        """Rows that the observations of the plan have, and functions to be determined."""
        kinds = parts_of(parse_observations(self.trial.observations))
        return sum(block.rows for block in rows.blocks if block.kind in kinds), self.trial.basis.build(cell).size


@dataclass(frozen=True, eq=False, kw_only=True)
class MeasuredPlan(PlanStep):
    """The errors of one plan against the reference."""

    @property
    def after(self) -> tuple[Step[Any], ...]:
        """The crystal, the exact defect and the pool."""
        return self.trial.crystal, self.trial.exact, self.pool

    def run(self, given: Given) -> Judged:
        """Fit, relax, compare."""
        trial, taken = self.trial, given[self.pool].taken(self.configurations)
        cell = trial.cell(given)
        rows, functions = self.counts(taken, cell)
        if refusal := too_few(rows, functions):
            return Judged(rows, functions, refusal)
        truth = truth_of(trial.crystal.material)
        found = assess(trial.reference(given), truth, lambda: self.fitted(taken, cell, trial.basis))
        why = "" if found.converged else f"the model did not relax: {found.message}"
        why = why or ("" if found.same_basin else found.why_not or "the fit is not stable")
        return Judged(rows, functions, why, found.energy_error, found.geometry_error)


@dataclass(frozen=True, eq=False, kw_only=True)
class CertifiedPlan(PlanStep):
    """The certificate of one plan; the reference is not relaxed in the simulation cell."""

    richer: Basis

    @property
    def after(self) -> tuple[Step[Any], ...]:
        """The crystal and the pool."""
        return self.trial.crystal, self.pool

    @property
    def weight(self) -> float:
        return 1.5

    def run(self, given: Given) -> Judged:
        """Fit and certify."""
        trial, taken = self.trial, given[self.pool].taken(self.configurations)
        cell = trial.cell(given)
        rows, functions = self.counts(taken, cell)
        if refusal := too_few(rows, functions):
            return Judged(rows, functions, refusal)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FitWarning)  # rows that determine nothing give a bound that is infinite
            fitted = self.fitted(taken, cell, trial.basis)
            richer = self.fitted(taken, cell, self.richer, RICHER_PRIOR)
        try:
            found = certificate(fitted, richer, cell, trial.crystal.material.potentials)
        except InputError as error:
            return Judged(rows, functions, str(error))
        energy, geometry = found.energy, found.geometry
        numbers = (energy.estimate, geometry.estimate, energy.bound, geometry.bound)
        return Judged(rows, functions, "", *(float(value) if np.isfinite(value) else None for value in numbers))


def certificate(fitted: Fit, richer: Fit, cell: Cell, potentials: dict[str, float] | None = None) -> Certificate:
    """The certificate at the equilibrium that the model finds from the unrelaxed defect.

    Raises InputError where it finds none, or another defect than the one it started from.
    """
    green = greens_function(cell, fitted.model)
    rest = rested(cell, fitted.model, preconditioner=green, potentials=potentials)
    moved = float(np.linalg.norm(rest.displacement - rest.displacement.mean(axis=0), axis=1).max())
    if rest.converged and moved > 2 * BASIN * cell.lattice.nearest_neighbour:
        raise InputError(f"the defect does not keep its state under the fit: an atom moves by {moved:.2f} A")
    return certify(fitted, rest, richer=richer, preconditioner=green)


def too_few(rows: int, functions: int) -> str:
    """Why a plan is refused whose rows are fewer than its parameters; empty if it is not."""
    if rows >= functions:
        return ""
    return f"{rows} rows cannot determine {functions} functions; take more configurations or observations, or a lower degree"
