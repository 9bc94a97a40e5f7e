"""One set of k-points for every cell of a crystal, so that energies of cells of different size can be subtracted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .._display import brief
from .._input import InputError, whole
from .._typing import Float
from ..crystal.cell import check_lattice
from ..crystal.lattice import Lattice
from ..crystal.symmetry import lattice_from_primitive, space_group

OFF = 0.35
"""Largest deviation of box vectors from whole multiples of the primitive ones: `dg.equilibrate` strains these by 30 %."""


@dataclass(frozen=True, eq=False)
class KPoints:
    """The k-points of one cell; their Bloch phases are those of every other cell of the same crystal and mesh."""

    points: Float[np.ndarray, "points 3"]
    """Fractions of the reciprocal vectors of the cell; of k and -k only one is listed."""
    weights: Float[np.ndarray, " points"]
    """They sum to one."""
    grid: tuple[int, int, int] | None
    """Size of the Monkhorst-Pack grid that they are, if they are one; None for other sets."""
    offset: tuple[int, int, int]
    """Whether that grid is shifted by half a division along each vector, 1 or 0."""

    __repr__ = brief

    @property
    def every(self) -> Float[np.ndarray, "every 3"]:
        """Every point of the mesh, of equal weight: also -k of those that are listed, for codes that take points without
        weights, such as GPAW."""
        own = np.abs(2 * self.points - np.rint(2 * self.points)).max(axis=1) < 1e-9
        return np.concatenate([self.points, -self.points[~own]])


def common_kpoints(lattice: Lattice, vectors: Float[np.ndarray, "3 3"], grid: Sequence[int], shifted: bool = True) -> KPoints:
    """The k-points of one cell that belong to a mesh of the conventional cell.

    Parameters
    ----------
    lattice : Lattice
        The perfect crystal.
    vectors : array (3, 3)
        Vectors of the cell as rows, A: the primitive cell, or any supercell whose periods divide the mesh, strained or not.
    grid : sequence of int
        Divisions of the reciprocal vectors of the conventional cell, such as (4, 4, 4).
    shifted : bool
        Whether the mesh is shifted by half a division, which for cubic crystals needs fewer points.

    Returns
    -------
    KPoints

    Raises
    ------
    InputError
        For a cell that is no supercell of the crystal, or one whose periods do not divide the mesh, so that no set of k-points of
        this cell is equivalent to it.

    Notes
    -----
    A supercell with vectors S = N A, whole multiples N of the primitive vectors A, folds the mesh K of k-points into its own
    zone. The energy per atom of the perfect crystal is then the same in all cells, up to the basis set. A cell has such a set if
    its reciprocal vectors are whole combinations M of those of the mesh: |det M| points, in fractions (n + 1/2) M^-1.
    """
    check_lattice(lattice)
    divisions = np.array([whole(n, "a number of divisions of a k-point mesh", 1, 1000) for n in grid])
    if divisions.shape != (3,):
        raise InputError(f"a k-point mesh has three numbers of divisions, such as (4, 4, 4); got {tuple(grid)}")
    strained = np.asarray(vectors, dtype=float) @ np.linalg.inv(lattice.vectors)
    repeats = np.rint(strained)
    if np.abs(strained - repeats).max() > OFF or round(abs(np.linalg.det(repeats))) == 0:
        raise InputError(
            f"this cell is no supercell of {lattice.name}: its vectors are not whole multiples of the primitive ones; "
            "give the lattice that it is made of"
        )
    mesh = np.linalg.inv(lattice.conventional).T / divisions[:, None]  # in reciprocal primitive vectors, as the cell below
    exact = np.linalg.inv(repeats).T @ np.linalg.inv(mesh)
    multiples = np.rint(exact).astype(int)
    if np.abs(exact - multiples).max() > 1e-6:
        raise InputError(
            f"the periods of this cell do not divide a mesh of {' x '.join(map(str, divisions))} k-points of the conventional "
            f"cell of {lattice.name}; use a mesh whose divisions are multiples of the repetitions of the cell"
        )
    fractions = _points(multiples, 0.5 if shifted else 0.0)
    points, weights = _without_opposites(fractions)
    sides = np.diag(multiples)
    plain = bool(np.array_equal(multiples, np.diag(sides)) and np.all(sides > 0))
    grid_of = (int(sides[0]), int(sides[1]), int(sides[2])) if plain else None
    half = int(shifted)
    return KPoints(points, weights, grid_of, (half, half, half))


def irreducible_kpoints(points: KPoints, vectors: Float[np.ndarray, "3 3"]) -> KPoints | None:
    """One k-point of every class under the symmetry of the box, for codes that expand such a list as the atoms need it.

    Parameters
    ----------
    points : KPoints
        Of the cell.
    vectors : array (3, 3)
        Vectors of the cell as rows, A.

    Returns
    -------
    KPoints or None
        None where the symmetry of the box does not map the points onto each other, or is other than a permutation of the
        Cartesian axes with signs, which every code recognises.
    """
    box = np.asarray(vectors, dtype=float)
    turns = space_group(lattice_from_primitive(box, np.zeros((1, 3)), ("H",)))[0]
    if np.abs(turns - np.rint(turns)).max() > 1e-6:
        return None
    turns = np.rint(turns)
    whole_numbers = box @ turns @ np.linalg.inv(box)
    if np.abs(whole_numbers - np.rint(whole_numbers)).max() > 1e-7:  # the box has this symmetry only to the tolerance
        return None
    images = points.points @ np.linalg.inv(box).T @ turns @ box.T  # (turns, points, 3), fractions again
    away = [images[:, :, None] - sign * points.points for sign in (1, -1)]
    same = np.any([np.abs(a - np.rint(a)).max(axis=-1) < 1e-7 for a in away], axis=0)
    if not same.any(axis=-1).all():
        return None
    first = same.argmax(axis=-1).min(axis=0)  # the number of the first point that each is an image of
    kept = np.unique(first)
    weights = np.array([points.weights[first == number].sum() for number in kept])
    return KPoints(points.points[kept], weights, None, points.offset)


def _points(multiples: np.ndarray, offset: float) -> Float[np.ndarray, "points 3"]:
    """All mesh points within one reciprocal cell, as fractions of its vectors in [0, 1)."""
    reach = np.abs(multiples).sum(axis=0)
    axes = [np.arange(-n, n + 1) for n in reach]
    whole_numbers = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    fractions = (whole_numbers + offset) @ np.linalg.inv(multiples)
    inside = np.all((fractions > -1e-9) & (fractions < 1 - 1e-9), axis=1)
    return fractions[inside]


def _without_opposites(fractions: np.ndarray) -> tuple[Float[np.ndarray, "points 3"], Float[np.ndarray, " points"]]:
    """One of k and -k, with the weight of both: bands are the same there."""
    kept: list[np.ndarray] = []
    counts: list[int] = []
    for point in fractions:
        for number, other in enumerate(kept):
            miss = point + other
            if np.abs(miss - np.rint(miss)).max() < 1e-9:
                counts[number] += 1
                break
        else:
            kept.append(point)
            counts.append(1)
    return np.array(kept), np.array(counts) / len(fractions)
