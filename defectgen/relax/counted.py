"""The energy functional as a minimiser uses it: projected on what can move, evaluations counted, its rounding measured."""

from collections.abc import Callable

import numpy as np

from .._input import InputError
from .._typing import Float
from ..energy.functional import BlackBoxCell, CellEnergy
from ..energy.potential import Potential
from .preconditioner import Preconditioner
from .split import splitter

Field = Float[np.ndarray, "atoms 3"]
Product = Callable[[Field], Field]


class Counted:
    """Energy, forces and Hessian products of one cell; where atoms overlap or numbers break down the energy is infinite."""

    def __init__(self, functional: CellEnergy, potential: Potential, precondition: Preconditioner):
        self._functional, self.precondition = functional, precondition
        self._split = splitter(potential, precondition)
        self.evaluations = self.products = 0

    def energy_forces(self, x: Field) -> tuple[float, Field]:
        """E - N E_bulk (eV) and forces (eV/A). Raises InputError for overlapping atoms or numbers that are not finite."""
        self.evaluations += 1
        energy, forces = self._functional.energy_forces(x)
        if not (np.isfinite(energy) and np.all(np.isfinite(forces))):
            raise InputError("the potential has no finite energy and forces at these positions; start from a less crowded place")
        return energy, self.precondition.project(forces)

    def trial(self, x: Field) -> tuple[float, Field]:
        """The same at a place that may be no place for atoms: infinite energy instead of an error."""
        try:
            return self.energy_forces(x)
        except InputError:
            return np.inf, np.zeros_like(x)

    def product(self, x: Field, v: Field) -> Field:
        """Hessian at x (eV/A^2) times v."""
        self.products += 1
        return self.precondition.project(self._functional.hessian_product(x, v))

    def coarser(self, x: Field) -> Product | None:
        """v -> H v at x by differences of forces over twice the step; None if H is a derivative and no difference."""
        functional = self._functional
        if not isinstance(functional, BlackBoxCell):
            return None

        def product(v: Field) -> Field:
            self.products += 1
            return self.precondition.project(functional.hessian_product(x, v, 2.0))

        return product

    def hessian(self, x: Field) -> Product:
        """v -> H v at x to a few parts in a thousand: split into a strained neighbourhood and a crystal where that is faster."""
        split = None if self._split is None else self._split(x)
        apply = self._functional.hessian(x) if split is None else split

        def product(v: Field) -> Field:
            self.products += 1
            return self.precondition.project(apply(v))

        return product


TRIALS = 3
"""Evaluations that a noise level is taken from."""

FACTOR = 8.0
"""A residual within this factor of the noise has reached it: steps add the noise of the forces that they are made of."""

LARGEST = 1e-7
"""eV/A: noise above it is no rounding of double precision, and no tolerance is forgiven for it."""


def rounding_level(counted: Counted, x: Float[np.ndarray, "atoms 3"], force: Float[np.ndarray, "atoms 3"]) -> float:
    """Residual (eV/A) that the rounding of the forces at positions x (A) allows; 0 where their noise is more than rounding.

    Positions are changed in their last digit. Exact forces change by 1e-14 eV/A then; what they change beyond it is rounding.
    """
    random = np.random.default_rng(0)
    step = np.spacing(max(1.0, float(np.abs(x).max(initial=0.0))))
    if not np.array_equal(counted.trial(x)[1], force):  # noise of another kind: not even repeatable
        return 0.0
    changes = [counted.trial(x + step * random.choice([-1.0, 1.0], size=x.shape)) for _ in range(TRIALS)]
    if not all(np.isfinite(energy) for energy, _ in changes):
        return 0.0
    noise = max(float(np.abs(other - force).max(initial=0.0)) for _, other in changes)
    return FACTOR * noise if noise <= LARGEST else 0.0
