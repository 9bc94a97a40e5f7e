"""Compression of rows: R factors of blocks, joined, and how they were made.

With [A | y] = Q R and Q'Q = 1, ||A theta - y|| = ||R [theta; -1]|| for every theta, so rows may be forgotten. The factor of a
stack is the factor of its stacked factors (Demmel, Grigori, Hoemmen, Langou, SIAM J. Sci. Comput. 34, A206 (2012)), so memory
never grows with the number of rows and neither their order nor their grouping matters.

The first rows are reduced by Householder's QR; their factor makes the Gram matrix of later rows harmless (`gram`), which takes
less time. Rows unlike all before are refused there and reduced by Householder's QR. `Compressor.reduction` says what was done.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr
from scipy.linalg.lapack import dtpqrt  # pyright: ignore[reportAttributeAccessIssue]

from .._input import InputError
from .._typing import Float, Int
from .gram import Gram, condition

# ------ Which way rows went when they were reduced: a record that travels with their block


@dataclass(frozen=True)
class Reduction:
    """How many rows were reduced in which way (theory: fit/compression), and what was found on it."""

    householder: int = 0
    """Rows by Householder's QR."""
    solved: int = 0
    """Rows by the Gram matrix of A R_0^-1, with R_0 the factor of earlier rows."""
    plain: int = 0
    """Rows by the Gram matrix of A itself, its columns being well conditioned."""
    condition: float = float("nan")
    """Estimated 2-norm condition of A with columns of unit length; inf if singular, NaN if not requested."""

    def __add__(self, other: "Reduction") -> "Reduction":
        """Both together; a condition belongs to one set of rows, so the larger is kept as a record of what was met."""
        counts = (self.householder + other.householder, self.solved + other.solved, self.plain + other.plain)
        return Reduction(*counts, float(np.fmax(self.condition, other.condition)))


# ------ Rows compressed as they come: the R factor of [A | y] contains everything that least squares needs of the rows

CHUNK = 1024
"""Rows that are multiplied at once when a factor is there: fewer are slower, more only take memory (timed at 1000 columns)."""
PANEL = 64
"""Columns per panel of the triangular-pentagonal QR (timed at 400 and 1000 columns: 16 and 32 are slower)."""


