"""Errors: norms, the comparison of two equilibria, measured rates and what the theory says about them."""

from .bound import bound
from .bulk import ElasticConstantError, ForceConstantError, elastic_constant_error, force_constant_error
from .certificate import Certificate, Prediction, certify, predict
from .claims import CLAIMS, Claim, claim, predicted_rate, rejects, verdict
from .compare import Comparison, compare
from .design import LossDesign, choose_data, design_loss
from .dislocation_claims import dislocation_rate
from .domain import Check, Domain, domain, load_domain
from .forces import ForceError, force_error
from .lattices import LatticeComparison, compare_on_both_lattices
from .norms import BondList, bonds_of, strain_max, strain_norm
from .rates import Rate, estimate_rate
from .stability import lowest_phonon, stability_constant
from .terms import Bound, Term

__all__ = [
    "CLAIMS",
    "BondList",
    "Bound",
    "Certificate",
    "Check",
    "Claim",
    "Comparison",
    "Domain",
    "ElasticConstantError",
    "ForceConstantError",
    "ForceError",
    "LatticeComparison",
    "LossDesign",
    "Prediction",
    "Rate",
    "Term",
    "bonds_of",
    "bound",
    "certify",
    "choose_data",
    "claim",
    "compare",
    "compare_on_both_lattices",
    "design_loss",
    "dislocation_rate",
    "domain",
    "elastic_constant_error",
    "estimate_rate",
    "force_constant_error",
    "force_error",
    "load_domain",
    "lowest_phonon",
    "predict",
    "predicted_rate",
    "rejects",
    "stability_constant",
    "strain_max",
    "strain_norm",
    "verdict",
]
