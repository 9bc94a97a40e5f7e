"""What an observation is: one linear map from the jets of a site energy to rows.

Applied to the reference it gives labels, applied to a basis it gives the rows of the design matrix, and the law
O(basis) @ theta == O(basis @ theta) holds for every kind.
"""

from abc import ABC, abstractmethod

import numpy as np

from .._typing import Float
from ..energy.functional import Potential


class Observation(ABC):
    """Rows in field units. `scale` and `row_weights` say how the rows enter a loss; neither is applied here."""

    kind: str
    """E, F, FC, V, or a part of a set that is always taken: V0, VF."""

    @property
    @abstractmethod
    def group(self) -> str:
        """Configuration group, for weights and residuals."""

    @property
    @abstractmethod
    def atoms(self) -> int:
        """Atoms of the configuration."""

    @property
    def scale(self) -> float:
        """Natural factor of all rows in the loss."""
        return 1.0

    @property
    def row_weights(self) -> Float[np.ndarray, " rows"] | None:
        """Distance or range weight of every row; None for one everywhere."""
        return None

    @abstractmethod
    def __call__(self, energy: Potential) -> Float[np.ndarray, " rows *channels"]:
        """The rows of a potential (labels) or of a basis (one column per channel)."""