class Compressor:
    """Streaming QR of rows [A | y]: add rows with `add`, get `factor` at any time; holds two triangles and one buffer."""

    def __init__(self, columns: int, name: str = "rows"):
        """`columns` of A; `name` says in errors where the rows came from."""
        self.columns = columns
        self.name = name
        self.rows = 0
        self._buffer = np.empty((max(2 * (columns + 1), 2048), columns + 1))
        self._filled = 0
        self._room = len(self._buffer)
        self._taken = 0
        self._seen = np.zeros(columns + 1, dtype=bool)
        """Columns that were not zero in every row so far: the others (one-body energies, in rows of forces) are left out."""
        self._live: slice | Int[np.ndarray, " live"] = slice(0, 0)
        """The same as an index."""
        self._factor = np.zeros((0, 0))
        """Of the columns so far."""
        self._gram: Gram | None = None
        self._counts = {"householder": 0, "solved": 0, "plain": 0}

    def add(self, rows: Float[np.ndarray, "m columns"], labels: Float[np.ndarray, " m"]) -> None:
        """Take in m rows and their labels.

        Raises InputError for a wrong number of columns and for a row or label that is not finite.
        """
        if rows.shape[1] != self.columns:
            raise InputError(f"{self.name} must have {self.columns} columns, one per basis function; got {rows.shape[1]}")
        self._check(rows, labels)
        self._take(rows, labels)
        self.rows += len(rows)

    def add_factor(self, stacked: Float[np.ndarray, "m columns_plus_one"], rows: int) -> None:
        """Take in rows already stacked as [A | y], or a factor that represents `rows` of them."""
        self._check(stacked[:, :-1], stacked[:, -1])
        self._take(stacked[:, :-1], stacked[:, -1])
        self.rows += rows

    def factor(self) -> Float[np.ndarray, "k columns_plus_one"]:
        """Upper-triangular R of everything added so far, k = min(rows, columns + 1)."""
        self._fold()
        self._close()
        if self._seen.all():
            return self._factor.copy()
        width, seen = self.columns + 1, np.flatnonzero(self._seen)
        full = np.zeros((min(self._taken, width), width))
        place = seen if len(full) == width else np.arange(len(self._factor))
        full[np.ix_(place, seen)] = self._factor
        return full

    def reduction(self) -> Reduction:
        """How the rows of `factor` were reduced; factors that were added count their own rows."""
        found = condition(self.factor())  # which also empties the buffer, so that all rows are counted
        return Reduction(**self._counts, condition=found)

    def _check(self, rows: np.ndarray, labels: np.ndarray) -> None:
        """Raise InputError for what is not finite."""
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(rows.sum() + labels.sum()):  # one pass without a mask; an overflow only costs the second look
                return
        stacked = np.column_stack([rows, labels])
        finite = np.isfinite(stacked)
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            what = "label" if column == self.columns else f"basis function {column}"
            raise InputError(
                f"{self.name} must be finite numbers; the {what} of row {row} is {stacked[row, column]}: check the reference "
                "on that configuration or leave it out"
            )

    def _take(self, rows: np.ndarray, labels: np.ndarray) -> None:
        """Through the buffer into the factor."""
        start = 0
        self._taken += len(rows)
        while start < len(rows):
            take = min(len(rows) - start, self._room - self._filled)
            part = self._buffer[self._filled : self._filled + take]
            part[:, :-1] = rows[start : start + take]
            part[:, -1] = labels[start : start + take]
            self._filled += take
            start += take
            if self._filled == self._room:
                self._fold()

    def _fold(self) -> None:
        """Empty the buffer into the Gram matrix if its factor covers such rows, else into the factor."""
        if self._filled == 0:
            return
        fresh = self._buffer[: self._filled]
        self._filled = 0
        self._meet(fresh)
        fresh = fresh[:, self._live]
        width = fresh.shape[1]
        if len(self._factor) < width or not width:
            self._factor = triangle(np.concatenate([self._factor, fresh]))
            self._room = CHUNK if len(self._factor) == width else self._room
            self._counts["householder"] += len(fresh)
            return
        if self._gram is not None and self._enter(self._gram, fresh):
            return
        self._close()  # full of such rows, perhaps: what it has learned makes a better start
        self._gram = Gram(self._factor, bool(self._seen[-1]))
        if self._enter(self._gram, fresh):
            return
        self._gram = None
        # a full triangle on top: half the work of a QR that cannot see its zeros
        joined = dtpqrt(0, min(PANEL, width), np.asfortranarray(self._factor), np.asfortranarray(fresh))[0]
        self._factor = np.ascontiguousarray(np.triu(joined))
        self._counts["householder"] += len(fresh)

    def _meet(self, fresh: np.ndarray) -> None:
        """Make room in the factor for columns that are not zero for the first time."""
        missing = np.flatnonzero(~self._seen)
        found = missing[fresh[:, missing].any(axis=0)]
        if not found.size:
            return
        self._close()
        before = self._seen.copy()
        self._seen[found] = True
        wider = np.zeros((len(self._factor), int(self._seen.sum())))
        wider[:, before[self._seen]] = self._factor
        self._factor = wider
        live = np.flatnonzero(self._seen)
        together = live[-1] - live[0] + 1 == len(live)
        self._live = slice(int(live[0]), int(live[-1]) + 1) if together else live

    def _enter(self, gram: Gram, fresh: np.ndarray) -> bool:
        """Whether the Gram matrix took the rows; if so they are counted."""
        taken = gram.add(fresh)
        self._counts["solved" if gram.solved else "plain"] += taken * len(fresh)
        return taken

    def _close(self) -> None:
        """The Gram matrix becomes the factor."""
        if self._gram is not None:
            self._factor, self._gram = self._gram.factor(), None


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


def compressed(stacked: Float[np.ndarray, "m n"], name: str = "rows") -> Float[np.ndarray, "k n"]:
    """The same as `triangle`, streamed where that is faster."""
    if len(stacked) <= 2 * stacked.shape[1] + CHUNK:
        return triangle(stacked)
    compressor = Compressor(stacked.shape[1] - 1, name)
    compressor.add_factor(stacked, len(stacked))
    return compressor.factor()


def residual_sum(factor: Float[np.ndarray, "k columns_plus_one"], theta: Float[np.ndarray, " columns"]) -> float:
    """Sum of squared residuals ||A theta - y||^2 = ||R [theta; -1]||^2."""
    return float(np.sum((factor[:, :-1] @ theta - factor[:, -1]) ** 2))
