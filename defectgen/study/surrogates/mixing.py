"""What the studies of surrogates share: which solves, the scene of one defect, the record of a solve, its line of results.csv."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from .._typing import Float
from ..campaign import Record, Task
from ..crystal import Cell
from ..energy.functional import Potential, cell_energy
from ..energy.site import SiteEnergy
from ..errors.norms import bonds_of, strain_max, strain_norm
from ..relax import Equilibrium, ForceField, MixedEquilibrium, greens_function, mixed_equilibrium
from ..surrogate import MomentPerturbation, Surrogate, surrogate
from .spec import Beyond

SMALL = 0.1
"""Nearest-neighbour spacings: a difference larger than this is no perturbation of the same equilibrium."""


def solves(settings: Beyond, observations: Iterable[str]) -> Iterator[tuple[dict, str]]:
    """What each solve of one case varies, and its name."""
    shared = settings.model_dump(mode="json", exclude={"radii", "perturbations", "strengths"})
    for kinds in observations:
        for seed in settings.perturbations:
            for strength in settings.strengths:
                for radius in sorted(set(settings.radii)):
                    what = {"observations": kinds, "perturbation": seed, "strength": strength, "radius": radius, **shared}
                    yield what, f"{kinds}, perturbation {seed} of {strength:g}, radius {radius:g}"


class Scene:
    """What all solves around one defect have in common; `states` are the equilibria that are perturbed."""

    def __init__(
        self, truth: Potential, states: Sequence[Equilibrium], reach: float, read_sites: Callable[[Cell, SiteEnergy], Any]
    ):
        assert isinstance(truth, SiteEnergy)  # the plan has seen to it
        self.truth, self.states, self.cell = truth, states, states[0].cell
        self._reach = reach * self.cell.lattice.nearest_neighbour
        self._green = greens_function(self.cell, truth)
        self._energy = cell_energy(self.cell, truth)
        self._bonds = bonds_of(self.cell)
        self.sites = read_sites(self.cell, self._perturbation(0))

    @lru_cache(maxsize=4)  # noqa: B019  a scene lives as long as its process needs it
    def surrogate(self, observations: str, seed: int, strength: float, shifts: bool = True) -> Surrogate:
        """The surrogate of one solve."""
        return surrogate(self.cell.lattice, self.truth, self._perturbation(seed), observations, strength, shifts)

    def _perturbation(self, seed: int) -> MomentPerturbation:
        return MomentPerturbation(self.cell.lattice.species, self._reach, seed)

    def mixed(self, far: ForceField, accuracy: float = 3e-3) -> list[MixedEquilibrium]:
        """Every state with the forces of the far field beside the reference's, to a relative residual."""
        return [
            mixed_equilibrium(state, self.truth, far, accuracy, preconditioner=self._green, energy=self._energy)
            for state in self.states
        ]

    def record(
        self, radius: float, found: Sequence[MixedEquilibrium], work: float, energies: Float[np.ndarray, " sites"]
    ) -> Record:
        """Geometry errors of the last state; `work` of the inner forces and `energies` of the far sites make the energy error.

        It is the sum of absolute contributions: signed sums cancel at random, and in a periodic cell the strain of the images
        hides steep rates in them (theory: bounds/energy).
        """
        cell, w = self.cell, found[-1].difference
        spacing = cell.lattice.nearest_neighbour
        moved = max(float(np.linalg.norm(each.difference, axis=1).max()) for each in found)
        return Record(
            {
                "geometry_error": strain_norm(cell, w, self._bonds),
                "geometry_error_max": strain_max(cell, w, self._bonds),
                "energy_error": abs(work) + float(np.abs(energies).sum()),
                "energy_error_signed": work + float(energies.sum()),
                "training_atoms": int((cell.distance_to_defect() <= radius * spacing).sum()),
                "simulation_atoms": len(cell),
                "simulation_radius": cell.radius,
                "dimension": cell.lattice.dimension,
                "converged": all(each.converged for each in found),
                "same_basin": moved < SMALL * spacing,
                "reduction": max(each.reduction for each in found),
                "newton_steps": sum(each.newton_steps for each in found),
                "hessian_products": sum(each.hessian_products for each in found),
            }
        )


def row(study: str, task: Task, record: Record) -> dict:
    """One line of results.csv."""
    spec, values = task.spec, record.values
    shared = ("dimension", "simulation_atoms", "geometry_error", "geometry_error_max", "energy_error", "energy_error_signed")
    return {
        "study": study,
        "material": spec["material"]["name"],
        "defect": spec["defect"],
        "observations": spec["observations"],
        "training_size": spec["radius"],
        "training_radius": spec["radius"],
        "training_atoms": values["training_atoms"],
        **{name: values[name] for name in (*shared, "simulation_radius", "converged", "same_basin")},
        "perturbation": spec["perturbation"],
        "strength": spec["strength"],
        "shifts": spec.get("shifts", True),
        "seconds": record.seconds,
    }


def remarks(task: Task, record: Record) -> list[dict]:
    """What keeps a solve out of the rates."""
    if not record.values["converged"]:
        why = f"the mixed forces were reduced to {record.values['reduction']:.1e} of their start only"
        return [{"label": task.label, "reason": why}]
    if not record.values["same_basin"]:
        return [{"label": task.label, "reason": "the difference is too large for a perturbation; use a smaller strength"}]
    return []
