"""Crystals by name, each as its primitive vectors and motif, and the phases of one element at a given volume."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

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

Rows = np.ndarray | list[list[float | int]]
"""Vectors as rows."""

Species = str | Sequence[str]
"""One symbol, or for a compound a pair: two symbols, or a formula such as "GaAs"."""


def fcc(symbol: str, a: Length) -> Lattice:
    """Face-centred cubic, one atom.

    Parameters
    ----------
    symbol : str
        Chemical symbol.
    a : float
        Side of the cube, A.

    Returns
    -------
    Lattice
        The conventional cell is the cube, four atoms.

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.fcc("Cu", 3.615)
    Lattice(fcc Cu, 1 atom of Cu in the primitive cell, nearest neighbours at 2.55619 A)
    """
    return _build("fcc", (symbol,), a, _FCC, [[0, 0, 0]], _FCC_CUBE)


def bcc(symbol: str, a: Length) -> Lattice:
    """Body-centred cubic, one atom.

    Parameters
    ----------
    symbol : str
        Chemical symbol.
    a : float
        Side of the cube, A.

    Returns
    -------
    Lattice
        The conventional cell is the cube, two atoms.

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.bcc("W", 3.165)
    Lattice(bcc W, 1 atom of W in the primitive cell, nearest neighbours at 2.74097 A)
    """
    return _build("bcc", (symbol,), a, _BCC, [[0, 0, 0]], _BCC_CUBE)


def sc(symbol: str, a: Length) -> Lattice:
    """Simple cubic, one atom.

    Parameters
    ----------
    symbol : str
        Chemical symbol.
    a : float
        Side of the cube, A.

    Returns
    -------
    Lattice
        The crystal.

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.sc("Po", 3.35)
    Lattice(sc Po, 1 atom of Po in the primitive cell, nearest neighbours at 3.35 A)
    """
    return _build("sc", (symbol,), a, np.eye(3), [[0, 0, 0]], _CUBE)


def diamond(symbol: str, a: Length) -> Lattice:
    """Diamond: fcc with atoms at 0 and a/4 (1,1,1).

    Parameters
    ----------
    symbol : str
        Chemical symbol.
    a : float
        Side of the cube, A.

    Returns
    -------
    Lattice
        The conventional cell is the cube, eight atoms.

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.diamond("Si", 5.431)
    Lattice(diamond Si, 2 atoms of Si in the primitive cell, nearest neighbours at 2.35169 A)
    """
    return _build("diamond", (symbol, symbol), a, _FCC, [[0, 0, 0], [0.25, 0.25, 0.25]], _FCC_CUBE)


def hcp(symbol: str, a: Length, c: Length | None = None) -> Lattice:
    """Hexagonal close packed, two atoms at 0 and (1/3, 2/3, 1/2).

    Parameters
    ----------
    symbol : str
        Chemical symbol.
    a : float
        Side, A.
    c : float, optional
        Height, A; sqrt(8/3) a, that of touching spheres, if not given.

    Returns
    -------
    Lattice
        The conventional cell is the hexagonal primitive cell, a1 along x and a2 at 120 degrees.

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.hcp("Ti", 2.95, 4.68)
    Lattice(hcp Ti, 2 atoms of Ti in the primitive cell, nearest neighbours at 2.89421 A)
    """
    ratio = np.sqrt(8 / 3) if c is None else _length(c) / _length(a)
    vectors = np.array([[1, 0, 0], [-1 / 2, np.sqrt(3) / 2, 0], [0, 0, ratio]])
    return _build("hcp", (symbol, symbol), a, vectors, np.array([[0, 0, 0], [1 / 3, 2 / 3, 1 / 2]]) @ vectors, _CUBE)


def zincblende(first: Species, second: str | Length, a: Length | None = None) -> Lattice:
    """Zincblende: the first species at 0, the second at a/4 (1,1,1).

    Parameters
    ----------
    first : str or sequence of str
        First symbol, or both of them: "GaAs", ("Ga", "As").
    second : str or float
        Second symbol, or the lattice constant where `first` names both.
    a : float, optional
        Side of the cube, A.

    Returns
    -------
    Lattice
        The conventional cell is the cube, eight atoms.

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.zincblende("GaAs", 5.65).species
    ('Ga', 'As')
    """
    pair, a = _pair(first, second, a)
    return _build("zincblende", pair, a, _FCC, [[0, 0, 0], [0.25, 0.25, 0.25]], _FCC_CUBE)


def rocksalt(first: Species, second: str | Length, a: Length | None = None) -> Lattice:
    """Rock salt: the first species at 0, the second at a/2 (1,1,1).

    Parameters
    ----------
    first, second, a
        Species and side of the cube (A), as for `zincblende`.

    Returns
    -------
    Lattice
        The conventional cell is the cube, eight atoms.

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.rocksalt("Na", "Cl", 5.64)
    Lattice(rocksalt NaCl, 2 atoms (1 Na, 1 Cl) in the primitive cell, nearest neighbours at 2.82 A)
    """
    pair, a = _pair(first, second, a)
    return _build("rocksalt", pair, a, _FCC, [[0, 0, 0], [0.5, 0.5, 0.5]], _FCC_CUBE)


def cscl(first: Species, second: str | Length, a: Length | None = None) -> Lattice:
    """Caesium chloride (B2): the first species on the corner, the second in the centre of a cube.

    Parameters
    ----------
    first, second, a
        Species and side of the cube (A), as for `zincblende`.

    Returns
    -------
    Lattice
        The crystal.

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.cscl("Ni", "Al", 2.88)
    Lattice(cscl NiAl, 2 atoms (1 Ni, 1 Al) in the primitive cell, nearest neighbours at 2.49415 A)
    """
    pair, a = _pair(first, second, a)
    return _build("cscl", pair, a, np.eye(3), [[0, 0, 0], [0.5, 0.5, 0.5]], _CUBE)


def l12(majority: Species, minority: str | Length, a: Length | None = None) -> Lattice:
    """L1_2, the Cu3Au structure: minority on the corner (sublattice 0), majority on the faces (1, 2, 3).

    Parameters
    ----------
    majority : str or sequence of str
        Symbol of the majority, or both species, the majority first: "Ni3Al", ("Ni", "Al").
    minority : str or float
        Symbol of the minority, or the lattice constant where `majority` names both.
    a : float, optional
        Side of the cube, A.

    Returns
    -------
    Lattice
        The crystal.

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.l12("Ni", "Al", 3.57)
    Lattice(l12 Ni3Al, 4 atoms (1 Al, 3 Ni) in the primitive cell, nearest neighbours at 2.52437 A)
    """
    (many, few), a = _pair(majority, minority, a, r"([A-Z][a-z]?)3([A-Z][a-z]?)", "Ni3Al")
    motif = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    return replace(_build("l12", (few, many, many, many), a, np.eye(3), motif, _CUBE), name=f"l12 {many}3{few}")


def triangular(symbol: str, a: Length) -> Lattice:
    """The two-dimensional triangular lattice in the plane z = 0.

    Parameters
    ----------
    symbol : str
        Chemical symbol.
    a : float
        Nearest-neighbour spacing, A.

    Returns
    -------
    Lattice
        The conventional cell is the primitive rhombus, a1 along x and a2 at 60 degrees, so n x n cells have six-fold symmetry.

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.triangular("Cu", 2.5)
    Lattice(triangular Cu, 1 atom of Cu in the primitive cell, nearest neighbours at 2.5 A,
        two-dimensional)
    """
    vectors = np.array([[1, 0, 0], [1 / 2, np.sqrt(3) / 2, 0], [0, 0, 0]])
    return _build("triangular", (symbol,), a, vectors, [[0, 0, 0]], _CUBE, dimension=2)


def square(symbol: str, a: Length) -> Lattice:
    """The two-dimensional square lattice in the plane z = 0.

    Parameters
    ----------
    symbol : str
        Chemical symbol.
    a : float
        Nearest-neighbour spacing, A.

    Returns
    -------
    Lattice
        The crystal.

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.square("Cu", 2.5)
    Lattice(square Cu, 1 atom of Cu in the primitive cell, nearest neighbours at 2.5 A, two-dimensional)
    """
    return _build("square", (symbol,), a, np.diag([1.0, 1.0, 0.0]), [[0, 0, 0]], _CUBE, dimension=2)


def _build(
    structure: str, species: tuple[str, ...], a: Length, vectors: Rows, motif: Rows, conventional: np.ndarray, dimension: int = 3
) -> Lattice:
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


def _pair(
    first: Any, second: Any, a: Any, formula: str = r"([A-Z][a-z]?)([A-Z][a-z]?)", example: str = "GaAs"
) -> tuple[tuple[str, str], float]:
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
            f'a compound needs two species and a lattice constant, such as ("Ga", "As", 5.65) or ("{example}", 5.65); '
            f"got {first!r}, {second!r}"
        )
    return (symbols[0], symbols[1]), second


def beta_tin(symbol: str, a: float, c: float | None = None) -> Lattice:
    """Beta-tin (I4_1/amd), body-centred tetragonal, two atoms at 0 and (0, a/2, c/4).

    Parameters
    ----------
    symbol : str
        Chemical symbol.
    a : float
        Side, A.
    c : float, optional
        Height, A; 0.55 a, about that of Sn and Si, if not given.

    Returns
    -------
    Lattice
        The conventional cell is the tetragonal one, four atoms.
    """
    ratio = 0.55 if c is None else c / a
    vectors = np.array([[-1, 1, ratio], [1, -1, ratio], [1, 1, -ratio]]) / 2
    conventional = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    return _lattice("beta-tin", symbol, a, vectors, [[0, 0, 0], [0, 0.5, ratio / 4]], conventional)


def hexagonal_diamond(symbol: str, a: float, c: float | None = None) -> Lattice:
    """Hexagonal diamond (lonsdaleite, P6_3/mmc), four atoms.

    Parameters
    ----------
    symbol : str
        Chemical symbol.
    a : float
        Side, A.
    c : float, optional
        Height, A; sqrt(8/3) a if not given.

    Returns
    -------
    Lattice
        The crystal.
    """
    ratio = np.sqrt(8 / 3) if c is None else c / a
    vectors = np.array([[1, 0, 0], [-1 / 2, np.sqrt(3) / 2, 0], [0, 0, ratio]])
    inner = np.array([[1 / 3, 2 / 3, 1 / 16], [2 / 3, 1 / 3, 9 / 16], [1 / 3, 2 / 3, 7 / 16], [2 / 3, 1 / 3, 15 / 16]])
    return _lattice("hexagonal diamond", symbol, a, vectors, inner @ vectors, np.eye(3, dtype=int))


def a15(symbol: str, a: float) -> Lattice:
    """A15 (beta-tungsten, Pm-3n): a cube with eight atoms, two on its corner and centre and a pair on each face.

    Parameters
    ----------
    symbol : str
        Chemical symbol.
    a : float
        Side of the cube, A.

    Returns
    -------
    Lattice
        The crystal.
    """
    chains = [[1, 0, 2], [3, 0, 2], [2, 1, 0], [2, 3, 0], [0, 2, 1], [0, 2, 3]]
    motif = np.array([[0, 0, 0], [2, 2, 2], *chains]) / 4
    return _lattice("A15", symbol, a, np.eye(3), motif, np.eye(3, dtype=int))


PHASES: dict[str, Callable[[str, float], Lattice]] = {
    "fcc": fcc,
    "bcc": bcc,
    "hcp": hcp,
    "sc": sc,
    "diamond": diamond,
    "hexagonal-diamond": hexagonal_diamond,
    "beta-tin": beta_tin,
    "A15": a15,
}
"""Phases by name, made of a symbol and a length (A)."""


def phase(name: str, symbol: str, volume: float) -> Lattice:
    """A phase of an element at a volume per atom, in the proportions that its constructor gives it: a start for `equilibrate`.

    Parameters
    ----------
    name : str
        One of `PHASES`.
    symbol : str
        Chemical symbol.
    volume : float
        Volume per atom, A^3.

    Returns
    -------
    Lattice
        The crystal.

    Raises
    ------
    InputError
        For an unknown phase and a volume that is not positive.
    """
    if name not in PHASES:
        raise InputError(f"phase {name!r} is not known; known are {', '.join(PHASES)}")
    if not volume > 0:
        raise InputError(f"the volume per atom of a phase is positive, in A^3; got {volume!r}")
    unit = PHASES[name](symbol, 1.0)
    return PHASES[name](symbol, float(volume * unit.sublattices / unit.volume) ** (1 / 3))


def _lattice(name: str, symbol: str, a: float, vectors: Rows, motif: Rows, conventional: np.ndarray) -> Lattice:
    """Scale by a and check."""
    element(symbol)
    if not a > 0:
        raise InputError(f"the lattice constant of {name} {symbol} is positive, in A; got {a!r}")
    species = (symbol,) * len(motif)
    return Lattice(f"{name} {symbol}", a * np.asarray(vectors, float), a * np.asarray(motif, float), species, conventional)
