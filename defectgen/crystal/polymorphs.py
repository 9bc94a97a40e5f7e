"""Phases of one element, each as a lattice of a given volume per atom: the structures beside the ground state."""

from collections.abc import Callable

import numpy as np

from .._input import InputError
from .elements import element
from .lattice import Lattice
from .lattices import bcc, diamond, fcc, hcp, sc


def beta_tin(symbol: str, a: float, c: float | None = None) -> Lattice:
    """Beta-tin (I4_1/amd), body-centred tetragonal with sides a and c (A; c = 0.55 a, about that of Sn and Si, if not given).

    Two atoms, at 0 and (0, a/2, c/4); the conventional cell is the tetragonal one, four atoms.
    """
    ratio = 0.55 if c is None else c / a
    vectors = np.array([[-1, 1, ratio], [1, -1, ratio], [1, 1, -ratio]]) / 2
    conventional = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    return _lattice("beta-tin", symbol, a, vectors, [[0, 0, 0], [0, 0.5, ratio / 4]], conventional)


def hexagonal_diamond(symbol: str, a: float, c: float | None = None) -> Lattice:
    """Hexagonal diamond (lonsdaleite, P6_3/mmc): sides a and c (A; c = sqrt(8/3) a if not given), four atoms."""
    ratio = np.sqrt(8 / 3) if c is None else c / a
    vectors = np.array([[1, 0, 0], [-1 / 2, np.sqrt(3) / 2, 0], [0, 0, ratio]])
    inner = np.array([[1 / 3, 2 / 3, 1 / 16], [2 / 3, 1 / 3, 9 / 16], [1 / 3, 2 / 3, 7 / 16], [2 / 3, 1 / 3, 15 / 16]])
    return _lattice("hexagonal diamond", symbol, a, vectors, inner @ vectors, np.eye(3, dtype=int))


def a15(symbol: str, a: float) -> Lattice:
    """A15 (beta-tungsten, Pm-3n): a cube of side a (A) with eight atoms, two on its corner and centre and a pair on each face."""
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
    """The phase with this volume per atom (A^3), in the proportions that its constructor gives it: a start for `equilibrate`.

    Raises InputError for an unknown phase and a volume that is not positive.
    """
    if name not in PHASES:
        raise InputError(f"phase {name!r} is not known; known are {', '.join(PHASES)}")
    if not volume > 0:
        raise InputError(f"the volume per atom of a phase is positive, in A^3; got {volume!r}")
    unit = PHASES[name](symbol, 1.0)
    return PHASES[name](symbol, float(volume * unit.sublattices / unit.volume) ** (1 / 3))


def _lattice(name: str, symbol: str, a: float, vectors, motif, conventional) -> Lattice:
    """Scale by a and check."""
    element(symbol)
    if not a > 0:
        raise InputError(f"the lattice constant of {name} {symbol} is positive, in A; got {a!r}")
    species = (symbol,) * len(motif)
    return Lattice(f"{name} {symbol}", a * np.asarray(vectors, float), a * np.asarray(motif, float), species, conventional)
