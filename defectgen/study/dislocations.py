"""Question: how fast does the error of a dislocation fall with the radius L around its line up to which a model is exact?"""

from functools import lru_cache
from typing import Any

import numpy as np

from .._input import InputError
from ..campaign import Record, Task
from ..crystal import Cell, Lattice
from ..elastic import dislocation
from ..elastic.dislocation import elastic_field, slip_frame, slip_system
from ..energy.functional import cell_energy
from ..energy.site import SiteEnergy
from ..errors.dislocation_claims import dislocation_rate
from ..errors.norms import bonds_of, strain_max, strain_norm
from ..relax import greens_function, mixed_equilibrium, relax
from ..surrogate import MomentPerturbation, dislocated_far_field, sites_read_off, surrogate
from ..surrogate.dislocated import RIM
from .materials import build_lattice, build_reference
from .plan import Kitchen
from .repeats import rates
from .spec import Case, Dislocations, RunSpec
from .steps import rest_lattice, restored, truth_of
from .surrogates import SMALL, remarks
from .tabulation import Tables

NAME = "dislocations"
TASK = "defectgen.study.dislocations"

ACCURACY = 1e-4
"""Relative residual of the mixed equilibrium. Where a dislocation glides easily its softest mode is a thousand times softer than
the crystal, and what is left of the residual there counts a thousand times."""


def plan(spec: RunSpec, kitchen: Kitchen) -> list[Task]:
    """The relaxed dislocation of each case, then a solve per observation set, perturbation, strength and radius."""
    if spec.dislocations is None:
        return []
    settings, tasks = spec.dislocations, []
    for case in spec.cases:
        check(settings, case)
        plain = {"material": case.material.model_dump(mode="json"), "defect": case.defect, "size": case.simulation_size}
        name, crystal = f"{case.material.name} {case.defect} dislocation", kitchen.crystal(case)
        resting = Task(f"{TASK}:exact", plain, (crystal,), f"{name} reference, radius {case.simulation_size}", 4.0)
        tasks.append(resting)
        for observations in spec.observations:
            for seed in settings.perturbations:
                for strength in settings.strengths:
                    for radius in sorted(set(settings.radii)):
                        what = {"observations": observations, "perturbation": seed, "strength": strength, "radius": radius}
                        label = f"{name} {observations}, perturbation {seed} of {strength:g}, radius {radius:g}"
                        task = {**plain, **what, "reach": settings.reach}
                        tasks.append(Task(f"{TASK}:mixed", task, (crystal, resting), label, 2.0))
    return tasks


def check(settings: Dislocations, case: Case) -> None:
    """Raises InputError for crystals without such a dislocation, black-box references, and radii that leave the cylinder."""
    slip_system(build_lattice(case.material), case.defect)
    if not isinstance(build_reference(case.material), SiteEnergy):
        raise InputError(
            f"a dislocation wants site energies, and the reference of {case.material.name} is a black box; choose another"
        )
    if not isinstance(case.simulation_size, int):
        raise InputError(
            f"the simulation_size of a dislocation is a radius, one whole number of spacings; got {case.simulation_size}"
        )
    if max(settings.radii) >= case.simulation_size - RIM:
        raise InputError(
            f"dislocations.radii has {max(settings.radii):g} spacings, too near to the clamped atoms at {case.simulation_size}; "
            "use smaller radii or a larger simulation_size (four times the radius shows the rates best)"
        )


def _cell(spec: dict, lattice: Lattice) -> Cell:
    return dislocation(lattice, spec["defect"], spec["size"] * lattice.nearest_neighbour, truth_of(spec))


def exact(spec: dict, perfect: Record) -> Record:
    """The dislocation relaxed with the reference. spec: material, defect, size (radius of the free atoms, spacings)."""
    lattice = rest_lattice(spec, perfect)
    cell = _cell(spec, lattice)
    found = relax(cell, truth_of(spec), tolerance=1e-10)
    if not found.converged or not found.is_minimum:
        raise InputError(f"the dislocation did not relax: {found.message}")
    names = (
        "energy",
        "residual",
        "residuals",
        "converged",
        "lowest_eigenvalue",
        "stability_constant",
        "bulk_stable",
        "newton_steps",
    )
    counts = ("energy_evaluations", "hessian_products", "eigenvalue_products", "message")
    values: dict[str, Any] = {name: getattr(found, name) for name in (*names, *counts)}
    return Record({**values, "residuals": list(found.residuals)}, {"positions": found.positions, "forces": found.forces})


