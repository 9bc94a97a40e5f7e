"""The Stillinger-Weber potential, for one species or for the triplet tables of LAMMPS `.sw` files."""

import warnings
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .. import kernel
from .._input import InputError, InputWarning, did_you_mean
from .._typing import Array, Float, Int
from ..energy.forms import SumEnergy
from ..energy.native import HasNative, Native
from ..energy.site import Stencil
from .potential_file import chosen_species, energy_unit, number, read_lines, read_triplets
from .radial import distances, per_pair

STYLES = ("sw",)
WHAT = "a Stillinger-Weber file (.sw)"

FIELDS: tuple[str, ...] = ("epsilon", "sigma", "a", "lambda", "gamma", "cos0", "A", "B", "p", "q", "tol")
"""The eleven numbers of one `.sw` entry, in file order."""

_GA, _N, _GAN = (1.2, 2.100, 1.6), (1.2, 1.300, 1.8), (2.17, 1.695, 1.8)  # epsilon (eV), sigma (A), a of each pair


def _parameters(*numbers: float) -> dict[str, float]:
    return dict(zip(FIELDS, numbers, strict=True))


def _pair_of(epsilon: float, sigma: float, a: float) -> dict[str, float]:
    """An entry of Bere and Serra with a pair term."""
    return _parameters(epsilon, sigma, a, 32.5, 1.2, -1 / 3, 7.917, 0.72, 4.0, 0.0, 0.0)


_MIXED = _parameters(float(np.sqrt(1.2 * 2.17)), 0.0, 0.0, 32.5, 0.0, -1 / 3, 0.0, 0.0, 0.0, 0.0, 0.0)

PUBLISHED: dict[str, dict[tuple[str, ...], dict[str, float]]] = {
    # F. H. Stillinger and T. A. Weber, Phys. Rev. B 31, 5262 (1985): 50 kcal/mol = 2.1683 eV, 0.20951 nm
    "Si": {("Si",) * 3: _parameters(2.1683, 2.0951, 1.80, 21.0, 1.20, -1 / 3, 7.049556277, 0.6022245584, 4.0, 0.0, 0.0)},
    # A. Bere and A. Serra, Phil. Mag. 86, 2159 (2006), in the form of LAMMPS' GaN.sw: triplets of unlike bonds have the geometric
    # mean of the strengths of their bonds
    "GaN": {
        ("Ga", "Ga", "Ga"): _pair_of(*_GA),
        ("N", "N", "N"): _pair_of(*_N),
        ("Ga", "N", "N"): _pair_of(*_GAN),
        ("N", "Ga", "Ga"): _pair_of(*_GAN),
        **dict.fromkeys((("Ga", "Ga", "N"), ("Ga", "N", "Ga"), ("N", "N", "Ga"), ("N", "Ga", "N")), _MIXED),
    },
}
"""Parameters by name."""


