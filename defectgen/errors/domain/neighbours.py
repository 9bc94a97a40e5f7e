"""The distance to the nearest training environments, in coordinates in which these scatter by one in every direction."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import KDTree

from ..._typing import Float
from .measure import SiteMeasure
from .whitening import Whitening

NEIGHBOURS = 5
"""The distance to the fifth neighbour: one training environment far from all others does not make its surroundings known."""
MOST = 20000
"""Training environments that are kept; of more an even sample is taken."""


@dataclass(frozen=True, eq=False)
class Neighbours(SiteMeasure):
    """Distance to the k-th nearest training environment of one species (k = NEIGHBOURS, or all there are)."""

    mean: Float[np.ndarray, " m"]
    root: Float[np.ndarray, "m m"]
    points: Float[np.ndarray, "kept m"]
    """Whitened training environments."""

    @classmethod
    def fitted(cls, rows: Float[np.ndarray, "training m"]) -> "Neighbours":
        white = Whitening.fitted(rows)
        kept = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), MOST)).round().astype(int))
        return cls(white.mean, white.root, white(rows[kept]))

    @cached_property
    def _tree(self) -> KDTree:
        return KDTree(self.points)

    def grade(self, rows: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " n"]:
        return self._distance(rows, NEIGHBOURS)

    def grade_known(self, rows: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " n"]:
        return self._distance(rows, NEIGHBOURS + 1)

    def _distance(self, rows: np.ndarray, k: int) -> np.ndarray:
        k = min(k, len(self.points))
        return self._tree.query(Whitening(self.mean, self.root)(rows), k=[k])[0][:, 0]
