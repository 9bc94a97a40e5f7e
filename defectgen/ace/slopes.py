"""Products of one-particle sums A, dB/dA and d2B/dA dA: functions with one or two factors left out are such products."""

from itertools import combinations
from math import prod

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array, Float, Int
from .sparse import Layout, SparseSum, Table, rows_of
from .specification import Tables


def products(a: Float[Array, "one sites"], monomials: Table) -> Float[Array, "monomials sites"]:
    """prod_t A[monomials[:, t]] for a table of monomials, with index `one` standing for the factor 1."""
    a = jnp.concatenate([a, jnp.ones_like(a[:1])])
    first, *others = monomials.array.T
    result = rows_of(a, first)
    for factor in others:
        result = result * rows_of(a, factor)
    return result


def factors_left_out(
    table: Tables,
) -> tuple[Int[np.ndarray, " terms"], Int[np.ndarray, " terms"], Int[np.ndarray, "terms order"]]:
    """Every factor of every monomial: the monomial, the factor, and the monomial of the others."""
    one, order = len(table.one_particle), table.monomials.shape[1]
    monomial, factor, others = [], [], []
    for t in range(order):
        live = np.flatnonzero(table.monomials[:, t] < one)
        rest = table.monomials[live]
        rest[:, t] = one  # the factor 1
        monomial.append(live)
        factor.append(table.monomials[live, t])
        others.append(np.sort(rest, axis=1)[:, : max(order - 1, 1)])
    return np.concatenate(monomial), np.concatenate(factor), np.concatenate(others)


class Polynomial(eqx.Module):
    """The pattern of dV/dA for V = sum_p w_p prod A: the slope of every factor, for monomials of each order apart."""

    monomials: Table = eqx.field(static=True)
    layout: Layout
    product: tuple[Table, ...] = eqx.field(static=True)
    monomial: Table = eqx.field(static=True)

    def __init__(self, table: Tables):
        monomial, factor, others = factors_left_out(table)
        one = len(table.one_particle)
        distinct, product = np.unique(others, axis=0, return_inverse=True)
        order = (table.monomials < one).sum(axis=1)[monomial]
        self.monomials = Table(distinct)
        self.layout = Layout((order - 1) * one + factor, int(order.max()) * one)
        self.product, self.monomial = self.layout.spread_indices(product.ravel()), Table(monomial)

    def weighted(self, weights: Float[np.ndarray, " monomials"]) -> SparseSum:
        """From products to the slopes, (order, one) counted through, for these weights."""
        return SparseSum(self.layout, self.product, weights[self.monomial.array])


class Slopes(eqx.Module):
    """dB_c/dA_v where it is not zero, and sum_v dB_c/dA_v x_v for many vectors x at once."""

    monomials: Table = eqx.field(static=True)
    filled: SparseSum
    """From products to the entries of dB/dA that are not zero."""
    layout: Layout
    """How these belong to functions."""
    factor: tuple[Table, ...] = eqx.field(static=True)
    order: Float[Array, " functions"]
    """Of each function, in the order in which `along` gives them."""
    one: int = eqx.field(static=True)
    target: Table = eqx.field(static=True)
    """Place of each entry that is not zero in the full matrix (one, functions)."""

    def __init__(self, table: Tables):
        one, count = len(table.one_particle), len(table.functions)
        monomial, factor, others = factors_left_out(table)
        distinct, product = np.unique(others, axis=0, return_inverse=True)
        terms_of = [[] for _ in range(len(table.monomials))]
        for term, m in enumerate(monomial):
            terms_of[m].append(term)
        entry = np.repeat(np.arange(len(table.function)), [len(terms_of[m]) for m in table.monomial])
        term = np.concatenate([terms_of[m] for m in table.monomial])
        target, place = np.unique(factor[term] * count + table.function[entry], return_inverse=True)
        self.monomials = Table(distinct)
        filled = Layout(place.ravel(), len(target))
        self.filled = SparseSum(filled, filled.spread_indices(product.ravel()[term]), table.coefficient[entry])
        self.layout = Layout(target % count, count, widest=one)
        self.factor = self.layout.spread_indices(target // count)
        self.one, self.target = one, Table(target)
        order = np.empty(count)
        order[self.layout.place.array] = [f.order for f in table.functions]
        self.order = jax.device_put(order)

    @property
    def place(self) -> Int[np.ndarray, " functions"]:
        """Row of every function in the order in which `along` gives them."""
        return self.layout.place.array

    def __call__(self, a: Float[Array, "one sites"]) -> Float[Array, "one functions sites"]:
        """dB/dA in full, functions in the order of the tables."""
        filled = self.filled(products(a, self.monomials))
        count = len(self.order)
        full = jnp.zeros((self.one * count, a.shape[1]), a.dtype)
        return full.at[self.target.array].set(filled, unique_indices=True, indices_are_sorted=True).reshape(self.one, count, -1)

    def summed(self, a: Float[Array, "one sites"], weights: Float[Array, "functions sites"]) -> Float[Array, "one sites"]:
        """sum_c w_c dB_c/dA, functions in the order of the tables."""
        factor, function = np.divmod(self.target.array, len(self.order))
        terms = self.filled(products(a, self.monomials)) * rows_of(weights, function)
        return jnp.zeros_like(a).at[factor].add(terms)

    def along(
        self, a: Float[Array, "one sites"], x: Float[Array, "sites one columns"]
    ) -> Float[Array, "sites functions columns"]:
        """sum_v dB_c/dA_v x_v, the functions in an order of their own."""
        filled = self.filled(products(a, self.monomials))
        filled = jnp.concatenate([filled, jnp.zeros_like(filled[:1])]).T
        rows = [
            sum(rows_of_each(filled, e)[:, :, None] * rows_of_each(x, v) for e, v in zip(entry.array, factor.array, strict=True))
            for entry, factor in zip(self.layout.bins, self.factor, strict=True)
        ]
        return jnp.concatenate(rows, axis=1)


def rows_of_each(x: Float[Array, "sites rows *inner"], index: Int[np.ndarray, " chosen"]) -> Float[Array, "sites chosen *inner"]:
    """x[:, index] for indices that are known to be there."""
    return x.at[:, index].get(mode="promise_in_bounds")


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
