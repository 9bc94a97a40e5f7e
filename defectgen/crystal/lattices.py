"""The crystals people ask for by name, each as its primitive vectors and motif."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .._input import InputError
from .elements import element
from .lattice import Lattice

_FCC = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
_FCC_CUBE = np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])
_BCC = np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]) / 2
_BCC_CUBE = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
_CUBE = np.eye(3, dtype=int)

Length = float | int
"""A."""

Species = str | Sequence[str]
"""One symbol, or for a compound a pair: two symbols, or a formula such as "GaAs"."""


def fcc(symbol: str, a: Length) -> Lattice:
    """Face-centred cubic, one atom; the conventional cell is the cube of side a (A), four atoms."""
    return _build("fcc", (symbol,), a, _FCC, [[0, 0, 0]], _FCC_CUBE)


def bcc(symbol: str, a: Length) -> Lattice:
    """Body-centred cubic, one atom; the conventional cell is the cube of side a (A), two atoms."""
    return _build("bcc", (symbol,), a, _BCC, [[0, 0, 0]], _BCC_CUBE)


def sc(symbol: str, a: Length) -> Lattice:
    """Simple cubic, side a (A)."""
    return _build("sc", (symbol,), a, np.eye(3), [[0, 0, 0]], _CUBE)


def diamond(symbol: str, a: Length) -> Lattice:
    """Diamond: fcc with atoms at 0 and a/4 (1,1,1); the conventional cell is the cube of side a (A), eight atoms."""
    return _build("diamond", (symbol, symbol), a, _FCC, [[0, 0, 0], [0.25, 0.25, 0.25]], _FCC_CUBE)


def hcp(symbol: str, a: Length, c: Length | None = None) -> Lattice:
    """Hexagonal close packed, sides a and c (A; c = sqrt(8/3) a, touching spheres, if not given), two atoms.

    The conventional cell is the hexagonal primitive cell, a1 along x and a2 at 120 degrees, atoms at 0 and (1/3, 2/3, 1/2).
    """
    ratio = np.sqrt(8 / 3) if c is None else _length(c) / _length(a)
    vectors = np.array([[1, 0, 0], [-1 / 2, np.sqrt(3) / 2, 0], [0, 0, ratio]])
    return _build("hcp", (symbol, symbol), a, vectors, np.array([[0, 0, 0], [1 / 3, 2 / 3, 1 / 2]]) @ vectors, _CUBE)


def zincblende(first: Species, second: str | Length, a: Length | None = None) -> Lattice:
    """Zincblende: first at 0, second at a/4 (1,1,1); `zincblende("Ga", "As", 5.65)` or `zincblende("GaAs", 5.65)`, a in A."""
    pair, a = _pair(first, second, a)
    return _build("zincblende", pair, a, _FCC, [[0, 0, 0], [0.25, 0.25, 0.25]], _FCC_CUBE)


def rocksalt(first: Species, second: str | Length, a: Length | None = None) -> Lattice:
    """Rock salt: first at 0, second at a/2 (1,1,1), cube side a (A); the species as in `zincblende`."""
    pair, a = _pair(first, second, a)
    return _build("rocksalt", pair, a, _FCC, [[0, 0, 0], [0.5, 0.5, 0.5]], _FCC_CUBE)


def cscl(first: Species, second: str | Length, a: Length | None = None) -> Lattice:
    """Caesium chloride (B2): first on the corner, second in the centre of a cube of side a (A); species as in `zincblende`."""
    pair, a = _pair(first, second, a)
    return _build("cscl", pair, a, np.eye(3), [[0, 0, 0], [0.5, 0.5, 0.5]], _CUBE)


def l12(majority: Species, minority: str | Length, a: Length | None = None) -> Lattice:
    """L1_2, the Cu3Au structure: minority on the corner (sublattice 0), majority on the faces (1, 2, 3), cube side a (A).

    `l12("Ni", "Al", 3.57)` or `l12("Ni3Al", 3.57)`: the majority is named first.
    """
    (many, few), a = _pair(majority, minority, a, r"([A-Z][a-z]?)3([A-Z][a-z]?)", "Ni3Al")
    motif = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    return replace(_build("l12", (few, many, many, many), a, np.eye(3), motif, _CUBE), name=f"l12 {many}3{few}")


def triangular(symbol: str, a: Length) -> Lattice:
    """The two-dimensional triangular lattice with spacing a (A), in the plane z = 0.

    The conventional cell is the primitive rhombus, a1 along x and a2 at 60 degrees, so n x n cells have six-fold symmetry.
    """
    vectors = np.array([[1, 0, 0], [1 / 2, np.sqrt(3) / 2, 0], [0, 0, 0]])
    return _build("triangular", (symbol,), a, vectors, [[0, 0, 0]], _CUBE, dimension=2)


def square(symbol: str, a: Length) -> Lattice:
    """The two-dimensional square lattice with spacing a (A), in the plane z = 0."""
    return _build("square", (symbol,), a, np.diag([1.0, 1.0, 0.0]), [[0, 0, 0]], _CUBE, dimension=2)


def _build(structure: str, species: tuple[str, ...], a: Length, vectors, motif, conventional, dimension: int = 3) -> Lattice:
    """Scale by a and check; the third vector of a two-dimensional crystal is (0, 0, 1)."""
    a = _length(a)
    for symbol in species:
        element(symbol)
    scaled = a * np.asarray(vectors, dtype=float)
    if dimension == 2:
        scaled[2] = [0.0, 0.0, 1.0]
    distinct = "".join(dict.fromkeys(species))
    return Lattice(f"{structure} {distinct}", scaled, a * np.asarray(motif, dtype=float), species, conventional, dimension)


def _length(a: Length) -> float:
    if not isinstance(a, (int, float, np.number)) or isinstance(a, bool) or not 1e-3 <= a <= 1e6:
        raise InputError(f"a lattice constant is a positive number of Angstrom; got {a!r}")
    return float(a)


def _pair(first, second, a, formula=r"([A-Z][a-z]?)([A-Z][a-z]?)", example="GaAs") -> tuple[tuple[str, str], float]:
    """Two symbols and the lattice constant from (A, B, a), ((A, B), a) or ("AB", a)."""
    if a is not None:
        return (first, second), a
    if isinstance(first, str):
        match = re.fullmatch(formula, first)
        symbols = match.groups() if match else (first,)
    else:
        symbols = tuple(first)
    if len(symbols) != 2:
        raise InputError(
            f'a compound wants two species and a lattice constant, such as ("Ga", "As", 5.65) or ("{example}", 5.65); '
            f"got {first!r}, {second!r}"
        )
    return (symbols[0], symbols[1]), second
