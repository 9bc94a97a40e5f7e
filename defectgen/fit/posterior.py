"""The posterior of a Bayesian linear fit: a Gaussian over coefficients, held as a triangular factor of its precision."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from .._typing import Float


@dataclass(frozen=True, eq=False)
class Posterior:
    """theta ~ N(mean, noise^2 (R'R)^-1); under constraints only along what they leave free, with no variance across it."""

    mean: Float[np.ndarray, " columns"]
    factor: Float[np.ndarray, "free free"]
    """R, upper triangular, of the weighted rows with the prior; in the free coordinates if there are constraints."""
    noise: float
    """Standard deviation of a weighted residual."""
    directions: Float[np.ndarray, "columns free"] | None = None
    """Along which constraints leave coefficients free to vary; None: all."""

    @property
    def covariance(self) -> Float[np.ndarray, "columns columns"]:
        """noise^2 (R'R)^-1."""
        root = self._lifted(solve_triangular(self.factor, np.eye(len(self.factor)))) * self.noise
        return root @ root.T

    def deviation(self, functional: Float[np.ndarray, "n columns"]) -> Float[np.ndarray, " n"]:
        """Standard deviation sqrt(g . covariance . g) of the quantity g . theta, for each row g, in its unit."""
        slopes = functional if self.directions is None else functional @ self.directions
        return self.noise * np.linalg.norm(solve_triangular(self.factor, slopes.T, trans=1), axis=0)

    def sample(self, count: int, seed: int | np.random.Generator) -> Float[np.ndarray, "count columns"]:
        """Draws of the coefficients; equal seeds give equal draws."""
        normal = np.random.default_rng(seed).normal(size=(len(self.factor), count))
        return self.mean + self.noise * self._lifted(solve_triangular(self.factor, normal)).T

    def _lifted(self, free: np.ndarray) -> np.ndarray:
        return free if self.directions is None else self.directions @ free
