"""Diversity of data sets: how many different environments they hold, what they cover, and which configurations to label next."""

from .measures import (
    ActiveRows,
    Metric,
    covered,
    effective_rank,
    gaussian_similarity,
    maxvol,
    metric_of,
    nearest_distances,
    similarity_entropy,
    vendi_score,
)
from .selection import d_optimal, farthest_points, select_cells
from .summary import DatasetDiversity, Diversity, dataset_diversity, diversity

__all__ = [
    "ActiveRows",
    "DatasetDiversity",
    "Diversity",
    "Metric",
    "covered",
    "d_optimal",
    "dataset_diversity",
    "diversity",
    "effective_rank",
    "farthest_points",
    "gaussian_similarity",
    "maxvol",
    "metric_of",
    "nearest_distances",
    "select_cells",
    "similarity_entropy",
    "vendi_score",
]
