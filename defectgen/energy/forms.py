"""Two forms of site energies that have fast jets: functions of sums over neighbours, and bases whose derivatives come packed."""

from abc import abstractmethod
from collections.abc import Callable
from itertools import accumulate
from math import prod
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Anywhere, Array, Float, Int
from .site import SiteEnergy, Stencil


class SumEnergy(SiteEnergy):
    """V = F(S_1, ..., S_n), S_i = sum over neighbours of psi_i: pair potentials, embedded atoms, moments of the bonds.

    V''(k, l) = sum_ij F_ij psi_i'(k) (x) psi_j'(l) + [k = l] sum_i F_i psi_i''(k): each neighbour is differentiated by itself,
    so the cost of a Hessian is that of writing it.
    """

    by_distance: ClassVar[bool] = False
    """Whether every psi_i depends on the distance of the neighbour only, so that its derivatives along the bond are enough."""

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

    def _flat(self, stencil: Stencil) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
        """The terms of all neighbours (sites, slots, sums) as a function of g, and the energy of all sites as one of the sums."""
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

        return terms, value

    def factors(self, stencil: Stencil) -> tuple[Float[Array, "sites numbers slots"], Float[Array, "sites sums sums"]]:
        """What Hessian products of one place are made of: with it each costs a fraction of its first evaluation.

        Parameters
        ----------
        stencil : Stencil
            The surroundings of a batch of sites.

        Returns
        -------
        factors : array, (sites, 3 sums + 6, slots)
            psi_i' of every sum and coordinate, then the entries xx, xy, xz, yy, yz, zz of sum_i F_i psi_i''. With
            `by_distance` (sites, sums + 5, slots): psi_i' along the bond; w'' - w'/r and w'/r of w = sum_i F_i psi_i; the
            direction of the bond.
        curvature : array, (sites, sums, sums)
            F_ij.
        """
        terms, value = self._flat(stencil)
        sites, slots, _ = stencil.g.shape
        slope, sums = jax.grad(value), jnp.sum(terms(stencil.g), axis=1)
        curvature = jnp.swapaxes(_derivatives(slope, sums), 0, 1)
        if self.by_distance:
            return _along_bonds(terms, stencil.g, slope(sums)), curvature
        seed = jnp.broadcast_to(slope(sums)[:, None, :], (sites, slots, sums.shape[1]))
        first = jnp.transpose(_derivatives(terms, stencil.g), (1, 3, 0, 2)).reshape(sites, -1, slots)
        second = _derivatives(lambda g: jax.vjp(terms, g)[1](seed)[0], stencil.g)
        own = [second[a, :, None, :, b] for a in range(3) for b in range(a, 3)]
        return jnp.concatenate([first, *own], axis=1), curvature

    def hessian(self, stencil: Stencil) -> Float[Array, "sites slots 3 slots 3"]:
        terms, value = self._flat(stencil)
        sums, slope = jnp.sum(terms(stencil.g), axis=1), jax.grad(value)
        first, second = _derivatives(terms, stencil.g), _derivatives(lambda g: _derivatives(terms, g), stencil.g)
        return hessian_of_sums(
            jnp.transpose(first, (1, 3, 0, 2)),
            jnp.transpose(second, (2, 4, 0, 1, 3)),
            slope(sums),
            jnp.swapaxes(_derivatives(slope, sums), 0, 1),
        )


def _derivatives(f: Callable[[Array], Array], x: Float[Array, "*batch axes"]) -> Float[Array, " axes *values"]:
    """df/dx along each axis, where f takes the batch one by one: one sweep for all of it."""
    axes = jnp.eye(x.shape[-1], dtype=x.dtype)
    return jax.vmap(lambda e: jax.jvp(f, (x,), (jnp.broadcast_to(e, x.shape),))[1])(axes)


def _along_bonds(
    terms: Callable[[Array], Array], g: Float[Array, "sites slots 3"], slope: Float[Array, "sites sums"]
) -> Float[Array, "sites numbers slots"]:
    """`SumEnergy.factors` of terms that depend on distances only."""
    r = jnp.sqrt(jnp.sum(g**2, axis=2))
    n = g / r[..., None]
    first, second = jax.jvp(lambda g: jax.jvp(terms, (g,), (n,))[1], (g,), (n,))
    across = jnp.einsum("skm,sm->sk", first, slope) / r
    along = jnp.einsum("skm,sm->sk", second, slope) - across
    return jnp.stack([*jnp.moveaxis(first, 2, 0), along, across, *jnp.moveaxis(n, 2, 0)], axis=1)


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
        self, stencil: Stencil, index: Int[Anywhere, "rows slots"], live: Int[Anywhere, ""]
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
