"""The domain of applicability: how far a configuration is from the training data, by several measures, and how good these are."""

from .build import MEASURES, domain
from .check import Check
from .committee import Committee, bootstrap_members, committee_spread, posterior_members
from .conformal import conformal_quantile, coverage, coverage_range, error_factor
from .domain import Domain
from .extrapolation import Extrapolation
from .leverage import EnergyDeviation, ForceDeviation, Leverage
from .load import load_domain
from .mahalanobis import Mahalanobis
from .measure import BySpecies, Measure, SiteMeasure
from .neighbours import Neighbours
from .quality import ErrorByScore, Retention, auroc, error_by_score, retention
from .whitening import Whitening

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
