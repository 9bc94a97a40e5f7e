"""Bond-order potentials of Tersoff, Brenner and Albe, from published sets or from the triplets of LAMMPS `.tersoff` files."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._input import InputError, did_you_mean, file_of
from .._typing import Array, Float
from ..energy.site import SiteEnergy, Stencil
from .potential_file import chosen_species, energy_unit, number, read_lines, read_triplets
from .radial import fade
from .tersoff_parameters import FIELDS, PUBLISHED, Triplets

STYLES = ("tersoff",)
WHAT = "a Tersoff file (.tersoff)"
ENDS = ("published", "smooth")
SMALLEST = 1e-30
"""Angular sums below this are those of an atom with one neighbour: the bond order is 1 there, with no derivative."""


class Tersoff(SiteEnergy):
    """Pair energies weakened by the angles that other neighbours make with the bond.

    V = 1/2 sum_j f(r_ij) [A exp(-lambda1 r_ij) - b_ij B exp(-lambda2 r_ij)],  b_ij = (1 + (beta zeta_ij)^n)^(-1/(2n)),
    zeta_ij = sum_{k != j} f(r_ik) g(theta_ijk) exp((lambda3 (r_ij - r_ik))^m),
    g = gamma (1 + c^2/d^2 - c^2/(d^2 + (cos theta - cos0)^2)).

    f falls from 1 to 0 between R - D and R + D: as published by half a period of a sine, whose second derivative jumps at both
    ends; with `ends="smooth"` by a polynomial with five continuous derivatives.

    Sources: J. Tersoff, Phys. Rev. B 37, 6991 (1988) and 39, 5566 (1989); D. W. Brenner, Phys. Rev. B 42, 9458 (1990);
    K. Albe, K. Nordlund and R. S. Averback, Phys. Rev. B 65, 195124 (2002); several species as in the LAMMPS style `tersoff`.
    """

    numbers: dict[str, Float[Array, "species species species"]]
    """Every parameter of each triplet (centre, neighbour, third atom), energies in eV, lengths in A."""
    ends: str = eqx.field(static=True)
    decays: bool = eqx.field(static=True)
    """Whether some lambda3 is not zero."""
    species: tuple[str, ...] = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)

    def __init__(self, symbol: str | Path = "Si", species: Sequence[str] | None = None, ends: str = "published"):
        """`symbol` names a published set ("Si", "SiC", "SiC-Erhart") or is the path of a `.tersoff` file; `species` selects some
        of its species; `ends` is how it reaches zero: "published" or "smooth".

        Raises InputError for an unknown set, a file that cannot be read or used, a species that is not there, or a triplet that
        the file does not give or gives twice.
        """
        if ends not in ENDS:
            raise InputError(f"the ends of a Tersoff potential are {' or '.join(ENDS)}; got {ends!r}")
        if str(symbol) in PUBLISHED:
            table, repeated = PUBLISHED[str(symbol)][1], {}
        elif file_of(symbol, "a Tersoff potential").exists():
            table, repeated = _read(Path(symbol))
        else:
            known = ", ".join(PUBLISHED)
            raise InputError(
                f"Tersoff takes {known} or the path of a LAMMPS .tersoff file; {str(symbol)!r} is neither"
                f"{did_you_mean(str(symbol), PUBLISHED)}"
            )
        found = tuple(dict.fromkeys(key[0] for key in table))
        species = chosen_species(species, found, symbol) if species is not None else found
        for key, (first, second) in repeated.items():
            if set(key) <= set(species):
                raise InputError(f"{symbol} has two entries for {' '.join(key)}, on lines {first} and {second}; remove one")
        missing = [key for key in product(species, repeat=3) if key not in table]
        if missing:
            raise InputError(f"{symbol} has no Tersoff entry for {' '.join(missing[0])}; choose species among those it lists")
        keys = list(product(species, repeat=3))
        for i, j in product(species, repeat=2):
            if table[i, j, j]["R"] <= 0.0 < table[i, j, j]["A"] + table[i, j, j]["B"]:
                raise InputError(f"{symbol}: R of {i} {j} {j} is 0, so that its bonds act nowhere; it must be positive")

        def triplets(name: str) -> Float[np.ndarray, "species species species"]:
            values = [table[key].get(name, _power(table[key])) if name == "power" else table[key][name] for key in keys]
            return np.array(values).reshape((len(species),) * 3)

        numbers = {name: triplets(name) for name in (*FIELDS, "power")}
        if np.any(np.einsum("ijj->ij", numbers["beta"] * numbers["gamma"]) < 0):
            raise InputError(f"{symbol}: beta and gamma must not be negative")
        self.numbers = {name: jnp.asarray(values) for name, values in numbers.items()}
        self.ends, self.species = ends, species
        self.decays = bool(np.any(numbers["lambda3"] != 0.0))
        self.cutoff = float((numbers["R"] + numbers["D"]).max())

    @property
    def correlation_order(self) -> None:
        """Not bounded: the bond order depends on all neighbours at once."""
        return None

    @classmethod
    def from_file(cls, path: str | Path, species: Sequence[str] | None = None, ends: str = "published") -> "Tersoff":
        """The potential of a LAMMPS `.tersoff` file, for all its species or the chosen ones."""
        if not Path(path).is_file():
            read_lines(Path(path), WHAT, STYLES)
        return cls(path, species, ends)

    def __call__(self, stencil: Stencil) -> Float[Array, " sites"]:
        pair, triple = (self._pairs(stencil), self._triples(stencil))
        r = jnp.sqrt(jnp.sum(stencil.g**2, axis=-1))
        unit = stencil.g / r[..., None]
        cosine = jnp.einsum("sja,ska->sjk", unit, unit)
        weight = self._window(r[:, None, :], triple["R"], triple["D"]) * triple["gamma"]
        near = triple["d"] ** 2 + (cosine - triple["cos0"]) ** 2
        weight = weight * (1 + (triple["c"] / triple["d"]) ** 2 - triple["c"] ** 2 / near)
        if self.decays:
            x = triple["lambda3"] * (r[:, :, None] - r[:, None, :])
            x = jnp.where(triple["m"] == 3.0, x**3, x)
            weight = weight * jnp.exp(jnp.clip(x, -69.0776, 69.0776))
        slots = r.shape[1]
        zeta = jnp.sum(jnp.where(jnp.eye(slots, dtype=bool), 0.0, weight), axis=2)
        x = pair["beta"] * zeta
        bonded = x > SMALLEST
        n = jnp.where(pair["n"] > 0.0, pair["n"], 1.0)
        order = jnp.where(bonded, (1 + jnp.where(bonded, x, 1.0) ** n) ** (-pair["power"]), 1.0)
        bond = pair["A"] * jnp.exp(-pair["lambda1"] * r) - order * pair["B"] * jnp.exp(-pair["lambda2"] * r)
        return 0.5 * jnp.sum(self._window(r, pair["R"], pair["D"]) * bond, axis=1)

    def _window(self, r: Float[Array, "..."], middle: Float[Array, "..."], half: Float[Array, "..."]) -> Float[Array, "..."]:
        """f."""
        if self.ends == "smooth":
            return jnp.where(half > 0.0, fade(r, middle - half, middle + jnp.where(half > 0.0, half, 1.0)), 1.0) * (
                r < middle + half
            )
        x = jnp.clip((r - middle) / jnp.where(half > 0.0, half, 1.0), -1.0, 1.0)
        return jnp.where(r < middle + half, 0.5 - 0.5 * jnp.sin(0.5 * jnp.pi * x), 0.0)

    def _pairs(self, stencil: Stencil) -> dict[str, Array]:
        """Parameters of the triplets (i, j, j)."""
        if len(self.species) == 1:
            return {name: values[0, 0, 0] for name, values in self.numbers.items()}
        centre = stencil.centre[:, None]
        return {name: values[centre, stencil.neighbour, stencil.neighbour] for name, values in self.numbers.items()}

    def _triples(self, stencil: Stencil) -> dict[str, Array]:
        """Parameters of the triplets (i, j, k)."""
        if len(self.species) == 1:
            return {name: values[0, 0, 0] for name, values in self.numbers.items()}
        index = stencil.centre[:, None, None], stencil.neighbour[:, :, None], stencil.neighbour[:, None, :]
        return {name: self.numbers[name][index] for name in ("m", "gamma", "lambda3", "c", "d", "cos0", "R", "D")}


def _power(entry: dict[str, float]) -> float:
    """Of the bond order."""
    return 0.5 / entry["n"] if entry["n"] > 0.0 else 0.5


def _read(path: Path) -> tuple[Triplets, dict[tuple[str, ...], tuple[int, int]]]:
    """All entries of a file by triplet, and the lines of triplets that are there twice."""
    lines = read_lines(path, WHAT, STYLES)
    energy = energy_unit(path, lines[0])

    def entry(words: list[str], place: str) -> dict[str, float]:
        found = dict(zip(FIELDS, (number(word, place) for word in words), strict=True))
        for name, value in found.items():
            if name not in ("cos0", "lambda3") and value < 0.0:
                raise InputError(f"{place}: {name} must not be negative; got {value:g}")
        if found["m"] not in (1.0, 3.0):
            raise InputError(f"{place}: m must be 1 or 3; got {found['m']:g}")
        if found["d"] == 0.0:
            raise InputError(f"{place}: d must be positive; got 0")
        if found["D"] > found["R"]:
            raise InputError(f"{place}: D must not be larger than R = {found['R']:g} A; got {found['D']:g}")
        return found | {name: found[name] * energy for name in ("A", "B")}

    return read_triplets(path, lines, ".tersoff", len(FIELDS), entry)
