"""Measures from a fit: the standard deviation of its predictions by leverage, and the spread of a committee of fits.

Leverage: a prediction a . theta (a site's or a cell's energy, a force component) has the variance noise^2 h(a) under the
posterior of the weighted fit, h(a) = a^T (A^T W^2 A + Gamma^2)^-1 a, from the R factor that the fit has anyway. theory:
domain/leverage.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ..._display import brief
from ..._input import InputError
from ..._typing import Float
from ...crystal.cell import Cell
from ...energy.functional import evaluate
from ...energy.potential import Potential
from ...fit import Fit, Posterior
from ...fit.problem import Problem, rounding
from ...observe import Environments
from .measures import Measure

# ------ Leverage: how far the data of a fit determine a prediction that is linear in its coefficients

UNSEEN = 1e-8
"""Part of a row (columns scaled to norm one) in directions that no training row has, beyond which its leverage is infinite:
such directions are themselves known to about rounding times condition only."""


@dataclass(frozen=True, eq=False)
class Leverage:
    """h of any row, and the standard deviation of its prediction."""

    root: Float[np.ndarray, "columns rank"]
    """h(a) = |a @ root|^2."""
    unseen: Float[np.ndarray, "columns free"]
    """Directions that neither a row nor the prior has, orthonormal in scaled columns; h is infinite along them."""
    scale: Float[np.ndarray, " columns"]
    """Norm of every column of the weighted matrix."""
    noise: float
    """Standard deviation of a row of weight one, in its unit."""

    __repr__ = brief

    @classmethod
    def of(cls, fit: Fit) -> "Leverage":
        """The leverage under a fit, with the prior as its solver left it.

        Parameters
        ----------
        fit : Fit
            The fit.

        Returns
        -------
        Leverage
            Its noise is that of the fit's posterior, or one common noise estimated from the residual: |W (A theta - y)|^2
            over the rows that are left after the fitted parameters.

        Raises
        ------
        InputError
            No rows are left to estimate the noise from.
        """
        problem = regularised(fit)
        if fit.posterior is not None:
            return cls.posed(problem, fit.posterior.noise)
        freedom = problem.degrees_of_freedom()
        if problem.rows - freedom < 0.5:
            raise InputError(
                f"the noise of a fit is known from more rows than parameters; got {problem.rows} rows for {freedom:.0f} "
                "parameters: label more cells"
            )
        return cls.posed(problem, float(fit.residual / np.sqrt(problem.rows - freedom)))

    @classmethod
    def posed(cls, problem: Problem, noise: float = 1.0) -> "Leverage":
        """The leverage of a weighted problem with its prior.

        Parameters
        ----------
        problem : Problem
            Rows, weights and prior.
        noise : float
            Standard deviation of a row of weight one, in its unit.

        Returns
        -------
        Leverage
        """
        scale = problem.column_scale
        _, s, vt = np.linalg.svd(problem.factor[:, :-1] / scale, full_matrices=True)
        s = np.append(s, np.zeros(len(vt) - len(s)))
        kept = s > rounding(problem.columns) * s.max(initial=0.0)
        root, unseen = vt[kept].T / s[kept] / scale[:, None], vt[~kept].T
        if problem.subspace is not None:  # rows act through what constraints leave free; nothing varies across it
            z = problem.subspace.directions
            return cls(z @ root, z @ (unseen / scale[:, None]), np.ones(len(z)), noise)
        return cls(root, unseen, scale, noise)

    def __call__(self, rows: Float[np.ndarray, " n *more columns"]) -> Float[np.ndarray, " n *more"]:
        """h of every row: the diagonal of the hat matrix is (weight)^2 h.

        Parameters
        ----------
        rows : array (n, ..., columns)
            Rows of quantities.

        Returns
        -------
        array (n, ...)
            In one over the square of the weight of the quantity; infinite where nothing is known.
        """
        known = np.sum((rows @ self.root) ** 2, axis=-1)
        if not self.unseen.shape[1]:
            return known
        scaled = rows / self.scale
        beyond = np.linalg.norm(scaled @ self.unseen, axis=-1) > UNSEEN * np.linalg.norm(scaled, axis=-1)
        return np.where(beyond, np.inf, known)

    def deviation(
        self, rows: Float[np.ndarray, " n *more columns"], weight: float | None = None
    ) -> Float[np.ndarray, " n *more"]:
        """Standard deviations of predictions.

        Parameters
        ----------
        rows : array (n, ..., columns)
            Rows of quantities.
        weight : float, optional
            Of a new label: then the deviation is that of the label from its prediction.

        Returns
        -------
        array (n, ...)
            In the unit of the quantity.
        """
        own = 0.0 if weight is None else weight**-2
        return self.noise * np.sqrt(self(rows) + own)

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything, to build it again by keyword."""
        return {"root": self.root, "unseen": self.unseen, "scale": self.scale, "noise": np.array(self.noise)}


