"""The space group (spglib): primitive and conventional cells, the name of a structure, point symmetry, modes that keep both."""

import warnings
from collections import Counter
from dataclasses import replace
from math import gcd

import numpy as np
import spglib
from spglib.error import SpglibError

from .._input import InputError
from .._typing import Float
from .elements import element
from .lattice import Lattice

SYMPREC = 1e-3
"""A: how far atoms may be from symmetric positions; files round coordinates to 1e-4 or better, real distortions are larger."""

PLANE_GAP = 9.7
"""Layers of a two-dimensional crystal are put this many vector lengths apart, so that none mixes z with the plane."""

# (space group, sorted numbers of atoms of each symmetry class in the primitive cell, dimension)
_STRUCTURES = {
    (225, (1,), 3): "fcc",
    (229, (1,), 3): "bcc",
    (221, (1,), 3): "sc",
    (227, (2,), 3): "diamond",
    (194, (2,), 3): "hcp",
    (216, (1, 1), 3): "zincblende",
    (225, (1, 1), 3): "rocksalt",
    (221, (1, 1), 3): "cscl",
    (221, (1, 3), 3): "l12",
    (191, (1,), 2): "triangular",
    (123, (1,), 2): "square",
}

_POINT_GROUPS = """1=C1 -1=Ci 2=C2 m=Cs 2/m=C2h 222=D2 mm2=C2v mmm=D2h 4=C4 -4=S4 4/m=C4h 422=D4 4mm=C4v -42m=D2d 4/mmm=D4h
3=C3 -3=C3i 32=D3 3m=C3v -3m=D3d 6=C6 -6=C3h 6/m=C6h 622=D6 6mm=C6v -6m2=D3h 6/mmm=D6h 23=T m-3=Th 432=O -43m=Td m-3m=Oh"""
_SCHOENFLIES = {international: name for international, name in (pair.split("=") for pair in _POINT_GROUPS.split())}


def lattice_from_primitive(
    vectors: Float[np.ndarray, "3 3"],
    motif: Float[np.ndarray, "sublattices 3"],
    species: tuple[str, ...] | list[str],
    name: str = "",
    reduce: bool = False,
    dimension: int = 3,
) -> Lattice:
    """Any crystal from its vectors and the positions and symbols of its atoms.

    Parameters
    ----------
    vectors : array, (3, 3)
        Cell vectors as rows, A.
    motif : array, (atoms, 3)
        Cartesian positions, A.
    species : sequence of str
        Chemical symbols.
    name : str
        Name of the crystal; by default its structure and formula.
    reduce : bool
        Replace a larger cell by the primitive one; atoms stay where they are and nothing is rotated.
    dimension : int
        3, or 2 for a crystal in the plane z = 0. Its third vector must be normal to the plane and becomes (0, 0, 1).

    Returns
    -------
    Lattice
        The conventional cell is the standardised one of the space group where the vectors can express it, the given cell
        otherwise.

    Raises
    ------
    InputError
        For unknown symbols, unequal lengths, or two-dimensional atoms out of their plane.
    """
    vectors, motif, species = np.array(vectors, dtype=float), np.array(motif, dtype=float).reshape(-1, 3), tuple(species)
    for symbol in species:
        element(symbol)
    if dimension == 2:
        flat = max(np.abs(motif[:, 2]).max(initial=0.0), np.abs(vectors[:2, 2]).max(), np.abs(vectors[2, :2]).max())
        if flat > SYMPREC:
            raise InputError(
                f"a two-dimensional crystal lies in the plane z = 0 with its third vector along z; it leaves it by {flat:.3g} A"
            )
        motif[:, 2], vectors[:2, 2], vectors[2] = 0.0, 0.0, (0.0, 0.0, 1.0)
    lattice = Lattice(name or _formula(species), vectors, motif, species, np.eye(3, dtype=int), dimension)
    if lattice.nearest_neighbour < 0.1:
        raise InputError(f"two atoms of {lattice.name} are {lattice.nearest_neighbour:.3g} A apart; remove one of them")
    dataset = _dataset(lattice)
    if dataset is None:
        return lattice
    if reduce and dataset.mapping_to_primitive.max() + 1 < len(species):
        first = np.unique(dataset.mapping_to_primitive, return_index=True)[1]
        primitive = np.array(dataset.primitive_lattice)
        if dimension == 2:
            primitive = _in_plane(primitive)
        kept = tuple(species[i] for i in first)
        return lattice_from_primitive(primitive, motif[first], kept, name, dimension=dimension)
    known = structure(lattice)
    name = name or f"{known} {_formula(species)}".strip()
    return replace(lattice, name=name, conventional=_conventional(lattice, known, dataset.transformation_matrix))


