"""Hessian products at one place, several of them: what they share is computed once, and the compiled kernel does the rest."""

from collections.abc import Callable
from math import prod
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import kernel
from .._typing import Anywhere, Array, Bool, Float, Int
from .bonds import Bonds, Part, over_rows
from .forms import SumEnergy
from .native import host_cell, native_of
from .site import SiteEnergy, Stencil

MEMORY = 2**28
"""Bytes of the factors at most: those of 32,000 atoms with 64 neighbours."""

Product = Callable[[Float[np.ndarray, "atoms 3"]], Float[np.ndarray, "atoms 3"]]


def prepared_hessian(
    energy: SiteEnergy,
    x: Float[Anywhere, "rows 3"],
    vectors: Float[Anywhere, "3 3"],
    bonds: Bonds,
    counted: Bool[Anywhere, " first"] | None = None,
) -> Product | None:
    """v -> (d2E/dx2) v of a function of sums over neighbours.

    Parameters
    ----------
    energy : SiteEnergy
        The potential.
    x : array, (rows, 3)
        Padded positions, A.
    vectors : array, (3, 3)
        Box vectors as rows, A.
    bonds : Bonds
        The neighbour list.
    counted : bool array, (first,), optional
        Marks the sites whose energy counts, which come first, as for `hessian_product`.

    Returns
    -------
    callable or None
        Takes one field on the atoms, or on all rows. None where `hessian_product` has to serve: for other potentials, without
        the compiled kernel, and where the factors would take too much memory.
    """
    if not isinstance(energy, SumEnergy) or kernel.missing() is not None:
        return None
    rows, slots = bonds.index.shape
    first = rows if counted is None else len(counted)
    sums = _sums(energy)
    if sums > kernel.MOST or first * slots * 8 * (sums + 5 if energy.by_distance else 3 * sums + 6) > MEMORY:
        return None
    live = np.asarray(np.sum(np.asarray(bonds.real if counted is None else counted)))
    native = native_of(energy, x, vectors)
    found = None if native is None else native.factors(host_cell(x, vectors, bonds, counted), first)
    if found is None:
        found = _factors(energy, x, vectors, bonds, first, live)
    factors, curvature = (np.asarray(a) for a in found)
    index, sites, radial = np.asarray(bonds.index), int(live), energy.by_distance
    return lambda v: kernel.product_of_sums(index, factors, curvature, v, sites, radial)


def _sums(energy: SumEnergy) -> int:
    """Number of its sums, traced once for potentials of one kind."""
    kind = jax.tree.structure(energy)
    if kind not in _SUMS:
        one = Stencil(jnp.full((1, 1, 3), energy.cutoff), jnp.zeros(1, dtype=int), jnp.zeros((1, 1), dtype=int))
        _SUMS[kind] = sum(prod(term.shape[2:]) for term in jax.eval_shape(energy.terms, one))
    return _SUMS[kind]


_SUMS: dict[Any, int] = {}


@eqx.filter_jit
def _factors(
    energy: SumEnergy,
    x: Float[Anywhere, "rows 3"],
    vectors: Float[Anywhere, "3 3"],
    bonds: Bonds,
    first: int,
    live: Int[Anywhere, ""],
) -> tuple[Float[Array, "first numbers slots"], Float[Array, "first sums sums"]]:
    """The factors of the first rows."""

    def factors(part: Part):
        return energy.factors(bonds.stencil(x, vectors, part))

    return over_rows(factors, first, energy.chunk, live)