class StillingerWeber(SumEnergy, HasNative):
    """Two-body and angular terms that end smoothly (C-infinity) at a sigma.

    V = 1/2 sum_j A eps [B (sigma/r)^p - (sigma/r)^q] exp(sigma / (r - a sigma))
        + 1/2 sum_{j != k} (lambda eps)_jk (cos(theta_jk) - c0_jk)^2 f_j f_k,      f = exp(gamma sigma / (r - a sigma))

    The angular sum needs no loop over pairs: with the moments of each neighbour species, s = sum f, v = sum f n and
    T = sum f n n (n the unit bond vector), it is 1/2 sum_{ab} (lambda eps)_ab [T_a:T_b - 2 c0 v_a.v_b + c0^2 s_a s_b]
    minus the diagonal 1/2 sum_j (lambda eps)_jj (1 - c0)^2 f_j^2. The cost is linear in the number of neighbours, and
    there is no angle whose derivative could fail for collinear bonds.

    Source: Stillinger and Weber, Phys. Rev. B 31, 5262 (1985); several species as in the LAMMPS pair style `sw`.
    """

    on_host: ClassVar[bool] = True

    well: Float[Array, "species species"]
    """A eps of each pair, eV."""
    core: Float[Array, "species species"]
    """B of each pair."""
    sigma: Float[Array, "species species"]
    """A."""
    reach: Float[Array, "species species"]
    """a sigma, the cutoff of each pair, A."""
    decay: Float[Array, "species species"]
    """gamma sigma, A."""
    stiffness: Float[Array, "species species species"]
    """lambda eps of each triplet (centre first), eV."""
    cos0: Float[Array, "species species species"]
    p: float | tuple[tuple[float, ...], ...] = eqx.field(static=True)
    """Exponents: one number if all pairs agree (then a whole power is cheap), otherwise a table."""
    q: float | tuple[tuple[float, ...], ...] = eqx.field(static=True)
    species: tuple[str, ...] = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)

    def __init__(self, symbol: str | Path = "Si", species: Sequence[str] | None = None):
        """The potential of published parameters or of a file.

        Parameters
        ----------
        symbol : str or Path
            "Si", "GaN", or the path of a LAMMPS `.sw` file.
        species : sequence of str, optional
            Selects from a file; all of its species if not given.

        Raises
        ------
        InputError
            For an unknown symbol, a file that cannot be read or used, or a triplet that the file does not give or gives twice.

        Warns
        -----
        InputWarning
            Of a `tol` above zero, which is not used: LAMMPS takes it to shorten the cutoff, by which energies jump there by
            about tol
            times A epsilon.
        """
        if str(symbol) in PUBLISHED and species is None:
            table = PUBLISHED[str(symbol)]
            species = tuple(dict.fromkeys(key[0] for key in table))
        elif Path(symbol).exists():
            table, repeated = _read(Path(symbol))
            found = tuple(dict.fromkeys(key[0] for key in table))
            species = chosen_species(species, found, symbol) if species is not None else found
            for key, (first, second) in repeated.items():
                if set(key) <= set(species):
                    raise InputError(f"{symbol} has two entries for {' '.join(key)}, on lines {first} and {second}; remove one")
        else:
            known = ", ".join(PUBLISHED)
            raise InputError(
                f"StillingerWeber takes {known} or the path of a LAMMPS .sw file; {str(symbol)!r} is neither"
                f"{did_you_mean(str(symbol), PUBLISHED)}"
            )
        missing = [key for key in product(species, repeat=3) if key not in table]
        if missing:
            raise InputError(
                f"{symbol} has no Stillinger-Weber entry for {' '.join(missing[0])}; choose species among those it lists"
            )
        _check_ends(symbol, species, table)
        tol = max(table[key]["tol"] for key in product(species, repeat=3))
        if tol > 0.0:
            warnings.warn(
                f"{symbol}: tol = {tol:g} is not used: the functions reach to a sigma, where LAMMPS shortens the cutoff and "
                f"lets the energy jump",
                InputWarning,
                stacklevel=2,
            )
        n = len(species)

        def triplets(name: str) -> Float[np.ndarray, "species species species"]:
            return np.array([table[key][name] for key in product(species, repeat=3)]).reshape(n, n, n)

        def pairs(name: str) -> Float[np.ndarray, "species species"]:
            return np.einsum("ijj->ij", triplets(name))

        self.well = jnp.asarray(pairs("A") * pairs("epsilon"))
        self.core = jnp.asarray(pairs("B"))
        self.sigma = jnp.asarray(pairs("sigma"))
        reach = pairs("a") * pairs("sigma")
        self.reach = jnp.asarray(reach)
        self.decay = jnp.asarray(pairs("gamma") * pairs("sigma"))
        self.stiffness = jnp.asarray(triplets("lambda") * triplets("epsilon"))
        self.cos0 = jnp.asarray(triplets("cos0"))
        self.p, self.q = _exponent(pairs("p")), _exponent(pairs("q"))
        self.species = species
        self.cutoff = float(reach.max())

    def native(self) -> "CompiledStillingerWeber":
        """Its compiled code."""
        return CompiledStillingerWeber(self)

    @property
    def correlation_order(self) -> int:
        """Bonds and the angles between two of them."""
        return 2

    @classmethod
    def from_file(cls, path: str | Path, species: Sequence[str] | None = None) -> "StillingerWeber":
        """The potential of a LAMMPS `.sw` file.

        Parameters
        ----------
        path : str or Path
            The file.
        species : sequence of str, optional
            All of its species if not given.

        Returns
        -------
        StillingerWeber
            The potential.

        Raises
        ------
        InputError
            As the constructor.
        """
        if not Path(path).is_file():
            read_lines(Path(path), WHAT, STYLES)
        return cls(path, species)

    def terms(self, stencil: Stencil) -> tuple[Float[Array, "sites slots ..."], ...]:
        """Pair energies, eV; what the angular sum has too much, eV; then f, f n and f nn, for each neighbour species."""
        reach, sigma = per_pair(self.reach, stencil), per_pair(self.sigma, stencil)
        r, inside = distances(stencil, reach)
        ratio, gap = sigma / r, 1.0 / (r - reach)
        pair = per_pair(self.well, stencil) * jnp.exp(sigma * gap)
        pair = pair * (per_pair(self.core, stencil) * _power(ratio, self.p, stencil) - _power(ratio, self.q, stencil))
        f, n = jnp.where(inside, jnp.exp(per_pair(self.decay, stencil) * gap), 0.0), stencil.g / r[..., None]
        own = per_pair(jnp.einsum("ijj->ij", self.stiffness * (1 - self.cos0) ** 2), stencil) * f**2
        if len(self.species) > 1:
            f = jnp.where(stencil.neighbour[..., None] == jnp.arange(len(self.species)), f[..., None], 0.0)
            n = n[:, :, None]
        fn = f[..., None] * n
        return jnp.where(inside, pair, 0.0), own, f, fn, fn[..., :, None] * n[..., None, :]

    def of_sums(self, sums: tuple[Float[Array, " sites ..."], ...], centre: Int[Array, " sites"]) -> Float[Array, " sites"]:
        """Half the pair energy, and the angular term from the moments of each neighbour species."""
        pair, own, scalar, vector, tensor = sums
        scalar, vector, tensor = (m.reshape(len(centre), len(self.species), -1) for m in (scalar, vector, tensor))
        c0, k = self.cos0[centre], self.stiffness[centre]
        squares = jnp.einsum("sam,sbm->sab", tensor, tensor) - 2 * c0 * jnp.einsum("sam,sbm->sab", vector, vector)
        squares = squares + c0**2 * scalar * jnp.swapaxes(scalar, 1, 2)
        return 0.5 * (pair - own + jnp.einsum("sab,sab->s", k, squares))


