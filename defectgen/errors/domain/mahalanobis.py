"""The Mahalanobis distance: how many standard deviations an environment is away from the mean of the training environments."""

from dataclasses import dataclass

import numpy as np

from ..._typing import Float
from .measure import SiteMeasure
from .whitening import Whitening


@dataclass(frozen=True, eq=False)
class Mahalanobis(SiteMeasure):
    """((x - mean)^T C^-1 (x - mean))^(1/2), C the covariance of the training environments of one species.

    For an ellipsoid of data that is the distance that matters; for several clusters it is blind between them.
    """

    mean: Float[np.ndarray, " m"]
    root: Float[np.ndarray, "m m"]

    @classmethod
    def fitted(cls, rows: Float[np.ndarray, "training m"]) -> "Mahalanobis":
        white = Whitening.fitted(rows)
        return cls(white.mean, white.root)

    def grade(self, rows: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " n"]:
        return np.linalg.norm(Whitening(self.mean, self.root)(rows), axis=1)
