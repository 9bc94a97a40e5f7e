"""A crystal: primitive vectors and motif, its sites and shells, and the shortest images of vectors between them."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from .._display import counted, shown
from .._input import InputError, came
from .._typing import Float, Int


@dataclass(frozen=True, eq=False)
class Lattice:
    """The perfect crystal: every atom sits at `t @ vectors + motif[b]`, t integer, b a sublattice.

    A two-dimensional crystal lies in the plane z = 0; its third vector is (0, 0, 1) and is not periodic.

    Examples
    --------
    >>> import defectgen as dg
    >>> crystal = dg.fcc("Cu", 3.615)
    >>> print(f"{crystal.volume:.3f} A^3, neighbours at {crystal.nearest_neighbour:.3f} A")
    11.810 A^3, neighbours at 2.556 A
    """

    name: str
    vectors: Float[np.ndarray, "3 3"]
    """Primitive vectors as rows, A."""
    motif: Float[np.ndarray, "sublattices 3"]
    """Cartesian positions of the atoms of the primitive cell, A."""
    species: tuple[str, ...]
    """Chemical symbol of each sublattice."""
    conventional: Int[np.ndarray, "3 3"]
    """Conventional vectors as rows, in units of the primitive ones."""
    dimension: int = 3

    def __post_init__(self):
        for name, shape in (("vectors", "(3, 3)"), ("motif", "(atoms, 3)"), ("conventional", "(3, 3)")):
            array = np.asarray(getattr(self, name))
            if (
                array.dtype.kind not in "fiu"
                or array.ndim != 2
                or array.shape[1] != 3
                or ("atoms" not in shape and len(array) != 3)
            ):
                raise InputError(f"the {name} of a lattice are numbers of shape {shape}; got {came(getattr(self, name))}")
        if len(self.species) != len(self.motif):
            raise InputError(
                f"a lattice needs one symbol per atom of its motif; got {len(self.species)} symbols for {len(self.motif)} atoms"
            )
        if not np.all(np.isfinite(self.motif)):
            raise InputError(f"the motif of {self.name} must be finite numbers; got {self.motif.tolist()}")
        if not np.all(np.isfinite(self.vectors)) or abs(np.linalg.det(self.vectors)) < 1e-6:
            raise InputError(f"the primitive vectors of {self.name} must be finite and span space; got {self.vectors.tolist()}")

    def __repr__(self) -> str:
        return shown(
            self,
            self.name,
            f"{counted(self.species)} in the primitive cell",
            f"nearest neighbours at {self.nearest_neighbour:.6g} A",
            "two-dimensional" if self.dimension == 2 else "",
        )

    @property
    def periodic(self) -> tuple[bool, bool, bool]:
        """Directions in which the crystal repeats."""
        return (True, True, self.dimension == 3)

    @property
    def sublattices(self) -> int:
        """Number of atoms in the primitive cell."""
        return len(self.motif)

    @property
    def volume(self) -> float:
        """Volume of the primitive cell, A^3 (its area, A^2, in two dimensions)."""
        return float(abs(np.linalg.det(self.vectors)))

    @cached_property
    def nearest_neighbour(self) -> float:
        """Shortest distance between two atoms, A: the length unit of training radii."""
        from scipy.spatial import KDTree

        basis = reduced_basis(self.vectors[: self.dimension])
        fractional = self.motif @ np.linalg.pinv(basis)
        wrapped = self.motif - np.floor(fractional) @ basis
        images = image_steps(self.dimension, 2) @ basis
        tree = KDTree((wrapped[None] + images[:, None]).reshape(-1, 3))
        return float(tree.query(wrapped, k=2)[0][:, 1].min())

    def deformed(self, deformation: Float[np.ndarray, "3 3"]) -> "Lattice":
        """The lattice under x -> F x, sublattices carried along affinely.

        Parameters
        ----------
        deformation : array, (3, 3)
            F.

        Returns
        -------
        Lattice
            The deformed crystal.
        """
        return replace(self, vectors=self.vectors @ deformation.T, motif=self.motif @ deformation.T)

    def in_plane(self, tensor: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3 3"]:
        """A tensor of a strain or stress, without what leaves the plane of a two-dimensional crystal.

        Parameters
        ----------
        tensor : array, (3, 3)
            Any tensor in Cartesian axes.

        Returns
        -------
        array, (3, 3)
            A copy; in two dimensions zero but for its first two rows and columns.
        """
        kept = np.zeros((3, 3))
        d = self.dimension
        kept[:d, :d] = tensor[:d, :d]
        return kept

    def with_motif(self, motif: Float[np.ndarray, "sublattices 3"]) -> "Lattice":
        """The same Bravais lattice with its sublattices shifted.

        Parameters
        ----------
        motif : array, (sublattices, 3)
            Positions of the atoms of the primitive cell, A.

        Returns
        -------
        Lattice
            The crystal with this motif.
        """
        return replace(self, motif=motif)


def widths(vectors: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3"]:
    """Distances between opposite faces of a box.

    Parameters
    ----------
    vectors : array, (3, 3)
        Box vectors as rows, A.

    Returns
    -------
    array, (3,)
        One width for each pair of faces, A.
    """
    volume = abs(np.linalg.det(vectors))
    return np.array([volume / np.linalg.norm(np.cross(vectors[(i + 1) % 3], vectors[(i + 2) % 3])) for i in range(3)])


class Site(NamedTuple):
    """A site of the infinite crystal, at `(t1, t2, t3) @ lattice.vectors + lattice.motif[sublattice]`."""

    t1: int
    t2: int
    t3: int
    sublattice: int

    @classmethod
    def at(cls, translation: Iterable[int | np.integer], sublattice: int | np.integer) -> "Site":
        """The site of a sublattice in the cell with a translation.

        Parameters
        ----------
        translation : sequence of int
            Three whole numbers.
        sublattice : int
            Row of the motif.

        Returns
        -------
        Site
            The site.
        """
        t1, t2, t3 = (int(n) for n in translation)
        return cls(t1, t2, t3, int(sublattice))

    def position(self, lattice: Lattice) -> np.ndarray:
        """Where the site is.

        Parameters
        ----------
        lattice : Lattice
            The crystal.

        Returns
        -------
        array, (3,)
            Position, A.
        """
        return np.array(self[:3]) @ lattice.vectors + lattice.motif[self.sublattice]


def sites_within(lattice: Lattice, point: np.ndarray, radius: float) -> list[tuple[float, Site]]:
    """All sites closer to a point than a radius, nearest first.

    Parameters
    ----------
    lattice : Lattice
        The crystal.
    point : array, (3,)
        Position, A.
    radius : float
        A.

    Returns
    -------
    list of (float, Site)
        Distances (A) and sites. Those at one distance are ordered by decreasing x, then y, then z of the vector from the point.
    """
    fractional = point @ np.linalg.inv(lattice.vectors)
    reach = radius / widths(lattice.vectors)
    inner = lattice.motif @ np.linalg.inv(lattice.vectors)
    low = np.floor(fractional - reach - inner.max(0)).astype(int)
    high = np.ceil(fractional + reach - inner.min(0)).astype(int)
    if lattice.dimension == 2:
        low[2] = high[2] = 0
    t = np.stack(np.meshgrid(*[np.arange(a, b + 1) for a, b in zip(low, high, strict=True)], indexing="ij"), -1).reshape(-1, 3)
    vector = (t @ lattice.vectors)[:, None] + lattice.motif[None] - point
    distance = np.linalg.norm(vector, axis=-1)
    near = np.argwhere(distance < radius)
    key = [(round(distance[i, b], 5), *np.round(-vector[i, b], 5) + 0.0) for i, b in near]
    order = sorted(range(len(near)), key=key.__getitem__)
    return [(float(distance[tuple(near[k])]), Site.at(t[near[k][0]], near[k][1])) for k in order]


def neighbour_shells(lattice: Lattice, site: Site, count: int) -> list[list[Site]]:
    """The first shells of neighbours of a site.

    Parameters
    ----------
    lattice : Lattice
        The crystal.
    site : Site
        The site in the middle.
    count : int
        Number of shells.

    Returns
    -------
    list of list of Site
        Nearest shell first; distances within 1e-4 of each other are one shell.
    """
    radius = 1.01 * lattice.nearest_neighbour
    while True:
        shells: list[list[Site]] = []
        last = 0.0
        for distance, other in sites_within(lattice, site.position(lattice), radius)[1:]:
            if distance > last * (1 + 1e-4):
                shells.append([])
            shells[-1].append(other)
            last = distance
        if len(shells) > count:  # one shell beyond the last one wanted: that one is complete
            return shells[:count]
        radius *= 1.3


def reduced_basis(vectors: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k 3"]:
    """A Minkowski-reduced basis of the lattice spanned by k <= 3 independent vectors.

    Parameters
    ----------
    vectors : array, (k, 3)
        Vectors as rows.

    Returns
    -------
    array, (k, 3)
        The reduced vectors as rows, sorted by length.

    Notes
    -----
    Greedy reduction, exact up to four dimensions: P. Q. Nguyen and D. Stehle, ACM Trans. Algorithms 5, 46 (2009).
    """
    basis = np.array(vectors, dtype=float)
    return _reduced(basis.tobytes(), len(basis)).copy()


@lru_cache(maxsize=256)
def _reduced(content: bytes, count: int) -> Float[np.ndarray, "k 3"]:
    """The same of the rows that these bytes hold; boxes are few, and each is asked for often."""
    basis = np.frombuffer(content).reshape(count, 3)
    if count < 2:
        return basis
    while True:
        basis = basis[np.argsort(np.linalg.norm(basis, axis=1), kind="stable")]
        head = reduced_basis(basis[:-1])
        last = basis[-1] - np.round(basis[-1] @ np.linalg.pinv(head)) @ head
        last = min((last + step @ head for step in image_steps(len(head))), key=np.linalg.norm)
        basis = np.vstack([head, last])
        if np.linalg.norm(last) >= np.linalg.norm(head[-1]) * (1 - 1e-12):  # equal to rounding: swapping would never end
            return basis


ORTHOGONAL = 1e-14
"""Products of box vectors that are no more than rounding, compared with the square of the shortest."""


def minimum_image(
    x: Float[np.ndarray, "*n 3"], vectors: Float[np.ndarray, "3 3"], periodic: tuple[bool, bool, bool]
) -> Float[np.ndarray, "*n 3"]:
    """The shortest copies of vectors in a box of any skew.

    Parameters
    ----------
    x : array, (..., 3)
        Vectors.
    vectors : array, (3, 3)
        Box vectors as rows, in the same unit.
    periodic : tuple of bool
        Along which of them the box repeats.

    Returns
    -------
    array, (..., 3)
        The shortest copies; a draw goes to the copy first in `image_steps`.
    """
    if not any(periodic):
        return np.array(x, dtype=float)
    basis = reduced_basis(vectors[list(periodic)])
    base = x - np.round(x @ np.linalg.pinv(basis)) @ basis
    if np.abs(basis @ basis.T - np.diag(np.sum(basis**2, axis=1))).max() <= ORTHOGONAL * np.min(np.sum(basis**2, axis=1)):
        return base  # no other copy is shorter by more than rounding
    best, best_length = base, np.linalg.norm(base, axis=-1)
    for image in image_steps(len(basis))[1:] @ basis:
        trial = base + image
        length = np.linalg.norm(trial, axis=-1)
        shorter = length < best_length - 1e-12
        best = np.where(shorter[..., None], trial, best)
        best_length = np.where(shorter, length, best_length)
    return best


def image_steps(axes: int, reach: int = 1) -> Int[np.ndarray, "images axes"]:
    """All vectors of {-reach, ..., reach}^axes, the zero vector first."""
    steps = itertools.product(range(-reach, reach + 1), repeat=axes)
    return np.array(sorted(steps, key=lambda step: (sum(map(abs, step)), step)), dtype=int).reshape(-1, axes)
