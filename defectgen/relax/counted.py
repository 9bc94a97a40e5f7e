"""The energy functional as a minimiser sees it: projected on what can move, with its evaluations counted."""

from collections.abc import Callable

import numpy as np

from .._input import InputError
from .._typing import Float
from ..energy.functional import CellEnergy

Field = Float[np.ndarray, "atoms 3"]


class Counted:
    """Energy, forces and Hessian products of one cell; where atoms overlap or numbers break down the energy is infinite."""

    def __init__(self, functional: CellEnergy, project: Callable[[Field], Field]):
        self._functional, self._project = functional, project
        self.evaluations = self.products = 0

    def energy_forces(self, x: Field) -> tuple[float, Field]:
        """E - N E_bulk (eV) and forces (eV/A). Raises InputError for overlapping atoms or numbers that are not finite."""
        self.evaluations += 1
        energy, forces = self._functional.energy_forces(x)
        if not (np.isfinite(energy) and np.all(np.isfinite(forces))):
            raise InputError("the potential has no finite energy and forces at these positions; start from a less crowded place")
        return energy, self._project(forces)

    def trial(self, x: Field) -> tuple[float, Field]:
        """The same at a place that may be no place for atoms: infinite energy instead of an error."""
        try:
            return self.energy_forces(x)
        except InputError:
            return np.inf, np.zeros_like(x)

    def product(self, x: Field, v: Field) -> Field:
        """Hessian at x (eV/A^2) times v."""
        self.products += 1
        return self._project(self._functional.hessian_product(x, v))
