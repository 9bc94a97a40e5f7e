"""Solvers with a regularisation that they choose: Tikhonov by generalised cross-validation, and evidence."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from .._input import InputError
from .._typing import Float
from .by_groups import group_errors
from .penalty import Penalty
from .problem import Problem, rounding
from .solvers import QR, Posterior, Solution, Solver

# ------ Standard form of a regularised problem: after x = Gamma theta and one SVD, every strength costs one vector


@dataclass(frozen=True, eq=False)
class StandardForm:
    """Minimise ||U S V' x - b||^2 + strength^2 ||x||^2 (Hansen, Rank-Deficient and Discrete Ill-Posed Problems, SIAM 1998)."""

    penalty: Penalty
    singular: Float[np.ndarray, " rank"]
    right: Float[np.ndarray, "rank columns"]
    seen: Float[np.ndarray, " rank"]
    """U' b."""
    rest: float
    """||b||^2 - ||U' b||^2: what no coefficient can explain."""
    rows: int

    def coefficients(self, strength: float) -> Float[np.ndarray, " columns"]:
        """The unknowns that minimise it: theta, or its free coordinates under constraints."""
        x = self.right.T @ (self.singular * self.seen / (self.singular**2 + strength**2))
        return self.penalty.unknowns(x)

    def freedom(self, strength: float) -> float:
        """Effective number of parameters, sum of s^2 / (s^2 + strength^2)."""
        return float(np.sum(self.singular**2 / (self.singular**2 + strength**2)))

    def squares(self, strength: float) -> float:
        """Squared norm of the weighted residual."""
        damping = strength**2 / (self.singular**2 + strength**2)
        return float(np.sum((damping * self.seen) ** 2)) + self.rest

    def objective(self, strength: float) -> float:
        """The minimum: squared residual plus penalty."""
        return float(np.sum(strength**2 / (self.singular**2 + strength**2) * self.seen**2)) + self.rest

    def log_evidence(self, strength: float, noise: float) -> float:
        """log of the density of the weighted labels under noise N(0, noise^2) and prior x ~ N(0, noise^2 / strength^2)."""
        volume = float(np.sum(np.log1p((self.singular / strength) ** 2)))
        return float(-0.5 * (self.rows * np.log(2 * np.pi * noise**2) + volume + self.objective(strength) / noise**2))

    def best_noise(self, strength: float) -> float:
        """The noise that maximises the evidence at one strength."""
        return float(np.sqrt(max(self.objective(strength), np.finfo(float).tiny) / self.rows))

    def grid(self) -> Float[np.ndarray, " strengths"]:
        """Logarithms of strengths from one that changes nothing to one that suppresses everything."""
        return np.linspace(np.log(self.singular[-1]) - 3, np.log(self.singular[0]) + 3, 81)


def standard_form(problem: Problem, gamma: Float[np.ndarray, " coefficients"]) -> StandardForm:
    """The SVD of W A Gamma^-1 without the directions that are rounding; every gamma must be positive."""
    penalty = Penalty.of(problem, gamma)
    scaled, target = penalty.scaled(problem.data_factor)
    u, s, vt = np.linalg.svd(scaled, full_matrices=False)
    live = s > rounding(problem.columns) * s[0]
    seen = u[:, live].T @ target
    unseen = target - u[:, live] @ seen
    return StandardForm(penalty, s[live], vt[live], seen, float(unseen @ unseen), problem.rows)


# ------ Tikhonov regularisation, its strength given, or chosen by cross validation or by the noise level


@dataclass(frozen=True)
class Tikhonov(Solver):
    """Minimise ||W(A theta - y)||^2 + strength^2 ||Gamma theta||^2; Gamma is the prior's, or the column norms without a prior.

    `strength` is a number; "groups" has the least error on groups of configurations that are left out in turn (`by_groups`), the
    choice if rows of one group are similar; "gcv" minimises ||residual||^2 / (rows - degrees of freedom)^2 (generalised cross
    validation, Golub, Heath, Wahba, Technometrics 21, 215 (1979)); "discrepancy" makes the residual sqrt(rows) `noise`, where
    `noise` is the standard deviation of a weighted row.
    """

    strength: float | int | str = "gcv"
    noise: float | int | None = None

    def __post_init__(self):
        if not isinstance(self.strength, str):
            if not np.isfinite(self.strength) or self.strength < 0:
                raise InputError(f"the strength of ridge must be zero or a positive number; got {self.strength!r}")
        elif self.strength not in ("gcv", "discrepancy", "groups"):
            raise InputError(f"the strength of ridge is a number, 'groups', 'gcv' or 'discrepancy'; got {self.strength!r}")
        elif self.strength == "discrepancy" and not (self.noise is not None and self.noise > 0):
            raise InputError(f"strength='discrepancy' needs the noise of a weighted row, a positive number; got {self.noise!r}")

    def solve(self, problem: Problem) -> Solution:
        if problem.gamma.any() and not problem.gamma.all():
            raise InputError("solver 'ridge' needs a prior that penalises every coefficient; use solver 'qr' with this prior")
        if problem.subspace is not None and not problem.gamma.any():
            raise InputError("solver 'ridge' needs a prior under constraints; give one, such as prior='smoothness'")
        norm = np.linalg.norm(problem.data_factor[:, :-1], axis=0)
        gamma = problem.gamma if problem.gamma.any() else np.where(norm > 0, norm, 1.0)
        form = standard_form(problem, gamma)
        if not isinstance(self.strength, str):
            strength = float(self.strength)
        elif self.strength == "groups":
            strength = chosen_by_groups(problem, gamma)
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


