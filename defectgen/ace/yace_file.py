"""Reading `.yace` files, the potentials of ML-PACE (LAMMPS `pair_style pace`), as pacemaker and ACEpotentials.jl write them."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._input import OVERFLOWS, InputError, check_finite, reading
from .._typing import Float
from .._yaml import load_yaml
from ..crystal.elements import element
from .yace_radial import FAMILIES, STEP, radial_base

ADVICE = "give a file that pacemaker, ACEpotentials.jl or dg.export wrote"
LONGEST = 500_000_000
"""Bytes of the longest file that is read."""
NEAREST, FARTHEST = 0.1, 100.0
"""A: the shortest and the longest cutoff that are read; radial functions are tabulated up to it."""
MOST_FACTORS = 12
"""In one product; potentials have up to six, and work grows exponentially with them."""
WIDEST_L = 20
"""Highest angular momentum that is read."""
SPLINES = "ACE.jl.base"
"""Radial functions as tables of values and slopes, as ACEpotentials.jl exports them."""
INNER = ("density", "distance", "zbl")
EMBEDDINGS = ("FinnisSinclair", "FinnisSinclairShiftedScaled")
NUMBERS = re.compile(r"\[[-+\s\d.,eE]{16,}\](?!\s*:)")
"""A list of numbers that is long enough to be worth reading apart."""


@dataclass(frozen=True)
class Embedding:
    """F = sum_p weight_p f(rho_p, power_p), times the cutoff of the core repulsion."""

    kind: str
    weights: tuple[float, ...]
    powers: tuple[float, ...]
    core: tuple[float, float]
    """Sum of core repulsion where the energy is switched off, and the width of the switch, eV."""

    @property
    def linear(self) -> bool:
        """Whether the energy is a sum of the densities."""
        return all(power == 1.0 for power in self.powers)


@dataclass(frozen=True)
class Bond:
    """Radial functions of one pair of species (central atom, neighbour)."""

    reach: float
    """Cutoff, A."""
    fade: float
    """Width of the outer cutoff of ChebExpCos, A; otherwise 0."""
    inner: tuple[float, float]
    """End and width of the inner cutoff, A."""
    core: tuple[float, float]
    """Prefactor (eV A) and exponent (1/A^2) of the core repulsion; of ZBL the prefactor alone, a pure number."""
    core_fade: float
    """Width of the outer cutoff of ZBL, A."""
    base: Float[np.ndarray, "3 nodes base"]
    """Functions of one neighbour on equal spacings from 0 to the cutoff: values and derivatives."""
    coefficients: Float[np.ndarray, "radial ls base"] | None
    """R_nl = sum_k c_nlk g_k; None where R_nl = g_n."""


@dataclass(frozen=True)
class Term:
    """sum over m-combinations of coefficients times prod_t A(species_t, n_t, l_t, m_t), added to each density."""

    centre: int
    factors: tuple[tuple[int, int, int], ...]
    """(species, n, l), n counted from 1."""
    ms: tuple[tuple[int, ...], ...]
    coefficients: Float[np.ndarray, "combinations densities"]


@dataclass(frozen=True)
class YaceFile:
    """What a file says, checked."""

    species: tuple[str, ...]
    one_body: Float[np.ndarray, " species"]
    embeddings: tuple[Embedding, ...]
    bonds: tuple[Bond, ...]
    """Of (centre, neighbour), counted through."""
    inner_kind: str
    terms: tuple[Term, ...]


def read_yace_file(path: Path) -> YaceFile:
    """The content of a file.

    Raises InputError for a file that cannot be read, has contradictions, or has features that are not supported, by name.
    """
    with reading(path, "a .yace potential", ADVICE):
        if path.stat().st_size > LONGEST:
            raise InputError(f"{str(path)!r} has {path.stat().st_size:.2g} bytes, more than any potential has; {ADVICE}")
        tree = _tree(path.read_text(encoding="utf-8"), path)
        for key in ("elements", "E0", "embeddings", "bonds", "functions"):
            if key not in tree:
                raise InputError(f"{str(path)!r} is no .yace potential: it has no {key!r}; {ADVICE}")
        if tree.get("summed_neighbour_A"):
            raise InputError(f"{str(path)!r} pools neighbours of all species (summed_neighbour_A), which is not supported")
        species = tuple(tree["elements"])
        for symbol in species:
            element(symbol)
        if not species or len(set(species)) < len(species):
            raise InputError(f"{str(path)!r}: the elements must be different; got {list(species)}")
        kinds = len(species)
        one_body = np.array(tree["E0"], dtype=float)
        if one_body.shape != (kinds,):
            raise InputError(f"{str(path)!r}: E0 has one energy for each of {kinds} elements; got {one_body.size}")
        check_finite(one_body, f"the energies E0 of {str(path)!r}")
        embeddings = tuple(_embedding(_entry(tree["embeddings"], z, "embeddings", path), path) for z in range(kinds))
        pairs = [(i, j) for i in range(kinds) for j in range(kinds)]
        given = [_entry(tree["bonds"], pair, "bonds", path) for pair in pairs]
        kinds_of_inner = {bond.get("inner_cutoff_type", "density") for bond in given}
        inner_kind = kinds_of_inner.pop()
        if kinds_of_inner or inner_kind not in INNER:
            raise InputError(
                f"{str(path)!r}: all bonds have one inner_cutoff_type of {', '.join(INNER)}; "
                f"got {', '.join(map(str, sorted({inner_kind, *kinds_of_inner})))}"
            )
        bonds = tuple(_bond(bond, pair, inner_kind, path) for bond, pair in zip(given, pairs, strict=True))
        terms = [
            _term(entry, z, k, embeddings, bonds, path)
            for z in range(kinds)
            for k, entry in enumerate(_entry(tree["functions"], z, "functions", path, []))
        ]
        return YaceFile(species, one_body, embeddings, bonds, inner_kind, tuple(t for t in terms if np.any(t.coefficients)))


def _tree(text: str, path: Path) -> dict:
    """The YAML document. Lists of numbers, which fill most of it, are read by NumPy."""
    lists: list[np.ndarray] = []

    def aside(match: re.Match) -> str:
        entries = match[0][1:-1].split(",")
        if entries and not entries[-1].strip():
            entries.pop()
        lists.append(np.array(entries, dtype=float))
        return f"'\0{len(lists) - 1}'".replace("\0", "@@")

    def back(value: Any) -> Any:
        if isinstance(value, str) and value.startswith("@@"):
            return lists[int(value[2:])]
        if isinstance(value, dict):
            return {key: back(v) for key, v in value.items()}
        return [back(v) for v in value] if isinstance(value, list) else value

    tree = load_yaml(NUMBERS.sub(aside, text))
    if not isinstance(tree, dict):
        raise InputError(f"{str(path)!r} is no .yace potential (no table of settings); {ADVICE}")
    return back(tree)


def _entry(table: Any, key: Any, what: str, path: Path, default: Any = None) -> Any:
    """One entry of a table by element or pair of elements; a list is as good for elements."""
    if isinstance(table, list):
        table = dict(enumerate(table))
    if not isinstance(table, Mapping):
        raise InputError(f"{str(path)!r}: {what!r} must be a table; got {type(table).__name__}")
    found = table.get(key, default)
    if found is None:
        raise InputError(f"{str(path)!r} has no entry {list(key) if isinstance(key, tuple) else key} in {what!r}; {ADVICE}")
    return found


def _number(given: Mapping, key: str, name: str, default: float | None = None) -> float:
    """A finite number of a table; YAML reads 1e5 as text. Raises InputError for anything else, and for one that is missing."""
    value = given.get(key, default)
    try:
        number = math.nan if isinstance(value, bool) or value is None else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not abs(number) < OVERFLOWS:
        raise InputError(f"{name}: {key} is a finite number; got {value!r}; {ADVICE}")
    return number


def _whole(given: Any, name: str) -> np.ndarray:
    """A list of whole numbers. Raises InputError for fractions."""
    numbers = np.array(given, dtype=float).ravel()
    if not np.all(np.abs(numbers) < 1e6) or np.any(numbers != np.rint(numbers)):
        raise InputError(f"{name} are whole numbers; got {numbers[:12].tolist()}; {ADVICE}")
    return numbers.astype(int)


def _embedding(given: Mapping, path: Path) -> Embedding:
    """Raises InputError for embedding functions that are not known."""
    kind, count = given["npoti"], int(given["ndensity"])
    if kind not in EMBEDDINGS:
        raise InputError(f"{str(path)!r} has the embedding function {kind!r}; known are {', '.join(EMBEDDINGS)}")
    numbers = np.array(given["FS_parameters"], dtype=float)
    if numbers.size < 2 * count or count < 1:
        raise InputError(f"{str(path)!r}: {count} densities need {2 * count} FS_parameters; got {numbers.size}")
    check_finite(numbers, f"the FS_parameters of {str(path)!r}")
    weights, powers = numbers[: 2 * count : 2], numbers[1 : 2 * count : 2]
    if np.any(powers <= 0):
        raise InputError(f"{str(path)!r}: exponents of densities must be positive; got {powers.tolist()}")
    name = f"an embedding function of {str(path)!r}"
    core = _number(given, "rho_core_cutoff", name, 1e5), _number(given, "drho_core_cutoff", name, 250.0)
    return Embedding(kind, tuple(weights.tolist()), tuple(powers.tolist()), core)


def _bond(given: Mapping, pair: tuple[int, int], inner_kind: str, path: Path) -> Bond:
    """Raises InputError for radial functions that are not known."""
    name, family = f"bond {list(pair)} of {str(path)!r}", str(given["radbasename"])
    reach = _number(given, "rcut", name)
    if not NEAREST <= reach <= FARTHEST:
        raise InputError(f"{name} has the cutoff {reach:g} A; it must be positive, {NEAREST:g} to {FARTHEST:g} A")
    inner = _number(given, "rcut_in", name, 0.0), _number(given, "dcut_in", name, 0.0)
    core = _number(given, "prehc", name, 0.0), _number(given, "lambdahc", name, 0.0)
    if family == SPLINES:
        if "splinenodalvals" not in given or "splinenodalderivs" not in given:
            raise InputError(f"{name} has radial functions of an older ACEpotentials.jl (no splinenodalvals); export it again")
        return Bond(reach, 0.0, (0.0, 0.0), (0.0, 0.0), 0.0, _nodal(given, reach, name), None)
    if family not in FAMILIES:
        raise InputError(f"{name} has the radial functions {family!r}; known are {', '.join((*FAMILIES[:4], SPLINES))}")
    fade = _number(given, "dcut", name)
    if min(fade, *inner) < 0:
        raise InputError(f"{name}: dcut, rcut_in and dcut_in must not be negative; got {fade:g}, {inner[0]:g}, {inner[1]:g} A")
    if inner_kind == "zbl" and not (core[0] == 0.0 or (inner[1] > 0 and fade > 0)):
        raise InputError(f"{name} has a ZBL repulsion without a switch; rcut_in, dcut_in and dcut must be positive")
    count = int(given["nradbasemax"])
    steepness = _number({"radparameters": np.ravel(given["radparameters"]).tolist()[0]}, "radparameters", name)
    coefficients = np.array(given["radcoefficients"], dtype=float)
    if coefficients.shape != (int(given["nradmax"]), int(given["lmax"]) + 1, count):
        raise InputError(
            f"{name}: radcoefficients have the shape (nradmax, lmax + 1, nradbasemax) = "
            f"({given['nradmax']}, {given['lmax'] + 1}, {count}); got {coefficients.shape}"
        )
    check_finite(coefficients, f"the radcoefficients of {name}")
    nodes = np.linspace(0.0, reach, max(math.ceil(reach / STEP), 8) + 1)
    with np.errstate(all="ignore"):
        base = radial_base(family, nodes, reach, count, steepness)
    check_finite(base, f"the radial functions of {name} (radparameters {steepness:g})")
    return Bond(reach, fade if family == "ChebExpCos" else 0.0, inner, core, fade, base, coefficients)


def _nodal(given: Mapping, reach: float, name: str) -> Float[np.ndarray, "3 nodes base"]:
    """Tabulated functions, with second derivatives by differences of fourth order of both tables."""
    values, slopes = given["splinenodalvals"], given["splinenodalderivs"]
    values, slopes = (dict(enumerate(x)) if isinstance(x, list) else x for x in (values, slopes))
    f, d = (np.array([x[k] for k in range(len(values))], dtype=float).T for x in (values, slopes))
    bins = int(given["nbins"])
    if f.shape != d.shape or f.shape[0] != bins + 1 or bins < 8:
        raise InputError(f"{name}: tables have nbins + 1 = {bins + 1} values and slopes, nbins at least 8; got {f.shape[0]}")
    check_finite(f, f"the tables of {name}")
    check_finite(d, f"the tables of {name}")
    h = reach / bins
    second = np.zeros_like(f)
    second[1:-1] = 2 * (f[2:] - 2 * f[1:-1] + f[:-2]) / h**2 - (d[2:] - d[:-2]) / (2 * h)
    second[0] = 2 * second[1] - second[2]
    return np.stack([f, d, second])


def _term(given: Mapping, centre: int, number: int, embeddings, bonds: tuple[Bond, ...], path: Path) -> Term:
    """Raises InputError for functions that do not fit the radial functions, and for those that are not invariant."""
    name = f"function {number} of element {centre} in {str(path)!r}"
    rank, count, densities = int(given["rank"]), int(given["num_ms_combs"]), int(given["ndensity"])
    mus, ns, ls = (_whole(given[key], f"{key} of {name}").tolist() for key in ("mus", "ns", "ls"))
    ms = _whole(given["ms_combs"], f"ms_combs of {name}")
    coefficients = np.array(given["ctildes"], dtype=float).ravel()
    expected = len(embeddings[centre].weights)
    if int(given.get("mu0", centre)) != centre or densities != expected or rank < 1:
        raise InputError(f"{name} is of element {given.get('mu0')} with {densities} densities; expected {centre} and {expected}")
    if rank > MOST_FACTORS:
        raise InputError(f"{name} is a product of {rank} factors; up to {MOST_FACTORS} are read")
    if not len(mus) == len(ns) == len(ls) == rank or ms.size != rank * count or coefficients.size != densities * count:
        raise InputError(f"{name} has lists whose lengths do not fit its rank {rank} and {count} combinations")
    check_finite(coefficients, f"the coefficients of {name}")
    ms = ms.reshape(count, rank)
    kinds = len(embeddings)
    for mu, n, l in zip(mus, ns, ls, strict=True):  # noqa: E741
        if not 0 <= mu < kinds or not 0 <= l <= WIDEST_L:
            raise InputError(
                f"{name} has a factor of element {mu} with l = {l}; {kinds} elements and l up to {WIDEST_L} are known"
            )
        bond = bonds[centre * kinds + mu]
        most = bond.base.shape[2] if rank == 1 or bond.coefficients is None else bond.coefficients.shape[0]
        if not 1 <= n <= most or (rank > 1 and bond.coefficients is not None and l >= bond.coefficients.shape[1]):
            raise InputError(f"{name} has a factor n = {n}, l = {l} that its bond does not have")
    if np.any(np.abs(ms) > np.array(ls)) or np.any(ms.sum(axis=1)):
        raise InputError(f"{name} is not invariant under rotation: m from -l to l that add up to 0 were expected")
    return Term(
        centre, tuple(zip(mus, ns, ls, strict=True)), tuple(map(tuple, ms.tolist())), coefficients.reshape(count, densities)
    )
