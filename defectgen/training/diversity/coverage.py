"""Who is near whom: distances to the nearest of a set, and the part of a pool that a set covers."""

import numpy as np
from scipy.spatial import KDTree

from ..._input import InputError, check_finite
from ..._typing import Float


def nearest_distances(points: Float[np.ndarray, "n m"], among: Float[np.ndarray, "k m"] | None = None) -> Float[np.ndarray, " n"]:
    """Distance of every point to the nearest one `among` a set; without it to the nearest other point (inf if there is none)."""
    check_finite(points, "points")
    if among is None:
        return KDTree(points).query(points, k=[2])[0][:, 0]
    if not len(among):
        raise InputError("there is nothing to be near to: the set is empty")
    check_finite(among, "points")
    return KDTree(among).query(points)[0]


def covered(points: Float[np.ndarray, "k m"], pool: Float[np.ndarray, "n m"], radius: float = 1.0) -> float:
    """Part of the pool that lies within `radius` of one of the points."""
    return float(np.mean(nearest_distances(pool, points) <= radius)) if len(pool) else 1.0
