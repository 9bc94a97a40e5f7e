"""Atoms that the symmetry of a defect makes of each other: a field that has this symmetry is known from one atom of each kind."""

from dataclasses import dataclass

import numpy as np

from .._display import brief
from .._typing import Float, Int
from .cell import Cell
from .symmetry import space_group

SAME = 1e-6
"""A: positions that agree to this are one place; those of different atoms differ by more than one."""
KEPT = 1e-5
"""A: a displacement that changes by less has the symmetry. Equilibria are converged to less, and a broken symmetry moves atoms by
hundredths or more."""


@dataclass(frozen=True, eq=False)
class Copies:
    """The operations of a cell with a defect, all about the centre of the defect."""

    rotations: Float[np.ndarray, "operations 3 3"]
    """Q of x -> centre + (x - centre) @ Q."""
    images: Int[np.ndarray, "operations atoms"]
    """The atom onto whose place each operation brings an atom."""
    first: Int[np.ndarray, " first"]
    """One atom of each kind."""

    __repr__ = brief

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


def copies(cell: Cell, of: Cell | None = None, displacement: Float[np.ndarray, "atoms 3"] | None = None) -> Copies:
    """The operations of the crystal about the centre of a defect that bring the cell with the defect onto itself.

    Parameters
    ----------
    cell : Cell
        A periodic cell with a defect.
    of : Cell, optional
        Another cell in the same box, such as the perfect crystal, whose atoms are brought onto each other by these operations.
    displacement : array, (atoms, 3), optional
        Displacements of the atoms of `cell` (A) that the operations must keep, but for a translation: relaxed defects can have a
        lower symmetry than unrelaxed ones.

    Returns
    -------
    Copies
        At least the identity, for which every atom is a kind of its own.
    """
    turns = [turn for turn in space_group(cell.lattice)[0] if _keeps(cell, turn)]
    found = _images(cell, cell.centre, turns)
    if displacement is not None:
        u = displacement - displacement.mean(axis=0)
        found = [(turn, image) for turn, image in found if np.abs(u[image] - u @ turn).max() < KEPT]
    if of is not None:
        found = _images(of, cell.centre, [turn for turn, _ in found])
    images = np.array([image for _, image in found])
    return Copies(np.array([turn for turn, _ in found]), images, np.flatnonzero(images.min(axis=0) == np.arange(images.shape[1])))


def _keeps(cell: Cell, turn: np.ndarray) -> bool:
    """Whether the box repeats in the same way when it is turned."""
    turned = cell.vectors @ turn @ np.linalg.inv(cell.vectors)
    return bool(np.abs(turned - np.round(turned)).max() < SAME)


def _images(cell: Cell, centre: np.ndarray, turns: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Those of the operations that bring every atom onto the place of one of its species, with the atoms of these places."""
    inverse, away = np.linalg.inv(cell.vectors), cell.positions - centre
    kinds = np.unique(cell.symbols, return_inverse=True)[1]
    before, order = _places(away @ inverse, kinds)
    found = []
    for turn in turns:
        after, turned = _places(away @ turn @ inverse, kinds)
        if not np.array_equal(before, after):
            continue
        image = np.empty(len(cell), dtype=np.int64)
        image[turned] = order
        apart = (away @ turn - away[image]) @ inverse
        if np.abs((apart - np.round(apart)) @ cell.vectors).max() < SAME:
            found.append((turn, image))
    return found


def _places(fractional: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Names of the places in the box, sorted, and the order that sorts them."""
    steps = 1 << 18
    # the offset keeps places of the lattice off the edges of the steps, where rounding would decide
    whole = np.floor((fractional + np.array([0.1234567, 0.2345671, 0.3456712])) % 1.0 * steps).astype(np.int64)
    name = ((kinds * steps + whole[:, 0]) * steps + whole[:, 1]) * steps + whole[:, 2]
    order = np.argsort(name, kind="stable")
    return name[order], order
