"""The result of a fit: a model, its training errors in field units, and how well the rows determined it."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from .._display import preformatted, shown
from .._typing import Float
from ..training.blocks import Blocks
from .constraint import Constraint
from .held_out import HeldOut, held_out
from .prior import Prior
from .problem import Problem
from .solvers import Posterior, Solver
from .weights import Weights

UNITS = {"E": "eV/atom", "F": "eV/A", "FC": "eV/A^2", "V": "eV/atom", "VF": "eV/A", "V0": "eV/atom", "C": "eV/A^3", "Ef": "eV"}


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted linear model and what there is to know about it."""

    model: Any
    """LinearACE, ready to relax with; None if the blocks carry no basis."""
    coefficients: Float[np.ndarray, " columns"]
    observations: str
    weights: Weights
    """weights[kind][group] used."""
    prior: Prior | None
    solver: Solver
    rmse: dict[str, float]
    """Root mean square training error by kind, of all kinds that were labelled, fitted or not, in the units of `UNITS`."""
    rmse_by_group: dict[str, dict[str, float]]
    rank: int | None
    """Independent directions used of the `coefficients`, those that constraints hold included; None if the solver cannot tell."""
    residual: float
    """||W (A theta - y)||, without the prior."""
    posterior: Posterior | None
    problem: Problem
    """The weighted problem; `problem.factor` is the R factor of the weighted matrix, rows of the prior included."""
    blocks: Blocks
    """Everything labelled, fitted or not."""
    constraints: tuple[Constraint, ...] = ()
    """What had to hold exactly."""
    details: dict[str, float] = field(default_factory=dict)
    """What the solver chose or reached: truncation, strength, noise, iterations."""

    def _repr_html_(self) -> str:
        return preformatted(self)

    def __repr__(self) -> str:
        return shown(
            self,
            self.observations if isinstance(self.observations, str) else str(self.observations),
            f"{self.rows:,} rows",
            f"{len(self.coefficients):,} coefficients",
            "" if self.rank is None else f"rank {self.rank:,}",
            f"weighted residual {self.residual:.3g}",
            *(f"RMSE of {kind} {value:.3g}" for kind, value in self.rmse.items()),
        )

    @property
    def rows(self) -> int:
        """Rows that had a weight."""
        return self.problem.rows

    @cached_property
    def conditions(self) -> tuple[float, float]:
        """2-norm condition numbers of the weighted matrix (with prior): equilibrated, and as it is."""
        return self.problem.conditions()

    @property
    def condition(self) -> float:
        """2-norm condition number of the weighted matrix, columns scaled to norm one: the one the solvers meet."""
        return self.conditions[0]

    @property
    def condition_raw(self) -> float:
        """2-norm condition number of the weighted matrix as it is."""
        return self.conditions[1]

    @cached_property
    def degrees_of_freedom(self) -> float:
        """Effective number of fitted parameters under the prior."""
        return self.problem.degrees_of_freedom()

    @cached_property
    def held_out(self) -> HeldOut | None:
        """Force error on configurations outside the fit, by leaving out a few labelled ones in turn.

        Up to three configurations whose atoms are moved (no relaxed or perfect cells) are left out one at a time, with their
        energy and virial; the fit to everything else predicts their forces. No label is needed beyond those of the fit, which
        keeps all rows. The number is what to expect on configurations like those of the training set, and no more: not on
        other defects or larger amplitudes. None for blocks without such configurations, and for the solver "lsmr", whose early
        stop no algebra follows.
        """
        weighed = self.problem.blocks
        return held_out(self.problem, self.coefficients, self.rank, self.solver, self.details, weighed, self.weights)

    def table(self) -> str:
        """Rows, weight and error of every kind and group, for people."""
        exact = {c.name.split(":")[0] for c in self.constraints if "<" not in c.name}
        lines = [f"{'kind':<5}{'group':<20}{'rows':>9}{'weight':>12}{'rmse':>12}  unit"]
        for kind, groups in self.rmse_by_group.items():
            for group, error in groups.items():
                rows = sum(b.rows for b in self.blocks.items if (b.kind, b.group) == (kind, group))
                weight = self.weights.get(kind, {}).get(group)
                shown = ("held" if kind in exact else "not fitted") if weight is None else f"{weight:g}"
                lines.append(f"{kind:<5}{group:<20}{rows:>9}{shown:>12}{error:>12.3e}  {UNITS[kind]}")
        return "\n".join(lines)

    def summary(self) -> str:
        """A few lines that say how the fit went."""
        rank = "" if self.rank is None else f", rank {self.rank} of {len(self.coefficients)}"
        extra = "".join(f", {name} {value:.3g}" for name, value in self.details.items())
        exact = "".join(f", {c.name} held to {c.miss(self.coefficients):.1e}" for c in self.constraints)
        return (
            f"{self.observations}: {self.rows} rows, {len(self.coefficients)} coefficients{rank}{exact}, "
            f"condition {self.condition:.2e}, weighted residual {self.residual:.3e}\n"
            f"solver {self.solver}{extra}; prior {self.prior}\n{self.table()}"
            + ("" if self.held_out is None else f"\n{self.held_out}")
        )

    def __str__(self) -> str:
        return self.summary()
