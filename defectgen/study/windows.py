"""The window of a rate, chosen before anything is computed: it begins beyond the influence of the core of the defect."""

import numpy as np

from ..crystal import Cell
from .materials import build_lattice
from .settings import Case
from .tasks import defect_cell, truth_of


def core_radius(cell: Cell) -> float:
    """Nearest-neighbour spacings from the centre to the farthest site without an atom, or atom without a site."""
    vacant = np.setdiff1d(np.arange(len(cell.site_positions)), cell.sites[cell.sites >= 0])
    points = np.vstack([cell.site_positions[vacant], cell.positions[cell.sites < 0]])
    return float(cell.distance_from_centre(points).max(initial=0.0) / cell.lattice.nearest_neighbour)


def first_radius(case: Case) -> float | None:
    """The radius of the core and two cutoffs, nearest-neighbour spacings; None for a reference that names no cutoff.

    Atoms within a cutoff of the core have another surrounding than those of the crystal, and the forces on atoms within one
    more cutoff depend on them. Only beyond does an error of the far field fall like a power of the radius. The cutoff is the
    larger one of reference and basis. theory: bounds/visibility.
    """
    lattice = build_lattice(case.material)
    cutoffs = [getattr(truth_of(case.material), "cutoff", None), None if case.basis is None else case.basis.cutoff]
    known = [cutoff for cutoff in cutoffs if cutoff is not None]
    if cutoffs[0] is None:
        return None
    return core_radius(defect_cell(lattice, case.defect, case.simulation_size)) + 2 * max(known) / lattice.nearest_neighbour
