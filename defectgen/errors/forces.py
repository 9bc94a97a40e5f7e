"""Force errors on one configuration: plain, and weighted by the distance to the defect as the bounds want them."""

from dataclasses import dataclass

import numpy as np

from .._typing import Float
from ..crystal.cell import Cell
from ..energy.functional import Potential, evaluate


@dataclass(frozen=True)
class ForceError:
    """Norms of f_model - f_truth over the free atoms, eV/A; in two dimensions of what lies in the plane."""

    plain: float
    """l2 norm."""
    weighted: float
    """||(1 + |l|) (f_model - f_truth)||_l2, |l| the distance of the site to the defect in nearest-neighbour spacings."""
    rms: float
    """Root mean square over components."""
    max: float
    """Largest error of one atom."""


def force_error(cell: Cell, positions: Float[np.ndarray, "atoms 3"], truth: Potential, model: Potential) -> ForceError:
    """Errors of the model's forces at `positions` (A) of a cell. theory: bounds/geometry (the term epsFw)."""
    own, wanted = (evaluate(potential, cell, positions, stress=False).forces for potential in (model, truth))
    error = (own - wanted)[cell.free, : cell.lattice.dimension]
    distance = cell.distance_to_defect()[cell.free] / cell.lattice.nearest_neighbour
    size = np.linalg.norm(error, axis=1)
    components = max(size.size * cell.lattice.dimension, 1)
    return ForceError(
        plain=float(np.linalg.norm(size)),
        weighted=float(np.linalg.norm((1 + distance) * size)),
        rms=float(np.linalg.norm(size) / np.sqrt(components)),
        max=float(size.max(initial=0.0)),
    )
