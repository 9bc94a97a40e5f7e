"""Fit a linear model to blocks of observations: weights, prior and solver are chosen here, late and cheaply."""

from .bayes import Bayes
from .fitting import as_solver, fit, training_errors
from .lsmr import LSMR
from .posterior import Posterior
from .prior import Prior, Ridge, Smoothness, as_prior
from .problem import Problem
from .qr import QR
from .result import Fit
from .ridge import Tikhonov
from .solver import Solution, Solver
from .tsvd import TruncatedSVD
from .weights import DEFAULT_WEIGHTS, FitWarning, check_weights, resolve_weights

__all__ = [
    "DEFAULT_WEIGHTS",
    "LSMR",
    "QR",
    "Bayes",
    "Fit",
    "FitWarning",
    "Posterior",
    "Prior",
    "Problem",
    "Ridge",
    "Smoothness",
    "Solution",
    "Solver",
    "Tikhonov",
    "TruncatedSVD",
    "as_prior",
    "as_solver",
    "check_weights",
    "fit",
    "resolve_weights",
    "training_errors",
]
