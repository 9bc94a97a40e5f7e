"""Fit a linear model to blocks of observations: weights, prior and solver are chosen here, late and cheaply."""

from .constraint import Constraint, as_constraints, check_constraints
from .fitting import as_solver, fit, training_errors
from .held_out import HeldOut, held_out
from .loss import Loss, losses, spelled
from .prior import Prior, Ridge, Smoothness, as_prior
from .problem import Problem
from .refit import Refit, Refits, refit
from .regularised import Bayes, Tikhonov
from .response import Response, weight_response
from .result import Fit
from .shared import Shared, share
from .solvers import LSMR, QR, Posterior, Solution, Solver, TruncatedSVD
from .subspace import Subspace
from .weights import CONVENTION, DEFAULT_WEIGHTS, FitWarning, check_weights, resolve_weights

__all__ = [
    "CONVENTION",
    "DEFAULT_WEIGHTS",
    "LSMR",
    "QR",
    "Bayes",
    "Constraint",
    "Fit",
    "FitWarning",
    "HeldOut",
    "Loss",
    "Posterior",
    "Prior",
    "Problem",
    "Refit",
    "Refits",
    "Response",
    "Ridge",
    "Shared",
    "Smoothness",
    "Solution",
    "Solver",
    "Subspace",
    "Tikhonov",
    "TruncatedSVD",
    "as_constraints",
    "as_prior",
    "as_solver",
    "check_constraints",
    "check_weights",
    "fit",
    "held_out",
    "losses",
    "refit",
    "resolve_weights",
    "share",
    "spelled",
    "training_errors",
    "weight_response",
]
