"""Which way rows went when they were reduced: a record that travels with their block."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Route:
    """How many rows were reduced in which way (theory: fit/compression), and what was found on it."""

    householder: int = 0
    """Rows by Householder's QR."""
    solved: int = 0
    """Rows by the Gram matrix of A R_0^-1, with R_0 the factor of earlier rows."""
    plain: int = 0
    """Rows by the Gram matrix of A itself, its columns being well conditioned."""
    condition: float = float("nan")
    """Estimated 2-norm condition of A with columns of unit length; inf if singular, NaN if not asked."""

    def __add__(self, other: "Route") -> "Route":
        """Both together; a condition belongs to one set of rows, so the larger is kept as a record of what was met."""
        counts = (self.householder + other.householder, self.solved + other.solved, self.plain + other.plain)
        return Route(*counts, float(np.fmax(self.condition, other.condition)))
