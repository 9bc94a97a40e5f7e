"""Errors: norms, the comparison of two equilibria, measured rates and what the theory says about them."""

from .both_lattices import LatticeComparison, compare_on_both_lattices
from .bound import bound
from .bound_terms import Bound, Term
from .certificate import Certificate, Prediction, certify, predict
from .compare import Comparison, compare
from .decay import StrainDecay, strain_decay
from .design import LossDesign, LossTuning, choose_data, design_loss, tune_loss
from .domain import Check, Domain, auroc, conformal_quantile, domain, load_domain
from .generalisation import Spread, Tradeoff, geometric_mean, tradeoff
from .label_errors import LabelErrors, LabelledPrediction, label_errors
from .norms import BondList, bonds_of, strain_max, strain_norm
from .predicted_rates import CLAIMS, Claim, boundary_rate, claim, core_cap, dislocation_rate, predicted_rate
from .property_errors import (
    ElasticConstantError,
    ForceConstantError,
    ForceError,
    elastic_constant_error,
    force_constant_error,
    force_error,
)
from .rates import Rate, estimate_rate
from .relax_from import relax_from
from .stability import lowest_phonon, stability_constant
from .verdicts import VERDICTS, Judgement, Power, judge, rejects, verdict, verdict_power

__all__ = [
    "CLAIMS",
    "VERDICTS",
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
    "Judgement",
    "LabelErrors",
    "LabelledPrediction",
    "LatticeComparison",
    "LossDesign",
    "LossTuning",
    "Power",
    "Prediction",
    "Rate",
    "Spread",
    "StrainDecay",
    "Term",
    "Tradeoff",
    "auroc",
    "bonds_of",
    "bound",
    "boundary_rate",
    "certify",
    "choose_data",
    "claim",
    "compare",
    "compare_on_both_lattices",
    "conformal_quantile",
    "core_cap",
    "design_loss",
    "dislocation_rate",
    "domain",
    "elastic_constant_error",
    "estimate_rate",
    "force_constant_error",
    "force_error",
    "geometric_mean",
    "judge",
    "label_errors",
    "load_domain",
    "lowest_phonon",
    "predict",
    "predicted_rate",
    "rejects",
    "relax_from",
    "stability_constant",
    "strain_decay",
    "strain_max",
    "strain_norm",
    "tradeoff",
    "tune_loss",
    "verdict",
    "verdict_power",
]
