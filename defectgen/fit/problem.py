"""The weighted least-squares problem: minimise ||W (A theta - y)||^2 + ||Gamma theta||^2, held as factors.

With constraints its unknowns are the free coordinates z of theta = theta_0 + Z z; everything below is about them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import svdvals

from .._input import InputError
from .._typing import Float
from ..training.blocks import Blocks
from ..training.compress import join, residual_sum
from .prior import Prior
from .subspace import Subspace
from .weights import Weights


@dataclass(frozen=True, eq=False)
class Problem:
    """Compressed rows, the weight of each block, and the diagonal of the prior."""

    blocks: Blocks
    multipliers: Float[np.ndarray, " blocks"]
    """Weight times natural scale of every block's rows."""
    gamma: Float[np.ndarray, " columns"]
    """Diagonal of the prior; zero without one."""
    subspace: Subspace | None = None
    """What constraints leave free; None without constraints."""

    @property
    def columns(self) -> int:
        """Number of unknowns: coefficients, or what constraints leave free of them."""
        return self.blocks.columns if self.subspace is None else self.subspace.directions.shape[1]

    @property
    def held(self) -> int:
        """Number of independent conditions that constraints set."""
        return 0 if self.subspace is None else self.subspace.held

    def lift(self, unknowns: Float[np.ndarray, " columns"]) -> Float[np.ndarray, " coefficients"]:
        """The coefficients of a solution of this problem.

        Parameters
        ----------
        unknowns : array (columns,)
            Coefficients, or free coordinates where there are constraints.

        Returns
        -------
        array (coefficients,)
            theta.
        """
        return unknowns if self.subspace is None else self.subspace.lift(unknowns)

    def slopes(self, rows: Float[np.ndarray, "n *more coefficients"]) -> Float[np.ndarray, "n *more columns"]:
        """Rows that act on coefficients, as they act on changes of the unknowns.

        Parameters
        ----------
        rows : array (n, ..., coefficients)
            Derivatives with respect to the coefficients.

        Returns
        -------
        array (n, ..., columns)
            Derivatives with respect to the unknowns.
        """
        return rows if self.subspace is None else rows @ self.subspace.directions

    @property
    def rows(self) -> int:
        """Number of rows with a weight (the prior's are not counted)."""
        return sum(b.rows for b, m in zip(self.blocks.items, self.multipliers, strict=True) if m > 0)

    def weighted(self) -> Iterator[Float[np.ndarray, "k columns_plus_one"]]:
        """The weighted factor of every block with a weight, one at a time."""
        for block, multiplier in zip(self.blocks.items, self.multipliers, strict=True):
            if multiplier > 0:
                yield multiplier * (block.factor if self.subspace is None else self.subspace.reduce(block.factor))

    def residual(self, theta: Float[np.ndarray, " coefficients"]) -> float:
        """||W (A theta - y)||, the prior left out."""
        squares = (
            m**2 * residual_sum(b.factor, theta) for b, m in zip(self.blocks.items, self.multipliers, strict=True) if m > 0
        )
        return float(np.sqrt(sum(squares)))

    @cached_property
    def data_factor(self) -> Float[np.ndarray, "k columns_plus_one"]:
        """R of the weighted rows [W A | W y]."""
        return join(self.weighted(), self.columns)

    @cached_property
    def factor(self) -> Float[np.ndarray, "k columns_plus_one"]:
        """R of the weighted rows and the prior's: everything a solver needs."""
        prior = self.prior_rows()
        return self.data_factor if prior is None else join([self.data_factor, prior], self.columns)

    def prior_rows(self) -> Float[np.ndarray, "k columns_plus_one"] | None:
        """The prior as rows [Gamma | 0]; None without one."""
        if not self.gamma.any():
            return None
        rows = np.column_stack([np.diag(self.gamma), np.zeros(len(self.gamma))])[self.gamma > 0]
        return rows if self.subspace is None else self.subspace.reduce(rows)

    @cached_property
    def column_scale(self) -> Float[np.ndarray, " columns"]:
        """Norm of every column of the weighted matrix with the prior (1 where it is zero): dividing by it equilibrates."""
        norm = np.linalg.norm(self.factor[:, :-1], axis=0)
        return np.where(norm > 0, norm, 1.0)

    def conditions(self) -> tuple[float, float]:
        """2-norm condition numbers of the weighted matrix with the prior: columns scaled to norm one, and as it is.

        With constraints both are that of the free directions, which are orthonormal in scaled coefficients: scaling their
        columns again would give a number that depends on the choice of these directions, and so on rounding.
        """
        matrix = self.factor[:, :-1]
        found = _condition(matrix)
        return found if self.subspace is not None else _condition(matrix / self.column_scale), found

    def degrees_of_freedom(self) -> float:
        """Effective number of fitted parameters, trace of A (A'A + Gamma^2)^-1 A' (the rank, without a prior).

        With [A; Gamma] = U S V' it is ||A V S^-1||_F^2.
        """
        s, vt = np.linalg.svd(self.factor[:, :-1] / self.column_scale, full_matrices=False)[1:]
        kept = s > rounding(self.columns) * s[0]
        return float(np.sum((self.data_factor[:, :-1] / self.column_scale @ vt[kept].T / s[kept]) ** 2))


def pose(blocks: Blocks, weights: Weights | Float[np.ndarray, " blocks"], prior: Prior | None) -> Problem:
    """Put weights and prior on blocks; an array of weights has one for every block, its scale included.

    Raises InputError if no row has a weight.
    """
    if isinstance(weights, np.ndarray):
        multipliers = weights
    else:
        multipliers = np.array([weights[b.kind][b.group] * b.scale for b in blocks.items])
    if not np.any(multipliers > 0):
        raise InputError("a fit needs at least one row with a positive weight; got none: label some cells or raise a weight")
    gamma = np.zeros(blocks.columns) if prior is None else prior.diagonal(blocks.basis, blocks.columns)
    if gamma.shape != (blocks.columns,) or not np.all(np.isfinite(gamma)) or np.any(gamma < 0):
        raise InputError(f"the diagonal of a prior must be {blocks.columns} numbers, none negative; got shape {gamma.shape}")
    return Problem(blocks, multipliers, gamma)


def rounding(columns: int) -> float:
    """Relative size below which a singular value is rounding (the convention of LAPACK users, max(m, n) eps)."""
    return max(columns, 1) * float(np.finfo(float).eps)


def _condition(matrix: np.ndarray) -> float:
    s = svdvals(matrix)
    return float(s[0] / s[-1]) if len(matrix) >= matrix.shape[1] and s[-1] > 0 else float("inf")
