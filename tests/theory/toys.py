"""Small crystals and site energies for the checks: smooth, many-body, not central, and cheap."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from defectgen._typing import Array, Float
from defectgen.crystal import Lattice
from defectgen.energy import SiteEnergy, Stencil, bulk_response

SQRT3 = float(np.sqrt(3.0))


def triangular(spacing: float = 1.0) -> Lattice:
    vectors = np.array([[spacing, 0, 0], [spacing / 2, spacing * SQRT3 / 2, 0], [0, 0, 1.0]])
    return Lattice("triangular", vectors, np.zeros((1, 3)), ("X",), np.eye(3, dtype=int), dimension=2)


def honeycomb(bond: float = 1.0) -> Lattice:
    a = bond * SQRT3
    vectors = np.array([[a, 0, 0], [a / 2, a * SQRT3 / 2, 0], [0, 0, 1.0]])
    motif = np.array([[0.0, 0, 0], [a / 2, bond / 2, 0]])
    return Lattice("honeycomb", vectors, motif, ("X", "X"), np.eye(3, dtype=int), dimension=2)


def fcc(constant: float = SQRT3) -> Lattice:
    vectors = constant / 2 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])
    return Lattice("fcc", vectors, np.zeros((1, 3)), ("X",), np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]))


class Parts(SiteEnergy):
    """Four channels: repulsion, square-root embedding, squared first moment, squared second moment of the neighbourhood.

    Only powers of r^2 enter, times (1 - r^2/cutoff^2)^4, so three derivatives are continuous everywhere.
    """

    cutoff: float = 1.6
    species: tuple[str, ...] = ("X",)

    def __call__(self, stencil: Stencil) -> Float[Array, "sites 4"]:
        g = stencil.g
        r2 = jnp.sum(g * g, axis=-1)
        inside = jnp.maximum(1.0 - r2 / self.cutoff**2, 0.0) ** 4
        repulsion = jnp.sum(jnp.exp(-4.0 * (r2 - 1.0)) * inside, axis=-1)
        density = jnp.sum(jnp.exp(-1.2 * (r2 - 1.0)) * inside, axis=-1)
        first = jnp.einsum("sk,ska->sa", inside, g)
        second = jnp.einsum("sk,ska,skb->sab", inside, g, g)
        return jnp.stack(
            [repulsion, -jnp.sqrt(density + 1e-3), jnp.sum(first**2, axis=-1), jnp.sum(second**2, axis=(-1, -2))], axis=-1
        )


class Sum(SiteEnergy):
    """`basis` contracted with coefficients: a scalar site energy."""

    basis: SiteEnergy
    coefficients: Float[Array, " channels"]
    cutoff: float = eqx.field(default=1.6)
    species: tuple[str, ...] = ("X",)

    def __call__(self, stencil: Stencil) -> Float[Array, " sites"]:
        return self.basis(stencil) @ self.coefficients


def many_body(repulsion=1.0, embedding=2.0, first=1.0, second=0.3) -> SiteEnergy:
    """A scalar site energy; with these coefficients the three crystals above are stable."""
    return Sum(Parts(), jnp.array([repulsion, embedding, first, second]))


def stress_free(build, energy: SiteEnergy, low: float = 0.8, high: float = 1.3) -> Lattice:
    """The lattice `build(a)` at the size where the trace of its virial vanishes, by bisection to rounding."""

    def pressure(a):
        return float(np.trace(bulk_response(build(a), energy)[2]))

    assert pressure(low) * pressure(high) < 0, "the bracket holds no equilibrium"
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if pressure(low) * pressure(middle) > 0 else (low, middle)
    return build((low + high) / 2)
