"""What all studies of controlled surrogates share: which solves, the scene of one defect, the result of a solve, its line of
results.csv.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ..._typing import Float
from ...campaign import Step
from ...crystal import Cell
from ...energy.functional import cell_energy
from ...energy.potential import Potential
from ...energy.site import SiteEnergy
from ...errors.norms import bonds_of, strain_max, strain_norm
from ...relax import Equilibrium, ForceField, MixedEquilibrium, greens_function, mixed_equilibrium
from ...surrogate import MomentPerturbation, Surrogate, surrogate
from ..tasks import Crystal
from .settings import Beyond

SMALL = 0.1
"""Nearest-neighbour spacings: a difference larger than this is no perturbation of the same equilibrium."""


@dataclass(frozen=True)
class Error:
    """One controlled error: what it leaves exact, and where it begins."""

    observations: str
    radius: float
    """Up to which forces are exact, nearest-neighbour spacings."""
    perturbation: int
    """Seed."""
    strength: float
    """Largest relative change of the energy of a wave."""
    reach: float
    """Cutoff of the perturbation, nearest-neighbour spacings."""
    shifts: bool = True
    """Whether virials come with the forces on the sublattices."""

    @property
    def name(self) -> str:
        """In words."""
        return f"{self.observations}, perturbation {self.perturbation} of {self.strength:g}, radius {self.radius:g}"


def errors(asked: Beyond, observations: Iterable[str]) -> Iterator[Error]:
    """The controlled errors of one case."""
    shifts = getattr(asked, "shifts", True)
    for kinds in observations:
        for seed in asked.perturbations:
            for strength in asked.strengths:
                for radius in sorted(set(asked.radii)):
                    yield Error(kinds, radius, seed, strength, asked.reach, shifts)


@dataclass(frozen=True, eq=False)
class Solved:
    """Errors of a defect that is solved with a controlled error beyond a radius."""

    geometry_error: float
    """A."""
    geometry_error_max: float
    """A."""
    energy_error: float
    """eV, sum of absolute contributions."""
    energy_error_signed: float
    """eV."""
    training_atoms: int
    """Atoms within the radius."""
    simulation_atoms: int
    simulation_radius: float
    """Nearest-neighbour spacings."""
    dimension: int
    converged: bool
    same_basin: bool
    reduction: float
    """Of the residual of the mixed forces."""
    newton_steps: int
    hessian_products: int


class Scene:
    """What all solves around one defect have in common; `states` are the equilibria that are perturbed."""

    def __init__(
        self, truth: Potential, states: Sequence[Equilibrium], reach: float, read_sites: Callable[[Cell, SiteEnergy], Any]
    ):
        assert isinstance(truth, SiteEnergy)  # the checks of the studies refuse others
        self.truth, self.states, self.cell = truth, states, states[0].cell
        self._reach = reach * self.cell.lattice.nearest_neighbour
        self._green = greens_function(self.cell, truth)
        self._energy = cell_energy(self.cell, truth)
        self._bonds = bonds_of(self.cell)
        self.sites = read_sites(self.cell, self._perturbation(0))

    def surrogate(self, error: Error) -> Surrogate:
        """The surrogate of one solve."""
        return self._surrogate(error.observations, error.perturbation, error.strength, error.shifts)

    @lru_cache(maxsize=4)  # noqa: B019  a scene lives as long as its process needs it
    def _surrogate(self, observations: str, seed: int, strength: float, shifts: bool) -> Surrogate:
        return surrogate(self.cell.lattice, self.truth, self._perturbation(seed), observations, strength, shifts)

    def _perturbation(self, seed: int) -> MomentPerturbation:
        return MomentPerturbation(self.cell.lattice.species, self._reach, seed)

    def mixed(self, far: ForceField, accuracy: float = 3e-3) -> list[MixedEquilibrium]:
        """Every state with the forces of the far field added to the reference's, to a relative residual."""
        return [
            mixed_equilibrium(state, self.truth, far, accuracy, preconditioner=self._green, energy=self._energy)
            for state in self.states
        ]

    def solved(
        self, radius: float, found: Sequence[MixedEquilibrium], work: float, energies: Float[np.ndarray, " sites"]
    ) -> Solved:
        """Geometry errors of the last state; `work` of the inner forces and `energies` of the far sites make the energy error.

        It is the sum of absolute contributions: signed sums cancel at random, and in a periodic cell the strain of the images
        hides steep rates in them (theory: bounds/energy).
        """
        cell, w = self.cell, found[-1].difference
        spacing = cell.lattice.nearest_neighbour
        moved = max(float(np.linalg.norm(each.difference, axis=1).max()) for each in found)
        return Solved(
            geometry_error=strain_norm(cell, w, self._bonds),
            geometry_error_max=strain_max(cell, w, self._bonds),
            energy_error=abs(work) + float(np.abs(energies).sum()),
            energy_error_signed=work + float(energies.sum()),
            training_atoms=int((cell.distance_to_defect() <= radius * spacing).sum()),
            simulation_atoms=len(cell),
            simulation_radius=cell.radius,
            dimension=cell.lattice.dimension,
            converged=all(each.converged for each in found),
            same_basin=moved < SMALL * spacing,
            reduction=max(each.reduction for each in found),
            newton_steps=sum(each.newton_steps for each in found),
            hessian_products=sum(each.hessian_products for each in found),
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Solve(Step[Solved]):
    """The equilibrium with the forces of one controlled error beyond its radius; each study defines the states."""

    crystal: Crystal
    defect: str
    error: Error
    title: str = ""
    """What is solved, in words: the beginning of the label."""

    apart = ("study", "title")

    @property
    def label(self) -> str:
        return f"{self.title} {self.error.name}"

    @property
    def weight(self) -> float:
        return 2.0
