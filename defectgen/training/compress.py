"""Rows compressed as they come: the R factor of [A | y] says everything that least squares can ask of the rows.

With [A | y] = Q R and Q'Q = 1, ||A theta - y|| = ||R [theta; -1]|| for every theta, so rows may be forgotten. The factor of a
stack is the factor of its stacked factors (Demmel, Grigori, Hoemmen, Langou, SIAM J. Sci. Comput. 34, A206 (2012)), hence memory
never grows with the number of rows and neither their order nor their grouping matters.
"""

from collections.abc import Iterable

import numpy as np
from scipy.linalg import qr
from scipy.linalg.lapack import dtpqrt  # pyright: ignore[reportAttributeAccessIssue]

from .._input import InputError
from .._typing import Float

PANEL = 64
"""Columns per panel of the triangular-pentagonal QR (timed at 400 and 1000 columns: 16 and 32 are slower)."""


class Compressor:
    """Streaming QR of rows [A | y]: give rows with `add`, ask for `factor` at any time; holds one factor and one buffer."""

    def __init__(self, columns: int, name: str = "rows"):
        """`columns` of A; `name` says in errors where the rows came from."""
        self.columns = columns
        self.name = name
        self.rows = 0
        self._buffer = np.empty((max(2 * (columns + 1), 2048), columns + 1))
        self._filled = 0
        self._factor = np.zeros((0, columns + 1))

    def add(self, rows: Float[np.ndarray, "m columns"], labels: Float[np.ndarray, " m"]) -> None:
        """Take in m rows and their labels.

        Raises InputError for a wrong number of columns and for a row or label that is not finite.
        """
        if rows.shape[1] != self.columns:
            raise InputError(f"{self.name} must have {self.columns} columns, one per basis function; got {rows.shape[1]}")
        self.add_factor(np.column_stack([rows, labels]), rows=len(rows))

    def add_factor(self, stacked: Float[np.ndarray, "m columns_plus_one"], rows: int) -> None:
        """Take in rows already stacked as [A | y], or a factor that stands for `rows` of them."""
        finite = np.isfinite(stacked)
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            what = "label" if column == self.columns else f"basis function {column}"
            raise InputError(
                f"{self.name} must be finite numbers; the {what} of row {row} is {stacked[row, column]}: check the reference "
                "on that configuration or leave it out"
            )
        self.rows += rows
        start = 0
        while start < len(stacked):
            take = min(len(stacked) - start, len(self._buffer) - self._filled)
            self._buffer[self._filled : self._filled + take] = stacked[start : start + take]
            self._filled += take
            start += take
            if self._filled == len(self._buffer):
                self._fold()

    def factor(self) -> Float[np.ndarray, "k columns_plus_one"]:
        """Upper-triangular R of everything added so far, k = min(rows, columns + 1)."""
        self._fold()
        return self._factor.copy()

    def _fold(self) -> None:
        """Empty the buffer into the factor."""
        if self._filled == 0:
            return
        fresh, width = self._buffer[: self._filled], self._buffer.shape[1]
        if len(self._factor) == width:  # a full triangle on top: half the work of a QR that cannot see its zeros
            joined = dtpqrt(0, min(PANEL, width), np.asfortranarray(self._factor), np.asfortranarray(fresh))[0]
            self._factor = np.ascontiguousarray(np.triu(joined))
        else:
            self._factor = triangle(np.concatenate([self._factor, fresh]))
        self._filled = 0


def triangle(stacked: Float[np.ndarray, "m n"]) -> Float[np.ndarray, "k n"]:
    """The R factor of a matrix, k = min(m, n) rows, upper triangular (or trapezoidal)."""
    if min(stacked.shape) == 0:
        return stacked[:0].copy()
    factor = qr(stacked, mode="r", check_finite=False)[0]
    return np.ascontiguousarray(factor[: min(stacked.shape)])


def join(
    factors: Iterable[Float[np.ndarray, "_ columns_plus_one"]], columns: int, name: str = "rows"
) -> Float[np.ndarray, "_ columns_plus_one"]:
    """The factor of a stack of factors [A | y] with `columns` columns of A."""
    compressor = Compressor(columns, name)
    for factor in factors:
        compressor.add_factor(factor, rows=len(factor))
    return compressor.factor()


def residual_sum(factor: Float[np.ndarray, "k columns_plus_one"], theta: Float[np.ndarray, " columns"]) -> float:
    """Sum of squared residuals ||A theta - y||^2 = ||R [theta; -1]||^2."""
    return float(np.sum((factor[:, :-1] @ theta - factor[:, -1]) ** 2))
