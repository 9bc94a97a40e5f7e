"""Rows reduced at the speed of a Gram matrix, without squaring their condition: G of A T^-1, and R = chol(G) T.

T comes from rows that were reduced before. If their columns, brought to unit length, are well conditioned, only the label is
changed, into its residual (as many operations as A'A). Otherwise T is their factor R_0: every row is solved for it first, and
what is left is close to orthonormal for any condition of A (twice the operations). Either way G contains the rows that
gave T, so a lower bound of its eigenvalues is known before any row comes, and its growing diagonal says in time whether
the next rows may enter: rows are refused that would cost more than three digits (fit/compression).
"""

import numpy as np
from scipy.linalg import solve_triangular
from scipy.linalg.blas import dsyrk, dtrmm, dtrsm  # pyright: ignore[reportAttributeAccessIssue]
from scipy.linalg.lapack import dpotrf  # pyright: ignore[reportAttributeAccessIssue]

from .._typing import Float

LIMIT = 1e3
"""Largest entry on the diagonal of G over the bound of its smallest eigenvalue: R is then known to this times rounding."""
START = LIMIT / 4
"""Largest 1/eigenvalue of the equilibrated Gram matrix with which rows are taken as they come: rows may still grow fourfold."""
STEPS = 12
"""Steps of a power iteration: enough for the first digit of a condition, and more is not needed."""
TINY = 1e-140
"""Numbers whose squares are still far from underflow."""
EPS = float(np.finfo(float).eps)


class Gram:
    """Gram matrix of rows in the coordinates of a factor R_0 of earlier rows: `add` rows, then `factor`."""

    def __init__(self, start: Float[np.ndarray, "n n"], labelled: bool = True, *, limit: float = LIMIT, plain: float = START):
        """`start`: the square R_0 of the rows so far, no column zero; `labelled`: whether the last one is the label.

        `limit` is that of G, see LIMIT; rows are taken as they come up to the condition `plain`, see START.
        """
        norms = np.linalg.norm(start, axis=0)
        pivots = np.diag(start)
        lifted = np.copysign(np.maximum(np.abs(pivots), EPS * norms), pivots)
        self._through = np.array(start, order="F")
        np.fill_diagonal(self._through, lifted)  # an error of rounding in that column, and no division by zero
        weakest = 0.0
        if len(start) > 1 and labelled and np.min(np.abs(lifted)) > TINY:
            head = self._through[:-1, :-1]
            if np.min(np.abs(np.diag(head)) / norms[:-1]) ** 2 * plain > 1:  # no singular value is above the smallest pivot
                weakest = extremes(head)[0] ** 2
        self.solved = weakest * plain < 1
        """Whether rows are solved for R_0 before they are multiplied."""
        if self.solved:
            self._gram = np.eye(len(start), order="F")
            self._diagonal = np.ones(len(start))
            self._ceiling = np.full(len(start), limit)
        else:
            head = self._through[:-1, :-1]
            self._fit = solve_triangular(head, self._through[:-1, -1], check_finite=False)
            self._gram = np.zeros_like(self._through)
            self._gram[:-1, :-1] = head.T @ head
            self._gram[-1, -1] = lifted[-1] ** 2
            self._diagonal = np.diag(self._gram).copy()
            self._ceiling = limit * min(weakest, 1.0) * self._diagonal

    def add(self, rows: Float[np.ndarray, "m n"]) -> bool:
        """Take in rows [A | y]; False, and nothing is changed, if G would become too uneven for them to be told from rounding."""
        label = rows[:, -1].copy()
        if self.solved:
            left = dtrsm(1.0, self._through, rows.T, trans_a=1)  # T' B' = A'
        else:
            left = rows.T
            left[-1] -= rows[:, :-1] @ self._fit
        diagonal = self._diagonal + np.einsum("ij,ij->j", left.T, left.T)
        fits = bool((diagonal <= self._ceiling).all())
        if fits:
            self._diagonal = diagonal
            self._gram = dsyrk(1.0, left, beta=1.0, c=self._gram, overwrite_c=1)
        rows[:, -1] = label
        return fits

    def factor(self) -> Float[np.ndarray, "n n"]:
        """Upper-triangular R of the rows that gave R_0 and all that were added."""
        upper = dpotrf(self._gram, clean=1)[0]  # cannot fail: G is at least the identity, or far from singular
        if self.solved:
            upper = dtrmm(1.0, self._through, upper, side=1)
        else:
            upper[:, -1] += upper[:, :-1] @ self._fit
        return np.ascontiguousarray(upper)


def extremes(triangle: Float[np.ndarray, "n n"]) -> tuple[float, float]:
    """Smallest and largest singular value of a triangle whose columns are brought to unit length, estimated from inside."""
    norms = np.linalg.norm(triangle, axis=0)
    unit = np.asfortranarray(triangle / np.where(norms > 0, norms, 1.0))
    singular = bool(np.min(np.abs(np.diag(unit))) < TINY)
    v = w = np.random.default_rng(0).normal(size=len(unit))  # a direction that no symmetry makes orthogonal to what is sought
    least, most = float(not singular), 1.0
    for _ in range(STEPS):
        v = unit.T @ (unit @ (v / np.linalg.norm(v)))
        most = float(np.linalg.norm(v)) ** 0.5
        if not singular:
            w = w / np.linalg.norm(w)
            w = solve_triangular(unit, solve_triangular(unit, w, trans=1, check_finite=False), check_finite=False)
            least = float(np.linalg.norm(w)) ** -0.5
    return least, most


def condition(factor: Float[np.ndarray, "k columns_plus_one"]) -> float:
    """Estimate of the 2-norm condition of A with columns of unit length, from R of [A | y]; inf if it is singular."""
    columns = factor.shape[1] - 1
    if columns == 0 or len(factor) < columns:
        return float("inf")
    least, most = extremes(factor[:columns, :-1])
    return most / least if least > 0 else float("inf")
