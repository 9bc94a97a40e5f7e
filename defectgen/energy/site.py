"""A site energy V(g) and its jet: value, gradient and Hessian in the stencil g, and two forms of V that have fast ones."""

from abc import abstractmethod
from collections.abc import Callable
from itertools import accumulate
from math import prod
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array, Float, Int


class Stencil(eqx.Module):
    """The surroundings of a batch of sites.

    A padded slot holds a vector of twice the cutoff, where every site energy is blind: no mask is needed.
    """

    g: Float[Array, "sites slots 3"]
    """Positions of the neighbours relative to the site, A."""
    centre: Int[Array, " sites"]
    """Species of the site, as an index into the `species` of the site energy."""
    neighbour: Int[Array, "sites slots"]
    """Species of the neighbours."""


class SiteEnergy(eqx.Module):
    """A map from stencils to numbers: one energy per site (a potential), or one per channel and site (a basis).

    Must not depend on neighbours at or beyond `cutoff`, must not couple the sites of a batch, and must be finite with
    finite derivatives for every stencil of distinct atoms.
    """

    cutoff: eqx.AbstractVar[float]
    """A; the radius of the stencil."""
    species: eqx.AbstractVar[tuple[str, ...]]
    """Chemical symbols that the energy knows."""
    chunk: ClassVar[int] = 64
    """Sites evaluated at once: the work arrays of a chunk stay in cache, and memory does not grow with the cell."""

    @property
    def correlation_order(self) -> int | None:
        """Number of neighbours that one term of the energy depends on at once: 1 for a pair potential, 2 for an angular one.

        None: not bounded (embedding functions), or not known.
        """
        return None

    @property
    def compact(self) -> "SiteEnergy":
        """The same energy with nothing but what its gradients and Hessian products want: that is handed over at every call."""
        return self

    @abstractmethod
    def __call__(self, stencil: Stencil) -> Float[Array, " sites *channels"]:
        """Energies of the sites.

        Parameters
        ----------
        stencil : Stencil
            The surroundings of a batch of sites.

        Returns
        -------
        array, (sites, ...)
            eV; with trailing channels for a basis.
        """

    def gradient(self, stencil: Stencil) -> tuple[Float[Array, " sites *channels"], Float[Array, " sites slots 3 *channels"]]:
        """Values and first derivatives dV/dg.

        Parameters
        ----------
        stencil : Stencil
            The surroundings of a batch of sites.

        Returns
        -------
        values : array, (sites, ...)
            eV.
        gradients : array, (sites, slots, 3, ...)
            eV/A.
        """
        return autodiff_gradient(self, stencil)

    def hessian_operator(
        self, stencil: Stencil
    ) -> Callable[[Float[Array, "sites slots 3"]], Float[Array, "sites slots 3 *channels"]]:
        """The map from a motion of the neighbours to the change of dV/dg.

        Parameters
        ----------
        stencil : Stencil
            The surroundings of a batch of sites.

        Returns
        -------
        callable
            dg, (sites, slots, 3), to an array (sites, slots, 3, ...), eV/A^2 times the unit of dg.
        """

        def gradient(g):
            return self.gradient(Stencil(g, stencil.centre, stencil.neighbour))[1]

        return lambda dg: jax.jvp(gradient, (stencil.g,), (dg,))[1]

    def hessian_products(
        self, stencil: Stencil, dg: Float[Array, "vectors sites slots 3"]
    ) -> Float[Array, "vectors sites slots 3 *channels"]:
        """The changes of dV/dg for many motions of the neighbours, one by one.

        Parameters
        ----------
        stencil : Stencil
            The surroundings of a batch of sites.
        dg : array, (vectors, sites, slots, 3)
            The motions.

        Returns
        -------
        array, (vectors, sites, slots, 3, ...)
            eV/A^2 times the unit of dg.
        """
        return jax.lax.map(self.hessian_operator(stencil), dg)

    def hessian(self, stencil: Stencil) -> Float[Array, "sites slots 3 slots 3 *channels"]:
        """Second derivatives d2V/dg dg.

        Parameters
        ----------
        stencil : Stencil
            The surroundings of a batch of sites.

        Returns
        -------
        array, (sites, slots, 3, slots, 3, ...)
            eV/A^2.
        """
        return autodiff_hessian(self, stencil)


