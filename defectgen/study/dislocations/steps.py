"""Question: how fast does the error of a dislocation fall with the radius L around its line up to which a model is exact?"""

import numpy as np

from .._input import InputError
from ..campaign import PlainTask, Record, Task
from ..crystal import Cell, Lattice
from ..elastic import dislocation
from ..elastic.dislocation import elastic_field, slip_frame, slip_system
from ..energy.site import SiteEnergy
from ..errors.dislocation_claims import dislocation_rate
from ..relax import relax
from ..surrogate import dislocated_far_field, sites_read_off
from ..surrogate.dislocated import RIM
from .interface import Tables
from .materials import build_lattice, build_reference
from .mixing import Scene, remarks, row, solves
from .plan import Kitchen
from .rates import rates
from .spec import Case, Dislocations, RunSpec
from .steps import kept, rest_lattice, restored, stored, truth_of

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
        resting = PlainTask(f"{TASK}:exact", plain, (crystal,), f"{name} reference, radius {case.simulation_size}", 4.0)
        tasks.append(resting)
        tasks += [
            PlainTask(f"{TASK}:mixed", {**plain, **what}, (crystal, resting), f"{name} {which}", 2.0)
            for what, which in solves(settings, spec.observations)
        ]
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
    return stored(found)


def mixed(spec: dict, perfect: Record, reference: Record) -> Record:
    """The equilibrium with the surrogate's forces beyond the radius, against the reference's.

    spec: material, defect, size, observations, perturbation, strength, radius, reach. In signed sums of the energy error odd
    powers of the strain would cancel (theory: bounds/dislocations).
    """

    def made() -> Scene:
        cell = _cell(spec, rest_lattice(spec, perfect))
        return Scene(truth_of(spec), [restored(reference, cell)], spec["reach"], sites_read_off)

    scene = kept((NAME, *(spec[name] for name in ("material", "defect", "size", "reach"))), made)
    model = scene.surrogate(spec["observations"], spec["perturbation"], spec["strength"])
    far = dislocated_far_field(scene.cell, model, spec["radius"], scene.sites)
    (found,) = scene.mixed(far, accuracy=ACCURACY)
    energies = far.energies(scene.states[0].displacement + found.difference)
    return scene.record(spec["radius"], [found], found.work, energies)


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
