"""Slabs: a supercell with its upper layers taken away, so that two free surfaces face each other across a gap."""

from dataclasses import replace

import numpy as np

from .._input import InputError
from .cell import Cell, supercell, widths
from .lattice import Lattice

GAP = 6.0
"""A: wider than the cutoffs of most potentials, so that the two surfaces do not see each other."""


def slab(lattice: Lattice, size: tuple[int, int, int], gap: float = GAP) -> Cell:
    """`size` conventional cells of crystal, the box longer along the third conventional vector by at least `gap` (A) of nothing.

    The surfaces are the planes of the first two conventional vectors. The box holds a whole number of crystal cells, so its sites
    are those of a supercell whose upper part is vacant. Raises InputError for a gap that is not positive.
    """
    if not 0 < gap < 1e6:
        raise InputError(f"the gap above a slab is a positive length in A; got {gap!r}")
    n1, n2, n3 = size
    height = float(widths(lattice.conventional @ lattice.vectors)[2])
    extra = int(np.ceil(gap / height))
    whole = supercell(lattice, (n1, n2, n3 + extra))
    part = np.linalg.solve(whole.vectors.T, whole.positions.T)[2]
    stays = np.flatnonzero((part - np.floor(part + 1e-9)) * (n3 + extra) < n3 - 1e-6)
    return replace(
        whole,
        positions=whole.positions[stays],
        symbols=tuple(whole.symbols[k] for k in stays),
        sites=whole.sites[stays],
        free=whole.free[stays],
        centre=whole.positions[stays].mean(axis=0),
        defect="surface",
    )
