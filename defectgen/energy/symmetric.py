"""The energy of a periodic cell at positions with the symmetry of a defect: one atom of each kind is evaluated."""

import numpy as np

from .._typing import Float
from ..crystal.cell import Cell
from ..crystal.copies import Copies
from .functional import SiteSum
from .site import SiteEnergy
from .some import SomeForces


class SymmetricSum(SiteSum):
    """The energy of the symmetric part of a displacement, and its forces. Products with the Hessian take all atoms.

    At symmetric positions these are the energy and the forces of `cell_energy`. Steps of a minimiser need not be symmetric, since
    the preconditioner of a dumbbell is not; what breaks the symmetry has no effect, and `symmetric` removes it from the result.
    """

    def __init__(self, cell: Cell, potential: SiteEnergy, symmetry: Copies, some: SomeForces | None = None):
        """`symmetry` is that of the cell, from `copies`; `some` evaluates its first atoms, and may serve several potentials."""
        super().__init__(cell, potential)
        self._symmetry = symmetry
        self._some = SomeForces(cell, potential.cutoff, symmetry.first, keep=True) if some is None else some
        images = symmetry.images[:, symmetry.first]
        self._atoms_of_a_kind = np.array([len(set(column)) for column in images.T])

    def symmetric(self, x: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "atoms 3"]:
        """Positions (A) displaced by the symmetric part of the displacement of x."""
        start = self.cell.positions
        return start + self._symmetry.mean(x - start)

    def energy_forces(self, x: Float[np.ndarray, "atoms 3"]) -> tuple[float, Float[np.ndarray, "atoms 3"]]:
        values, forces = self._some.energies_forces(self.potential, self.symmetric(x))
        excess = values - self._own[self._symmetry.first]
        return float(self._atoms_of_a_kind @ excess) + self._offset, self._symmetry.spread(forces) * self._movable