class _Scene:
    """What all solves of one dislocation share."""

    def __init__(self, spec: dict, perfect: Record, reference: Record):
        self.lattice, self.truth = rest_lattice(spec, perfect), truth_of(spec)
        self.cell = _cell(spec, self.lattice)
        self.exact = restored(reference, self.cell)
        self.green = greens_function(self.cell, self.truth)
        self.energy = cell_energy(self.cell, self.truth)
        self.bonds = bonds_of(self.cell)
        self.sites = sites_read_off(self.cell, self.perturbation(spec["reach"], 0))

    @lru_cache(maxsize=4)  # noqa: B019  a scene lives as long as its process needs it
    def surrogate(self, reach: float, seed: int, observations: str, strength: float):
        assert isinstance(self.truth, SiteEnergy)  # the plan has seen to it
        return surrogate(self.cell.lattice, self.truth, self.perturbation(reach, seed), observations, strength)

    def perturbation(self, reach: float, seed: int) -> MomentPerturbation:
        return MomentPerturbation(self.lattice.species, reach * self.lattice.nearest_neighbour, seed)


_latest: list[tuple[Any, _Scene]] = []


def mixed(spec: dict, perfect: Record, reference: Record) -> Record:
    """The equilibrium with the surrogate's forces beyond the radius, against the reference's.

    spec: material, defect, size, observations, perturbation, strength, radius, reach. The energy error is the sum of absolute
    contributions, as for point defects: the signed sum of odd powers of the strain cancels (theory: bounds/dislocations).
    """
    key = [spec[name] for name in ("material", "defect", "size", "reach")]
    if not _latest or _latest[0][0] != key:
        _latest[:] = [(key, _Scene(spec, perfect, reference))]
    scene = _latest[0][1]
    made = scene.surrogate(*(spec[name] for name in ("reach", "perturbation", "observations", "strength")))
    far = dislocated_far_field(scene.cell, made, spec["radius"], scene.sites)
    found = mixed_equilibrium(scene.exact, scene.truth, far, ACCURACY, preconditioner=scene.green, energy=scene.energy)
    w = found.difference
    energies = far.energies(scene.exact.displacement + w)
    distance = scene.cell.distance_to_defect() / scene.lattice.nearest_neighbour
    return Record(
        {
            "geometry_error": strain_norm(scene.cell, w, scene.bonds),
            "geometry_error_max": strain_max(scene.cell, w, scene.bonds),
            "energy_error": abs(found.work) + float(np.abs(energies).sum()),
            "energy_error_signed": found.work + float(energies.sum()),
            "training_atoms": int((distance <= spec["radius"]).sum()),
            "simulation_atoms": len(scene.cell),
            "simulation_radius": scene.cell.radius,
            "dimension": scene.lattice.dimension,
            "converged": found.converged,
            "same_basin": float(np.linalg.norm(w, axis=1).max()) < SMALL * scene.lattice.nearest_neighbour,
            "reduction": found.reduction,
            "newton_steps": found.newton_steps,
            "hessian_products": found.hessian_products,
        }
    )


def harvest(spec: RunSpec, outcome: list[tuple[Task, Record]]) -> Tables:
    """Errors and rates, and a table of the dislocations themselves."""
    good = [(task, record) for task, record in outcome if record.ok]
    solved = [(task, record) for task, record in good if task.function == f"{TASK}:mixed"]
    results = [row(NAME, task, record) for task, record in solved]
    failures = [remark for task, record in solved for remark in remarks(task, record)]
    records = {task.key: record for task, record in good}
    cores = [_core(task, records[task.after[0].key], record) for task, record in good if task.function == f"{TASK}:exact"]
    return Tables(results, rates(results, _predicted), failures, {NAME: cores} if cores else {})


def _predicted(row: dict, quantity: str, radii: list[float]) -> float | None:
    try:
        return dislocation_rate(row["observations"], quantity, radii, row["simulation_radius"] - RIM)
    except InputError:
        return None


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
        "seconds": record.seconds,
    }


def _core(task: Task, perfect: Record, record: Record) -> dict:
    """One line of dislocations.csv: the energy E = K log(R/b) + E_core per period of the line, and how firmly it sits."""
    spec, values = task.spec, record.values
    lattice, truth = rest_lattice(spec, perfect), truth_of(spec)
    assert isinstance(truth, SiteEnergy)  # the plan has seen to it
    cell, system = _cell(spec, lattice), slip_system(lattice, spec["defect"])
    field = elastic_field(lattice, truth, slip_frame(lattice, system), system)
    period = float(np.linalg.norm(cell.vectors[2])) if cell.line is not None else 1.0
    burgers = float(np.linalg.norm(field.burgers))
    return {
        "material": spec["material"]["name"],
        "defect": spec["defect"],
        "simulation_atoms": len(cell),
        "radius": cell.radius,
        "burgers": burgers,
        "period": period,
        "energy_factor": field.energy_factor,
        "energy": values["energy"],
        "stability_constant": values["stability_constant"],
        "lowest_eigenvalue": values["lowest_eigenvalue"],
    }