def structure(lattice: Lattice) -> str:
    """Name of the structure, whoever built the lattice.

    Parameters
    ----------
    lattice : Lattice
        The crystal.

    Returns
    -------
    str
        "fcc", "diamond", ...; empty if it is none of the known ones.
    """
    dataset = _dataset(lattice)
    if dataset is None:
        return ""
    classes = tuple(sorted(Counter(dataset.equivalent_atoms.tolist()).values()))
    return _STRUCTURES.get((int(dataset.number), classes, lattice.dimension), "")


def space_group(lattice: Lattice) -> tuple[Float[np.ndarray, "operations 3 3"], Float[np.ndarray, "operations 3"]]:
    """The operations x -> x @ Q + q that map the crystal onto itself, one of every class of translations.

    Parameters
    ----------
    lattice : Lattice
        The crystal.

    Returns
    -------
    rotations : array, (operations, 3, 3)
        Q.
    shifts : array, (operations, 3)
        q, A.

    Notes
    -----
    Only the identity where no symmetry is found; in two dimensions those that keep the plane and its sides.
    """
    dataset = _dataset(lattice)
    if dataset is None:
        return np.eye(3)[None], np.zeros((1, 3))
    vectors = _spread(lattice)
    turns = np.linalg.inv(vectors) @ np.asarray(dataset.rotations).transpose(0, 2, 1) @ vectors
    shifts = np.asarray(dataset.translations) @ vectors
    keeps = np.abs(turns[:, 2, 2] - 1) < 1e-6 if lattice.dimension == 2 else np.full(len(turns), True)
    return turns[keeps], shifts[keeps] * (1.0 if lattice.dimension == 3 else np.array([1.0, 1.0, 0.0]))


def site_symmetry(lattice: Lattice, position: Float[np.ndarray, "3"]) -> str:
    """Point group that leaves a position of the crystal in place.

    Parameters
    ----------
    lattice : Lattice
        The crystal.
    position : array, (3,)
        A.

    Returns
    -------
    str
        Its Schoenflies symbol, "Td" for instance.
    """
    dataset = _dataset(lattice)
    if dataset is None:
        return "C1"
    vectors = _spread(lattice)
    point = position @ np.linalg.inv(vectors)
    miss = point @ dataset.rotations.transpose(0, 2, 1) + dataset.translations - point
    miss -= np.rint(miss)
    fixed = dataset.rotations[np.linalg.norm(miss @ vectors, axis=1) < 10 * SYMPREC]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # as in `_found_by_spglib`
        group = spglib.get_pointgroup(fixed)
    return _SCHOENFLIES[group[0].strip()] if group else "C1"


def symmetrised(lattice: Lattice, tolerance: float) -> Lattice | None:
    """The crystal whose noisy cell is given: its symmetric positions, in its primitive cell.

    Parameters
    ----------
    lattice : Lattice
        All atoms of the noisy cell as sublattices.
    tolerance : float
        A: positions up to which images of atoms count as the same.

    Returns
    -------
    Lattice or None
        None where no symmetry is found within the tolerance.

    Notes
    -----
    Every position becomes the mean of its images under the operations that are found, x_j = mean over g of g x_i with j = g(i).
    The box stays as it is.
    """
    vectors = _spread(lattice)
    dataset = _dataset(lattice, tolerance)
    if dataset is None or len(dataset.rotations) == 1:
        return None
    x = lattice.motif @ np.linalg.inv(vectors)
    moves = np.zeros_like(x)
    kinds = np.array(lattice.species)
    for turn, shift in zip(dataset.rotations, dataset.translations, strict=True):
        image = x @ turn.T + shift
        away = image[:, None] - x[None]
        away -= np.rint(away)
        length = np.linalg.norm(away @ vectors, axis=-1)
        nearest = np.where(kinds[:, None] == kinds[None], length, np.inf).argmin(axis=1)
        moves[nearest] += away[np.arange(len(x)), nearest] / len(dataset.rotations)
    motif = (x + moves) @ vectors
    return lattice_from_primitive(lattice.vectors, motif, lattice.species, reduce=True, dimension=lattice.dimension)


def _conventional(lattice: Lattice, known: str, transformation: np.ndarray) -> np.ndarray:
    """Conventional vectors in units of the lattice's own, where they are whole numbers."""
    given = np.eye(3, dtype=int)
    if lattice.dimension == 2:  # the given cell, but a triangular rhombus is counted at 60 degrees, as `triangular` does
        wide = known == "triangular" and lattice.vectors[0] @ lattice.vectors[1] < 0
        return np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]]) if wide else given
    rows = np.linalg.inv(transformation).T  # standardised vectors (rows) = inverse transpose of spglib's matrix @ given rows
    whole = np.rint(rows).astype(int)
    return whole if np.abs(rows - whole).max() < 1e-4 else given


def _formula(species: tuple[str, ...]) -> str:
    counts = Counter(species)
    units = gcd(*counts.values())
    return "".join(f"{symbol}{n // units if n > units else ''}" for symbol, n in counts.items())


