"""A function of rows carried out chunk by chunk: its work arrays stay in cache, memory does not grow, padding is skipped."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from .._typing import Anywhere, Array, Int

Part = tuple[int | Array, int]
"""Some rows that follow each other: the first one, and their number."""


def part_of(array: Anywhere, part: Part | None) -> Array:
    """These rows of an array, or all of it."""
    return jnp.asarray(array) if part is None else jax.lax.dynamic_slice_in_dim(array, *part)


def over_rows(function: Callable[[Part], Any], rows: int, chunk: int, live: Int[Anywhere, ""] | None = None):
    """`function` of every chunk of the rows, results joined.

    With `live`, only chunks with one of the first `live` rows are computed, and rows of the others are zero: then padding costs
    memory and no time. (The last chunk ends with the rows: what it shares with the one before is computed twice alike.)
    """
    if rows <= chunk:
        return function((0, rows))
    one = jax.jit(lambda start: function((start, chunk)))  # traced once: for the shapes of the results, and for the results

    def step(k, done):
        return jax.tree.map(partial(_put, start=k * chunk), done, one(k * chunk))

    nothing = jax.tree.map(lambda a: jnp.zeros((rows, *a.shape[1:]), a.dtype), jax.eval_shape(one, 0))
    return jax.lax.fori_loop(0, -(-(rows if live is None else live) // chunk), step, nothing)


def over_sites(function, tree, rows: int, chunk: int, live: Int[Anywhere, ""] | None = None):
    """The same for a function of the arrays of a tree, cut along their leading axis."""
    return over_rows(lambda part: function(jax.tree.map(lambda a: part_of(a, part), tree)), rows, chunk, live)


def _put(array: Array, rows: Array, start: Array) -> Array:
    return jax.lax.dynamic_update_slice_in_dim(array, rows, start, 0)
