"""Norms of the defect theory: displacements are measured by their differences over nearest-neighbour bonds."""

from dataclasses import dataclass

import numpy as np

from .._typing import Float, Int
from ..crystal.cell import Cell
from ..crystal.neighbours import neighbours

REACH = 1.2
"""Bonds are pairs closer than this many nearest-neighbour spacings: the first shell of fcc, hcp, diamond and binary crystals, and
both near shells of bcc (1 and 1.155), with room for c/a ratios; the second fcc shell is at 1.414."""


@dataclass(frozen=True, eq=False)
class BondList:
    """Pairs of neighbouring atoms, each bond once (a pair that meets through several periodic images has several bonds)."""

    first: Int[np.ndarray, " bonds"]
    second: Int[np.ndarray, " bonds"]
    vectors: Float[np.ndarray, "bonds 3"]
    """From the first atom to the second in the unrelaxed cell, A."""

    def difference(self, w: Float[np.ndarray, "atoms 3 *fields"]) -> Float[np.ndarray, "bonds 3 *fields"]:
        """Dw: w of the second atom minus w of the first, for one field or many."""
        return w[self.second] - w[self.first]


def bonds_of(cell: Cell) -> BondList:
    """Nearest-neighbour bonds of a cell, defect included, at its unrelaxed positions (all of them in a primitive cell too)."""
    cutoff = REACH * cell.lattice.nearest_neighbour
    near = neighbours(cell.positions, cell.vectors, cell.periodic, cutoff)
    atoms, slots = near.index.shape
    here = np.arange(atoms * slots).reshape(atoms, slots)
    first, slot = np.nonzero(near.mask & (here < near.reverse))
    second, shift = near.index[first, slot], near.shift[first, slot]
    vectors = cell.positions[second] + shift @ cell.vectors - cell.positions[first]
    return BondList(first, second, vectors)


def strain_norm(cell: Cell, w: Float[np.ndarray, "atoms 3"], bonds: BondList | None = None) -> float:
    """||Dw||_l2 = (sum over bonds |w_j - w_i|^2)^(1/2), A. theory: bounds/geometry."""
    return float(np.linalg.norm((bonds or bonds_of(cell)).difference(w)))


def strain_max(cell: Cell, w: Float[np.ndarray, "atoms 3"], bonds: BondList | None = None) -> float:
    """||Dw||_max = max over bonds |w_j - w_i|, A."""
    return float(np.linalg.norm((bonds or bonds_of(cell)).difference(w), axis=1).max(initial=0.0))
