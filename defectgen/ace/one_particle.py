"""One-particle functions phi_v(g) = R_n(r) Y_lm(g/r) [z = mu], kept as their factors: sums over neighbours are matrix products.

With R (radial, slots) and Y (harmonics, slots) of a site, A_{mu n l m} is an entry of R Y^T, and the force that a slope dE/dA
puts on the neighbours takes two more such products. Only design rows need phi itself, function by function.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array, Float, Int
from ..energy.site import Stencil
from .harmonics import Harmonics, ladder, real_harmonics
from .radial import Radial
from .sparse import rows_of
from .yace_radial import TabulatedRadial

SCALE = np.sqrt(4 * np.pi)
"""Functions are made with sqrt(4 pi) Y_lm, so that the harmonic of a pair function is 1."""


class Factors(eqx.Module):
    """The two factors of all one-particle functions at every neighbour, and what their derivatives are made of."""

    unit: tuple[Float[Array, "sites slots"], ...]
    distance: Float[Array, "sites slots"]
    """A."""
    radial: Float[Array, "sites radial slots"]
    """R_n for every species mu in turn, zero for neighbours of another species."""
    slope: Float[Array, "sites radial slots"]
    """dR/dr, 1/A."""
    harmonics: Harmonics
    values: Float[Array, "sites harmonics slots"]
    """Y_lm."""


class Motion(eqx.Module):
    """How neighbours move: the change of their distance and of their direction."""

    along: Float[Array, "sites slots"]
    """A."""
    turn: tuple[Float[Array, "sites slots"], ...]

    def __init__(self, factors: Factors, dg: Float[Array, "sites slots 3"]):
        d = [dg[..., a] for a in range(3)]
        self.along = _dot(factors.unit, d)
        self.turn = tuple((x - u * self.along) / factors.distance for x, u in zip(d, factors.unit, strict=True))


class OneParticle(eqx.Module):
    """All one-particle functions of a basis; pair functions, which have l = 0, come last."""

    radial: Radial | TabulatedRadial
    max_l: int = eqx.field(static=True)
    kinds: int = eqx.field(static=True)
    row: Int[Array, " one"]
    """Entry of R Y^T, (species, n, lm) counted through."""
    used: Int[Array, " entries"]
    """The function of each entry of R Y^T that is no pair function; the number of functions where there is none."""
    pair: Int[Array, " entries"]
    """The same for pair functions."""

    def __init__(
        self, radial: Radial | TabulatedRadial, labels: Int[np.ndarray, "one 4"], pairs: Int[np.ndarray, " pairs"], kinds: int
    ):
        self.radial, self.kinds = radial, kinds
        self.max_l = int(labels[:, 2].max(initial=0))
        species, n, l, m = labels.T  # noqa: E741
        harmonics = (self.max_l + 1) ** 2
        row = (species * radial.count + n - 1) * harmonics + l * l + l + m
        used, pair = (np.full(kinds * radial.count * harmonics, len(labels)) for _ in range(2))
        others = np.setdiff1d(np.arange(len(labels)), pairs)
        used[row[others]], pair[row[pairs]] = others, pairs
        self.row, self.used, self.pair = jax.device_put((row, used, pair))

    def factors(self, stencil: Stencil) -> Factors:
        """Both factors and their derivatives at the neighbours of every site."""
        g = [stencil.g[..., a] for a in range(3)]
        r = jnp.sqrt(g[0] * g[0] + g[1] * g[1] + g[2] * g[2])
        unit = (g[0] / r, g[1] / r, g[2] / r)
        radial, slope = self._radial(r, stencil, 1)
        harmonics = Harmonics(unit, self.max_l)
        return Factors(unit, r, radial, slope, harmonics, harmonics.values())

    def curvature(self, factors: Factors, stencil: Stencil) -> Float[Array, "sites radial slots"]:
        """d2R/dr2, 1/A^2."""
        return self._radial(factors.distance, stencil, 2)[-1]

    def _radial(self, r: Float[Array, "sites slots"], stencil: Stencil, order: int) -> list[Float[Array, "sites radial slots"]]:
        """R_n and its derivatives up to an order."""
        centre = jnp.broadcast_to(stencil.centre[:, None], r.shape)

        def jet(r, order):
            if order == 0:
                return [self.radial.each(r, centre, stencil.neighbour)]
            lower, slopes = jax.jvp(lambda r: jet(r, order - 1), (r,), (jnp.ones_like(r),))
            return [*lower, slopes[-1]]

        stacked = (jnp.stack(v, axis=1) if isinstance(v, list) else jnp.moveaxis(v, 0, 1) for v in jet(r, order))
        return [self._by_species(values, stencil) for values in stacked]

    def _by_species(self, values: Float[Array, "sites count slots"], stencil: Stencil) -> Float[Array, "sites radial slots"]:
        if self.kinds == 1:
            return values
        masks = [(stencil.neighbour == z)[:, None, :] for z in range(self.kinds)]
        return jnp.concatenate([jnp.where(mask, values, 0.0) for mask in masks], axis=1)

    def sums(self, factors: Factors) -> Float[Array, "one sites"]:
        """A_v = sum over neighbours of phi_v."""
        return self._entries(jnp.einsum("snk,slk->snl", factors.radial, factors.values))

    def push(self, factors: Factors, motion: Motion) -> Float[Array, "one sites"]:
        """dA_v = sum over neighbours of dphi_v/dg . dg."""
        radial = jnp.concatenate([factors.slope * motion.along[:, None], factors.radial], axis=2)
        harmonics = jnp.concatenate([factors.values, factors.harmonics.along(motion.turn)], axis=2)
        return self._entries(jnp.einsum("snk,slk->snl", radial, harmonics))

    def pull(self, factors: Factors, slopes: Float[Array, "one sites"]) -> Float[Array, "sites slots 3"]:
        """sum_v slopes_v dphi_v/dg: the derivative in the neighbours of a function of A with the derivative `slopes` in A."""
        across, along = self._weights(slopes, factors.radial, factors.slope)
        radial = jnp.sum(along * factors.values, axis=1)
        turn = [t / factors.distance for t in factors.harmonics.slope_of(across)]
        radial = radial - sum(u * t for u, t in zip(factors.unit, turn, strict=True))
        return jnp.stack([t + u * radial for u, t in zip(factors.unit, turn, strict=True)], axis=2)

    def pull_along(
        self, factors: Factors, curvature: Float[Array, "sites radial slots"], motion: Motion, slopes: Float[Array, "one sites"]
    ) -> Float[Array, "sites slots 3"]:
        """The derivative of `pull` along a motion of the neighbours, the slopes being kept: sum_v slopes_v d2phi_v/dg2 . dg.

        With s(r, e) the sum at distance r and direction e, as a polynomial of e: p = s_r e + T s_e / r, T = 1 - e e^T.
        """
        across, along, bent = self._weights(slopes, factors.radial, factors.slope, curvature)
        e, r, harmonics = factors.unit, factors.distance, factors.harmonics
        dr, de = motion.along, motion.turn  # de is normal to e, and over r: the change of e
        slope, mixed = harmonics.slope_of(across), harmonics.slope_of(along)
        xx, yy, zz, yz, xz, xy = harmonics.curvature_of(across)
        rows = (xx, xy, xz), (xy, yy, yz), (xz, yz, zz)
        s_r = jnp.sum(along * factors.values, axis=1)
        s_rr = jnp.sum(bent * factors.values, axis=1)
        d_slope = [m * dr + _dot(row, de) for m, row in zip(mixed, rows, strict=True)]
        d_s_r = s_rr * dr + _dot(mixed, de)
        # T s_e / r and its change; s_e has the part e (e . s_e) along e
        radial, d_radial = _dot(e, slope), _dot(de, slope) + _dot(e, d_slope)
        turn = [(s - u * radial) / r for s, u in zip(slope, e, strict=True)]
        d_turn = [(ds - du * radial - u * d_radial - t * dr) / r for ds, du, u, t in zip(d_slope, de, e, turn, strict=True)]
        return jnp.stack([t + d_s_r * u + s_r * du for t, u, du in zip(d_turn, e, de, strict=True)], axis=2)

    def derivative(self, factors: Factors) -> Float[Array, "sites one 3 slots"]:
        """dphi_v/dg, function by function, 1/A."""
        unit, gradient = jnp.stack(factors.unit, axis=1), SCALE * factors.harmonics.gradient()
        turn = gradient - unit[:, :, None] * jnp.sum(unit[:, :, None] * gradient, axis=1, keepdims=True)
        turn = jnp.moveaxis(turn / factors.distance[:, None, None], 1, 2)  # sites harmonics 3 slots
        count = turn.shape[1]
        n, lm = self.row // count, self.row % count
        radial, slope, harmonics, turn = (
            jnp.take(x, index, axis=1, mode="clip")
            for x, index in ((factors.radial, n), (factors.slope, n), (SCALE * factors.values, lm), (turn, lm))
        )
        return (slope * harmonics)[:, :, None] * unit[:, None] + radial[:, :, None] * turn

    def to_second_order(
        self, stencil: Stencil
    ) -> tuple[Float[Array, "one sites"], Float[Array, "sites one 3 slots"], Float[Array, "sites one 3 3 slots"]]:
        """A, and function by function dphi/dg (1/A) and d2phi/dg dg (1/A^2). Quick to compile: it runs on few sites.

        With S = r^l Y the solid harmonic, whose derivatives are matrices (`harmonics.ladder`), phi = (R / r^l) S: at r u,
        dphi = R' Y u + R/r (DY - l Y u) and, with s = (R' - l R/r)/r,
        d2phi = (R'' - 2 l R'/r + l (l+1) R/r^2 - s) Y u u + s (Y 1 + u DY + DY u) + R/r^2 DDY.
        """
        r = jnp.sqrt(jnp.sum(stencil.g**2, axis=-1))
        unit = jnp.moveaxis(stencil.g / r[..., None], -1, 0)
        centre = jnp.broadcast_to(stencil.centre[:, None], r.shape)

        def rate(f):
            return lambda r: jax.jvp(f, (r,), (jnp.ones_like(r),))

        (values, slopes), (_, bends) = rate(rate(lambda r: self.radial(r, centre, stencil.neighbour)))(r)
        steps = ladder(self.max_l)
        y = SCALE * real_harmonics(unit, self.max_l)
        dy = jnp.einsum("aij,jsk->iask", steps, y)
        ddy = jnp.einsum("abij,jsk->iabsk", np.einsum("aij,bjk->abik", steps, steps), y)

        count = len(steps[0])
        lm = self.row % count
        l = jnp.asarray(np.sqrt(np.arange(count)).astype(int))[lm, None, None]  # noqa: E741  row l*l + l + m of the harmonics
        y, dy, ddy = (rows_of(x, lm) for x in (y, dy, ddy))  # one (3 3) sites slots
        radial = (self._by_species(jnp.moveaxis(x, 0, 1), stencil) for x in (values, slopes / r, bends))
        radial, slope, bend = (rows_of(jnp.moveaxis(x, 1, 0), self.row // count) for x in radial)  # the slope over r
        radial = radial / r**2
        turn = slope - l * radial
        along = ((bend - 2 * l * slope + l * (l + 1) * radial - turn) * y)[:, None, None] * unit[:, None] * unit
        across = unit[:, None] * dy[:, None]
        across = across + jnp.swapaxes(across, 1, 2) + jnp.eye(3)[:, :, None, None] * y[:, None, None]
        second = along + turn[:, None, None] * across + radial[:, None, None] * ddy
        first = r * ((turn * y)[:, None] * unit + radial[:, None] * dy)
        return jnp.sum(radial * r**2 * y, axis=2), jnp.moveaxis(first, 2, 0), jnp.moveaxis(second, 3, 0)

    def _entries(self, every: Float[Array, "sites radial harmonics"]) -> Float[Array, "one sites"]:
        """The functions of the basis among all products of a radial function and a harmonic."""
        return SCALE * rows_of(every.reshape(len(every), -1).T, self.row)

    def _weights(
        self, slopes: Float[Array, "one sites"], *radial: Float[Array, "sites radial slots"]
    ) -> list[Float[Array, "sites harmonics slots"]]:
        """sum_n slopes_nlm R_n, and the same with other radial functions: the weights that harmonics have at each neighbour."""
        slopes = SCALE * jnp.concatenate([slopes, jnp.zeros_like(slopes[:1])])
        every = (rows_of(slopes, self.used) + rows_of(slopes, self.pair)).T
        every = every.reshape(len(every), radial[0].shape[1], -1)
        both = jnp.einsum("snl,snk->slk", every, jnp.concatenate(radial, axis=2))
        return jnp.split(both, len(radial), axis=2)


def _dot(a: Sequence[Array], b: Sequence[Array]) -> Array:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
