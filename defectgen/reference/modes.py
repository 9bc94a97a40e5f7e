"""The ways in which a crystal may strain and shift its sublattices, all of them or those that keep its space group."""

import warnings

import numpy as np
import spglib
from spglib.error import SpglibError

from .._typing import Float
from ..crystal.lattice import Lattice


def all_modes(lattice: Lattice) -> Float[np.ndarray, "modes coordinates"]:
    """Orthonormal modes of (symmetric strain, sublattice shifts without a common one), flattened to 9 + 3 n numbers."""
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
    """The modes that keep the crystal's space group: the fixed space of the group average, found by spglib's operations."""
    box = lattice.vectors.copy()
    if lattice.dimension == 2:
        box[2] *= 10.0 * np.pi * lattice.nearest_neighbour  # no period along the open axis may look like one in the plane
    fractional = lattice.motif @ np.linalg.inv(box)
    modes = all_modes(lattice)
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # spglib announces that it will raise instead of returning None
        try:
            found = spglib.get_symmetry_dataset((box.tolist(), fractional.tolist(), kinds), symprec=1e-5)
        except SpglibError:
            found = None
    if found is None:
        return [(np.eye(3), np.zeros(3))]
    return list(zip(found.rotations, found.translations, strict=True))
