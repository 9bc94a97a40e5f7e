"""Fit a linear model to blocks of observations: weights, prior and solver are chosen here, late and cheaply."""

from .bayes import Bayes
from .constraint import Constraint, as_constraints, check_constraints
from .fitting import as_solver, fit, training_errors
from .grid import losses
from .held_out import HeldOut, held_out
from .loss import Loss, spelled
from .lsmr import LSMR
from .posterior import Posterior
from .prior import Prior, Ridge, Smoothness, as_prior
from .problem import Problem
from .qr import QR
from .refit import Refit, Refits, refit
from .response import Response, weight_response
from .result import Fit
from .ridge import Tikhonov
from .shared import Shared, share
from .solver import Solution, Solver
from .subspace import Subspace
from .tsvd import TruncatedSVD
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