def autodiff_gradient(energy: SiteEnergy, stencil: Stencil):
    """Values and gradients of any site energy by reverse differentiation, one sweep per channel.

    Parameters
    ----------
    energy : SiteEnergy
        A potential or a basis.
    stencil : Stencil
        The surroundings of a batch of sites.

    Returns
    -------
    values : array, (sites, ...)
        eV.
    gradients : array, (sites, slots, 3, ...)
        eV/A.
    """

    def value(g):
        return energy(Stencil(g, stencil.centre, stencil.neighbour))

    values, pullback = jax.vjp(value, stencil.g)
    if values.ndim == 1:
        return values, pullback(jnp.ones_like(values))[0]
    channels = values.shape[1]
    one_hot = jnp.broadcast_to(jnp.eye(channels, dtype=values.dtype)[:, None, :], (channels, *values.shape))
    gradients = jax.vmap(lambda seed: pullback(seed)[0])(one_hot)
    return values, jnp.moveaxis(gradients, 0, -1)


def autodiff_hessian(energy: SiteEnergy, stencil: Stencil):
    """Hessians of any site energy: the gradient differentiated forward along every stencil direction.

    Parameters
    ----------
    energy : SiteEnergy
        A potential or a basis.
    stencil : Stencil
        The surroundings of a batch of sites.

    Returns
    -------
    array, (sites, slots, 3, slots, 3, ...)
        eV/A^2.
    """
    sites, slots, _ = stencil.g.shape
    directions = jnp.eye(slots * 3, dtype=stencil.g.dtype).reshape(slots * 3, 1, slots, 3)
    directions = jnp.broadcast_to(directions, (slots * 3, sites, slots, 3))

    columns = jax.vmap(energy.hessian_operator(stencil))(directions)
    columns = jnp.moveaxis(columns, 0, 1)  # sites, (slots 3), slots, 3, *channels
    return columns.reshape(sites, slots, 3, *columns.shape[2:])


class SumEnergy(SiteEnergy):
    """V = F(S_1, ..., S_n), S_i = sum over neighbours of psi_i: pair potentials, embedded atoms, moments of the bonds.

    V''(k, l) = sum_ij F_ij psi_i'(k) (x) psi_j'(l) + [k = l] sum_i F_i psi_i''(k): each neighbour is differentiated by itself,
    so the cost of a Hessian is that of writing it.
    """

    @abstractmethod
    def terms(self, stencil: Stencil) -> tuple[Float[Array, "sites slots *kind"], ...]:
        """psi of every neighbour; zero, with all derivatives, at and beyond the cutoff.

        Parameters
        ----------
        stencil : Stencil
            The surroundings of a batch of sites.

        Returns
        -------
        tuple of arrays, (sites, slots, ...)
            psi_1, ..., psi_n.
        """

    @abstractmethod
    def of_sums(self, sums: tuple[Float[Array, " sites *kind"], ...], centre: Int[Array, " sites"]) -> Float[Array, " sites"]:
        """F, the energy of a site as a function of the sums.

        Parameters
        ----------
        sums : tuple of arrays, (sites, ...)
            S_1, ..., S_n.
        centre : integer array, (sites,)
            Species of the sites.

        Returns
        -------
        array, (sites,)
            eV.
        """

    def __call__(self, stencil: Stencil) -> Float[Array, " sites"]:
        return self.of_sums(tuple(jnp.sum(t, axis=1) for t in self.terms(stencil)), stencil.centre)

    def hessian(self, stencil: Stencil) -> Float[Array, "sites slots 3 slots 3"]:
        sites, slots, _ = stencil.g.shape
        shapes = [t.shape[2:] for t in jax.eval_shape(self.terms, stencil)]
        ends = list(accumulate(prod(shape) for shape in shapes))

        def terms(g):
            flat = [t.reshape(sites, slots, -1) for t in self.terms(Stencil(g, stencil.centre, stencil.neighbour))]
            return jnp.concatenate(flat, axis=2)

        def value(sums):
            parts = jnp.split(sums, ends[:-1], axis=1)
            parts = tuple(p.reshape(sites, *shape) for p, shape in zip(parts, shapes, strict=True))
            return jnp.sum(self.of_sums(parts, stencil.centre))

        sums, slope = jnp.sum(terms(stencil.g), axis=1), jax.grad(value)
        first, second = _derivatives(terms, stencil.g), _derivatives(lambda g: _derivatives(terms, g), stencil.g)
        return hessian_of_sums(
            jnp.transpose(first, (1, 3, 0, 2)),
            jnp.transpose(second, (2, 4, 0, 1, 3)),
            slope(sums),
            jnp.swapaxes(_derivatives(slope, sums), 0, 1),
        )


