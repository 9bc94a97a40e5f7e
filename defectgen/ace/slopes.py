"""Products of one-particle sums A, and dB/dA: every entry of a function, with one factor left out, is one such product."""

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
