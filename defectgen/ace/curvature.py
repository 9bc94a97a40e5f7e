"""d2B/dA dA where it is not zero: of every function a small matrix over the one-particle sums that it is made of."""

from itertools import combinations
from math import prod

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array, Float, Int
from .slopes import Slopes, products
from .sparse import Table, rows_of
from .specification import Tables


class Curvature(eqx.Module):
    """The matrix (d2B/dA_v dA_w) of every function, v and w among its own one-particle sums.

    An entry is a sum of products with two factors left out: few numbers, so they are scattered, which is quick to compile.
    Functions are in the order of `Slopes.along`.
    """

    support: Table = eqx.field(static=True)
    """The one-particle sums of each function (functions, width), padded with the number of all of them."""
    monomials: Table = eqx.field(static=True)
    product: Table = eqx.field(static=True)
    """Of every term the product of the factors left over, and where it goes: each pair (v, w) of factors once."""
    place: Table = eqx.field(static=True)
    weight: Float[Array, " terms"]
    function: Table = eqx.field(static=True)
    pair: Table = eqx.field(static=True)
    """The function of each term, and (v, w) counted through all one-particle sums."""
    one: int = eqx.field(static=True)

    def __init__(self, table: Tables, slopes: Slopes):
        one, count = len(table.one_particle), len(table.functions)
        factor, function = np.divmod(slopes.target.array, count)
        function = slopes.place[function]
        order = np.lexsort((factor, function))
        factor, function = factor[order], function[order]
        rank = np.arange(len(function)) - np.searchsorted(function, function)
        support = np.full((count, rank.max() + 1), one)
        support[function, rank] = factor
        entry, first, second, others = pairs_left_out(table)
        owner = slopes.place[table.function[entry]]
        row = np.searchsorted(function * one + factor, [owner * one + first, owner * one + second])
        distinct, product = np.unique(others, axis=0, return_inverse=True)
        self.support, self.monomials, self.product = Table(support), Table(distinct), Table(product.ravel())
        self.place = Table((owner * support.shape[1] + rank[row[0]]) * support.shape[1] + rank[row[1]])
        self.weight = jax.device_put(table.coefficient[entry])
        self.function, self.pair, self.one = Table(owner), Table(first * one + second), one

    def __call__(self, a: Float[Array, "one sites"]) -> Float[Array, "sites functions width width"]:
        """The matrices at the sums A of each site."""
        count, width = self.support.array.shape
        return self._scattered(self._terms(a), self.place, (count, width, width))

    def summed(self, a: Float[Array, "one sites"], weights: Float[Array, "functions sites"]) -> Float[Array, "sites one one"]:
        """The same for a sum of functions, over all one-particle sums."""
        return self._scattered(self._terms(a) * rows_of(weights, self.function.array), self.pair, (self.one, self.one))

    def _terms(self, a: Float[Array, "one sites"]) -> Float[Array, "terms sites"]:
        return self.weight[:, None] * rows_of(products(a, self.monomials), self.product.array)

    def _scattered(self, terms: Float[Array, "terms sites"], place: Table, shape: tuple[int, ...]) -> Array:
        """Terms added up where they belong, in matrices and their transposes."""
        half = jnp.zeros((prod(shape), terms.shape[1]), terms.dtype).at[place.array].add(terms)
        half = half.T.reshape(-1, *shape)
        return half + jnp.swapaxes(half, -2, -1)


def pairs_left_out(
    table: Tables,
) -> tuple[Int[np.ndarray, " terms"], Int[np.ndarray, " terms"], Int[np.ndarray, " terms"], Int[np.ndarray, "terms others"]]:
    """Every pair of factors of every entry: the entry, both factors, and the monomial of the others."""
    one, order = len(table.one_particle), table.monomials.shape[1]
    every, left = table.monomials[table.monomial], max(order - 2, 1)
    nothing = np.zeros(0, dtype=int)
    entry, first, second, others = [nothing], [nothing], [nothing], [nothing.reshape(0, left)]
    for s, t in combinations(range(order), 2):
        live = np.flatnonzero((every[:, s] < one) & (every[:, t] < one))
        rest = every[live]
        rest[:, [s, t]] = one  # the factor 1
        entry.append(live)
        first.append(every[live, s])
        second.append(every[live, t])
        others.append(np.sort(rest, axis=1)[:, :left])
    return np.concatenate(entry), np.concatenate(first), np.concatenate(second), np.concatenate(others)
