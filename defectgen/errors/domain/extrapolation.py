"""The extrapolation grade: the largest coefficient when an environment is written as a combination of an active set.

The active set is a square set of training environments of largest volume (D-optimal). A linear model predicts the site energy
of an environment b = c B as the same combination of site energies on the active set: with gamma = max |c_j| <= 1 it interpolates,
with gamma >> 1 it multiplies errors. theory: domain/grade.
E. V. Podryabinkin, A. V. Shapeev, Comput. Mater. Sci. 140, 171 (2017); Y. Lysogorskiy et al., Phys. Rev. Mater. 7, 043801 (2023).
"""

from dataclasses import dataclass

import numpy as np

from ..._typing import Float, Int
from ...training.diversity import maxvol
from .measure import SiteMeasure
from .whitening import FLOOR, sizes


@dataclass(frozen=True, eq=False)
class Extrapolation(SiteMeasure):
    """gamma = max_j |c_j|, c = b B^-1, for one species.

    Beside the training environments stand fictitious ones, each FLOOR of the size of one function. So the active set is always
    square and well defined, also of few environments, and what differs from all of them gets a large grade. They are chosen
    only for directions in which training environments hardly differ.
    """

    inverse: Float[np.ndarray, "m m"]
    """B^-1."""
    active: Int[np.ndarray, " m"]
    """Numbers of the active training environments, in the order in which they were given; -1 for a fictitious one."""

    @classmethod
    def fitted(cls, rows: Float[np.ndarray, "training m"]) -> "Extrapolation":
        size = sizes(rows)
        scaled = np.concatenate([rows / size, FLOOR * np.eye(rows.shape[1])])
        found = maxvol(scaled).index
        inverse = np.linalg.inv(scaled[found]) / size[:, None]
        return cls(inverse, np.where(found < len(rows), found, -1))

    def grade(self, rows: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " n"]:
        return np.abs(rows @ self.inverse).max(axis=1)
