"""Cleri and Rosato's tight-binding second-moment potentials of the fcc metals."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._input import InputError, did_you_mean
from .._typing import Array, Float
from ..energy.site import Stencil
from ..energy.sums import SumEnergy
from .radial import distances, fade, safe_sqrt

PARAMETERS = {
    # A (eV), xi (eV), p, q: F. Cleri and V. Rosato, Phys. Rev. B 48, 22 (1993); lattice constant a (A) of the same fit
    "Cu": (0.0855, 1.224, 10.960, 2.278, 3.615),
    "Ag": (0.1028, 1.178, 10.928, 3.139, 4.085),
    "Au": (0.2061, 1.790, 10.229, 4.036, 4.079),
    "Ni": (0.0376, 1.070, 16.999, 1.189, 3.523),
    "Al": (0.1221, 1.316, 8.612, 2.516, 4.050),
    "Pd": (0.1746, 1.718, 10.867, 3.742, 3.887),
    "Pt": (0.2975, 2.695, 10.612, 4.004, 3.924),
}
"""A, xi, p, q and the experimental lattice constant."""


class CleriRosato(SumEnergy):
    """Second-moment approximation: pair repulsion and a band energy that goes like the square root of the bonding.

    V = A sum_j e^(-p (r_j/r0 - 1)) w(r_j) - sqrt( xi^2 sum_j e^(-2q (r_j/r0 - 1)) w(r_j) ),   r0 = a / sqrt(2)

    The published parameters belong to interactions with exactly five shells of neighbours. The window w (C5, see
    `radial.fade`) is one up to the fifth shell, sqrt(5) r0, and zero from the sixth, sqrt(6) r0, so that cohesive energy,
    lattice constant and elastic constants are the published ones, unchanged by the window. A longer `cutoff` fades more
    gently and lets the sixth shell in: with sqrt(7) r0 the cohesive energies grow by 0 (Pt) to 13 meV (Ni), Cu 0.8 meV.
    A cutoff under 1.1 sqrt(5) r0 fades over its last fifth and is a different material.

    Source: F. Cleri and V. Rosato, Phys. Rev. B 48, 22 (1993).
    """

    repulsion: Float[Array, ""]
    """A, eV."""
    hopping: Float[Array, ""]
    """xi, eV."""
    p: Float[Array, ""]
    q: Float[Array, ""]
    r0: Float[Array, ""]
    """Nearest-neighbour distance of the fit, A."""
    onset: float = eqx.field(static=True)
    """Where the window starts to fall, A."""
    cutoff: float = eqx.field(static=True)
    species: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, symbol: str = "Cu", cutoff: float | None = None):
        """`cutoff` in A. Raises InputError for a metal without parameters or a cutoff that leaves hardly a neighbour."""
        if not isinstance(symbol, str) or symbol not in PARAMETERS:
            raise InputError(
                f"CleriRosato has parameters for {', '.join(PARAMETERS)}; got {symbol!r}{did_you_mean(symbol, PARAMETERS)}"
            )
        repulsion, hopping, p, q, a = PARAMETERS[symbol]
        r0 = a / np.sqrt(2)
        cutoff = float(np.sqrt(6) * r0 if cutoff is None else cutoff)
        if not 1.3 * r0 <= cutoff < np.inf:
            raise InputError(f"CleriRosato({symbol!r}) wants a cutoff of at least {1.3 * r0:.2f} A; got {cutoff}")
        self.repulsion, self.hopping = jnp.asarray(repulsion, dtype=float), jnp.asarray(hopping, dtype=float)
        self.p, self.q, self.r0 = jnp.asarray(p, dtype=float), jnp.asarray(q, dtype=float), jnp.asarray(r0, dtype=float)
        fifth = float(np.sqrt(5) * r0)
        self.onset = fifth if cutoff > 1.09 * fifth else 0.8 * cutoff
        self.cutoff = cutoff
        self.species = (symbol,)

    def terms(self, stencil: Stencil) -> tuple[Float[Array, "sites slots"], ...]:
        """Repulsion over A, and bonding over xi^2."""
        r, inside = distances(stencil, self.cutoff)
        window = jnp.where(inside, fade(r, self.onset, self.cutoff), 0.0)
        stretch = r / self.r0 - 1.0
        return window * jnp.exp(-self.p * stretch), window * jnp.exp(-2.0 * self.q * stretch)

    def of_sums(self, sums, centre):
        """Repulsion minus the root of the bonding."""
        repulsion, bonding = sums
        return self.repulsion * repulsion - safe_sqrt(self.hopping**2 * bonding)
