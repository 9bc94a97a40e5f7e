"""Forces on a few sites with given moments, and the displacement they make in the infinite crystal."""

from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import comb

import numpy as np

from .._typing import Float, Int
from ..crystal.cell import widths
from ..crystal.lattice import Lattice
from .infinite import InfiniteGreensFunction
from .multipoles import Multipoles


@dataclass(frozen=True, eq=False)
class PointForces:
    """Forces on sites of sublattice 0 around the centre of a defect: zero resultant, given dipole, given or no quadrupole."""

    translations: Int[np.ndarray, "sources 3"]
    forces: Float[np.ndarray, "sources 3"]
    """eV/A."""

    def displacement(
        self, green: InfiniteGreensFunction, translations: Int[np.ndarray, "sites 3"], sublattices: Int[np.ndarray, " sites"]
    ) -> Float[np.ndarray, "sites 3"]:
        """Displacement (A) of sites of the infinite crystal, vanishing at infinity."""
        d, n = green.lattice.dimension, green.lattice.sublattices
        source = np.zeros((len(self.forces), n, d))
        source[:, 0] = self.forces[:, :d]
        cells, place = np.unique(translations, axis=0, return_inverse=True)
        field = green.displacement(cells, self.translations, source.reshape(len(source), n * d))
        u = np.zeros((len(translations), 3))
        u[:, :d] = field.reshape(-1, n, d)[place.ravel(), sublattices]
        return u


def point_forces(lattice: Lattice, centre: Float[np.ndarray, "3"], moments: Multipoles, order: int) -> PointForces:
    """The smallest forces near `centre` (A) whose moments up to the second are (0, P, M); M is zero if `order` is 1.

    The sites are the nearest ones of sublattice 0, as many shells as the moments need; in a multilattice forces that sum to
    zero on one sublattice need no condensation, their dipole is that of the far field.
    """
    d = lattice.dimension
    t = _nearest(lattice, centre)
    r = t @ lattice.vectors + lattice.motif[0] - centre
    distance = np.round(np.linalg.norm(r, axis=1), 6)
    unit = lattice.nearest_neighbour
    powers = [axes for degree in range(3) for axes in combinations_with_replacement(range(d), degree)]
    wanted = np.zeros((len(powers), 3))
    for row, axes in enumerate(powers):
        if len(axes) == 1:
            wanted[row] = moments.dipole[:, axes[0]] / unit
        if len(axes) == 2 and order > 1 and moments.quadrupole is not None:
            wanted[row] = moments.quadrupole[:, axes[0], axes[1]] / unit**2
    for shell in np.unique(distance):
        near = distance <= shell + 1e-6
        if near.sum() < comb(d + 2, 2):
            continue
        design = np.array([np.prod(r[near][:, list(axes)] / unit, axis=1) for axes in powers])
        if np.linalg.svd(design, compute_uv=False)[-1] > 1e-3:
            return PointForces(t[near], np.linalg.pinv(design) @ wanted)
    raise AssertionError("three shells of any crystal determine the second moments")


def _nearest(lattice: Lattice, centre: Float[np.ndarray, "3"]) -> Int[np.ndarray, "sites 3"]:
    """Translations of the sites of sublattice 0 within a few shells of a point, nearest first."""
    outer = 2.5 * lattice.volume ** (1 / lattice.dimension)
    middle = np.rint((centre - lattice.motif[0]) @ np.linalg.inv(lattice.vectors)).astype(int)
    span = np.ceil(outer / widths(lattice.vectors)).astype(int) + 1
    span[lattice.dimension :] = 0
    axes = [np.arange(-n, n + 1) for n in span]
    t = middle + np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    distance = np.linalg.norm(t @ lattice.vectors + lattice.motif[0] - centre, axis=1)
    order = np.lexsort((*t.T, np.round(distance, 6)))
    return t[order][distance[order] <= outer]
