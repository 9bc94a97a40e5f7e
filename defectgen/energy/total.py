"""Sums of site energies over a cell: energy, forces, virial and Hessian-vector products, in chunks of sites.

With D the difference operator of the cell and V the site energy,
    E = sum_l V(Dx(l)),   dE/dx = D^T V'(Dx),   (d2E/dx2) v = D^T V''(Dx) Dv,   dE/dF = sum_l sum_rho V'_rho (x) g_rho.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Anywhere, Array, Bool, Float, Int
from .bonds import Bonds, Part, over_rows, over_sites, part_of
from .forms import PackedBasis, PackedHessian
from .native import host_cell, native_of
from .site import SiteEnergy, Stencil


@eqx.filter_jit
def stencils(x: Float[Anywhere, "rows 3"], vectors: Float[Anywhere, "3 3"], bonds: Bonds) -> Stencil:
    """The stencils of all rows."""
    return bonds.stencil(x, vectors)


@eqx.filter_jit
def site_energies(
    energy: SiteEnergy, x: Float[Anywhere, "rows 3"], vectors: Float[Anywhere, "3 3"], bonds: Bonds
) -> Float[Array, " rows *channels"]:
    """Energy of every site.

    Parameters
    ----------
    energy : SiteEnergy
        A potential or a basis.
    x : array, (rows, 3)
        Padded positions, A.
    vectors : array, (3, 3)
        Box vectors as rows, A.
    bonds : Bonds
        The neighbour list.

    Returns
    -------
    array, (rows, ...)
        eV; zero on padding rows, with trailing channels for a basis.
    """
    values = over_rows(lambda part: energy(bonds.stencil(x, vectors, part)), len(x), energy.chunk, bonds.count)
    return jnp.where(bonds.real.reshape(-1, *[1] * (values.ndim - 1)), values, 0.0)


HESSIAN_BYTES = 2**17
"""Bytes of site Hessians computed at once: the arrays that they are made with are some times larger, and stay in cache."""


def site_hessians(energy: SiteEnergy, stencil: Stencil) -> Float[Anywhere, "sites slots 3 slots 3 *channels"]:
    """Second derivatives of every site energy in its own stencil, eV/A^2, by its own compiled code where there is some."""
    native = native_of(energy, stencil.g, stencil.centre)
    found = None if native is None else native.site_hessians(stencil)
    return _site_hessians(energy, stencil) if found is None else found


@eqx.filter_jit
def _site_hessians(energy: SiteEnergy, stencil: Stencil) -> Float[Array, "sites slots 3 slots 3 *channels"]:
    return energy.hessian(stencil)


@eqx.filter_jit
def site_blocks(energy: SiteEnergy, stencil: Stencil, live: Int[Anywhere, ""]) -> Float[Array, "sites atoms atoms 3 3"]:
    """D^T V'' D of the first `live` sites of a scalar potential, eV/A^2: second derivatives in the positions of its neighbours
    and its own, which comes last."""

    def blocks(stencil):
        inner = jnp.swapaxes(energy.hessian(stencil), 2, 3)
        rows = jnp.concatenate([inner, -jnp.sum(inner, axis=1, keepdims=True)], axis=1)
        return jnp.concatenate([rows, -jnp.sum(rows, axis=2, keepdims=True)], axis=2)

    sites, slots = stencil.neighbour.shape
    return over_sites(blocks, stencil, sites, max(1, HESSIAN_BYTES // (72 * slots**2)), live)


@eqx.filter_jit
def packed_hessians(energy: PackedBasis, stencil: Stencil) -> PackedHessian:
    """The same for every function of a packed basis, as products."""
    return energy.packed_hessian(stencil)


def energy_forces_virial(
    energy: SiteEnergy, x: Float[Anywhere, "rows 3"], vectors: Float[Anywhere, "3 3"], bonds: Bonds
) -> tuple[Float[Anywhere, " rows"], Float[Anywhere, "rows 3"], Float[Anywhere, "3 3"]]:
    """Site energies, forces and virial of a scalar potential, by its own compiled code where there is some.

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

    Returns
    -------
    energies : array, (rows,)
        eV.
    forces : array, (rows, 3)
        eV/A.
    virial : array, (3, 3)
        -dE/dF at F = 1, eV.
    """
    native = native_of(energy, x, vectors)
    if native is not None:
        return native.sums(host_cell(x, vectors, bonds))
    return _energy_forces_virial(energy.compact, x, vectors, bonds)


@eqx.filter_jit
def _energy_forces_virial(
    energy: SiteEnergy, x: Float[Anywhere, "rows 3"], vectors: Float[Anywhere, "3 3"], bonds: Bonds
) -> tuple[Float[Array, " rows"], Float[Array, "rows 3"], Float[Array, "3 3"]]:
    def jets(part: Part):
        stencil, mask = bonds.stencil(x, vectors, part), part_of(bonds.mask, part)[..., None]
        mask = mask & part_of(bonds.real, part)[:, None, None]
        values, p = energy.gradient(stencil)
        p = jnp.where(mask, p, 0.0)
        return values, p, jnp.einsum("ska,skb->sab", p, jnp.where(mask, stencil.g, 0.0))

    values, p, moment = over_rows(jets, len(x), energy.chunk, bonds.count)
    virial = -jnp.sum(moment, axis=0)
    return jnp.where(bonds.real, values, 0.0), -bonds.transpose(p), virial


def hessian_product(
    energy: SiteEnergy,
    x: Float[Anywhere, "rows 3"],
    vectors: Float[Anywhere, "3 3"],
    bonds: Bonds,
    v: Float[Anywhere, "*vectors rows 3"],
    counted: Bool[Anywhere, " first"] | None = None,
) -> Float[Anywhere, "*vectors rows 3"]:
    """(d2E/dx2) v of a scalar potential, by its own compiled code where there is some.

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
    v : array, (..., rows, 3)
        One vector or many. Many are taken one by one within each chunk of sites, so that what they share is computed once and
        stays
        in cache.
    counted : bool array, (first,), optional
        Marks the sites whose energy counts; it covers the first rows, and the others are not evaluated.

    Returns
    -------
    array, (..., rows, 3)
        eV/A^2 times the unit of v.
    """
    native = native_of(energy, x, vectors, v)
    if native is not None:
        several = np.asarray(v, dtype=float).reshape(-1, *np.shape(x))
        found = native.products(host_cell(x, vectors, bonds, counted), several)
        if found is not None:
            return found.reshape(np.shape(v))
    return _hessian_product(energy.compact, x, vectors, bonds, v, counted)


@eqx.filter_jit
def _hessian_product(
    energy: SiteEnergy,
    x: Float[Anywhere, "rows 3"],
    vectors: Float[Anywhere, "3 3"],
    bonds: Bonds,
    v: Float[Anywhere, "*vectors rows 3"],
    counted: Bool[Anywhere, " first"] | None,
) -> Float[Array, "*vectors rows 3"]:
    many = v.reshape(-1, *x.shape)

    def products(part: Part):
        dg = jax.vmap(lambda v: bonds.difference(v, part))(many)
        return jnp.moveaxis(energy.hessian_products(bonds.stencil(x, vectors, part), dg), 0, 1)

    first, live = (len(x), bonds.count) if counted is None else (len(counted), jnp.sum(counted))
    p = over_rows(products, first, energy.chunk, live)
    if counted is not None:
        p = jnp.zeros((len(x), *p.shape[1:])).at[:first].set(jnp.where(counted[:, None, None, None], p, 0.0))
    return jax.vmap(bonds.transpose, in_axes=1)(p).reshape(v.shape)


@eqx.filter_jit
def channel_rows(
    energy: SiteEnergy,
    x: Float[Anywhere, "rows 3"],
    vectors: Float[Anywhere, "3 3"],
    bonds: Bonds,
    chunk: int = 8,
    counted: Int[Anywhere, " sites"] | None = None,
) -> tuple[Float[Array, " channels"], Float[Array, "rows 3 channels"], Float[Array, "3 3 channels"]]:
    """Energy, forces and virial of every channel of a basis, accumulated chunk by chunk (nothing per bond is kept).

    Parameters
    ----------
    energy : SiteEnergy
        The basis.
    x : array, (rows, 3)
        Padded positions, A.
    vectors : array, (3, 3)
        Box vectors as rows, A.
    bonds : Bonds
        The neighbour list.
    chunk : int
        Sites at once.
    counted : integer array, (sites,), optional
        The sites whose energy counts (-1 for none); no others are evaluated. Without it a basis may have the rows made by a
        compiled
        kernel, which cannot be differentiated and has chunks of its own.

    Returns
    -------
    energies : array, (channels,)
        eV per unit coefficient.
    forces : array, (rows, 3, channels)
        eV/A.
    virials : array, (3, 3, channels)
        eV. theory: crystal/linearity.
    """
    rows = len(x)
    stencil = bonds.stencil(x, vectors)
    if isinstance(energy, PackedBasis) and counted is None:
        compiled = energy.compiled_rows(stencil, bonds.index, bonds.count)
        if compiled is not None:
            return compiled
    tree = (stencil, bonds.index, bonds.mask, jnp.arange(rows))
    live = stop = bonds.count
    sites = rows
    if counted is not None:  # a number of steps that is known: the derivative of such a loop leaves out what is not needed
        tree, live = jax.tree.map(lambda a: a[counted], tree), jnp.sum(counted >= 0)
        sites = stop = len(counted)
    chunk = min(chunk, sites)
    before = jnp.arange(sites)

    def add(step: Callable) -> Callable:
        """Carry with every chunk added that has a live site."""

        def one(k, carry):
            part = (k * chunk, chunk)
            place = part_of(before, part)  # the last chunk ends with the rows: it may begin with sites that were added before
            return step(carry, jax.tree.map(lambda a: part_of(a, part), tree), (place >= part[0]) & (place < live))

        return lambda start: jax.lax.fori_loop(0, -(-stop // chunk), one, start)

    if isinstance(energy, PackedBasis):
        own = jax.nn.one_hot(tree[0].centre, len(energy.species), dtype=x.dtype)
        return _packed_rows(energy, rows, add, jnp.sum(jnp.where((before < live)[:, None], own, 0.0), axis=0))
    channels = jax.eval_shape(energy, jax.tree.map(lambda a: a[:1], tree[0])).shape[1]

    def step(carry, part, alive):
        total, forces, virial = carry
        stencil, index, mask, row = part
        values, p = energy.gradient(stencil)
        mask = mask[..., None]
        p = jnp.where((mask & alive[:, None, None])[..., None], p, 0.0)
        total = total + jnp.sum(jnp.where(alive[:, None], values, 0.0), axis=0)
        forces = forces.at[index.reshape(-1)].add(-p.reshape(-1, 3, channels)).at[row].add(p.sum(1))
        g = jnp.where(mask, stencil.g, 0.0)
        return total, forces, virial - jnp.einsum("ska,skbc->bac", g, p)

    return add(step)((jnp.zeros(channels), jnp.zeros((rows, 3, channels)), jnp.zeros((3, 3, channels))))


def _packed_rows(
    energy: PackedBasis, rows: int, add: Callable[[Callable], Callable], sites: Float[Array, " species"]
) -> tuple[Float[Array, " channels"], Float[Array, "rows 3 channels"], Float[Array, "3 3 channels"]]:
    """The same for a packed basis: every site adds to the rows of its own species, which become channels at the end.

    Padded slots need no mask: a site energy is blind there, and so is each of its derivatives. Sites that do not count are
    shown nothing but such slots.
    """
    kinds, functions = len(energy.species), len(energy.channels_of(0))
    far = jnp.array([2.0 * energy.cutoff, 0.0, 0.0])

    def step(carry, part, alive):
        total, forces, virial = carry
        stencil, index, _, row = part
        sites, slots = index.shape
        g = jnp.where(alive[:, None, None], stencil.g, far)
        values, packed = energy.packed(Stencil(g, stencil.centre, stencil.neighbour))
        packed = jnp.swapaxes(packed, 1, 2)
        here, own, moment = (
            packed[:, a:b] for a, b in ((0, 3 * slots), (3 * slots, 3 * slots + 3), (3 * slots + 3, 3 * slots + 12))
        )
        here = here.reshape(sites, 3, slots, functions)
        target = (index * kinds + stencil.centre[:, None]).reshape(-1)

        def scatter(edge, forces):
            p = jax.lax.dynamic_slice(here, (edge // slots, 0, edge % slots, 0), (1, 3, 1, functions)).reshape(3, functions)
            return forces.at[target[edge]].add(-p)

        forces = jax.lax.fori_loop(0, sites * slots, scatter, forces)
        forces = forces.at[row * kinds + stencil.centre].add(own)
        return total.at[stencil.centre].add(values), forces, virial.at[stencil.centre].add(-moment)

    start = (jnp.zeros((kinds, functions)), jnp.zeros((rows * kinds, 3, functions)), jnp.zeros((kinds, 9, functions)))
    total, forces, virial = add(step)(start)
    forces = jnp.swapaxes(forces.reshape(rows, kinds, 3, functions), 1, 2)
    virial = jnp.transpose(virial.reshape(kinds, 3, 3, functions), (2, 1, 0, 3))
    return energy.unpack(total, sites), energy.unpack(forces), energy.unpack(virial)


COUNTED = 32
"""Sites that see a moving atom are filled up to a multiple of this, so that few programs are compiled."""


def channel_hessian_product(
    energy: SiteEnergy,
    x: Float[Anywhere, "rows 3"],
    vectors: Float[Anywhere, "3 3"],
    bonds: Bonds,
    v: Float[Anywhere, "rows 3"],
    chunk: int = 8,
) -> Float[Array, "rows 3 channels"]:
    """(d2E/dx2) v of every channel of a basis.

    Parameters
    ----------
    energy : SiteEnergy
        The basis.
    x : array, (rows, 3)
        Padded positions, A.
    vectors : array, (3, 3)
        Box vectors as rows, A.
    bonds : Bonds
        The neighbour list.
    v : array, (rows, 3)
        Displacements.
    chunk : int
        Sites at once.

    Returns
    -------
    array, (rows, 3, channels)
        eV/A^2 times the unit of v.

    Notes
    -----
    Only sites that see an atom move are evaluated: for a few atoms it costs the same at any size of the cell.
    """
    moved, index = np.asarray(v), np.asarray(bonds.index)
    differs = np.any(moved[index] != moved[:, None], axis=2)
    sees = np.flatnonzero(np.any(np.asarray(bonds.mask) & differs, axis=1))
    counted = np.append(sees, np.full(-len(sees) % COUNTED if len(sees) else COUNTED, -1))
    return _channel_hessian_product(energy, x, vectors, bonds, v, chunk, counted)


@eqx.filter_jit
def _channel_hessian_product(
    energy: SiteEnergy,
    x: Float[Anywhere, "rows 3"],
    vectors: Float[Anywhere, "3 3"],
    bonds: Bonds,
    v: Float[Anywhere, "rows 3"],
    chunk: int,
    counted: Int[Anywhere, " sites"],
) -> Float[Array, "rows 3 channels"]:
    """Minus the forward derivative of the accumulated forces."""
    return -jax.jvp(lambda y: channel_rows(energy, y, vectors, bonds, chunk, counted)[1], (x,), (v,))[1]
