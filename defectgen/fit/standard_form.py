"""Standard form of a regularised problem: after x = Gamma theta and one SVD, every strength costs one vector."""

from dataclasses import dataclass

import numpy as np

from .._typing import Float
from .problem import Problem, rounding


@dataclass(frozen=True, eq=False)
class StandardForm:
    """Minimise ||U S V' x - b||^2 + strength^2 ||x||^2 (Hansen, Rank-Deficient and Discrete Ill-Posed Problems, SIAM 1998)."""

    gamma: Float[np.ndarray, " columns"]
    singular: Float[np.ndarray, " rank"]
    right: Float[np.ndarray, "rank columns"]
    seen: Float[np.ndarray, " rank"]
    """U' b."""
    rest: float
    """||b||^2 - ||U' b||^2: what no coefficient can explain."""
    rows: int

    def coefficients(self, strength: float) -> Float[np.ndarray, " columns"]:
        """The minimiser theta."""
        return self.right.T @ (self.singular * self.seen / (self.singular**2 + strength**2)) / self.gamma

    def freedom(self, strength: float) -> float:
        """Effective number of parameters, sum of s^2 / (s^2 + strength^2)."""
        return float(np.sum(self.singular**2 / (self.singular**2 + strength**2)))

    def squares(self, strength: float) -> float:
        """Squared norm of the weighted residual."""
        damping = strength**2 / (self.singular**2 + strength**2)
        return float(np.sum((damping * self.seen) ** 2)) + self.rest

    def objective(self, strength: float) -> float:
        """The minimum: squared residual plus penalty."""
        return float(np.sum(strength**2 / (self.singular**2 + strength**2) * self.seen**2)) + self.rest

    def log_evidence(self, strength: float, noise: float) -> float:
        """log of the density of the weighted labels under noise N(0, noise^2) and prior x ~ N(0, noise^2 / strength^2)."""
        volume = float(np.sum(np.log1p((self.singular / strength) ** 2)))
        return float(-0.5 * (self.rows * np.log(2 * np.pi * noise**2) + volume + self.objective(strength) / noise**2))

    def best_noise(self, strength: float) -> float:
        """The noise that maximises the evidence at one strength."""
        return float(np.sqrt(max(self.objective(strength), np.finfo(float).tiny) / self.rows))

    def grid(self) -> Float[np.ndarray, " strengths"]:
        """Logarithms of strengths from one that changes nothing to one that suppresses everything."""
        return np.linspace(np.log(self.singular[-1]) - 3, np.log(self.singular[0]) + 3, 81)


def standard_form(problem: Problem, gamma: Float[np.ndarray, " columns"]) -> StandardForm:
    """The SVD of W A Gamma^-1 without the directions that are rounding; every gamma must be positive."""
    data = problem.data_factor
    u, s, vt = np.linalg.svd(data[:, :-1] / gamma, full_matrices=False)
    live = s > rounding(problem.columns) * s[0]
    seen = u[:, live].T @ data[:, -1]
    unseen = data[:, -1] - u[:, live] @ seen
    return StandardForm(gamma, s[live], vt[live], seen, float(unseen @ unseen), problem.rows)
