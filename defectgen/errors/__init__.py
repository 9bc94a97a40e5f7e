"""Errors: norms, the comparison of two equilibria, measured rates and what the theory says about them."""

from .bulk import ElasticConstantError, ForceConstantError, elastic_constant_error, force_constant_error
from .claims import CLAIMS, Claim, claim, predicted_rate, rejects, verdict
from .compare import Comparison, compare
from .forces import ForceError, force_error
from .norms import BondList, bonds_of, strain_max, strain_norm
from .rates import Rate, estimate_rate

__all__ = [
    "CLAIMS",
    "BondList",
    "Claim",
    "Comparison",
    "ElasticConstantError",
    "ForceConstantError",
    "ForceError",
    "Rate",
    "bonds_of",
    "claim",
    "compare",
    "elastic_constant_error",
    "estimate_rate",
    "force_constant_error",
    "force_error",
    "predicted_rate",
    "rejects",
    "strain_max",
    "strain_norm",
    "verdict",
]