class CompiledStillingerWeber(Native):
    """The Stillinger-Weber potential in the compiled kernel."""

    def __init__(self, of: StillingerWeber):
        shape = (len(of.species),) * 2
        pairs = [of.well, of.core, of.sigma, of.reach, of.decay, np.broadcast_to(of.p, shape), np.broadcast_to(of.q, shape)]
        self._kinds = len(of.species)
        self._pairs = np.array([np.asarray(table) for table in pairs])
        self._triplets = np.array([np.asarray(of.stiffness), np.asarray(of.cos0)])

    def sums(self, cell: kernel.HostCell):
        return kernel.stillinger_weber(cell, self._kinds, self._pairs, self._triplets)

    def factors(self, cell: kernel.HostCell, first: int):
        return kernel.stillinger_weber_factors(cell, self._kinds, self._pairs, self._triplets, first)


def _exponent(table: np.ndarray) -> float | tuple[tuple[float, ...], ...]:
    """One number if all pairs have the same exponent."""
    return float(table[0, 0]) if np.all(table == table[0, 0]) else tuple(map(tuple, table.tolist()))


def _power(
    ratio: Float[Array, "sites slots"], exponent: float | tuple[tuple[float, ...], ...], stencil: Stencil
) -> Float[Array, "sites slots"]:
    """ratio ** exponent, by multiplication where the exponent is a whole number."""
    if isinstance(exponent, tuple):
        return ratio ** per_pair(jnp.asarray(exponent), stencil)
    return ratio ** (int(exponent) if exponent == int(exponent) else exponent)


def _check_ends(symbol: str | Path, species: tuple[str, ...], table: dict[tuple[str, ...], dict[str, float]]) -> None:
    """Raises InputError for functions without a range, and for an angular function that does not vanish at its cutoff."""
    for i, j in product(species, repeat=2):
        entry = table[i, j, j]
        for name in ("a", "sigma"):
            if entry["epsilon"] * entry["A"] > 0.0 and entry[name] == 0.0:
                raise InputError(
                    f"{symbol}: {name} of {i} {j} {j} is 0, so that A = {entry['A']:g} acts nowhere; it must be positive where "
                    f"epsilon and A are"
                )
    for i, j, k in product(species, repeat=3):
        for pair in ((i, j, j), (i, k, k)):
            entry, triplet = table[pair], table[i, j, k]
            if triplet["lambda"] * triplet["epsilon"] > 0.0 and entry["a"] * entry["sigma"] > 0.0 and entry["gamma"] == 0.0:
                raise InputError(
                    f"{symbol}: gamma of {' '.join(pair)} is 0, so that the angular energy jumps at the cutoff; it must be "
                    f"positive where lambda is"
                )


def _read(path: Path) -> tuple[dict[tuple[str, ...], dict[str, float]], dict[tuple[str, ...], tuple[int, int]]]:
    """All entries of a `.sw` file by triplet, and the lines of triplets that are there twice."""
    lines = read_lines(path, WHAT, STYLES)
    energy = energy_unit(path, lines[0])
    return read_triplets(path, lines, ".sw", len(FIELDS), lambda words, place: _entry(words, place, energy))


def _entry(words: list[str], place: str, energy: float) -> dict[str, float]:
    """The numbers of one entry, epsilon in eV. Raises InputError for what cannot be a Stillinger-Weber potential."""
    entry = dict(zip(FIELDS, (number(word, place) for word in words), strict=True))
    for name, value in entry.items():
        if name != "cos0" and value < 0.0:
            raise InputError(f"{place}: {name} must not be negative; got {value:g}")
    if abs(entry["cos0"]) > 1.0:
        raise InputError(f"{place}: cos0 is the cosine of an angle, between -1 and 1; got {entry['cos0']:g}")
    entry["epsilon"] *= energy
    return entry