def _derivatives(f, x: Float[Array, "*batch axes"]) -> Float[Array, " axes *values"]:
    """df/dx along each axis, where f takes the batch one by one: one sweep for all of it."""
    axes = jnp.eye(x.shape[-1], dtype=x.dtype)
    return jax.vmap(lambda e: jax.jvp(f, (x,), (jnp.broadcast_to(e, x.shape),))[1])(axes)


def hessian_of_sums(
    first: Float[Array, "sites sums 3 slots"],
    second: Float[Array, "sites sums 3 3 slots"],
    slope: Float[Array, "sites sums"],
    curvature: Float[Array, "sites sums sums"],
) -> Float[Array, "sites slots 3 slots 3"]:
    """V'' from the derivatives of the terms and of the function of their sums."""
    sites, sums, _, slots = first.shape
    directions = jnp.swapaxes(first, 2, 3).reshape(sites, sums, slots * 3)
    hessian = jnp.einsum("smi,smj->sij", directions, jnp.einsum("smn,snj->smj", curvature, directions))
    hessian = hessian.reshape(sites, slots, 3, slots, 3)
    own = jnp.einsum("sm,smabk->skab", slope, second)
    k = jnp.arange(slots)
    return hessian.at[:, k, :, k].add(jnp.moveaxis(own, 1, 0))


class PackedHessian(eqx.Module):
    """Second derivatives of every function of the species of each site, as a sum of products that is never written out:

    d2B_c / dg_k dg_l = sum_vw middle[c, v, w] s_v(k) (x) s_w(l) + [k = l] own[c, :, :, k],  s_v(k) = slopes[support[c, v], :, k].
    """

    slopes: Float[Array, "sites sums 3 slots"]
    """Derivatives of the sums over neighbours that functions are made of."""
    support: Int[Array, "functions width"]
    """The sums of each function, padded with the number of all of them."""
    middle: Float[Array, "sites functions width width"]
    """Zero on padding."""
    own: Float[Array, "sites functions 3 3 slots"]


class PackedBasis(SiteEnergy):
    """A basis in which a site carries only the functions of its own species, and these are computed without the others."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of channels."""

    @abstractmethod
    def packed(self, stencil: Stencil) -> tuple[Float[Array, "sites functions"], Float[Array, "sites functions columns"]]:
        """Values of every function of the species of each site, and their derivatives.

        Parameters
        ----------
        stencil : Stencil
            The surroundings of a batch of sites.

        Returns
        -------
        values : array, (sites, functions)
            Per unit coefficient.
        derivatives : array, (sites, functions, columns)
            3 slots + 12 columns (more are ignored): dB/dg, coordinates before slots; their sum over the slots; and
            sum_k g_k (x) dB/dg_k, coordinate of g first.
        """

    @abstractmethod
    def unpack(
        self, packed: Float[Array, "*batch species functions"], constants: Float[Array, "*batch species"] | None = None
    ) -> Float[Array, "*batch channels"]:
        """Packed functions of every species of the central atom moved to the channels.

        Parameters
        ----------
        packed : array, (..., species, functions)
            Any quantity of the functions.
        constants : array, (..., species), optional
            The same quantity of the one-body constants; zero if not given.

        Returns
        -------
        array, (..., channels)
            The quantity of every channel.
        """

    def compiled_rows(
        self, stencil: Stencil, index: Int[Array, "rows slots"], live: Int[Array, ""]
    ) -> tuple[Float[Array, " channels"], Float[Array, "rows 3 channels"], Float[Array, "3 3 channels"]] | None:
        """Energy, forces and virial of every channel, summed over the first `live` sites, by a compiled kernel.

        Parameters
        ----------
        stencil : Stencil
            The surroundings of all sites.
        index : integer array, (rows, slots)
            Atoms in the slots.
        live : int
            Number of sites that count.

        Returns
        -------
        tuple of arrays, or None
            (channels,), (rows, 3, channels) and (3, 3, channels); None where there is no kernel: then they are made of
            `packed`.
        """
        return None

    @abstractmethod
    def packed_hessian(self, stencil: Stencil) -> PackedHessian:
        """Second derivatives of every function of the species of each site.

        Parameters
        ----------
        stencil : Stencil
            The surroundings of a batch of sites.

        Returns
        -------
        PackedHessian
            A sum of products, per A^2.
        """

    @abstractmethod
    def channels_of(self, kind: int) -> Int[np.ndarray, " functions"]:
        """The channel of every function of a central species.

        Parameters
        ----------
        kind : int
            Index of the species.

        Returns
        -------
        integer array, (functions,)
            Functions in the order of `packed`.
        """
