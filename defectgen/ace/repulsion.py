"""Short-range repulsion: a pair energy that a fit is made on top of, so that atoms repel each other where there are no data."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import factorial
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.interpolate import make_interp_spline

from .._input import OVERFLOWS, InputError, check_finite, did_you_mean, one_line, reason
from .._typing import Array, Float
from ..crystal.elements import element
from ..energy.forms import SumEnergy
from ..energy.site import Stencil

COULOMB = 14.399645
"""e^2 / (4 pi epsilon_0), eV A, to the digits of LAMMPS (CODATA 2018: 14.3996454)."""

UNIVERSAL = ((0.02817, 0.20162), (0.28022, 0.40290), (0.50986, 0.94229), (0.18175, 3.19980))
"""Amplitudes and decays of the universal screening function (J. F. Ziegler, J. P. Biersack, U. Littmark, The Stopping and Range
of Ions in Matter, 1985), with the digits that LAMMPS uses."""

SCREENING, POWER = 0.46850, 0.23
"""A: the screening length is SCREENING / (Z_i^POWER + Z_j^POWER)."""

ONSET = 0.5
"""Default inner radius of ZBL over its outer one: at bond lengths nothing is left of it, and the switch spans half a bond."""


class Repulsion(SumEnergy):
    """V = 1/2 sum_j phi_ij(r_ij), with phi and its first two derivatives zero from a radius on.

    Its species are those of the basis that it is used with, in their order.
    """

    @abstractmethod
    def pair(self, r: Float[Array, "*n"], i: Any, j: Any) -> Float[Array, "*n"]:
        """Energy of pairs.

        Parameters
        ----------
        r : array, (n,)
            Distances below the radius of the species, A.
        i, j : int or integer array, (n,)
            Numbers of the species.

        Returns
        -------
        array, (n,)
            phi, eV.
        """

    @abstractmethod
    def radius(self) -> Float[Array, "species species"]:
        """Where the energy of a pair ends.

        Returns
        -------
        array, (species, species)
            A.
        """

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """What `repulsion_from_description` makes it of again.

        Returns
        -------
        dict
            Numbers, words and lists, which JSON can hold.
        """

    @property
    def correlation_order(self) -> int:
        """One neighbour at a time."""
        return 1

    def terms(self, stencil: Stencil) -> tuple[Float[Array, "sites slots"], ...]:
        """Half the pair energies, eV."""
        i, j = jnp.broadcast_to(stencil.centre[:, None], stencil.neighbour.shape), stencil.neighbour
        end = self.radius()[i, j]
        r2 = jnp.sum(stencil.g**2, axis=-1)
        inside = jax.lax.stop_gradient(r2) < end**2
        r = jnp.sqrt(jnp.where(inside, r2, end**2 / 4))  # a safe distance, whose energy is dropped
        return (jnp.where(inside, 0.5 * self.pair(r, i, j), 0.0),)

    def of_sums(self, sums, centre):
        """Their sum."""
        return sums[0]


@final
class ZBL(Repulsion):
    """The universal repulsion of Ziegler, Biersack and Littmark with the switch of LAMMPS' `pair_style zbl`.

    phi(r) = Z_i Z_j e^2 / r f(r / a) + S(r), with f the universal screening function and a = 0.4685 A / (Z_i^0.23 + Z_j^0.23).
    S is a constant up to the inner radius and a polynomial of order four from there to the outer one, at which phi, phi' and
    phi'' vanish; at both radii two derivatives are continuous.

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.ZBL(["In", "P"])
    ZBL(In P, cutoff 2.84 A)
    """

    inner: Float[Array, "species species"]
    """A."""
    outer: Float[Array, "species species"]
    """A."""
    charges: Float[Array, " species"]
    switch: Float[Array, "species species 3"]
    """Coefficients of (r - inner)^3 and (r - inner)^4, and the constant, of S."""
    cutoff: float = eqx.field(static=True)
    species: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, species: str | Sequence[str], inner: Any = None, outer: Any = None):
        """
        Parameters
        ----------
        species : str or sequence of str
            Chemical symbols.
        inner, outer : float or (species, species) array, optional
            Where the switch begins and ends, A. By default it ends at the sum of the covalent radii and begins at half of that.

        Raises
        ------
        InputError
            For unknown elements and radii that are not 0 < inner < outer.
        """
        self.species = _species(species)
        elements = [element(s) for s in self.species]
        radii = np.array([e.covalent_radius for e in elements])
        outer = _radii(outer, radii[:, None] + radii[None, :], "outer")
        inner = _radii(inner, ONSET * outer, "inner")
        if not np.all((inner > 0) & (inner < outer) & (outer > 1e-3)):
            raise InputError(f"the repulsion needs 0 < inner < outer; got inner {inner.tolist()} A and outer {outer.tolist()} A")
        charges = np.array([float(e.number) for e in elements])
        slopes = [np.asarray(d) for d in _derivatives(outer, charges[:, None], charges[None, :])]
        width = outer - inner
        third = (-3 * slopes[1] + width * slopes[2]) / width**2 / 3
        fourth = (2 * slopes[1] - width * slopes[2]) / width**3 / 4
        constant = -slopes[0] + width / 2 * slopes[1] - width**2 / 12 * slopes[2]
        made = jax.device_put((inner, outer, charges, np.stack([third, fourth, constant], axis=-1)))
        self.inner, self.outer, self.charges, self.switch = made
        self.cutoff = float(outer.max())

    def pair(self, r, i, j):
        third, fourth, constant = (self.switch[i, j, k] for k in range(3))
        t = jnp.maximum(r - self.inner[i, j], 0.0)
        return _universal(r, self.charges[i], self.charges[j]) + constant + t**3 * (third + fourth * t)

    def radius(self):
        return self.outer

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "zbl",
            "species": list(self.species),
            "inner": np.asarray(self.inner).tolist(),
            "outer": np.asarray(self.outer).tolist(),
        }


@final
class TabulatedPairs(Repulsion):
    """A tabulated pair potential phi(r), interpolated by quintic splines; linear below the first distance.

    Examples
    --------
    >>> import numpy as np
    >>> import defectgen as dg
    >>> r = np.linspace(0.5, 2.0, 31)  # A
    >>> dg.TabulatedPairs(["Cu"], r, {"Cu-Cu": 20 * (2.0 - r) ** 4})  # eV
    TabulatedPairs(Cu, cutoff 2 A)
    """

    distances: Float[Array, " knots"]
    """A, of all pairs, equally spaced."""
    coefficients: Float[Array, "species species intervals 6"]
    """Of powers of the distance from the left knot, the highest first, eV and A."""
    values: Float[Array, "species species knots"]
    """phi at the knots, eV."""
    ends: Float[Array, "species species"]
    cutoff: float = eqx.field(static=True)
    species: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, species: str | Sequence[str], distances: Any, values: Mapping[str, Any] | Any):
        """
        Parameters
        ----------
        species : str or sequence of str
            Chemical symbols.
        distances : (knots,) array
            Equally spaced, at least 8, A; phi ends at the last.
        values : mapping of str to (knots,) arrays or functions
            phi of every pair of species, eV, as {"In-P": ...} (either order); a function is called with the distances. Pairs that
            are not named do not interact. The last value is zero.

        Raises
        ------
        InputError
            For tables of other shapes, unknown pairs, and pair energies that do not end at zero.
        """
        self.species = _species(species)
        r = _numbers(distances, "the distances of a pair potential")
        check_finite(r, "the distances of a pair potential")
        if (
            r.ndim != 1
            or len(r) < 8
            or not 0 < r[0] < r[-1]
            or not np.allclose(np.diff(r), (r[-1] - r[0]) / (len(r) - 1), rtol=1e-6)
        ):
            raise InputError(
                "a pair potential is tabulated at 8 or more equally spaced positive distances (A); got an array of shape "
                f"{r.shape}"
            )
        if not isinstance(values, Mapping):
            raise InputError(f"pair energies are a table such as {{'In-P': ...}}; got {type(values).__name__}")
        count = len(self.species)
        table = np.zeros((count, count, len(r)))
        for name, given in values.items():
            i, j = _pair(name, self.species)
            if callable(given):
                try:
                    given = given(r)
                except Exception as error:
                    raise InputError(
                        f"the function of the pair energy {name!r} failed on the distances: {reason(error)}"
                    ) from error
            found = _numbers(given, f"the pair energy {name!r}")
            if np.any(table[i, j]):
                raise InputError(f"the pair energy {name!r} is given twice, once with its species in the other order")
            if found.shape != r.shape:
                raise InputError(f"the pair energy {name!r} has the shape {found.shape}, and there are {len(r)} distances")
            check_finite(found, f"the pair energies {name!r}")
            if abs(found[-1]) > 1e-6:
                raise InputError(
                    f"the pair energy {name!r} is {found[-1]:.3g} eV at its last distance, {r[-1]:g} A, and must end at zero "
                    "there: multiply it by a smooth switch"
                )
            table[i, j] = table[j, i] = found
        zero = np.zeros((count, count))  # of phi' and phi'' at the end; at the other one they follow from the table
        spline = make_interp_spline(r, np.moveaxis(table, -1, 0), k=5, bc_type=(_first(table, r), [(1, zero), (2, zero)]))
        pieces = [spline(r[:-1], power) / factorial(power) for power in range(5, -1, -1)]
        acts = np.abs(table).max(axis=-1) > 0
        made = (r, np.moveaxis(np.array(pieces), (0, 1), (-1, -2)), table, np.where(acts, r[-1], 0.0))
        self.distances, self.coefficients, self.values, self.ends = jax.device_put(made)
        self.cutoff = float(r[-1])

    def pair(self, r, i, j):
        first, step = self.distances[0], self.distances[1] - self.distances[0]
        inside = jnp.maximum(r, first)
        place = jnp.clip(jnp.floor((inside - first) / step).astype(int), 0, len(self.distances) - 2)
        t = inside - self.distances[place]
        value = jnp.zeros_like(r)
        for k in range(6):
            value = value * t + self.coefficients[i, j, place, k]
        return value + jnp.minimum(r - first, 0.0) * self.coefficients[i, j, 0, 4]

    def radius(self):
        return self.ends

    def describe(self) -> dict[str, Any]:
        pairs = {}
        for i, a in enumerate(self.species):
            for j, b in enumerate(self.species[i:], start=i):
                if float(self.ends[i, j]) > 0:
                    pairs[f"{a}-{b}"] = np.asarray(self.values[i, j]).tolist()
        return {
            "kind": "tabulated",
            "species": list(self.species),
            "distances": np.asarray(self.distances).tolist(),
            "pairs": pairs,
        }


def _species(given: Any) -> tuple[str, ...]:
    """Symbols of known elements, each once. Raises InputError for anything else."""
    found = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Iterable) else ()
    for symbol in found:
        element(symbol)
    if not found or len(set(found)) < len(found):
        raise InputError(f"the species of a repulsion are chemical symbols, each once, as ['In', 'P']; got {given!r}")
    return found


def _numbers(given: Any, what: str) -> np.ndarray:
    """An array of numbers. Raises InputError for anything else."""
    try:
        return np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        raise InputError(f"{what}: an array of numbers was expected; got {one_line(repr(given), 80)}") from None


def _first(table: np.ndarray, r: np.ndarray) -> list:
    """First and second derivative at the first knot, by differences: a table says no more there."""
    step = r[1] - r[0]
    y = np.moveaxis(table, -1, 0)
    slope = (-25 * y[0] + 48 * y[1] - 36 * y[2] + 16 * y[3] - 3 * y[4]) / (12 * step)
    bend = (35 * y[0] - 104 * y[1] + 114 * y[2] - 56 * y[3] + 11 * y[4]) / (12 * step**2)
    return [(1, slope), (2, bend)]


def _pair(name: str, species: tuple[str, ...]) -> tuple[int, int]:
    """Places of the two species of "In-P"."""
    parts = [p.strip() for p in str(name).split("-")]
    if len(parts) != 2 or any(p not in species for p in parts):
        known = [f"{a}-{b}" for k, a in enumerate(species) for b in species[k:]]
        raise InputError(f"pair energies are named {', '.join(known)}; got {name!r}{did_you_mean(name, known)}")
    return species.index(parts[0]), species.index(parts[1])


def _radii(given: Any, usual: np.ndarray, what: str) -> np.ndarray:
    """A symmetric table of radii."""
    if given is None:
        return usual
    try:
        found = np.broadcast_to(np.asarray(given, dtype=float), usual.shape).copy()
    except (TypeError, ValueError):
        raise InputError(
            f"the {what} radius of the repulsion is one number or a table of {usual.shape}, A; got {given!r}"
        ) from None
    if not np.all(np.abs(found) < OVERFLOWS) or not np.allclose(found, found.T):
        raise InputError(f"the {what} radii of the repulsion are finite and symmetric; got {found.tolist()} A")
    return found


def _universal(r, first, second):
    """Z_i Z_j e^2 / r f(r / a), eV."""
    length = SCREENING / (first**POWER + second**POWER)
    screened = sum(amplitude * jnp.exp(-decay * r / length) for amplitude, decay in UNIVERSAL)
    return COULOMB * first * second / r * screened


def _derivatives(r, first, second) -> list[Array]:
    """Value, first and second derivative of the screened repulsion."""
    found: list[Callable] = [lambda x: _universal(x, first, second)]
    for _ in range(2):
        found.append(lambda x, f=found[-1]: jax.jvp(f, (x,), (jnp.ones_like(x),))[1])
    return [f(jnp.asarray(r, dtype=float)) for f in found]


def as_repulsion(given: Any, species: tuple[str, ...], cutoff: float) -> Repulsion | None:
    """A repulsion for a basis from what users write.

    Parameters
    ----------
    given : None, "zbl", ZBL or TabulatedPairs
        "zbl" ends at the sums of the covalent radii, but not beyond the cutoff.
    species : tuple of str
        Those of the basis.
    cutoff : float
        That of the basis, A.

    Returns
    -------
    Repulsion or None

    Raises
    ------
    InputError
        Anything else, other species, and a repulsion that reaches beyond the basis.
    """
    if given is None:
        return None
    if isinstance(given, str) and given.lower() == "zbl":
        radii = np.array([element(s).covalent_radius for s in species])
        return ZBL(species, outer=np.minimum(radii[:, None] + radii[None, :], cutoff))
    if not isinstance(given, Repulsion):
        raise InputError(
            f"a repulsion is 'zbl', dg.ZBL(...) or dg.TabulatedPairs(...); got {given!r}"
            + (did_you_mean(given, ["zbl"]) if isinstance(given, str) else "")
        )
    if given.species != species:
        raise InputError(
            f"a repulsion has the species of the basis in their order, {', '.join(species)}; got {', '.join(given.species)}"
        )
    if given.cutoff > cutoff + 1e-9:
        raise InputError(f"the repulsion reaches {given.cutoff:g} A, beyond the cutoff of the basis, {cutoff:g} A; shorten it")
    return given


def repulsion_from_description(described: Mapping[str, Any] | None) -> Repulsion | None:
    """The repulsion that `describe` described.

    Parameters
    ----------
    described : mapping or None
        As `Repulsion.describe` gives it.

    Returns
    -------
    Repulsion or None
        None for None.

    Raises
    ------
    InputError
        For another kind.
    """
    if described is None:
        return None
    kind = described.get("kind") if isinstance(described, Mapping) else described
    if kind == "zbl":
        return ZBL(described["species"], np.array(described["inner"]), np.array(described["outer"]))
    if kind == "tabulated":
        return TabulatedPairs(described["species"], described["distances"], described["pairs"])
    raise InputError(f"a repulsion is of the kind 'zbl' or 'tabulated'; got {kind!r}")


def same_repulsion(one: Repulsion | None, other: Repulsion | None) -> bool:
    """Whether two repulsions have equal descriptions.

    Parameters
    ----------
    one, other : Repulsion or None
        None is like None only.

    Returns
    -------
    bool
    """
    return (one is None) == (other is None) and (one is None or other is None or one.describe() == other.describe())
