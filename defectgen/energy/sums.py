"""Site energies that are functions of sums over neighbours, V = F(sum_k psi(g_k)), and the Hessian that this form gives."""

from abc import abstractmethod
from itertools import accumulate
from math import prod

import jax
import jax.numpy as jnp

from .._typing import Array, Float, Int
from .site import SiteEnergy, Stencil


class SumEnergy(SiteEnergy):
    """V = F(S_1, ..., S_n), S_i = sum over neighbours of psi_i: pair potentials, embedded atoms, moments of the bonds.

    V''(k, l) = sum_ij F_ij psi_i'(k) (x) psi_j'(l) + [k = l] sum_i F_i psi_i''(k): each neighbour is differentiated by itself,
    so the cost of a Hessian is that of writing it.
    """

    @abstractmethod
    def terms(self, stencil: Stencil) -> tuple[Float[Array, "sites slots *kind"], ...]:
        """psi of every neighbour; zero, with all derivatives, where the energy is blind."""

    @abstractmethod
    def of_sums(self, sums: tuple[Float[Array, " sites *kind"], ...], centre: Int[Array, " sites"]) -> Float[Array, " sites"]:
        """F, eV."""

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
