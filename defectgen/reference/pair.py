"""Pair potentials with a smooth end: Lennard-Jones and Morse, in two and three dimensions."""

from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._input import InputError, came
from .._typing import Array, Float, Int
from ..energy.forms import SumEnergy
from ..energy.site import Stencil
from .radial import distances, fade, per_pair

LENNARD_JONES = {
    # epsilon (eV), sigma (A). Ar: L. Verlet, Phys. Rev. 159, 98 (1967), epsilon/k = 119.8 K;
    # the others: C. Kittel, Introduction to Solid State Physics, table "Properties of inert gas crystals"
    "Ar": (0.0103235, 3.405),
    "Ne": (0.0031, 2.74),
    "Kr": (0.0140, 3.65),
    "Xe": (0.0200, 3.98),
}
"""Well depth and length by symbol."""

MORSE = {
    # D (eV), alpha (1/A), r0 (A): L. A. Girifalco and V. G. Weizer, Phys. Rev. 114, 687 (1959)
    "Cu": (0.3429, 1.3588, 2.866),
    "Ag": (0.3323, 1.3690, 3.115),
    "Al": (0.2703, 1.1646, 3.253),
    "Ni": (0.4205, 1.4199, 2.780),
}
"""Well depth, stiffness and equilibrium distance by symbol, fitted to all neighbours of the fcc crystal."""


class LennardJones(SumEnergy):
    """V = 1/2 sum_j 4 eps [(sigma/r)^12 - (sigma/r)^6] w(r), the window w falling (C5) over the last 30 % of the cutoff.

    Several species mix by Lorentz (sigma, arithmetic) and Berthelot (epsilon, geometric).
    """

    by_distance: ClassVar[bool] = True
    epsilon: Float[Array, "species species"]
    """eV."""
    sigma: Float[Array, "species species"]
    """A."""
    onset: float = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)
    species: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        symbol: str | Sequence[str] = "Ar",
        epsilon: float | Sequence[float] | None = None,
        sigma: float | Sequence[float] | None = None,
        cutoff: float | None = None,
        onset: float | None = None,
    ):
        """The potential of some species.

        Parameters
        ----------
        symbol : str or sequence of str
            Chemical symbols.
        epsilon : float or sequence of float, optional
            Depths, eV; published values if not given.
        sigma : float or sequence of float, optional
            Diameters, A; published values if not given.
        cutoff : float, optional
            A; 2.5 times the largest sigma if not given.
        onset : float, optional
            Where the window starts to fall, A; 0.7 times the cutoff if not given.

        Raises
        ------
        InputError
            For a symbol without published values when none are given, or numbers that are not positive.
        """
        species = _symbols(symbol)
        given = {"epsilon": epsilon, "sigma": sigma}
        eps, sig = _parameters("LennardJones", species, given, LENNARD_JONES)
        self.epsilon = jnp.asarray(np.sqrt(np.outer(eps, eps)))
        self.sigma = jnp.asarray((sig[:, None] + sig[None, :]) / 2)
        self.cutoff = 2.5 * float(sig.max()) if cutoff is None else float(cutoff)
        self.onset = _onset(onset, self.cutoff)
        self.species = species

    @property
    def correlation_order(self) -> int:
        """One neighbour at a time."""
        return 1

    def terms(self, stencil: Stencil) -> tuple[Float[Array, "sites slots"], ...]:
        """Half the pair energies, eV."""
        r, inside = distances(stencil, self.cutoff)
        inverse = (per_pair(self.sigma, stencil) / r) ** 6
        pair = 4.0 * per_pair(self.epsilon, stencil) * inverse * (inverse - 1.0) * fade(r, self.onset, self.cutoff)
        return (jnp.where(inside, 0.5 * pair, 0.0),)

    def of_sums(self, sums: tuple[Float[Array, " sites"], ...], centre: Int[Array, " sites"]) -> Float[Array, " sites"]:
        """Their sum."""
        return sums[0]


