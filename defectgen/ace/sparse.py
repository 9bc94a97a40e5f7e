"""Sparse sums y_t = sum_e w_e x_{s_e} over the entries e of a target t, laid out so that a compiler makes fused loops of them.

Targets are sorted into bins by their number of entries and every bin is padded to one width: a bin is then a short sum of gathers
along the leading axis, and the trailing axis is contiguous. A target with more than WIDEST entries is split into parts, which a
second sum joins. (A scatter, the other way to write this, runs entry by entry.)
"""

from hashlib import sha256

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array, Float, Int

WIDEST = 24
"""Entries summed by one fused loop: more are longer to compile and not faster."""

STEPS = (1, 2, 3, 4, 6, 8, 12, 16, WIDEST)
"""Widths of the bins; between two of them targets are padded."""


def rows_of(x: Float[Array, " rows *inner"], index: Int[Array | np.ndarray, " chosen"]) -> Float[Array, " chosen *inner"]:
    """x[index] for indices that are known to be there: without the test for it a loop over the inner axes is a vector loop."""
    return x.at[index].get(mode="promise_in_bounds")


class Table:
    """An index table that is part of a program and not of its input: compilers see through constants, in half the time.

    Equal to every table of the same content, so what is compiled for one basis serves an equal one.
    """

    def __init__(self, array: Int[np.ndarray, "*shape"]):
        self.array = np.ascontiguousarray(array, dtype=np.int32)
        self.array.flags.writeable = False
        self._content = (self.array.shape, sha256(self.array.tobytes()).digest())
        self._hash = hash(self._content)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Table) and self._content == other._content)

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self):
        return Table, (self.array,)


class Layout(eqx.Module):
    """Where entries go: bins of (width, members) entry numbers, padded with the number of entries; and where targets come out."""

    bins: tuple[Table, ...] = eqx.field(static=True)
    place: Table = eqx.field(static=True)
    """Row of every target in the joined bins; the row after the last one for a target without entries."""
    parts: "Layout | None"
    """How parts of long targets are joined (its entries are the rows of the bins); None if no target is long."""

    def __init__(self, target: Int[np.ndarray, " entries"], targets: int, widest: int = WIDEST):
        order = np.argsort(target, kind="stable")
        starts = np.searchsorted(target[order], np.arange(targets + 1))
        owner, chunks = [], []
        for t in range(targets):
            mine = order[starts[t] : starts[t + 1]]
            for begin in range(0, len(mine), widest):
                owner.append(t)
                chunks.append(mine[begin : begin + widest])
        widths = np.array([next((s for s in STEPS if s >= len(c)), len(c)) for c in chunks], dtype=int)
        bins, rows = [], []
        for width in np.unique(widths):
            members = np.flatnonzero(widths == width)
            table = np.full((width, len(members)), len(target))
            for k, m in enumerate(members):
                table[: len(chunks[m]), k] = chunks[m]
            bins.append(Table(table))
            rows.append(members)
        joined = np.array(owner, dtype=int)[np.concatenate(rows)] if rows else np.zeros(0, dtype=int)
        self.bins = tuple(bins)
        if len(np.unique(joined)) == len(joined):
            place = np.full(targets, len(joined))
            place[joined] = np.arange(len(joined))
            self.place, self.parts = Table(place), None
        else:
            self.place, self.parts = Table(np.arange(targets)), Layout(joined, targets)

    def spread(self, values: Float[np.ndarray, " entries"]) -> tuple[Float[Array, "width members"], ...]:
        """One number of every entry in the shape of the bins, zero on padding."""
        values = np.append(values, 0.0)
        return tuple(jax.device_put(values[b.array]) for b in self.bins)

    def spread_indices(self, indices: Int[np.ndarray, " entries"]) -> tuple[Table, ...]:
        """One index of every entry in the shape of the bins, 0 on padding."""
        indices = np.append(indices, 0)
        return tuple(Table(indices[b.array]) for b in self.bins)

    def join(self, rows: Float[Array, " rows *inner"]) -> Float[Array, " targets *inner"]:
        """From the joined bins to the targets."""
        rows = jnp.concatenate([rows, jnp.zeros_like(rows[:1])])
        if self.parts is None:
            return rows_of(rows, self.place.array)
        return self.parts.join(jnp.concatenate([sum(rows_of(rows, k) for k in b.array) for b in self.parts.bins]))


class SparseSum(eqx.Module):
    """y = M x for a sparse matrix M (targets, sources) with the given entries, applied along the leading axis."""

    layout: Layout
    source: tuple[Table, ...] = eqx.field(static=True)
    weight: tuple[Float[Array, "width members"], ...]

    def __init__(self, layout: Layout, source: tuple[Table, ...], weight: Float[np.ndarray, " entries"]):
        self.layout, self.source, self.weight = layout, source, layout.spread(weight)

    def __call__(self, x: Float[Array, "sources sites"]) -> Float[Array, "targets sites"]:
        rows = [
            sum(w[:, None] * rows_of(x, s) for w, s in zip(weight, source.array, strict=True))
            for weight, source in zip(self.weight, self.source, strict=True)
        ]
        return self.layout.join(jnp.concatenate(rows))
