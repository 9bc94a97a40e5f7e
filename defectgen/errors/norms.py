"""Norms of the defect theory: displacements are measured by their differences over nearest-neighbour bonds."""

from dataclasses import dataclass

import numpy as np

from .._display import brief
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

    __repr__ = brief

    def difference(self, w: Float[np.ndarray, "atoms 3 *fields"]) -> Float[np.ndarray, "bonds 3 *fields"]:
        """Differences of a field along the bonds.

        Parameters
        ----------
        w : array (atoms, 3, ...)
            The field, such as displacements in A.

        Returns
        -------
        array (bonds, 3, ...)
            w of the second atom less w of the first, in the unit of the field.
        """
        return w[self.second] - w[self.first]


def bonds_of(cell: Cell) -> BondList:
    """Nearest-neighbour bonds of a cell, defect included, at its unrelaxed positions (all of them in a primitive cell too).

    Parameters
    ----------
    cell : Cell
        The cell.

    Returns
    -------
    BondList
    """
    cutoff = REACH * cell.lattice.nearest_neighbour
    near = neighbours(cell.positions, cell.vectors, cell.periodic, cutoff)
    atoms, slots = near.index.shape
    here = np.arange(atoms * slots).reshape(atoms, slots)
    first, slot = np.nonzero(near.mask & (here < near.reverse))
    second, shift = near.index[first, slot], near.shift[first, slot]
    vectors = cell.positions[second] + shift @ cell.vectors - cell.positions[first]
    return BondList(first, second, vectors)


def strain_norm(cell: Cell, w: Float[np.ndarray, "atoms 3"], bonds: BondList | None = None) -> float:
    """The l2 norm of the bond differences of a displacement.

    Parameters
    ----------
    cell : Cell
        The cell whose bonds count.
    w : array (atoms, 3)
        The displacement, or the difference of two, A.
    bonds : BondList, optional
        Of the cell; made if not given.

    Returns
    -------
    float
        A.

    Notes
    -----
    ||Dw||_l2 = (sum over bonds |w_j - w_i|^2)^(1/2). theory: bounds/geometry.
    """
    return float(np.linalg.norm((bonds or bonds_of(cell)).difference(w)))


def strain_max(cell: Cell, w: Float[np.ndarray, "atoms 3"], bonds: BondList | None = None) -> float:
    """The largest bond difference of a displacement.

    Parameters
    ----------
    cell : Cell
        The cell whose bonds count.
    w : array (atoms, 3)
        The displacement, or the difference of two, A.
    bonds : BondList, optional
        Of the cell; made if not given.

    Returns
    -------
    float
        ||Dw||_max = max over bonds |w_j - w_i|, A.
    """
    return float(np.linalg.norm((bonds or bonds_of(cell)).difference(w), axis=1).max(initial=0.0))