def regularised(fit: Fit) -> Problem:
    """The problem whose minimiser the fit is: where a solver chose how strong the prior is, with the prior of that strength."""
    problem, strength = fit.problem, fit.details.get("strength")
    if strength is None:
        return problem
    norm = np.linalg.norm(problem.data_factor[:, :-1], axis=0)  # what Tikhonov takes without a prior
    return replace(problem, gamma=strength * (problem.gamma if problem.gamma.any() else np.where(norm > 0, norm, 1.0)))


@dataclass(frozen=True, eq=False)
class EnergyDeviation(Measure):
    """Standard deviation of the site energy, eV. Only sums of them are observed, and parts are known worse than their sum."""

    leverage: Leverage
    unit: ClassVar[str] = "eV"

    def grade(self, environments: Environments) -> Float[np.ndarray, " atoms"]:
        return self.leverage.deviation(environments.sites)

    def arrays(self) -> dict[str, np.ndarray]:
        return self.leverage.arrays()


@dataclass(frozen=True, eq=False)
class ForceDeviation(Measure):
    """Standard deviation of the force, eV/A: the root of the summed variances of its components."""

    leverage: Leverage
    unit: ClassVar[str] = "eV/A"

    def grade(self, environments: Environments) -> Float[np.ndarray, " atoms"]:
        return np.sqrt(np.sum(self.leverage.deviation(environments.forces) ** 2, axis=1))

    def arrays(self) -> dict[str, np.ndarray]:
        return self.leverage.arrays()


# ------ Committees: where several models that fit the same data differ, none of them can be trusted


@dataclass(frozen=True, eq=False)
class Committee(Measure):
    """Standard deviation of the force over linear models of one basis, eV/A."""

    coefficients: Float[np.ndarray, "members columns"]
    unit: ClassVar[str] = "eV/A"

    __repr__ = brief

    def grade(self, environments: Environments) -> Float[np.ndarray, " atoms"]:
        return spread(np.moveaxis(environments.forces @ self.coefficients.T, -1, 0))

    def arrays(self) -> dict[str, np.ndarray]:
        return {"coefficients": self.coefficients}


def committee_spread(
    models: Sequence[Potential], cell: Cell, positions: Float[np.ndarray, "atoms 3"] | None = None
) -> Float[np.ndarray, " atoms"]:
    """The spread of the forces of several potentials.

    Parameters
    ----------
    models : sequence of Potential
        At least two.
    cell : Cell
        The cell.
    positions : array (atoms, 3), optional
        A; by default those of the cell.

    Returns
    -------
    array (atoms,)
        Standard deviation of the force on every atom, eV/A.

    Raises
    ------
    InputError
        Fewer than two models.
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
    """Coefficients drawn from the posterior of a fit, with noise and prior as `Leverage.of` has them.

    Parameters
    ----------
    fit : Fit
        The fit.
    count : int
        How many draws.
    seed : int
        Equal seeds give equal draws.

    Returns
    -------
    array (count, columns)

    Raises
    ------
    InputError
        Rows and prior leave a coefficient open.
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
    their own.

    Parameters
    ----------
    fit : Fit
        The fit that is repeated.
    count : int
        How many fits.
    seed : int
        Equal seeds give equal draws.

    Returns
    -------
    array (count, columns)

    Raises
    ------
    InputError
        Fewer than three groups.

    Notes
    -----
    B. Efron, Ann. Statist. 7, 1 (1979).
    """
    problem = fit.problem
    groups = list(dict.fromkeys(b.group for b, m in zip(problem.blocks.items, problem.multipliers, strict=True) if m > 0))
    if len(groups) < 3:
        raise InputError(
            f"resampling needs at least three configuration groups, and there are {len(groups)} ({', '.join(groups)}): give "
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
