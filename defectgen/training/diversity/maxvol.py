"""MaxVol: of many rows the square set whose volume |det| no exchange of one row can raise by more than a tolerance.

With C = A A_active^-1 the volume changes by the factor |C_ij| when row i takes the place of the j-th active row, so the largest
entry says which exchange to make, and at the end |C_ij| <= tolerance: every row is a combination of the active ones with
coefficients of at most that size. Each exchange costs one outer product.
S. A. Goreinov et al., in Matrix Methods: Theory, Algorithms, Applications, World Scientific (2010), p. 247.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr

from ..._input import InputError
from ..._typing import Float, Int

TOLERANCE = 1.01
"""An exchange must gain at least one per cent of volume: finer ones take long and move no grade by more than that."""
REFRESH = 200
"""Exchanges after which C is solved for again: each outer product adds a few roundings times the square of an entry."""


@dataclass(frozen=True, eq=False)
class ActiveRows:
    """Rows of locally largest volume."""

    index: Int[np.ndarray, " m"]
    """Their numbers; the j-th column of `coefficients` belongs to the j-th of them."""
    coefficients: Float[np.ndarray, "n m"]
    """C with rows = C @ rows[index]; no entry is larger than the tolerance."""
    exchanges: int


def maxvol(rows: Float[np.ndarray, "n m"], tolerance: float = TOLERANCE) -> ActiveRows:
    """m of the n rows such that no exchange of one row raises |det| by more than the factor `tolerance`.

    Starts from the pivots of a QR factorisation. Raises InputError for fewer rows than columns, for columns that depend on each
    other, and for a tolerance that is not above one.
    """
    n, m = rows.shape
    if not tolerance > 1:
        raise InputError(f"maxvol exchanges rows as long as the volume grows by a factor above 1; got tolerance {tolerance!r}")
    if n < m:
        raise InputError(f"a square set of rows wants at least as many rows as columns; got {n} rows for {m} columns")
    if not np.all(np.isfinite(rows)):
        raise InputError(f"rows must be finite; {int(np.sum(~np.isfinite(rows)))} of {rows.size} numbers are not")
    r, order = qr(rows.T, mode="r", pivoting=True, check_finite=False)  # pyright: ignore[reportAssignmentType]
    pivots = np.abs(np.diag(r))
    if m and not pivots[-1] > m * np.finfo(float).eps * pivots[0]:
        raise InputError(f"the {m} columns are not independent on these {n} rows, so every square set has volume zero")
    index, exchanges = np.array(order[:m]), 0
    while True:
        c = np.linalg.solve(rows[index].T, rows.T).T
        for _ in range(REFRESH):
            row, column = np.unravel_index(np.argmax(np.abs(c)), c.shape)
            if np.isnan(c[row, column]):
                raise InputError(
                    f"the {m} columns are too nearly dependent on these {n} rows: the volume cannot be told from rounding"
                )
            if abs(c[row, column]) <= tolerance:
                return ActiveRows(index, c, exchanges)
            change = c[row].copy()
            change[column] -= 1.0
            c -= np.outer(c[:, column] / c[row, column], change)
            index[column] = row
            exchanges += 1
