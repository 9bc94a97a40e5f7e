"""The step of the study of the bound: every term, for one trial."""

from dataclasses import dataclass
from math import isfinite
from typing import Any

from ...campaign import Given, Step
from ...energy.potential import Potential
from ...energy.site import SiteEnergy
from ...errors import bound
from ...errors.bound import ReferenceSide, reference_side
from ...errors.bound_terms import Bound as Terms
from ...relax import Equilibrium
from ..tasks import FitTrial, green_of, kept, truth_of


@dataclass(frozen=True)
class Term:
    """One term of the bound, where it is finite."""

    term: str
    symbol: str
    value: float | None
    """What the fit leaves wrong, in `unit`."""
    unit: str
    power: float | None
    """Of the training radius, in the geometry."""
    energy_power: float | None
    tail: float | None
    """Norm of the exact displacement beyond the training radius that the coefficient multiplies."""
    geometry_contribution: float | None
    """A."""
    geometry_response: float
    """A; the answer of the perfect crystal to this part of the force error."""
    geometry_norms: float | None
    """A; what coefficient and tail alone would allow."""
    energy_contribution: float | None
    """eV."""
    group: str
    """The terms that it cancels with in the geometry and itself, "C2+G2"; its own name if it cancels with none."""
    joint_response: float
    """A; what they do together."""
    energy_group: str
    joint_energy: float | None
    """eV."""


@dataclass(frozen=True, eq=False)
class Measured:
    """All terms of the bound of one fit."""

    terms: tuple[Term, ...]
    geometry_bound: float | None
    """A."""
    geometry_estimate: float
    """A."""
    energy_bound: float | None
    """eV."""
    energy_estimate: float
    """eV."""
    floor: str
    """The term, or the terms that cancel ("C2+G2"), with the largest joint part in the geometry."""
    energy_floor: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Bound(Step[Measured]):
    """All terms of the bound of one fit, at the exact equilibrium in the simulation cell. The stability constant is the
    trial's.
    """

    trial: FitTrial

    @property
    def after(self) -> tuple[Step[Any], ...]:
        """The trial and what it was made of."""
        return (*self.trial.after, self.trial)

    @property
    def label(self) -> str:
        return f"bound of {self.trial.label}"

    @property
    def weight(self) -> float:
        return 0.5

    def run(self, given: Given) -> Measured:
        """Measure every term."""
        trial, truth = self.trial, truth_of(self.trial.crystal.material)
        exact, model = trial.reference(given), trial.model(given)
        found = bound(
            exact,
            truth,
            model,
            given[trial.rows].radius,
            preconditioner=green_of(exact.cell, truth),
            stability=given[trial].stability_constant,
            known=_side_of(trial, exact, truth, model),
        )
        return measured(found)


def _side_of(trial: FitTrial, exact: Equilibrium, truth: Potential, model: SiteEnergy) -> ReferenceSide | None:
    """The reference's part, kept by the process for the next fit that is tried on the same equilibrium."""
    if not isinstance(truth, SiteEnergy):
        return None  # `bound` refuses a black box
    widest = max(truth, model, key=lambda potential: potential.cutoff)
    return kept(("bounds", trial.exact.key, widest.cutoff), lambda: reference_side(exact, truth, widest))


def measured(found: Terms) -> Measured:
    """A bound as the result of a step."""
    own = {name: group for group in found.groups for name in group.names}
    energetic = {name: group for group in found.energy_groups for name in group.names}
    terms = tuple(
        Term(
            term=term.name,
            symbol=term.symbol,
            value=_finite(term.value),
            unit=term.unit,
            power=term.geometry_power,
            energy_power=term.energy_power,
            tail=_finite(term.tail),
            geometry_contribution=_finite(term.geometry),
            geometry_response=term.response,
            geometry_norms=_finite(term.norms),
            energy_contribution=_finite(term.energy),
            group=own[term.name].name if term.name in own else term.name,
            joint_response=own[term.name].together if term.name in own else term.response,
            energy_group=energetic[term.name].name if term.name in energetic else term.name,
            joint_energy=energetic[term.name].together if term.name in energetic else _finite(term.energy),
        )
        for term in found.terms
    )
    return Measured(
        terms=terms,
        geometry_bound=_finite(found.geometry),
        geometry_estimate=found.estimate,
        energy_bound=_finite(found.energy),
        energy_estimate=abs(found.energy_estimate),
        floor=found.floor,
        energy_floor=found.energy_floor,
    )


def _finite(value: float) -> float | None:
    """A number, or None for one that is not finite."""
    return float(value) if isfinite(value) else None
