"""Fit a linear model to blocks of observations: weights, prior and solver are chosen here, late and cheaply."""

from .bayes import Bayes
from .fitting import fit, training_errors
from .lsmr import LSMR
from .posterior import Posterior
from .prior import Prior, Ridge, Smoothness
from .problem import Problem
from .qr import QR
from .result import Fit
from .ridge import Tikhonov
from .solver import Solution, Solver
from .tsvd import TruncatedSVD
from .weights import DEFAULT_WEIGHTS, FitWarning, resolve_weights

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
    "fit",
    "resolve_weights",
    "training_errors",
]