class Morse(SumEnergy):
    """V = 1/2 sum_j D [e^(-2 alpha (r - r0)) - 2 e^(-alpha (r - r0))] w(r), the window w falling (C5) over the last 30 %.

    The published crystals use all neighbours; the default cutoff of 2.5 r0 (about seven fcc shells) leaves out the far
    tail, which changes the equilibrium lattice constant by less than a per cent.
    """

    by_distance: ClassVar[bool] = True
    epsilon: Float[Array, ""]
    """D, eV."""
    alpha: Float[Array, ""]
    """1/A."""
    r0: Float[Array, ""]
    """A."""
    onset: float = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)
    species: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        symbol: str = "Cu",
        epsilon: float | None = None,
        alpha: float | None = None,
        r0: float | None = None,
        cutoff: float | None = None,
        onset: float | None = None,
    ):
        """The potential of one species.

        Parameters
        ----------
        symbol : str
            Chemical symbol.
        epsilon : float, optional
            Depth D, eV; the published value if not given.
        alpha : float, optional
            1/A; the published value if not given.
        r0 : float, optional
            Distance of the minimum, A; the published value if not given.
        cutoff : float, optional
            A; 2.5 r0 if not given.
        onset : float, optional
            Where the window starts to fall, A; 0.7 times the cutoff if not given.

        Raises
        ------
        InputError
            For a symbol without published values when none are given, or numbers that are not positive.
        """
        given = {"epsilon": epsilon, "alpha": alpha, "r0": r0}
        depth, stiffness, length = (float(v[0]) for v in _parameters("Morse", (symbol,), given, MORSE))
        self.epsilon, self.alpha, self.r0 = (
            jnp.asarray(depth, dtype=float),
            jnp.asarray(stiffness, dtype=float),
            jnp.asarray(length, dtype=float),
        )
        self.cutoff = 2.5 * length if cutoff is None else float(cutoff)
        self.onset = _onset(onset, self.cutoff)
        self.species = (symbol,)

    @property
    def correlation_order(self) -> int:
        """One neighbour at a time."""
        return 1

    def terms(self, stencil: Stencil) -> tuple[Float[Array, "sites slots"], ...]:
        """Half the pair energies, eV."""
        r, inside = distances(stencil, self.cutoff)
        e = jnp.exp(-self.alpha * (r - self.r0))
        pair = self.epsilon * e * (e - 2.0) * fade(r, self.onset, self.cutoff)
        return (jnp.where(inside, 0.5 * pair, 0.0),)

    def of_sums(self, sums: tuple[Float[Array, " sites"], ...], centre: Int[Array, " sites"]) -> Float[Array, " sites"]:
        """Their sum."""
        return sums[0]


def _symbols(given: object) -> tuple[str, ...]:
    """One symbol or several. Raises InputError for anything else."""
    found = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, list | tuple) else ()
    if not found or not all(isinstance(s, str) for s in found):
        raise InputError(f"a potential is for a chemical symbol, or a list of them; got {came(given)}")
    return found


def _parameters(name: str, species: tuple[str, ...], given: dict, published: dict) -> list[np.ndarray]:
    """Each parameter as one positive number per species, the published one where none was given."""
    result = []
    for column, (word, value) in enumerate(given.items()):
        if value is None:
            unknown = [s for s in species if s not in published]
            if unknown:
                raise InputError(
                    f"{name} has published values for {', '.join(published)}; for {unknown[0]} give {', '.join(given)}"
                )
            value = [published[s][column] for s in species]
        try:
            array = np.broadcast_to(np.asarray(value, dtype=float), (len(species),))
        except (TypeError, ValueError):
            each = f", or one for each of {', '.join(species)}" if len(species) > 1 else ""
            raise InputError(f"{name} needs {word} as one number{each}; got {value!r}") from None
        if not np.all((array > 0) & (array < np.inf)):
            raise InputError(f"{name} needs a positive {word}; got {value}")
        result.append(array)
    return result


def _onset(onset: float | None, cutoff: float) -> float:
    """Where the window starts, A: 0.7 of the cutoff unless given."""
    onset = 0.7 * cutoff if onset is None else float(onset)
    if not 0.0 < onset < cutoff < np.inf:
        raise InputError(f"the window needs 0 < onset < cutoff; got onset {onset} A and cutoff {cutoff} A")
    return onset
