"""Tikhonov regularisation, its strength given, or chosen by cross validation or by the noise level."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from .._input import InputError
from .._typing import Float
from .problem import Problem
from .solver import Solution, Solver
from .standard_form import StandardForm, standard_form


@dataclass(frozen=True)
class Tikhonov(Solver):
    """Minimise ||W(A theta - y)||^2 + strength^2 ||Gamma theta||^2; Gamma is the prior's, or the column norms without a prior.

    `strength` is a number; "gcv" minimises ||residual||^2 / (rows - degrees of freedom)^2 (generalised cross validation,
    Golub, Heath, Wahba, Technometrics 21, 215 (1979)); "discrepancy" makes the residual sqrt(rows) `noise`, where `noise` is
    the standard deviation of a weighted row.
    """

    strength: float | int | str = "gcv"
    noise: float | int | None = None

    def __post_init__(self):
        if not isinstance(self.strength, str):
            if not np.isfinite(self.strength) or self.strength < 0:
                raise InputError(f"the strength of ridge must be zero or a positive number; got {self.strength!r}")
        elif self.strength not in ("gcv", "discrepancy"):
            raise InputError(f"the strength of ridge is a number, 'gcv' or 'discrepancy'; got {self.strength!r}")
        elif self.strength == "discrepancy" and not (self.noise is not None and self.noise > 0):
            raise InputError(f"strength='discrepancy' needs the noise of a weighted row, a positive number; got {self.noise!r}")

    def solve(self, problem: Problem) -> Solution:
        if problem.subspace is not None:
            raise InputError("solver 'ridge' knows no constraints; use solver 'qr', 'tsvd' or 'bayes' with them")
        if problem.gamma.any() and not problem.gamma.all():
            raise InputError("solver 'ridge' needs a prior that penalises every coefficient; use solver 'qr' with this prior")
        norm = np.linalg.norm(problem.data_factor[:, :-1], axis=0)
        form = standard_form(problem, problem.gamma if problem.gamma.any() else np.where(norm > 0, norm, 1.0))
        if not isinstance(self.strength, str):
            strength = float(self.strength)
        else:
            strength = cross_validated(form) if self.strength == "gcv" else discrepant(form, self.noise or 0.0)
        details = {"strength": strength, "degrees_of_freedom": form.freedom(strength)}
        return Solution(form.coefficients(strength), len(form.singular), details=details)


def cross_validated(form: StandardForm) -> float:
    """The strength of least generalised cross validation."""
    tiny = float(np.finfo(float).tiny)

    def score(log_strength: float) -> float:
        strength = np.exp(log_strength)
        return float(np.log(max(form.squares(strength), tiny)) - 2 * np.log(max(form.rows - form.freedom(strength), 1e-12)))

    return minimal(score, form.grid())


def discrepant(form: StandardForm, noise: float) -> float:
    """The strength at which weighted residuals have the size of the noise. Raises InputError if none does."""
    grid = form.grid()

    def excess(log_strength: float) -> float:
        return form.squares(np.exp(log_strength)) - form.rows * noise**2

    if excess(grid[0]) > 0 or excess(grid[-1]) < 0:
        low, high = (np.sqrt(form.squares(np.exp(g)) / form.rows) for g in (grid[0], grid[-1]))
        raise InputError(f"no strength leaves residuals of {noise:.3g}, only from {low:.3g} to {high:.3g}; change the noise")
    return float(np.exp(brentq(excess, float(grid[0]), float(grid[-1]))))  # pyright: ignore


def minimal(score: Callable[[float], float], grid: Float[np.ndarray, " strengths"]) -> float:
    """exp of the minimiser of a function of log strength: the best point of the grid, refined between its neighbours."""
    scores = np.array([score(float(g)) for g in grid])
    if not np.isfinite(scores).any():
        raise InputError("no strength of the prior gives a finite score; look at the rows, their labels and weights")
    best = int(np.argmin(np.where(np.isnan(scores), np.inf, scores)))
    around = (grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])
    return float(np.exp(minimize_scalar(score, bounds=around, method="bounded").x))  # pyright: ignore[reportAttributeAccessIssue]
