"""Diversity of data sets: how many different environments they hold, what they cover, and which configurations to label next."""

from .coverage import covered, nearest_distances
from .dataset_summary import DatasetDiversity, dataset_diversity
from .maxvol import ActiveRows, maxvol
from .metric import Metric, metric_of
from .selection import d_optimal, farthest_points, select_cells
from .summary import Diversity, diversity
from .vendi import effective_rank, gaussian_similarity, similarity_entropy, vendi_score

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
