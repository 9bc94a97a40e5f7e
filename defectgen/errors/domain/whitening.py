"""Whitening: coordinates in which the training environments of one species scatter by one in every direction."""

from dataclasses import dataclass

import numpy as np

from ..._typing import Float

FLOOR = 1e-6
"""Differences below this part of a function's size are no differences: a direction in which the training environments scatter
less counts as if they scattered by this. Directions of less than about 1e-8 are rounding."""
SMALLEST = 1e-8
"""Functions smaller than this part of the largest are measured on its scale: they may vanish by symmetry, up to rounding."""


def sizes(rows: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " m"]:
    """Root mean square of every column, bounded from below by SMALLEST of the largest (and 1 if all are zero)."""
    rms = np.sqrt(np.mean(rows**2, axis=0))
    return np.maximum(rms, SMALLEST * rms.max(initial=0.0)) if rms.any() else np.ones(rows.shape[1])


@dataclass(frozen=True, eq=False)
class Whitening:
    """z = (x - mean) @ root, with root root^T the inverse of the covariance plus FLOOR^2 of the squared sizes."""

    mean: Float[np.ndarray, " m"]
    root: Float[np.ndarray, "m m"]

    @classmethod
    def fitted(cls, rows: Float[np.ndarray, "n m"]) -> "Whitening":
        """From n >= 1 rows; their covariance is that of n observations, divided by n - 1 as usual."""
        size, mean = sizes(rows), rows.mean(axis=0)
        _, s, vt = np.linalg.svd((rows - mean) / size, full_matrices=True)
        spread = np.zeros(rows.shape[1])
        spread[: len(s)] = s / np.sqrt(max(len(rows) - 1, 1))
        return cls(mean, vt.T / np.hypot(spread, FLOOR) / size[:, None])

    def __call__(self, rows: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n m"]:
        return (rows - self.mean) @ self.root
