"""Many losses from one factorisation: in the coordinates of a factor R_0, all of them are small well-conditioned Gram systems.

With A_b the rows of block b and R_0 the triangle of a central weighting w_0, G_b = (A_b R_0^-1)'(A_b R_0^-1) are made once. The
solution of weights w is theta_0 + R_0^-1 x with (sum_b w_b^2 G_b) x = sum_b w_b^2 h_b: one weighted sum and one Cholesky
factorisation. The condition of that matrix is at most the spread of (w / w_0)^2, for any condition of the rows, because
at w_0 it is the identity (theory: fit/shared-factor). Where the spread is too large, `solve` says so and nothing is returned.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.linalg.blas import dgemv, dsyrk, dtrmm  # pyright: ignore[reportAttributeAccessIssue]
from scipy.linalg.lapack import dpocon, dpotrf, dpotrs, dtpttr, dtrcon, dtrtri, dtrttp  # pyright: ignore[reportAttributeAccessIssue]

from .._typing import Float
from ..training.compress import join
from .problem import rounding

LIMIT = 1e8
"""Largest condition of the Gram matrix (1-norm) with which x is given: half the digits of the change from the centre are left."""


@dataclass(frozen=True, eq=False)
class Shared:
    """Blocks in the coordinates of one factor of them all."""

    through: Float[np.ndarray, "columns columns"]
    """R_0^-1."""
    centre: Float[np.ndarray, " columns"]
    """theta_0: the solution of the central weights."""
    grams: Float[np.ndarray, "packed blocks"]
    """Lower triangles of G_b by columns, one block a column."""
    rights: Float[np.ndarray, "columns blocks"]
    """h_b = (A_b R_0^-1)'(y_b - A_b theta_0)."""
    norms: Float[np.ndarray, " blocks"]
    """|y_b - A_b theta_0|^2."""
    apart: Float[np.ndarray, "rows columns"] | None = None
    """Rows A R_0^-1 that are each weighed by themselves, one after the other in memory."""
    targets: Float[np.ndarray, " rows"] | None = None
    """y - A theta_0 of these rows."""

    def solve(
        self, squares: Float[np.ndarray, " blocks"], of_rows: Float[np.ndarray, " rows"] | None = None
    ) -> Float[np.ndarray, " columns"] | None:
        """The coefficients for other weights of the blocks.

        Parameters
        ----------
        squares : array (blocks,)
            Squares of the weights.
        of_rows : array (rows,), optional
            Squares of the weights of the rows that are weighed by themselves.

        Returns
        -------
        array (columns,) or None
            What minimises sum_b squares_b |A_b theta - y_b|^2; None if it would lose too many digits.
        """
        n = len(self.centre)
        packed = dgemv(1.0, self.grams, squares) if len(squares) else np.zeros(len(self.grams))
        gram, right = dtpttr(n, packed, uplo="L")[0], self.rights @ squares
        if self.apart is not None and self.targets is not None and of_rows is not None:
            weighed = self.apart * np.sqrt(of_rows)[:, None]
            gram = dsyrk(1.0, weighed.T, beta=1.0, c=gram, lower=1, overwrite_c=1)
            right = right + self.apart.T @ (of_rows * self.targets)
        norm = float(np.max(np.abs(np.tril(gram)).sum(axis=0)))
        lower, failed = dpotrf(gram, lower=1, overwrite_a=1)
        if failed or dpocon(lower, norm, uplo="L")[0] * LIMIT < 1:
            return None
        x = dpotrs(lower, right, lower=1)[0]
        return self.centre + self.through @ x


def share(
    factors: Sequence[Float[np.ndarray, "_ columns_plus_one"]],
    weights: Float[np.ndarray, " blocks"],
    apart: Float[np.ndarray, "rows columns_plus_one"] | None = None,
) -> Shared | None:
    """Blocks in the coordinates of one factor of them all, around central weights.

    Parameters
    ----------
    factors : sequence of array (rows, columns + 1)
        Rows [A | y] of each block, without weights.
    weights : array (blocks,)
        The central weights.
    apart : array (rows, columns + 1), optional
        Rows [A | y] with their central weights, which `Shared.solve` weighs one by one.

    Returns
    -------
    Shared or None
        None if these rows do not determine all coefficients (to rounding).
    """
    columns = (factors[0] if apart is None else apart).shape[1] - 1
    parts = [w * f for w, f in zip(weights, factors, strict=True) if w > 0]
    whole = join(parts if apart is None else [*parts, apart], columns)
    if len(whole) < columns:
        return None
    upper = whole[:columns, :-1]
    scale = np.linalg.norm(upper, axis=0)
    if not scale.all() or dtrcon(upper / scale)[0] < rounding(columns):
        return None
    centre = solve_triangular(upper, whole[:columns, -1])
    through = np.asfortranarray(dtrtri(upper / scale)[0] / scale[:, None])
    grams = np.empty((columns * (columns + 1) // 2, len(factors)), order="F")
    rights = np.empty((columns, len(factors)), order="F")
    norms = np.empty(len(factors))
    for b, factor in enumerate(factors):
        rows = dtrmm(1.0, through, factor[:, :-1], side=1)  # A_b R_0^-1
        grams[:, b] = dtrttp(dsyrk(1.0, rows, trans=1, lower=1), uplo="L")[0]
        left = factor[:, -1] - factor[:, :-1] @ centre
        rights[:, b], norms[b] = rows.T @ left, left @ left
    if apart is None:
        return Shared(through, centre, grams, rights, norms)
    seen = dtrmm(1.0, through, apart[:, :-1].T, trans_a=1)  # its transpose lies in memory row by row
    return Shared(through, centre, grams, rights, norms, seen.T, apart[:, -1] - apart[:, :-1] @ centre)
