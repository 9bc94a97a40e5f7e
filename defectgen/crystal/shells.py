"""Neighbour shells of a perfect crystal, in an order that does not depend on how the crystal was typed in."""

from typing import NamedTuple

import numpy as np

from .cell import widths
from .lattice import Lattice


class Site(NamedTuple):
    """A site of the infinite crystal, at `(t1, t2, t3) @ lattice.vectors + lattice.motif[sublattice]`."""

    t1: int
    t2: int
    t3: int
    sublattice: int

    @classmethod
    def at(cls, translation, sublattice) -> "Site":
        """The site of a sublattice in the cell with the given translation (three whole numbers)."""
        t1, t2, t3 = (int(n) for n in translation)
        return cls(t1, t2, t3, int(sublattice))

    def position(self, lattice: Lattice) -> np.ndarray:
        """Where the site is, A."""
        return np.array(self[:3]) @ lattice.vectors + lattice.motif[self.sublattice]


def sites_within(lattice: Lattice, point: np.ndarray, radius: float) -> list[tuple[float, Site]]:
    """All sites closer to a point than `radius` (A), with their distances, nearest first.

    Sites at one distance are ordered by decreasing x, then y, then z of the vector from the point.
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
    """The first `count` shells of neighbours of a site, nearest first; distances within 1e-4 of each other are one shell."""
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
