"""Reading embedded-atom tables: DYNAMO funcfl (`.eam`), setfl (`.eam.alloy`) and Finnis-Sinclair setfl (`.eam.fs`)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._input import InputError
from .._typing import Float
from ..crystal.elements import ELEMENTS

HARTREE_BOHR = 27.2 * 0.529
"""eV A: the rounded constants that funcfl tables are read with everywhere (DYNAMO, LAMMPS)."""


@dataclass(frozen=True, eq=False)
class Tables:
    """Tabulated functions on uniform grids that start at zero."""

    species: tuple[str, ...]
    cutoff: float
    """A."""
    spacing: float
    """Grid step of the distance, A."""
    density_spacing: float
    """Grid step of the electron density."""
    embedding: Float[np.ndarray, "species densities"]
    """F(rho), eV."""
    density: Float[np.ndarray, "species species distances"]
    """Electron density at the first species (the site) from an atom of the second."""
    pair: Float[np.ndarray, "species species distances"]
    """r phi(r), eV A."""
    single: bool
    """True for funcfl."""


def read_tables(path: str | Path) -> Tables:
    """The tables of a file; its kind is recognised from its contents.

    Raises InputError if the file does not exist, is of another kind, or is cut short.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"an EAM table (.eam, .eam.alloy or .eam.fs) was wanted; {str(path)!r} does not exist")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    try:
        head = lines[3].split()
        count = int(head[0])
        several = len(head) > count and not any(_is_number(w) for w in head[1 : 1 + count])
    except (IndexError, ValueError):
        several = False
    try:
        return _setfl(lines) if several else _funcfl(lines)
    except (IndexError, ValueError, OverflowError):
        raise InputError(f"{path} is no complete funcfl, setfl or eam.fs table; check the file or convert it to setfl") from None


def _funcfl(lines: list[str]) -> Tables:
    """One element: F(rho), effective charge Z(r) with r phi = 27.2 x 0.529 Z^2, density."""
    symbol = list(ELEMENTS)[int(lines[1].split()[0]) - 1]
    grid = lines[2].split()
    densities, distances = int(grid[0]), int(grid[2])
    values = _floats(" ".join(lines[3:]).split())
    embedding, charge, density = np.split(_take(values, densities + 2 * distances), [densities, densities + distances])
    pair = HARTREE_BOHR * charge**2
    return Tables(
        (symbol,), _float(grid[4]), _float(grid[3]), _float(grid[1]), embedding[None], density[None, None], pair[None, None], True
    )


def _setfl(lines: list[str]) -> Tables:
    """Several elements; with one density per element (alloy) or one per pair of elements (fs)."""
    words = " ".join(lines[3:]).split()
    count = int(words[0])
    species = tuple(words[1 : 1 + count])
    densities, spacing_rho, distances, spacing, cutoff = words[1 + count : 6 + count]
    n_rho, n_r = int(densities), int(distances)
    body = words[6 + count :]
    pairs = count * (count + 1) // 2 * n_r
    per_pair = len(body) >= count * (4 + n_rho + count * n_r) + pairs
    kinds = count if per_pair else 1
    embedding, density = [], np.zeros((count, count, n_r))
    place = 0
    for source in range(count):
        place += 4  # atomic number, mass, lattice constant, lattice
        embedding.append(_floats(_take(body[place:], n_rho)))
        place += n_rho
        block = _floats(_take(body[place:], kinds * n_r)).reshape(kinds, n_r)
        density[:, source] = block  # an alloy density is the same at every site
        place += kinds * n_r
    pair = np.zeros((count, count, n_r))
    triangle = _floats(_take(body[place:], pairs)).reshape(-1, n_r)
    rows, columns = np.tril_indices(count)
    pair[rows, columns] = pair[columns, rows] = triangle
    return Tables(species, _float(cutoff), _float(spacing), _float(spacing_rho), np.array(embedding), density, pair, False)


def _take(items, count: int):
    """The first `count` items; ValueError if there are fewer."""
    if len(items) < count:
        raise ValueError("table cut short")
    return items[:count]


def _float(word: str) -> float:
    """A number, Fortran exponents included."""
    return float(word.replace("D", "E").replace("d", "e"))


def _floats(words: list[str]) -> Float[np.ndarray, " n"]:
    return np.array([_float(w) for w in words])


def _is_number(word: str) -> bool:
    try:
        _float(word)
    except ValueError:
        return False
    return True
