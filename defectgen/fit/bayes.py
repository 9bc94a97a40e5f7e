"""Bayesian linear regression: the coefficients of least squares, with a covariance."""

from dataclasses import dataclass, replace

import numpy as np

from .._input import InputError
from .posterior import Posterior
from .problem import Problem
from .qr import QR
from .ridge import minimal
from .solver import Solution, Solver
from .standard_form import standard_form


@dataclass(frozen=True)
class Bayes(Solver):
    """Weighted rows have noise N(0, noise^2), coefficients the prior N(0, noise^2 / (strength Gamma)^2).

    By default the weights are believed as they are: noise = 1 and strength = 1, so a weight is one over the standard
    deviation of its rows. `noise="residual"` estimates one common noise from the residual. `evidence=True` maximises the
    marginal likelihood over one common noise and the strength of the prior (MacKay, Neural Comput. 4, 415 (1992)). Neither
    touches the ratios between weights: tuning those would cancel what the user asked for.
    """

    noise: float | int | str = 1.0
    evidence: bool = False

    def __post_init__(self):
        known = self.noise == "residual" if isinstance(self.noise, str) else np.isfinite(self.noise) and self.noise > 0
        if not known:
            raise InputError(f"the noise of a weighted row is a positive number or 'residual'; got {self.noise!r}")

    def solve(self, problem: Problem) -> Solution:
        proper = bool(problem.gamma.all()) and problem.subspace is None  # a prior on all that is free: only then an evidence
        if self.evidence and problem.subspace is not None:
            raise InputError("evidence weighs a prior on all coefficients and knows no constraints; leave one of the two out")
        if self.evidence and not proper:
            raise InputError("evidence weighs the prior against the rows and needs one on every coefficient; give e.g. prior=1.0")
        form = standard_form(problem, problem.gamma) if proper else None
        strength = 1.0
        if self.evidence and form is not None:

            def loss(log_strength: float) -> float:
                trial = float(np.exp(log_strength))
                return -form.log_evidence(trial, form.best_noise(trial))

            strength = minimal(loss, form.grid())
        regularised = replace(problem, gamma=strength * problem.gamma)
        solution = QR().solve(regularised)
        if solution.rank != problem.columns:
            raise InputError(
                f"the posterior has no covariance: rows and prior see {solution.rank} of {problem.columns} directions; "
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
