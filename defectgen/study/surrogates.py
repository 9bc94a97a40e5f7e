"""Question: how fast does the error fall with the radius L when a model is exact up to L and leaves one thing wrong beyond?"""

import json
from functools import lru_cache

import numpy as np

from .._input import InputError
from ..campaign import Record, Task
from ..crystal.lattice import Lattice
from ..energy.functional import Potential, cell_energy
from ..energy.site import SiteEnergy
from ..errors.norms import bonds_of, strain_max, strain_norm
from ..relax import greens_function, mixed_equilibrium
from ..surrogate import MomentPerturbation, Surrogate, far_field, sites_of, surrogate
from .plan import Kitchen
from .spec import Case, RunSpec, Surrogates
from .steps import box, defect_cell, rest_lattice, restored, truth_of

NAME = "surrogates"

SMALL = 0.1
"""Nearest-neighbour spacings: a difference larger than this is no perturbation of the same equilibrium."""


def plan(spec: RunSpec, kitchen: Kitchen) -> list[Task]:
    """One solve per case, observation set, perturbation, strength and radius."""
    if spec.surrogates is None:
        return []
    return [
        kitchen.surrogate(case, observations, perturbation, strength, radius)
        for case in spec.cases
        for observations in spec.observations
        for perturbation in spec.surrogates.perturbations
        for strength in spec.surrogates.strengths
        for radius in sorted(set(spec.surrogates.radii))
    ]


def check(settings: Surrogates, case: Case, lattice: Lattice, reference: Potential, table: str = NAME) -> None:
    """Raises InputError for a reference without jets, or radii that leave the simulation cell."""
    if not isinstance(reference, SiteEnergy):
        raise InputError(
            f"surrogates perturb site energies, and the reference of {case.material.name} is a black box; choose another"
        )
    cell, largest = box(lattice, case.simulation_size), max(settings.radii)
    if largest >= cell.radius:
        raise InputError(
            f"{table}.radii has {largest:g} spacings, out of the simulation cell of {case.material.name}, whose radius is "
            f"{cell.radius:.1f}; use smaller radii or a larger simulation_size (four times the radius shows the rates best)"
        )


class _Scene:
    """What all solves of one defect share: kept by the process, so that it is made once."""

    def __init__(self, spec: dict, perfect: Record, reference: Record):
        self.lattice = rest_lattice(spec, perfect)
        self.truth = truth_of(spec)
        self.cell = defect_cell(spec, self.lattice)
        self.exact = restored(reference, self.cell)
        self.green = greens_function(self.cell, self.truth)
        self.energy = cell_energy(self.cell, self.truth)
        self.bonds = bonds_of(self.cell)
        self.sites = sites_of(self.cell, self.perturbation(spec["reach"], 0))
        self.distance = self.cell.distance_to_defect() / self.lattice.nearest_neighbour

    @lru_cache(maxsize=4)  # noqa: B019  a scene lives as long as its process needs it
    def surrogate(self, reach: float, seed: int, observations: str, strength: float, shifts: bool) -> Surrogate:
        assert isinstance(self.truth, SiteEnergy)  # the plan has seen to it
        return surrogate(self.lattice, self.truth, self.perturbation(reach, seed), observations, strength, shifts)

    def perturbation(self, reach: float, seed: int) -> MomentPerturbation:
        return MomentPerturbation(self.lattice.species, reach * self.lattice.nearest_neighbour, seed)


_latest: list[tuple[str, _Scene]] = []


def _scene(spec: dict, perfect: Record, reference: Record) -> _Scene:
    """The scene of a task, kept for the next one: tasks of one defect follow each other."""
    key = json.dumps([spec[name] for name in ("material", "defect", "size", "reach")])
    if not _latest or _latest[0][0] != key:
        _latest[:] = [(key, _Scene(spec, perfect, reference))]
    return _latest[0][1]


def mixed(spec: dict, perfect: Record, reference: Record) -> Record:
    """The equilibrium with the surrogate's forces beyond the radius, against the reference's.

    spec: material, defect, size, observations, perturbation, radius, strength, reach, shifts.

    The energy error is the sum of absolute contributions, the work of the inner forces and each far site's energy: signed sums
    cancel at random, and in a periodic cell the strain of the images hides steep rates in them (theory: bounds/energy).
    """
    scene = _scene(spec, perfect, reference)
    made = scene.surrogate(*(spec[name] for name in ("reach", "perturbation", "observations", "strength", "shifts")))
    far = far_field(scene.cell, made, spec["radius"], scene.sites)
    found = mixed_equilibrium(scene.exact, scene.truth, far, preconditioner=scene.green, energy=scene.energy)
    w = found.difference
    energies = far.energies(scene.exact.displacement + w)
    moved = float(np.linalg.norm(w, axis=1).max())
    return Record(
        {
            "geometry_error": strain_norm(scene.cell, w, scene.bonds),
            "geometry_error_max": strain_max(scene.cell, w, scene.bonds),
            "energy_error": abs(found.work) + float(np.abs(energies).sum()),
            "energy_error_signed": found.work + float(energies.sum()),
            "training_atoms": int((scene.distance <= spec["radius"]).sum()),
            "simulation_atoms": len(scene.cell),
            "simulation_radius": scene.cell.radius,
            "dimension": scene.lattice.dimension,
            "converged": found.converged,
            "same_basin": moved < SMALL * scene.lattice.nearest_neighbour,
            "reduction": found.reduction,
            "newton_steps": found.newton_steps,
            "hessian_products": found.hessian_products,
        }
    )


def row(task: Task, record: Record) -> dict:
    """One line of results.csv."""
    spec, values = task.spec, record.values
    shared = ("dimension", "simulation_atoms", "geometry_error", "geometry_error_max", "energy_error", "energy_error_signed")
    return {
        "study": NAME,
        "material": spec["material"]["name"],
        "defect": spec["defect"],
        "observations": spec["observations"],
        "training_size": spec["radius"],
        "training_radius": spec["radius"],
        "training_atoms": values["training_atoms"],
        **{name: values[name] for name in (*shared, "simulation_radius", "converged", "same_basin")},
        "perturbation": spec["perturbation"],
        "strength": spec["strength"],
        "shifts": spec["shifts"],
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
