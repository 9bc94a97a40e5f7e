"""Leverage: how far the data of a fit determine a prediction that is linear in its coefficients.

A prediction a . theta (a site's or a cell's energy, a force component) has the variance noise^2 h(a) under the posterior of the
weighted fit, h(a) = a^T (A^T W^2 A + Gamma^2)^-1 a, from the R factor that the fit has anyway. theory: domain/leverage.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ..._input import InputError
from ..._typing import Float
from ...fit import Fit
from ...fit.problem import Problem, rounding
from ...observe import Environments
from .measure import Measure

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

    @classmethod
    def of(cls, fit: Fit) -> "Leverage":
        """The leverage under a fit, with the prior as its solver left it. The noise is that of the fit's posterior, or one common
        noise estimated from the residual: |W (A theta - y)|^2 over the rows that are left after the fitted parameters.

        Raises InputError if none are left.
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
        """The leverage of a weighted problem with its prior; `noise` is that of a row of weight one."""
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
        """h of every row, in one over the square of its weight: the diagonal of the hat matrix is (weight)^2 h."""
        known = np.sum((rows @ self.root) ** 2, axis=-1)
        if not self.unseen.shape[1]:
            return known
        scaled = rows / self.scale
        beyond = np.linalg.norm(scaled @ self.unseen, axis=-1) > UNSEEN * np.linalg.norm(scaled, axis=-1)
        return np.where(beyond, np.inf, known)

    def deviation(
        self, rows: Float[np.ndarray, " n *more columns"], weight: float | None = None
    ) -> Float[np.ndarray, " n *more"]:
        """Standard deviation of the prediction of every row, in its unit; with `weight`, of a new label of that weight."""
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
