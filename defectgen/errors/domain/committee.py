"""Committees: where several models that fit the same data differ, none of them can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ..._input import InputError
from ..._typing import Float
from ...crystal.cell import Cell
from ...energy.functional import Potential, evaluate
from ...fit import Fit, Posterior
from ...observe import Environments
from .leverage import Leverage, regularised
from .measure import Measure


@dataclass(frozen=True, eq=False)
class Committee(Measure):
    """Standard deviation of the force over linear models of one basis, eV/A."""

    coefficients: Float[np.ndarray, "members columns"]
    unit: ClassVar[str] = "eV/A"

    def grade(self, environments: Environments) -> Float[np.ndarray, " atoms"]:
        return spread(np.moveaxis(environments.forces @ self.coefficients.T, -1, 0))

    def arrays(self) -> dict[str, np.ndarray]:
        return {"coefficients": self.coefficients}


def committee_spread(
    models: Sequence[Potential], cell: Cell, positions: Float[np.ndarray, "atoms 3"] | None = None
) -> Float[np.ndarray, " atoms"]:
    """Standard deviation of the force on every atom over any potentials, eV/A, at `positions` (A; default the cell's own).

    Raises InputError for fewer than two models.
    """
    return spread(
        np.stack([evaluate(m, cell, positions, stress=False).forces for m in models]) if models else np.zeros((0, 1, 3))
    )


def spread(forces: Float[np.ndarray, "members atoms 3"]) -> Float[np.ndarray, " atoms"]:
    """(1/(M-1) sum_m |f_m - mean f|^2)^(1/2) of every atom. Raises InputError for fewer than two members."""
    if len(forces) < 2:
        raise InputError(f"a committee has at least two members; got {len(forces)}")
    return np.sqrt(np.sum(np.var(forces, axis=0, ddof=1), axis=1))


def posterior_members(fit: Fit, count: int, seed: int) -> Float[np.ndarray, "count columns"]:
    """Coefficients drawn from the posterior of a fit (noise and prior as `Leverage.of` has them); equal seeds give equal draws.

    Raises InputError if rows and prior leave a coefficient open.
    """
    leverage, problem = Leverage.of(fit), regularised(fit)
    if leverage.unseen.shape[1]:
        raise InputError(
            f"rows and prior leave {leverage.unseen.shape[1]} of {len(fit.coefficients)} directions open, so there is no "
            "posterior to draw from; give the fit a prior, e.g. prior='smoothness'"
        )
    columns = problem.columns
    directions = None if problem.subspace is None else problem.subspace.directions
    return Posterior(fit.coefficients, problem.factor[:columns, :columns], leverage.noise, directions).sample(count, seed)


def bootstrap_members(fit: Fit, count: int, seed: int) -> Float[np.ndarray, "count columns"]:
    """Coefficients of fits to resampled configuration groups: every group as often as it is drawn, as many draws as groups.

    The rows of a group stay together, for they are not independent: give configurations that were made independently groups of
    their own. Raises InputError for fewer than three groups.
    B. Efron, Ann. Statist. 7, 1 (1979).
    """
    problem = fit.problem
    groups = list(dict.fromkeys(b.group for b, m in zip(problem.blocks.items, problem.multipliers, strict=True) if m > 0))
    if len(groups) < 3:
        raise InputError(
            f"resampling wants at least three configuration groups, and there are {len(groups)} ({', '.join(groups)}): give "
            "configurations that were made independently groups of their own"
        )
    rng, found = np.random.default_rng(seed), []
    for _ in range(count):
        drawn = rng.multinomial(len(groups), np.full(len(groups), 1 / len(groups)))
        times = dict(zip(groups, drawn, strict=True))
        repeats = np.array([times.get(b.group, 0) for b in problem.blocks.items])
        drawn = replace(problem, multipliers=problem.multipliers * np.sqrt(repeats))
        found.append(problem.lift(fit.solver.solve(drawn).coefficients))
    return np.array(found)
