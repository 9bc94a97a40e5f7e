"""A crystal with one displacement component per site: large enough for rates, and the Fourier transform solves it exactly.

The site energy is V(g) = sum_rho g_rho^2 / 4 (so H u = -sum_rho (u(l + rho) - u(l))); a perturbation phi stands for what a
fit leaves wrong. Distances are in nearest-neighbour spacings.
"""

from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np

import defectgen  # noqa: F401  (switches JAX to float64)

TRIANGULAR = np.array([[1.0, 0.0], [0.5, np.sqrt(3) / 2]])
TRIANGULAR_OFFSETS = np.array([[1, 0], [0, 1], [-1, 1], [-1, 0], [0, -1], [1, -1]])
CUBIC = np.eye(3)
CUBIC_OFFSETS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0], [0, -1, 0], [0, 0, -1]])


@dataclass(frozen=True, eq=False)
class ScalarLattice:
    """n sites a side, periodic; the second half of `offsets` is the first half reversed."""

    vectors: np.ndarray
    offsets: np.ndarray
    n: int

    @property
    def dimension(self) -> int:
        return len(self.vectors)

    @cached_property
    def indices(self) -> np.ndarray:
        """Signed integer coordinates of every site; the defect is at 0."""
        axis = np.fft.fftfreq(self.n, 1 / self.n).round().astype(int)
        return np.stack(np.meshgrid(*[axis] * self.dimension, indexing="ij"), -1)

    @cached_property
    def distance(self) -> np.ndarray:
        """|l| by minimum image over the nearest copies."""
        images = np.stack(np.meshgrid(*[[-1, 0, 1]] * self.dimension, indexing="ij"), -1).reshape(-1, self.dimension)
        return np.min([np.linalg.norm((self.indices + self.n * image) @ self.vectors, axis=-1) for image in images], axis=0)

    @property
    def radius(self) -> float:
        """Half the width of the periodic cell."""
        volume = abs(np.linalg.det(self.vectors))
        return self.n * volume / 2  # primitive vectors of unit length: the width of the cell is n times the volume (area)

    @cached_property
    def symbol(self) -> np.ndarray:
        """Eigenvalue of H at every wave vector; the zero mode is set to infinity (mean-free fields)."""
        phase = 2 * np.pi / self.n * self.indices @ self.offsets.T
        value = (1 - np.cos(phase)).sum(-1)
        value.flat[0] = np.inf
        return value

    def difference(self, u):
        """Du, (..., rho)."""
        return jnp.stack([jnp.roll(u, tuple(-o), range(self.dimension)) - u for o in self.offsets], -1)

    def transpose(self, p):
        """D^T p."""
        return sum(jnp.roll(p[..., k], tuple(o), range(self.dimension)) - p[..., k] for k, o in enumerate(self.offsets))

    def solve(self, force) -> np.ndarray:
        """u with H u = force, mean-free."""
        return np.fft.ifftn(np.fft.fftn(force) / self.symbol).real

    def dual_norm(self, force) -> float:
        """sup_v <force, v> / <H v, v>^(1/2) = <force, H^-1 force>^(1/2)."""
        return float(np.sqrt(np.sum(np.abs(np.fft.fftn(force)) ** 2 / self.symbol) / force.size))

    def norm(self, u) -> float:
        """<H u, u>^(1/2), which is ||Du||_l2 with each bond counted once."""
        return float(np.sqrt(np.sum(np.asarray(self.difference(u)) ** 2) / 2))

    def force(self, phi, u) -> np.ndarray:
        """-D^T phi'(Du)."""
        gradient = jax.jit(jax.vmap(jax.grad(phi)))(self.difference(u).reshape(-1, len(self.offsets)))
        return -np.asarray(self.transpose(gradient.reshape(*u.shape, -1)))

    def site_energies(self, phi, u) -> np.ndarray:
        """phi(Du(l)) - phi(0) at every site."""
        g = self.difference(u).reshape(-1, len(self.offsets))
        return np.asarray(jax.jit(jax.vmap(phi))(g) - phi(jnp.zeros(g.shape[1]))).reshape(u.shape)

    def dipole(self, strength: float = 1.0) -> np.ndarray:
        """Displacement of a generic force dipole at the origin: a point defect."""
        force = np.zeros((self.n,) * self.dimension)
        for weight, offset in zip((1.0, 0.45, -0.3), self.offsets[: self.dimension], strict=False):
            force[tuple(offset)] += weight * strength
            force[tuple(-offset)] -= weight * strength
        return self.solve(force)

    def perturbation(self, seed: int = 0, symmetric: bool = False):
        """A generic smooth site energy that is invariant under inversion of the crystal, phi(g_rho) = phi(-g_-rho).

        With `symmetric` it is the same function of every neighbour, so it has the symmetry of the lattice as well.
        """
        rng = np.random.default_rng(seed)
        half = len(self.offsets) // 2
        w, phase = jnp.asarray(rng.normal(size=(4, 2 * half))), jnp.asarray(rng.uniform(0.3, 1.2, size=4))

        def one(g):
            if symmetric:
                return jnp.sum(jnp.sin(1.3 * g + 0.7)) + 0.2 * jnp.sum(jnp.sin(g)) ** 2
            return jnp.sum(jnp.sin(w @ g + phase))

        def invert(g):
            return -jnp.concatenate([g[half:], g[:half]])

        return lambda g: (one(g) + one(invert(g))) / 2

    def projection(self) -> np.ndarray:
        """P: the least-squares projection of a stencil on g_rho = F . rho."""
        rho = self.offsets @ self.vectors
        return rho @ np.linalg.pinv(rho)


def without_taylor(phi, order: int, slots: int):
    """phi minus its Taylor polynomial of degree `order` at g = 0."""
    zero = jnp.zeros(slots)
    slope, curvature = jax.jit(jax.grad(phi))(zero), jax.jit(jax.hessian(phi))(zero)
    terms = [lambda g: phi(zero), lambda g: slope @ g, lambda g: g @ curvature @ g / 2]
    return lambda g: phi(g) - sum(t(g) for t in terms[: order + 1])


def surrogate_error(lattice: ScalarLattice, phi, matched: str):
    """What a controlled surrogate with the given observations matched leaves wrong: theory/surrogates.md."""
    slots = len(lattice.offsets)
    p = jnp.asarray(lattice.projection())

    def psi(g):
        return phi(g) - phi(p @ g)

    def homogeneous(g):
        """The part of phi's second order that sees the homogeneous part of g alone: its elastic constants."""
        return without_taylor(phi, 1, slots)(p @ g) - without_taylor(phi, 2, slots)(p @ g)

    return {
        "E+F": lambda: without_taylor(phi, 1, slots),
        "E+F+C": lambda: lambda g: without_taylor(phi, 1, slots)(g) - homogeneous(g),
        "E+F+V": lambda: without_taylor(psi, 1, slots),  # the linear term telescopes: no force, no energy
        "E+F+FC": lambda: without_taylor(phi, 2, slots),
        "E+F+FC+V": lambda: without_taylor(psi, 2, slots),
    }[matched]()


def slope(sizes, errors) -> float:
    """Least-squares slope in doubly logarithmic axes."""
    return float(np.polyfit(np.log(sizes), np.log(errors), 1)[0])
