"""A cell: atoms in a periodic box, or in a ball or cylinder with clamped ends, each knowing the lattice site it came from."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .._display import brief, counted, shown
from .._input import InputError
from .._typing import Bool, Float, Int
from .lattice import Lattice, minimum_image, reduced_basis

MOST = 4_000_000
"""Atoms that a cell may have: its neighbour list alone then takes some 10 GB."""


def check_atoms(count: float, what: str) -> None:
    """Raises InputError, before anything is allocated, for a cell of more than MOST atoms."""
    if not count <= MOST:
        raise InputError(
            f"{what} would have about {float(min(count, 1e300)):.3g} atoms, and a cell has at most {MOST}; use a smaller one"
        )


@dataclass(frozen=True, eq=False)
class Sites:
    """The perfect sites that fill a cell: site s sits at `translations[s] @ lattice.vectors + motif[sublattices[s]]`."""

    translations: Int[np.ndarray, "sites 3"]
    sublattices: Int[np.ndarray, " sites"]
    matrix: Int[np.ndarray, "3 3"] | None
    """Supercell vectors as rows in units of the primitive ones; None for a ball or a cylinder."""

    __repr__ = brief


@dataclass(frozen=True, eq=False)
class Cell:
    """Atoms of a cell at their unrelaxed positions, from which displacements are measured.

    Examples
    --------
    >>> import defectgen as dg
    >>> cell = dg.vacancy().apply(dg.supercell(dg.fcc("Cu", 3.615), 3))
    >>> print(len(cell), cell.defect, cell.positions.shape)
    107 v_Cu (107, 3)
    """

    lattice: Lattice
    vectors: Float[np.ndarray, "3 3"]
    """Box vectors as rows, A."""
    periodic: tuple[bool, bool, bool]
    positions: Float[np.ndarray, "atoms 3"]
    """Unrelaxed positions, A."""
    symbols: tuple[str, ...]
    sites: Int[np.ndarray, " atoms"]
    """Perfect site of each atom (a row of `perfect_sites`), -1 for an atom that is on none."""
    free: Bool[np.ndarray, " atoms"]
    """False where an atom is clamped."""
    perfect_sites: Sites
    centre: Float[np.ndarray, "3"]
    """Middle of the cell (perfect) or of the defect, A."""
    defect: str = ""
    """Name of the defect, empty for the perfect crystal."""

    def __len__(self) -> int:
        return len(self.positions)

    def __repr__(self) -> str:
        clamped = int((~self.free).sum())
        return shown(
            self,
            self.lattice.name,
            self.defect or "perfect crystal",
            counted(self.symbols),
            f"{clamped:,} of them clamped" if clamped else "",
            f"radius {self.radius:.3g} nearest-neighbour spacings",
        )

    @property
    def clamped(self) -> bool:
        """Whether the cell ends in clamped atoms, as balls and cylinders do, and not in images of itself."""
        return self.perfect_sites.matrix is None or not any(self.periodic)

    @property
    def line(self) -> Float[np.ndarray, "3"] | None:
        """Unit vector along which a cylinder repeats; None for boxes and balls."""
        if not (self.clamped and any(self.periodic)):
            return None
        along = self.vectors[self.periodic.index(True)]
        return along / np.linalg.norm(along)

    @cached_property
    def site_positions(self) -> Float[np.ndarray, "sites 3"]:
        """Positions of all perfect sites of the cell, A."""
        return self.perfect_sites.translations @ self.lattice.vectors + self.lattice.motif[self.perfect_sites.sublattices]

    @property
    def perfect(self) -> "Cell":
        """The perfect crystal in the same box."""
        position = self.site_positions
        free = np.ones(len(position), dtype=bool)
        if self.clamped:  # clamped sites stay clamped, removed sites were free
            on_site = self.sites >= 0
            free[self.sites[on_site]] = self.free[on_site]
        return replace(
            self,
            positions=position,
            symbols=tuple(self.lattice.species[b] for b in self.perfect_sites.sublattices),
            sites=np.arange(len(position)),
            free=free,
            centre=middle_site(self.vectors, position, (False, False, False) if self.clamped else self.periodic),
            defect="",
        )

    @property
    def radius(self) -> float:
        """Radius of the largest ball that does not meet its own images - half the distance of images - or of the ball or
        cylinder of free atoms, in nearest-neighbour spacings."""
        if not self.clamped:
            nearest_image = np.linalg.norm(reduced_basis(self.vectors[list(self.periodic)]), axis=1).min()
            return float(nearest_image / 2 / self.lattice.nearest_neighbour)
        distance = self.distance_to_defect()
        return float((distance[self.free] if self.free.any() else distance).max() / self.lattice.nearest_neighbour)

    def minimum_image(self, vectors: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
        """The shortest periodic copy of each vector, right for boxes of any skew.

        Parameters
        ----------
        vectors : array, (..., 3)
            Vectors between two points, A.

        Returns
        -------
        array, (..., 3)
            Their shortest copies, A.
        """
        return minimum_image(vectors, self.vectors, self.periodic)

    def distance_to_defect(self) -> Float[np.ndarray, " atoms"]:
        """Distance of every atom from the centre, by minimum image; in a cylinder from the line through the centre.

        Returns
        -------
        array, (atoms,)
            A.
        """
        return self.distance_from_centre(self.positions)

    def distance_from_centre(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        """Distance of any points from the centre by minimum image, in a cylinder from the line through the centre.

        Parameters
        ----------
        points : array, (n, 3)
            Positions, A.

        Returns
        -------
        array, (n,)
            Distances, A.
        """
        away = points - self.centre
        if self.line is None:
            return np.linalg.norm(self.minimum_image(away), axis=1)
        return np.linalg.norm(away - np.outer(away @ self.line, self.line), axis=1)


def supercell(lattice: Lattice, size: int | tuple[int, ...] | Int[np.ndarray, "3 3"]) -> Cell:
    """A periodic cell of `size` conventional cells.

    Parameters
    ----------
    lattice : Lattice
        The crystal.
    size : int, tuple of int, or integer array (3, 3)
        n, (n1, n2, n3), or a matrix whose rows are the box vectors in units of the conventional ones. In two dimensions
        (n1, n2) is enough.

    Returns
    -------
    Cell
        Every site once, wrapped into the box.

    Raises
    ------
    InputError
        For what is no lattice, a matrix that is not integer or has no volume, and a cell of too many atoms.

    Examples
    --------
    >>> import defectgen as dg
    >>> len(dg.supercell(dg.fcc("Cu", 3.615), 4))
    256
    """
    check_lattice(lattice)
    try:
        count = np.array(size)
    except (TypeError, ValueError):
        raise InputError(f"a supercell size is an integer, three integers or a 3 x 3 integer matrix; got {size!r}") from None
    if count.dtype.kind == "f" and np.all(count == np.rint(count)) and np.all(np.abs(count) < 2**53):
        count = count.astype(int)
    if not np.issubdtype(count.dtype, np.integer) or count.shape not in ((), (3,), (2,), (3, 3)):
        raise InputError(f"a supercell size is an integer, three integers or a 3 x 3 integer matrix; got {size!r}")
    if count.shape == (2,) and lattice.dimension == 2:
        count = np.array([*count, 1])
    if count.shape == (2,):
        raise InputError(f"a three-dimensional supercell needs three repeats; got {size!r}")
    if count.shape == ():
        count = np.full(3, int(count))
    if count.shape == (3,):
        if lattice.dimension == 2:
            count[2] = 1
        if np.any(count < 1):
            raise InputError(f"supercell repeats must be at least 1; got {size!r}")
        count = np.diag(count)
    if lattice.dimension == 2 and (np.any(count[2, :2]) or np.any(count[:2, 2]) or abs(count[2, 2]) != 1):
        raise InputError(
            f"a two-dimensional crystal repeats in its plane only: the third row and column must be (0, 0, 1); got {size!r}"
        )
    count = _bounded(lattice, count)
    matrix = count @ lattice.conventional
    if round(abs(np.linalg.det(matrix))) == 0:
        raise InputError(f"the supercell matrix {count.tolist()} has no volume; choose independent vectors")
    return periodic_cell(lattice, matrix)


def _bounded(lattice: Lattice, count: np.ndarray) -> np.ndarray:
    """The matrix, once it is known that the box around its cell holds a bearable number of sites."""
    rows = np.abs(count).astype(float) @ np.abs(lattice.conventional)
    volume = abs(np.linalg.det(count.astype(float) @ lattice.conventional)) * lattice.sublattices
    check_atoms(volume, f"a supercell of {_spelled(count)} conventional cells")
    if np.prod(rows.sum(axis=0) + 3) * lattice.sublattices > 64 * MOST:
        raise InputError(f"the supercell matrix {count.tolist()} is too skewed; choose shorter vectors of the same cell")
    return count


def _spelled(count: np.ndarray) -> str:
    """2 x 2 x 3, or the rows of a matrix that is not diagonal."""
    diagonal = np.array_equal(count, np.diag(np.diag(count)))
    return " x ".join(map(str, np.diag(count))) if diagonal else str(count.tolist())


def primitive_cell(lattice: Lattice) -> Cell:
    """The primitive cell itself, periodic.

    Parameters
    ----------
    lattice : Lattice
        The crystal.

    Returns
    -------
    Cell
        One atom for each sublattice.

    Raises
    ------
    InputError
        For what is no lattice.

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.primitive_cell(dg.diamond("Si", 5.431))
    Cell(diamond Si, perfect crystal, 2 atoms of Si, radius 0.816 nearest-neighbour spacings)
    """
    check_lattice(lattice)
    return periodic_cell(lattice, np.eye(3, dtype=int))


def check_lattice(given: object) -> None:
    """Raises InputError for anything but a lattice: the first argument that people mix up."""
    if not isinstance(given, Lattice):
        raise InputError(f'a lattice is needed, such as dg.fcc("Cu", 3.615) or dg.from_ase(atoms); got {type(given).__name__}')


def periodic_cell(lattice: Lattice, matrix: np.ndarray) -> Cell:
    """The supercell with vectors `matrix @ lattice.vectors`; every site once, wrapped into the box."""
    corners = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), -1).reshape(-1, 3) @ matrix
    low, high = corners.min(0) - 1, corners.max(0) + 1
    t = np.stack(np.meshgrid(*[np.arange(a, b + 1) for a, b in zip(low, high, strict=True)], indexing="ij"), -1).reshape(-1, 3)
    # t lies in the box iff t @ adj(matrix) * sign(det) in [0, |det|): integer arithmetic, no rounding
    det = round(np.linalg.det(matrix))
    adjugate = np.rint(np.linalg.inv(matrix) * det).astype(int) * int(np.sign(det))
    inside = np.all((t @ adjugate >= 0) & (t @ adjugate < abs(det)), axis=1)
    t = t[inside]
    sub = np.tile(np.arange(lattice.sublattices), len(t))
    t = np.repeat(t, lattice.sublattices, axis=0)
    box = matrix @ lattice.vectors
    position = t @ lattice.vectors + lattice.motif[sub]
    return Cell(
        lattice=lattice,
        vectors=box,
        periodic=lattice.periodic,
        positions=position,
        symbols=tuple(lattice.species[b] for b in sub),
        sites=np.arange(len(t)),
        free=np.ones(len(t), dtype=bool),
        perfect_sites=Sites(t, sub, matrix),
        centre=middle_site(box, position, lattice.periodic),
    )


def middle_site(vectors: np.ndarray, positions: np.ndarray, periodic: tuple[bool, bool, bool]) -> np.ndarray:
    """The site nearest to the middle of a periodic box; the site nearest to the mean of a ball."""
    middle = vectors.sum(0) / 2 if any(periodic) else positions.mean(0)
    if any(periodic) and not periodic[2]:
        middle = (vectors[0] + vectors[1]) / 2
    return positions[np.argmin(np.round(np.linalg.norm(positions - middle, axis=1), 6))].copy()
