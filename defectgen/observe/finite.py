"""Energy, forces and virial of one configuration: the observations that every electronic-structure code delivers."""

from dataclasses import dataclass

import numpy as np

from .._typing import Float
from ..crystal.snapshot import Snapshot
from ..energy.functional import Potential
from .observation import Observation
from .response import Response, respond, wanted

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""xx yy zz yz xz xy."""


@dataclass(frozen=True, eq=False)
class FiniteObservation(Observation):
    """An observation that reads its rows from the first-order response of a snapshot, so that kinds share one evaluation."""

    snapshot: Snapshot

    @property
    def group(self) -> str:
        return self.snapshot.group

    @property
    def atoms(self) -> int:
        return len(self.snapshot.cell)

    def __call__(self, energy: Potential) -> Float[np.ndarray, " rows *channels"]:
        return self.read(respond(energy, self.snapshot, stress=self.stress))

    stress = False
    """Whether the response must contain a virial."""

    def read(self, response: Response) -> Float[np.ndarray, " rows *channels"]:
        """The rows, from a response that is already there."""
        raise TypeError(f"{type(self).__name__} says how its rows are read from a response")


@dataclass(frozen=True, eq=False)
class Energy(FiniteObservation):
    """E: one row, sum_l V_l / N, eV/atom; enters a loss as dE/sqrt(N)."""

    kind = "E"

    @property
    def scale(self) -> float:
        return float(np.sqrt(self.atoms))

    def read(self, response):
        return wanted(response, "energy", self.snapshot)[None] / self.atoms


@dataclass(frozen=True, eq=False)
class Forces(FiniteObservation):
    """F: forces on the free atoms, eV/A, each row weighted (1 + |l|)^distance_power.

    |l| is the distance to the defect in nearest-neighbour spacings.

    theory: bounds/observation-errors (the weighted force error is what the geometry bound contains at distance_power = 1).
    """

    distance_power: float = 0.0
    kind = "F"

    def _rows(self) -> tuple[np.ndarray, int]:
        return np.flatnonzero(self.snapshot.cell.free), self.snapshot.cell.lattice.dimension

    def read(self, response):
        free, dimension = self._rows()
        forces = wanted(response, "forces", self.snapshot)[free][:, :dimension]
        return forces.reshape(-1, *forces.shape[2:])

    @property
    def row_weights(self):
        if self.distance_power == 0.0 or not self.snapshot.cell.defect:
            return None
        return (1.0 + self.distances) ** self.distance_power

    @property
    def distances(self) -> Float[np.ndarray, " rows"]:
        """Distance |l| of every row's atom to the defect, nearest-neighbour spacings."""
        free, dimension = self._rows()
        distance = self.snapshot.cell.distance_to_defect()[free] / self.snapshot.cell.lattice.nearest_neighbour
        return np.repeat(distance, dimension)


@dataclass(frozen=True, eq=False)
class Virial(FiniteObservation):
    """V: the virial -dE/d(strain) / N in Voigt order xx yy zz yz xz xy, eV/atom; enters a loss as dW/sqrt(N)."""

    kind = "V"
    stress = True

    @property
    def scale(self) -> float:
        return float(np.sqrt(self.atoms))

    def read(self, response):
        virial = wanted(response, "virial", self.snapshot)
        components = VOIGT if self.snapshot.cell.lattice.dimension == 3 else ((0, 0), (1, 1), (0, 1))
        return np.stack([(virial[a, b] + virial[b, a]) / 2 for a, b in components]) / self.atoms


@dataclass(frozen=True, eq=False)
class EquilibriumStress(Virial):
    """V0: the virial of the perfect crystal at F = 1. It belongs to every set: reference and model share one lattice constant."""

    kind = "V0"


@dataclass(frozen=True, eq=False)
class InternalForces(Forces):
    """VF: forces on the sublattices of a strained primitive cell, eV/A. They belong to V: they pin a multilattice."""

    kind = "VF"
