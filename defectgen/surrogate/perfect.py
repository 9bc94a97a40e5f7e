"""The perfect crystal as the surrogates see it: one sorted stencil per sublattice, and the affine ones among its differences."""

from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array, Bool, Float, Int
from ..crystal.cell import Cell, primitive_cell
from ..crystal.lattice import Lattice
from ..energy.bonds import Bonds, bonds, pad
from ..energy.site import SiteEnergy, Stencil
from ..energy.total import stencils


@final
class Sites(eqx.Module):
    """All perfect sites of a periodic cell: who is whose neighbour, slot by slot in the order of the perfect stencils."""

    bonds: Bonds
    sublattice: Int[Array, " rows"]
    whole: Bool[Array, " rows"]
    """Sites that see the perfect crystal's atoms and no others: no vacant or exchanged neighbour, no interstitial."""


def perfect_stencils(lattice: Lattice, energy: SiteEnergy) -> Stencil:
    """The stencils of one primitive cell (a row per sublattice), their slots sorted by separation vector."""
    near, _ = sorted_bonds(primitive_cell(lattice), energy)
    stencil = stencils(pad(primitive_cell(lattice).positions, len(near.index)), lattice.vectors, near)
    return jax.tree.map(lambda a: jax.device_put(np.asarray(a)[: lattice.sublattices]), stencil)


def affine_projection(lattice: Lattice, energy: SiteEnergy, shifts: bool) -> Float[np.ndarray, "sublattices slots slots"]:
    """P = B (B^T B)^+ B^T; columns of B: the slots' separations and, with `shifts`, an indicator of each other sublattice."""
    cell = primitive_cell(lattice)
    near, _ = sorted_bonds(cell, energy)
    mask, index = np.asarray(near.mask), np.asarray(near.index)
    g = np.asarray(stencils(pad(cell.positions, len(index)), lattice.vectors, near).g)
    found = []
    for b in range(lattice.sublattices):
        columns = [np.where(mask[b][:, None], g[b], 0.0)]
        if shifts:
            columns += [
                (mask[b] & (index[b] == other))[:, None].astype(float) for other in range(lattice.sublattices) if other != b
            ]
        frame = np.concatenate(columns, axis=1)
        found.append(frame @ np.linalg.pinv(frame, rcond=1e-10))
    return np.array(found)


def sites_of(cell: Cell, energy: SiteEnergy) -> tuple[Sites, Int[np.ndarray, " sites"]]:
    """The perfect sites under a cell, and the atom on each (-1: none, or one of another species)."""
    perfect = cell.perfect
    near, mask = sorted_bonds(perfect, energy)
    rows = len(near.index)
    atom = np.full(len(perfect), -1)
    on = np.flatnonzero(cell.sites >= 0)
    right = np.array([cell.symbols[a] == perfect.symbols[cell.sites[a]] for a in on], dtype=bool)
    atom[cell.sites[on[right]]] = on[right]
    there = pad(atom >= 0, rows)
    whole = there & np.where(mask, there[np.asarray(near.index)], True).all(axis=1)
    for stranger in np.flatnonzero(cell.sites < 0):
        away = np.linalg.norm(cell.minimum_image(perfect.positions - cell.positions[stranger]), axis=1)
        whole &= pad(away > energy.cutoff, rows)
    return Sites(near, jnp.asarray(pad(perfect.perfect_sites.sublattices, rows)), jnp.asarray(whole)), atom


def sorted_bonds(cell: Cell, energy: SiteEnergy) -> tuple[Bonds, Bool[np.ndarray, "rows slots"]]:
    """Bonds of a perfect cell with the slots of every site sorted by separation vector, x first; padding last."""
    near = bonds(cell.positions, cell.vectors, cell.periodic, cell.symbols, energy)
    mask = np.asarray(near.mask)
    g = np.asarray(stencils(pad(cell.positions, len(mask)), cell.vectors, near).g)
    key = np.round(g, 5) + 0.0  # sites of one sublattice differ by rounding only
    order = np.lexsort((key[..., 2], key[..., 1], key[..., 0], ~mask), axis=1)
    used = int(mask.sum(axis=1).max())  # the list is padded to a few widths; every slot costs, and this width is the crystal's
    place = np.argsort(order, axis=1)  # new slot of an old one
    other, slot = np.divmod(np.asarray(near.reverse), mask.shape[1])
    reverse = other * used + np.minimum(place[other, slot], used - 1)

    def rearranged(array):
        array = np.asarray(array)
        return jnp.asarray(np.take_along_axis(array, order.reshape(*order.shape, *[1] * (array.ndim - 2)), axis=1)[:, :used])

    mended = eqx.tree_at(
        lambda b: (b.index, b.shift, b.mask, b.reverse),
        near,
        (rearranged(near.index), rearranged(near.shift), rearranged(near.mask), rearranged(reverse)),
    )
    return mended, np.asarray(mended.mask)
