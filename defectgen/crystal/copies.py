"""Atoms that the symmetry of a defect makes of each other: a field that has this symmetry is known from one atom of each kind."""

from dataclasses import dataclass

import numpy as np

from .._typing import Float, Int
from .cell import Cell
from .symmetry import space_group

SAME = 1e-6
"""A: positions that agree to this are one place; those of different atoms differ by more than one."""


@dataclass(frozen=True, eq=False)
class Copies:
    """The operations of a cell with a defect, all about the centre of the defect."""

    rotations: Float[np.ndarray, "operations 3 3"]
    """Q of x -> centre + (x - centre) @ Q."""
    images: Int[np.ndarray, "operations atoms"]
    """The atom onto whose place each operation brings an atom."""
    first: Int[np.ndarray, " first"]
    """One atom of each kind."""

    def spread(self, values: Float[np.ndarray, "first 3"]) -> Float[np.ndarray, "atoms 3"]:
        """The vector field with this symmetry that has these values on the first atoms.

        Parameters
        ----------
        values : array, (first, 3)
            In any unit.

        Returns
        -------
        array, (atoms, 3)
            In the same unit.
        """
        found = np.empty((self.images.shape[1], 3))
        for rotation, image in zip(self.rotations, self.images, strict=True):
            found[image[self.first]] = values @ rotation
        return found

    def mean(self, field: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "atoms 3"]:
        """The symmetric part of a vector field.

        Parameters
        ----------
        field : array, (atoms, 3)
            In any unit.

        Returns
        -------
        array, (atoms, 3)
            In the same unit.
        """
        found = np.zeros_like(field)
        for rotation, image in zip(self.rotations, self.images, strict=True):
            found[image] += field @ rotation
        return found / len(self.rotations)


def copies(cell: Cell, of: Cell | None = None) -> Copies:
    """The operations of the crystal about the centre of a defect that bring the cell with the defect onto itself.

    Parameters
    ----------
    cell : Cell
        A periodic cell with a defect.
    of : Cell, optional
        Another cell in the same box, such as the perfect crystal, whose atoms are brought onto each other by these operations.

    Returns
    -------
    Copies
        At least the identity, for which every atom is a kind of its own.
    """
    turns = [turn for turn in space_group(cell.lattice)[0] if _keeps(cell, turn)]
    found = [(turn, image) for turn in turns if (image := _image(cell, cell.centre, turn)) is not None]
    if of is not None:
        found = [(turn, image) for turn, _ in found if (image := _image(of, cell.centre, turn)) is not None]
    images = np.array([image for _, image in found])
    return Copies(np.array([turn for turn, _ in found]), images, np.flatnonzero(images.min(axis=0) == np.arange(images.shape[1])))


def _keeps(cell: Cell, turn: np.ndarray) -> bool:
    """Whether the box repeats in the same way when it is turned."""
    turned = cell.vectors @ turn @ np.linalg.inv(cell.vectors)
    return bool(np.abs(turned - np.round(turned)).max() < SAME)


def _image(cell: Cell, centre: np.ndarray, turn: np.ndarray) -> np.ndarray | None:
    """The atom onto whose place every atom is brought; None if some atom is brought onto no place of its species."""
    inverse = np.linalg.inv(cell.vectors)
    kinds = np.unique(cell.symbols, return_inverse=True)[1]
    before, order = _places((cell.positions - centre) @ inverse, kinds)
    after, turned = _places((cell.positions - centre) @ turn @ inverse, kinds)
    if not np.array_equal(before, after):
        return None
    image = np.empty(len(cell), dtype=np.int64)
    image[turned] = order
    away = cell.minimum_image((cell.positions - centre) @ turn - (cell.positions - centre)[image])
    return image if np.abs(away).max() < SAME else None


def _places(fractional: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Names of the places in the box, sorted, and the order that sorts them."""
    steps = 1 << 18
    # the offset keeps places of the lattice off the edges of the steps, where rounding would decide
    whole = np.floor((fractional + np.array([0.1234567, 0.2345671, 0.3456712])) % 1.0 * steps).astype(np.int64)
    name = ((kinds * steps + whole[:, 0]) * steps + whole[:, 1]) * steps + whole[:, 2]
    order = np.argsort(name, kind="stable")
    return name[order], order