def _spread(lattice: Lattice) -> np.ndarray:
    """The primitive vectors, with the layers of a two-dimensional crystal far apart."""
    vectors = lattice.vectors.copy()
    if lattice.dimension == 2:
        vectors[2] = [0.0, 0.0, PLANE_GAP * np.linalg.norm(vectors[:2], axis=1).max()]
    return vectors


def _dataset(lattice: Lattice, tolerance: float = SYMPREC):
    """The space-group dataset, or None where spglib finds none."""
    vectors = _spread(lattice)
    kinds = {symbol: k for k, symbol in enumerate(dict.fromkeys(lattice.species))}
    numbers = [kinds[symbol] for symbol in lattice.species]
    fractional = lattice.motif @ np.linalg.inv(vectors)
    return _found_by_spglib(vectors, fractional, numbers, tolerance)


def _found_by_spglib(box: np.ndarray, fractional: np.ndarray, numbers: list[int], tolerance: float):
    """The space-group dataset of atoms in a box, positions equal up to a tolerance (A); None where spglib finds none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # spglib announces that it will raise instead of returning None
        try:
            return spglib.get_symmetry_dataset((box.tolist(), fractional.tolist(), numbers), symprec=tolerance)
        except SpglibError:
            return None


def _in_plane(primitive: np.ndarray) -> np.ndarray:
    """The two vectors of a reduced cell that lie in the plane, then (0, 0, 1), right-handed."""
    flat = primitive[np.abs(primitive[:, 2]) < SYMPREC]
    if np.cross(flat[0], flat[1])[2] < 0:
        flat = flat[::-1]
    return np.vstack([flat, [0.0, 0.0, 1.0]])


def homogeneous_modes(lattice: Lattice) -> Float[np.ndarray, "modes coordinates"]:
    """Orthonormal modes of a symmetric strain and of shifts of the sublattices without a common one.

    Parameters
    ----------
    lattice : Lattice
        The crystal.

    Returns
    -------
    array, (modes, 9 + 3 sublattices)
        Entries of the strain, row by row, then the shifts.
    """
    size = 9 + 3 * lattice.sublattices
    axes = range(lattice.dimension)
    modes = []
    for a in axes:
        for b in range(a, lattice.dimension):
            mode = np.zeros(size)
            mode[3 * a + b] += 1.0
            mode[3 * b + a] += 1.0
            modes.append(mode / np.linalg.norm(mode))
    shifts = np.linalg.svd(np.eye(lattice.sublattices) - 1.0 / lattice.sublattices)[0][:, : lattice.sublattices - 1]
    for shift in shifts.T:
        for a in axes:
            mode = np.zeros(size)
            mode[9 + a :: 3] = shift
            modes.append(mode)
    return np.array(modes)


def symmetric_modes(lattice: Lattice) -> Float[np.ndarray, "modes coordinates"]:
    """The modes of strain and shifts that keep the space group of the crystal.

    Parameters
    ----------
    lattice : Lattice
        The crystal.

    Returns
    -------
    array, (modes, 9 + 3 sublattices)
        Orthonormal, as `homogeneous_modes`.

    Notes
    -----
    They span the fixed space of the group average, made of the operations that spglib finds.
    """
    box = lattice.vectors.copy()
    if lattice.dimension == 2:
        box[2] *= 10.0 * np.pi * lattice.nearest_neighbour  # no period along the open axis may look like one in the plane
    fractional = lattice.motif @ np.linalg.inv(box)
    modes = homogeneous_modes(lattice)
    group = _space_group(box, fractional, lattice.species)
    count = lattice.sublattices
    average = np.zeros((len(modes), len(modes)))
    for rotation, translation in group:
        turn = (np.linalg.inv(box) @ rotation.T @ box).T
        moved = fractional @ rotation.T + translation
        gap = moved[:, None] - fractional[None]
        image = np.argmin(np.linalg.norm(gap - np.round(gap), axis=-1), axis=1)
        turned = np.empty_like(modes)
        turned[:, :9] = np.einsum("ac,mcd,bd->mab", turn, modes[:, :9].reshape(-1, 3, 3), turn).reshape(-1, 9)
        shifts = np.empty((len(modes), count, 3))
        shifts[:, image] = modes[:, 9:].reshape(-1, count, 3) @ turn.T
        turned[:, 9:] = shifts.reshape(len(modes), -1)
        average += modes @ turned.T / len(group)
    values, vectors = np.linalg.eigh((average + average.T) / 2)
    return vectors[:, values > 0.999].T @ modes


def _space_group(box: np.ndarray, fractional: np.ndarray, species: tuple[str, ...]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rotations and translations in fractional coordinates; the identity alone where spglib finds no group."""
    kinds = [sorted(set(species)).index(s) for s in species]
    found = _found_by_spglib(box, fractional, kinds, 1e-5)
    if found is None:
        return [(np.eye(3), np.zeros(3))]
    return list(zip(found.rotations, found.translations, strict=True))
