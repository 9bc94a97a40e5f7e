"""The unknowns in which a penalty is the identity, with and without constraints."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from .._display import brief
from .._typing import Float
from .problem import Problem


@dataclass(frozen=True, eq=False)
class Penalty:
    """x with ||x||^2 = ||Gamma theta||^2 but for a constant.

    Without constraints x = Gamma theta. With theta = theta_0 + Z z and Gamma Z = Q R it is x = R z + Q' Gamma theta_0.
    """

    gamma: Float[np.ndarray, " columns"] | None
    """Diagonal of R where that is diagonal."""
    triangle: Float[np.ndarray, "columns columns"] | None = None
    """R otherwise."""
    shift: Float[np.ndarray, " columns"] | None = None
    """Q' Gamma theta_0."""

    __repr__ = brief

    @classmethod
    def of(cls, problem: Problem, gamma: Float[np.ndarray, " coefficients"]) -> "Penalty":
        """Of a problem with the diagonal Gamma, whose entries are positive."""
        if problem.subspace is None:
            return cls(gamma)
        q, r = np.linalg.qr(gamma[:, None] * problem.subspace.directions)
        return cls(None, r, q.T @ (gamma * problem.subspace.origin))

    def scaled(
        self, factor: Float[np.ndarray, "k columns_plus_one"]
    ) -> tuple[Float[np.ndarray, "k columns"], Float[np.ndarray, " k"]]:
        """Rows and labels that x meets where the unknowns meet those of [A | y]."""
        if self.gamma is not None:
            return factor[:, :-1] / self.gamma, factor[:, -1]
        rows = solve_triangular(self.triangle, factor[:, :-1].T, trans=1).T
        return rows, factor[:, -1] + rows @ self.shift

    def unknowns(self, x: Float[np.ndarray, " columns *more"]) -> Float[np.ndarray, " columns *more"]:
        """The unknowns of x."""
        wide = (slice(None), *[None] * (x.ndim - 1))
        if self.gamma is not None:
            return x / self.gamma[wide]
        assert self.shift is not None  # it comes with the triangle
        return solve_triangular(self.triangle, x - self.shift[wide])