def chosen_by_groups(problem: Problem, gamma: Float[np.ndarray, " coefficients"]) -> float:
    """The strength of least error on held-out groups. Raises InputError if there are fewer than two."""
    found = group_errors(problem, gamma)
    if found is None:
        raise InputError(
            "strength='groups' leaves out groups of configurations in turn, and these rows have one; give groups, or 'gcv'"
        )
    return found.best


# ------ Bayesian linear regression: the coefficients of least squares, with a covariance


@dataclass(frozen=True)
class Bayes(Solver):
    """Weighted rows have noise N(0, noise^2), coefficients the prior N(0, noise^2 / (strength Gamma)^2).

    By default the weights are believed as they are: noise = 1 and strength = 1, so a weight is one over the standard
    deviation of its rows. `noise="residual"` estimates one common noise from the residual. `evidence=True` maximises the
    marginal likelihood over one common noise and the strength of the prior (MacKay, Neural Comput. 4, 415 (1992)). Neither
    touches the ratios between weights: tuning those would cancel what the user requested.
    """

    noise: float | int | str = 1.0
    evidence: bool = False
    strength: float | int | str = 1.0
    """Of the prior: a number, or "groups" for that of least error on groups that are left out in turn (`by_groups`)."""

    def __post_init__(self):
        good = self.strength == "groups" if isinstance(self.strength, str) else np.isfinite(self.strength) and self.strength > 0
        if not good or (self.evidence and self.strength != 1.0):
            raise InputError(
                f"the strength of bayes is a positive number or 'groups', and evidence chooses its own; got {self.strength!r}"
            )
        known = self.noise == "residual" if isinstance(self.noise, str) else np.isfinite(self.noise) and self.noise > 0
        if not known:
            raise InputError(f"the noise of a weighted row is a positive number or 'residual'; got {self.noise!r}")

    def solve(self, problem: Problem) -> Solution:
        proper = bool(problem.gamma.all()) and problem.subspace is None  # a prior on all that is free: only then an evidence
        if self.evidence and problem.subspace is not None:
            raise InputError("evidence chooses a prior on all coefficients and takes no constraints; leave one of the two out")
        if self.evidence and not proper:
            raise InputError("evidence weighs the prior against the rows and needs one on every coefficient; give e.g. prior=1.0")
        form = standard_form(problem, problem.gamma) if proper else None
        strength = 1.0 if isinstance(self.strength, str) else float(self.strength)
        if self.strength == "groups":
            if not problem.gamma.all():
                raise InputError("the strength of a prior is chosen for one on every coefficient; give e.g. prior='smoothness'")
            strength = chosen_by_groups(problem, problem.gamma)
        if self.evidence and form is not None:

            def loss(log_strength: float) -> float:
                trial = float(np.exp(log_strength))
                return -form.log_evidence(trial, form.best_noise(trial))

            strength = minimal(loss, form.grid())
        regularised = replace(problem, gamma=strength * problem.gamma)
        solution = QR().solve(regularised)
        if solution.rank != problem.columns:
            raise InputError(
                f"the posterior has no covariance: rows and prior determine {solution.rank} of {problem.columns} directions; "
                "give a prior, e.g. prior=1e-6 or prior='smoothness'"
            )
        theta = problem.lift(solution.coefficients)
        if self.evidence and form is not None:
            noise = form.best_noise(strength)
        else:
            noise = _residual_noise(regularised, theta) if isinstance(self.noise, str) else float(self.noise)
        details = {"noise": noise, "strength": strength}
        if form is not None:
            details["log_evidence"] = form.log_evidence(strength, noise)
        factor = regularised.factor[: problem.columns, : problem.columns]
        directions = None if problem.subspace is None else problem.subspace.directions
        return Solution(solution.coefficients, problem.columns, Posterior(theta, factor, noise, directions), details)


def _residual_noise(problem: Problem, theta: np.ndarray) -> float:
    """||residual|| / sqrt(rows - degrees of freedom)."""
    spare = problem.rows - problem.degrees_of_freedom()
    if spare < 0.5:
        raise InputError(
            f"noise='residual' needs more rows than fitted parameters; got {problem.rows} rows for {problem.columns} "
            "coefficients: give the noise as a number"
        )
    return problem.residual(theta) / float(np.sqrt(spare))
