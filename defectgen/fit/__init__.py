"""Fit a linear model to blocks of observations: weights, prior and solver are chosen here, late and cheaply."""

from .comparators import COMPARATORS, Comparator, comparator
from .constraint import Constraint, as_constraints, check_constraints
from .described import Described
from .fitting import as_solver, fit, training_errors
from .held_out import HeldOut, held_out
from .loss import Loss, losses, spelled
from .objective import ObjectiveFit, fit_objective
from .prior import Prior, Ridge, Smoothness, as_prior
from .problem import Problem
from .refit import Refit, Refits, refit
from .regularised import Bayes, Tikhonov
from .residual import Residual, residual_of
from .response import Response, weight_response
from .result import Fit
from .shared import Shared, share
from .solvers import LSMR, QR, Posterior, Solution, Solver, TruncatedSVD
from .subspace import Subspace
from .terms import LinearPhonons, linear_phonons, smoothness
from .weighting import Weighting, weighting
from .weights import CONVENTION, DEFAULT_WEIGHTS, FitWarning, check_weights, resolve_weights

__all__ = [
    "COMPARATORS",
    "CONVENTION",
    "DEFAULT_WEIGHTS",
    "LSMR",
    "QR",
    "Bayes",
    "Comparator",
    "Constraint",
    "Described",
    "Fit",
    "FitWarning",
    "HeldOut",
    "LinearPhonons",
    "Loss",
    "ObjectiveFit",
    "Posterior",
    "Prior",
    "Problem",
    "Refit",
    "Refits",
    "Residual",
    "Response",
    "Ridge",
    "Shared",
    "Smoothness",
    "Solution",
    "Solver",
    "Subspace",
    "Tikhonov",
    "TruncatedSVD",
    "Weighting",
    "as_constraints",
    "as_prior",
    "as_solver",
    "check_constraints",
    "check_weights",
    "comparator",
    "fit",
    "fit_objective",
    "held_out",
    "linear_phonons",
    "losses",
    "refit",
    "residual_of",
    "resolve_weights",
    "share",
    "smoothness",
    "spelled",
    "training_errors",
    "weight_response",
    "weighting",
]
