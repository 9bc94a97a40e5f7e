"""The domain of applicability: how far a configuration is from the training data, by several measures, and how good these are."""

from .build import MEASURES, domain
from .deviations import (
    Committee,
    EnergyDeviation,
    ForceDeviation,
    Leverage,
    bootstrap_members,
    committee_spread,
    posterior_members,
)
from .domain import Check, Domain
from .load import load_domain
from .measures import BySpecies, Extrapolation, Mahalanobis, Measure, Neighbours, SiteMeasure, Whitening
from .quality import (
    ErrorByScore,
    Retention,
    auroc,
    conformal_quantile,
    coverage,
    coverage_range,
    error_by_score,
    error_factor,
    retention,
)

__all__ = [
    "MEASURES",
    "BySpecies",
    "Check",
    "Committee",
    "Domain",
    "EnergyDeviation",
    "ErrorByScore",
    "Extrapolation",
    "ForceDeviation",
    "Leverage",
    "Mahalanobis",
    "Measure",
    "Neighbours",
    "Retention",
    "SiteMeasure",
    "Whitening",
    "auroc",
    "bootstrap_members",
    "committee_spread",
    "conformal_quantile",
    "coverage",
    "coverage_range",
    "domain",
    "error_by_score",
    "error_factor",
    "load_domain",
    "posterior_members",
    "retention",
]
