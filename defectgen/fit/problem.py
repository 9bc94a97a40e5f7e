"""The weighted least-squares problem: minimise ||W (A theta - y)||^2 + ||Gamma theta||^2, held as factors."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import svdvals

from .._input import InputError
from .._typing import Float
from ..training.blocks import Blocks
from ..training.compress import join
from .prior import Prior
from .weights import Weights


@dataclass(frozen=True, eq=False)
class Problem:
    """Compressed rows, the weight of each block, and the diagonal of the prior."""

    blocks: Blocks
    multipliers: Float[np.ndarray, " blocks"]
    """Weight times natural scale of every block's rows."""
    gamma: Float[np.ndarray, " columns"]
    """Diagonal of the prior; zero without one."""

    @property
    def columns(self) -> int:
        """Number of coefficients."""
        return self.blocks.columns

    @property
    def rows(self) -> int:
        """Number of rows with a weight (the prior's are not counted)."""
        return sum(b.rows for b, m in zip(self.blocks.items, self.multipliers, strict=True) if m > 0)

    def weighted(self) -> Iterator[Float[np.ndarray, "k columns_plus_one"]]:
        """The weighted factor of every block with a weight, one at a time."""
        for block, multiplier in zip(self.blocks.items, self.multipliers, strict=True):
            if multiplier > 0:
                yield multiplier * block.factor

    def residual(self, theta: Float[np.ndarray, " columns"]) -> float:
        """||W (A theta - y)||, the prior left out."""
        return float(np.sqrt(sum(np.sum((f[:, :-1] @ theta - f[:, -1]) ** 2) for f in self.weighted())))

    @cached_property
    def data_factor(self) -> Float[np.ndarray, "k columns_plus_one"]:
        """R of the weighted rows [W A | W y]."""
        return join(self.weighted(), self.columns)

    @cached_property
    def factor(self) -> Float[np.ndarray, "k columns_plus_one"]:
        """R of the weighted rows and the prior's: everything a solver needs."""
        if not self.gamma.any():
            return self.data_factor
        prior = np.column_stack([np.diag(self.gamma), np.zeros(self.columns)])[self.gamma > 0]
        return join([self.data_factor, prior], self.columns)

    @cached_property
    def column_scale(self) -> Float[np.ndarray, " columns"]:
        """Norm of every column of the weighted matrix with the prior (1 where it is zero): dividing by it equilibrates."""
        norm = np.linalg.norm(self.factor[:, :-1], axis=0)
        return np.where(norm > 0, norm, 1.0)

    def conditions(self) -> tuple[float, float]:
        """2-norm condition numbers of the weighted matrix with the prior: columns scaled to norm one, and as it is."""
        matrix = self.factor[:, :-1]
        return _condition(matrix / self.column_scale), _condition(matrix)

    def degrees_of_freedom(self) -> float:
        """Effective number of fitted parameters, trace of A (A'A + Gamma^2)^-1 A' (the rank, without a prior).

        With [A; Gamma] = U S V' it is ||A V S^-1||_F^2.
        """
        s, vt = np.linalg.svd(self.factor[:, :-1] / self.column_scale, full_matrices=False)[1:]
        kept = s > rounding(self.columns) * s[0]
        return float(np.sum((self.data_factor[:, :-1] / self.column_scale @ vt[kept].T / s[kept]) ** 2))


def pose(blocks: Blocks, weights: Weights, prior: Prior | None) -> Problem:
    """Put weights and prior on blocks. Raises InputError if no row has a weight."""
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
