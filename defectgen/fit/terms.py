"""Terms of objectives that are linear in the coefficients before a function of the user's own: phonons, and a smoothness penalty.

A linear model has the force constants sum_k theta_k Phi^k, so that its dynamical matrices are known for all coefficients at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._display import shown
from .._input import real, takes, whole
from .._typing import Anywhere, Array, Complex, Float
from ..crystal.lattice import Lattice
from ..energy.crystal_state import crystal_force_constants
from ..energy.perfect import ForceConstants
from .prior import Smoothness


@dataclass(frozen=True, eq=False)
class LinearPhonons:
    """The force constants of the perfect crystal on waves, for all functions of a basis."""

    waves: Float[np.ndarray, "waves 3"]
    """In multiples of the reciprocal vectors; the zero wave is left out."""
    matrices: Complex[np.ndarray, "waves n n columns"]
    """sum_rho Phi(rho) e^{i k rho} of every function, eV/A^2 per unit coefficient; n is the dimension times the sublattices."""

    def __repr__(self) -> str:
        return shown(self, f"{len(self.waves):,} wave vectors", f"{self.matrices.shape[-1]:,} functions")

    @staticmethod
    def of(constants: ForceConstants, lattice: Lattice, size: int) -> "LinearPhonons":
        """From force constants that are already there; those of a potential are one column, with the coefficient one.

        Parameters
        ----------
        constants : ForceConstants
            Of the infinite crystal.
        lattice : Lattice
            The perfect crystal.
        size : int
            Primitive cells along each side of the supercell.

        Returns
        -------
        LinearPhonons
        """
        d, s = lattice.dimension, lattice.sublattices
        axis = np.arange(size) / size
        grid = np.stack(np.meshgrid(*[axis if k < d else np.zeros(1) for k in range(3)], indexing="ij"), -1).reshape(-1, 3)
        back = np.round((-grid) % 1.0, 9)
        first = [tuple(a) <= tuple(b) for a, b in zip(np.round(grid, 9), back, strict=True)]
        waves = grid[np.array(first) & (np.abs(grid).max(axis=1) > 0)]
        phase = np.exp(2j * np.pi * waves @ constants.translations.T)
        phi = constants.phi[:, :d, :d].reshape(len(constants.phi), d, d, -1)
        found = np.zeros((len(waves), s, d, s, d, phi.shape[3]), dtype=complex)
        for a in range(s):
            for b in range(s):
                own = (constants.first == a) & (constants.second == b)
                found[:, a, :, b] = np.einsum("qp,pijk->qijk", phase[:, own], phi[own])
        matrices = found.reshape(len(waves), s * d, s * d, -1)
        return LinearPhonons(waves, (matrices + np.conj(np.swapaxes(matrices, 1, 2))) / 2)

    def eigenvalues(self, theta: Float[Anywhere, " columns"]) -> Float[Array, "waves n"]:
        """Eigenvalues of the force constants on every wave, eV/A^2; negative ones belong to unstable waves.

        Parameters
        ----------
        theta : array (columns,)
            Coefficients.

        Returns
        -------
        array (waves, n)
            Ascending.
        """
        return jnp.linalg.eigvalsh(jnp.asarray(self.matrices) @ theta)

    def instability(self, floor: float, sharpness: float = 5.0) -> Callable[[Float[Anywhere, " columns"]], Float[Array, ""]]:
        """A penalty for soft waves: the sum of exp(-sharpness (lambda / floor - 1)) over all eigenvalues, smooth and convex.

        Parameters
        ----------
        floor : float
            eV/A^2: an eigenvalue there costs one, one at twice the floor exp(-sharpness).
        sharpness : float

        Returns
        -------
        callable
            Of the coefficients. As a trace of a matrix exponential it is smooth where eigenvalues meet, which eigenvalues
            themselves are not.
        """
        floor = real(floor, "the floor of the eigenvalues", 0.0, above=True, unit="eV/A^2")
        sharpness = real(sharpness, "the sharpness of the penalty", 0.0, above=True)
        unit = np.eye(self.matrices.shape[1])

        def penalty(theta: Float[Anywhere, " columns"]) -> Float[Array, ""]:
            excess = jnp.asarray(self.matrices) @ theta / floor - unit
            return jnp.real(jnp.sum(jnp.trace(jax.vmap(jax.scipy.linalg.expm)(-sharpness * excess), axis1=1, axis2=2)))

        return penalty


@takes(lattice=(Lattice, "a crystal, such as dg.fcc('Cu', 3.6)"))
def linear_phonons(lattice: Lattice, basis: Any, size: int = 4) -> LinearPhonons:
    """Dynamical matrices of all functions of a basis at the wave vectors of a supercell.

    Parameters
    ----------
    lattice : Lattice
        The perfect crystal.
    basis : ACEBasis
        The functions.
    size : int
        Primitive cells along each side of the supercell, so that size^dimension waves are looked at. Of k and -k one is kept.

    Returns
    -------
    LinearPhonons

    Raises
    ------
    InputError
        For a size below two.
    """
    size = whole(size, "the size of the supercell whose waves are looked at", 2)
    return LinearPhonons.of(crystal_force_constants(lattice, basis), lattice, size)


def smoothness(basis: Any, strength: float, power: float = 4.0) -> Callable[[Float[Anywhere, " columns"]], Float[Array, ""]]:
    """The smoothness prior as a term: |Gamma theta|^2.

    Parameters
    ----------
    basis : ACEBasis
        The functions.
    strength, power : float
        As of `Smoothness`.

    Returns
    -------
    callable
        Of the coefficients.
    """
    gamma = np.asarray(Smoothness(power, real(strength, "the strength of the smoothness", 0.0)).diagonal(basis, basis.size))
    return lambda theta: jnp.sum((gamma * theta) ** 2)
