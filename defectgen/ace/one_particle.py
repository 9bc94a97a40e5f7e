"""One-particle functions phi_v(g) = R_n(r) Y_lm(g/r) [z = mu], kept as their factors: sums over neighbours are matrix products.

With R (radial, slots) and Y (harmonics, slots) of a site, A_{mu n l m} is an entry of R Y^T, and the force that a slope dE/dA
puts on the neighbours takes two more such products. Only design rows want phi itself, function by function.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array, Float, Int
from ..energy.site import Stencil
from .harmonics import harmonics_and_gradient
from .radial import Radial
from .sparse import rows_of


class Factors(eqx.Module):
    """The two factors of all one-particle functions at every neighbour, and what their derivatives are made of."""

    unit: Float[Array, "sites 3 slots"]
    distance: Float[Array, "sites slots"]
    """A."""
    radial: Float[Array, "sites radial slots"]
    """R_n for every species mu in turn, zero for neighbours of another species."""
    slope: Float[Array, "sites radial slots"]
    """dR/dr, 1/A."""
    harmonics: Float[Array, "sites harmonics slots"]
    """sqrt(4 pi) Y_lm, so that the harmonic of a pair function is 1."""
    gradient: Float[Array, "sites 3 harmonics slots"]
    """Its derivative in the unit vector, as a polynomial."""


class OneParticle(eqx.Module):
    """All one-particle functions of a basis; pair functions, which have l = 0, come last."""

    radial: Radial
    degree_l: int = eqx.field(static=True)
    kinds: int = eqx.field(static=True)
    row: Int[Array, " one"]
    """Entry of R Y^T, (species, n, lm) counted through."""
    used: Int[Array, " entries"]
    """The function of each entry of R Y^T that is no pair function; the number of functions where there is none."""
    pair: Int[Array, " entries"]
    """The same for pair functions."""

    def __init__(self, radial: Radial, labels: Int[np.ndarray, "one 4"], pairs: Int[np.ndarray, " pairs"], kinds: int):
        self.radial, self.kinds = radial, kinds
        self.degree_l = int(labels[:, 2].max(initial=0))
        species, n, l, m = labels.T  # noqa: E741
        harmonics = (self.degree_l + 1) ** 2
        row = (species * radial.count + n - 1) * harmonics + l * l + l + m
        used, pair = (np.full(kinds * radial.count * harmonics, len(labels)) for _ in range(2))
        others = np.setdiff1d(np.arange(len(labels)), pairs)
        used[row[others]], pair[row[pairs]] = others, pairs
        self.row, self.used, self.pair = jnp.asarray(row), jnp.asarray(used), jnp.asarray(pair)

    def factors(self, stencil: Stencil) -> Factors:
        """Both factors and their derivatives at the neighbours of every site."""
        g = [stencil.g[..., a] for a in range(3)]
        r = jnp.sqrt(g[0] * g[0] + g[1] * g[1] + g[2] * g[2])
        unit = [x / r for x in g]
        centre = jnp.broadcast_to(stencil.centre[:, None], r.shape)
        values, slopes = jax.jvp(lambda r: self.radial.each(r, centre, stencil.neighbour), (r,), (jnp.ones_like(r),))
        harmonics, gradient = harmonics_and_gradient(jnp.stack(unit), self.degree_l)
        scale = np.sqrt(4 * np.pi)
        return Factors(
            jnp.stack(unit, axis=1),
            r,
            self._by_species(jnp.stack(values, axis=1), stencil),
            self._by_species(jnp.stack(slopes, axis=1), stencil),
            scale * harmonics,
            scale * gradient,
        )

    def _by_species(self, values: Float[Array, "sites count slots"], stencil: Stencil) -> Float[Array, "sites radial slots"]:
        if self.kinds == 1:
            return values
        masks = [(stencil.neighbour == z)[:, None, :] for z in range(self.kinds)]
        return jnp.concatenate([jnp.where(mask, values, 0.0) for mask in masks], axis=1)

    def sums(self, factors: Factors) -> Float[Array, "one sites"]:
        """A_v = sum over neighbours of phi_v."""
        every = jnp.einsum("snk,slk->snl", factors.radial, factors.harmonics)
        return rows_of(every.reshape(len(every), -1).T, self.row)

    def pull(self, factors: Factors, slopes: Float[Array, "one sites"]) -> Float[Array, "sites slots 3"]:
        """sum_v slopes_v dphi_v/dg: the derivative in the neighbours of a function of A with the derivative `slopes` in A."""
        slopes = jnp.concatenate([slopes, jnp.zeros_like(slopes[:1])])
        every = (rows_of(slopes, self.used) + rows_of(slopes, self.pair)).T
        every = every.reshape(len(every), factors.radial.shape[1], -1)
        along = jnp.einsum("snl,snk->slk", every, factors.slope)
        across = jnp.einsum("snl,snk->slk", every, factors.radial)
        radial = jnp.sum(along * factors.harmonics, axis=1)
        turn = jnp.sum(across[:, None] * factors.gradient, axis=2) / factors.distance[:, None]
        unit = factors.unit
        p = turn + unit * (radial - jnp.sum(unit * turn, axis=1))[:, None]
        return jnp.transpose(p, (0, 2, 1))

    def derivative(self, factors: Factors) -> Float[Array, "sites one 3 slots"]:
        """dphi_v/dg, function by function, 1/A."""
        unit, gradient = factors.unit, factors.gradient
        turn = gradient - unit[:, :, None] * jnp.sum(unit[:, :, None] * gradient, axis=1, keepdims=True)
        turn = jnp.moveaxis(turn / factors.distance[:, None, None], 1, 2)  # sites harmonics 3 slots
        count = factors.harmonics.shape[1]
        n, lm = self.row // count, self.row % count
        radial, slope, harmonics, turn = (
            jnp.take(x, index, axis=1, mode="clip")
            for x, index in ((factors.radial, n), (factors.slope, n), (factors.harmonics, lm), (turn, lm))
        )
        return (slope * harmonics)[:, :, None] * unit[:, None] + radial[:, :, None] * turn
