"""All plans of a grid, and the best of them."""

import math
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property

import numpy as np

from ..._display import shown
from ..._input import InputError
from ..._typing import Float
from ...crystal import Lattice
from ...training import cheapest, lasting, pareto_front
from ..calculations import Calculation
from .search import Search
from .steps import Judged
from .structures import Menu

QUANTITIES = {"energy": "eV", "geometry": "A"}

FADES = "with more configurations the fit fails, so its success with these was by chance"


@dataclass(frozen=True)
class Choice:
    """What makes a plan."""

    size: int
    """Conventional cells along each side of the training cells."""
    configurations: int
    """Rattled copies besides the relaxed defect."""
    observations: str
    degree: float


@dataclass(frozen=True)
class Plan:
    """One choice of what to label and what to fit, its cost, and its errors with the cheap reference."""

    size: int
    """Conventional cells along each side of the training cells."""
    configurations: int
    """Rattled copies besides the relaxed defect."""
    observations: str
    degree: float
    functions: int
    rows: int
    structures: int
    atoms: int
    """Of the defect cell."""
    hours: float
    energy_error: float
    """eV; infinite for a plan that was refused. The largest of this number of configurations and of more (`lasting`)."""
    geometry_error: float
    """A; the same."""
    energy_found: float
    """eV, of these configurations alone; NaN if there is none."""
    geometry_found: float
    refused: str = ""
    """Why nothing can be fitted to it, or why the fit is no use."""

    def error(self, quantity: str) -> float:
        """Its error of "energy" (eV) or "geometry" (A)."""
        return float(getattr(self, f"{quantity}_error"))

    def worst(self, targets: dict[str, float]) -> float:
        """The largest of its errors in units of the targets; infinite for a plan that was refused, and if one is NaN."""
        shares = [self.error(name) / target for name, target in targets.items()]
        return max(s if s == s else math.inf for s in shares)

    def __str__(self) -> str:
        copies = f"{self.configurations} rattled {'copy' if self.configurations == 1 else 'copies'}"
        return f"size {self.size} ({self.atoms} atoms), {copies}, {self.observations}, degree {self.degree:g}"


@dataclass(frozen=True, eq=False)
class Proposal:
    """All plans of a grid and the best of them."""

    search: Search
    plans: tuple[Plan, ...]
    lattice: Lattice = field(repr=False)
    """Of the structures: the crystal of the cheap reference, scaled to the lattice constant that was given."""
    menu: Menu = field(repr=False)
    """The structures of every plan, in that crystal."""

    def __repr__(self) -> str:
        return shown(self, f"{len(self.plans)} plans", self.lattice.name)

    @cached_property
    def best(self) -> Plan | None:
        """The cheapest that reaches every target, None if there is none."""
        k = cheapest(self._hours, np.array([plan.worst(self.search.targets) for plan in self.plans]), 1.0)
        return None if k is None else self.plans[k]

    @cached_property
    def nearest(self) -> Plan:
        """The one that comes nearest to the targets. Raises InputError if no plan could be fitted."""
        usable = [plan for plan in self.plans if not plan.refused]
        if not usable:
            reasons = list(dict.fromkeys(plan.refused for plan in self.plans))
            raise InputError(f"no plan of this grid can be fitted: {reasons[0]}")
        return min(usable, key=lambda plan: (plan.worst(self.search.targets), plan.hours))

    @property
    def reached(self) -> bool:
        """Whether any plan reaches the targets."""
        return self.best is not None

    @property
    def sentence(self) -> str:
        """The answer."""
        asked = " and ".join(
            f"{'an' if n == 'energy' else 'a'} {n} error of {t:g} {QUANTITIES[n]}" for n, t in self.search.targets.items()
        )
        plan = self.nearest if self.best is None else self.best
        errors = " and ".join(f"{plan.error(name):.2g} {QUANTITIES[name]}" for name in self.search.targets)
        if self.best is None:
            return (
                f"none of {len(self.plans)} plans reaches {asked}; the best, {plan}, comes to {errors} for {plan.hours:.3g} h: "
                "raise the degrees, sizes or configurations, or the target"
            )
        return f"{plan}: {errors} for {plan.hours:.3g} h, the cheapest of {len(self.plans)} plans"

    def front(self, quantity: str) -> list[Plan]:
        """The plans that no cheaper one beats in the error of "energy" or "geometry"."""
        return [self.plans[k] for k in pareto_front(self._hours, np.array([p.error(quantity) for p in self.plans]))]

    @property
    def _hours(self) -> Float[np.ndarray, " plans"]:
        return np.array([plan.hours for plan in self.plans])

    def structures(self, plan: Plan) -> list[Calculation]:
        """What has to be computed for a plan; those of plans of one size are the same objects."""
        return self.menu.of(plan.size, plan.configurations, plan.observations)

    def rows(self) -> list[dict]:
        """The plans as lines of a table."""
        front = {name: {id(plan) for plan in self.front(name)} for name in QUANTITIES}
        return [
            {**asdict(plan), **{f"{name}_front": id(plan) in front[name] for name in QUANTITIES}, "chosen": plan is self.best}
            for plan in self.plans
        ]


def proposed(search: Search, lattice: Lattice, menu: Menu, found: list[tuple[Choice, Judged]]) -> Proposal:
    """The proposal made of the errors of all plans; each comes with the choice that it carries out."""
    plans = [_plan(choice, judged, menu, search) for choice, judged in found]
    return Proposal(search, tuple(_lasting(plans)), lattice, menu)


def _plan(choice: Choice, judged: Judged, menu: Menu, search: Search) -> Plan:
    wanted = menu.of(choice.size, choice.configurations, choice.observations)
    errors = {name: getattr(judged, f"{name}_error") for name in QUANTITIES}
    refused = judged.refused or ("its rows do not determine the defect" if None in errors.values() else "")
    energy, geometry = (float("nan" if refused else errors[name] or 0.0) for name in QUANTITIES)
    return Plan(
        **asdict(choice),
        functions=judged.functions,
        rows=judged.rows,
        structures=len(wanted),
        atoms=len(wanted[0].snapshot.cell),
        hours=sum(one.hours(search.cost) for one in wanted),
        energy_error=energy,
        geometry_error=geometry,
        energy_found=energy,
        geometry_found=geometry,
        refused=refused,
    )


def _lasting(plans: list[Plan]) -> list[Plan]:
    """With the errors that last: of plans that differ in the number of configurations only."""
    groups: dict[tuple, list[int]] = {}
    for k, plan in enumerate(plans):
        groups.setdefault((plan.size, plan.observations, plan.degree), []).append(k)
    found = list(plans)
    for members in groups.values():
        amount = np.array([plans[k].configurations for k in members])
        kept = {n: lasting(amount, np.array([plans[k].error(n) for k in members])) for n in QUANTITIES}
        for place, k in enumerate(members):
            errors = {f"{n}_error": float(kept[n][place]) for n in QUANTITIES}
            fades = not plans[k].refused and not np.isfinite(list(errors.values())).all()
            found[k] = replace(plans[k], **errors, refused=FADES if fades else plans[k].refused)
    return found
