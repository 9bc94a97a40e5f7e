"""Question: how fast does the error of a migration barrier fall with the radius L up to which a model is exact?"""

from dataclasses import replace
from typing import Any

import numpy as np

from .._input import InputError
from ..campaign import Record, Task
from ..crystal import Cell, defect_from_name
from ..crystal.composition import exchanged_species
from ..relax import Equilibrium, migration_barrier
from ..surrogate import far_field, sites_of
from .materials import build_lattice
from .mixing import Scene, remarks, row, solves
from .plan import Kitchen
from .rates import prediction, rates
from .spec import RunSpec
from .steps import box, defect_cell, kept, rest_lattice, restored, stored, truth_of
from .surrogates import check
from .tabulation import Tables

NAME = "barriers"
TASK = "defectgen.study.barriers"

POINTS = ("minimum", "saddle")


def plan(spec: RunSpec, kitchen: Kitchen) -> list[Task]:
    """Minimum and saddle point of each case, then a solve at both per observation set, perturbation, strength and radius."""
    if spec.barriers is None:
        return []
    settings, tasks = spec.barriers, []
    for case in spec.cases:
        lattice = build_lattice(case.material)
        cell = defect_from_name(case.defect).apply(box(lattice, case.simulation_size))
        if len(cell.site_positions) != len(cell) + 1 or np.any(cell.sites < 0):
            raise InputError(f"a barrier is that of a hop into a vacancy; got the defect {case.defect}: use vacancy")
        check(settings, case, lattice, truth_of({"material": case.material.model_dump(mode="json")}), NAME)
        size = case.model_dump(mode="json", include={"simulation_size"})["simulation_size"]
        plain = {"material": case.material.model_dump(mode="json"), "defect": case.defect, "size": size}
        name, crystal = f"{case.material.name} {case.defect} hop", kitchen.crystal(case)
        passes = Task(f"{TASK}:exact", plain, (crystal,), f"{name} reference", 3.0)
        tasks.append(passes)
        tasks += [
            Task(f"{TASK}:mixed", {**plain, **what}, (crystal, passes), f"{name} {which}", 2.0)
            for what, which in solves(settings, spec.observations)
        ]
    return tasks


def exact(spec: dict, perfect: Record) -> Record:
    """Minimum and saddle point with the reference. spec: material, defect, size."""
    cell = defect_cell(spec, rest_lattice(spec, perfect))
    found = migration_barrier(cell, truth_of(spec))
    if not found.converged:
        raise InputError(f"no barrier was found: {found.minimum.message}; {found.saddle.message}")
    values: dict[str, Any] = {"barrier": found.energy, "atom": found.atom, "formation_energy": found.minimum.energy}
    if exchanged_species(cell):  # a compound: not defined without chemical potentials
        values["formation_energy"] = None
    arrays = {}
    for point in POINTS:
        state = stored(getattr(found, point))
        values[point] = state.values
        arrays |= {f"{point}_{name}": array for name, array in state.arrays.items()}
    return Record(values, arrays)


def _state(point: str, reference: Record, cell: Cell) -> Equilibrium:
    """Minimum or saddle point of a record of `exact`."""
    arrays = {name: reference.arrays[f"{point}_{name}"] for name in ("positions", "forces")}
    return restored(replace(reference, values=reference.values[point], arrays=arrays), cell)


def mixed(spec: dict, perfect: Record, reference: Record) -> Record:
    """Saddle point and minimum with the surrogate's forces beyond the radius, against the reference's.

    spec: material, defect, size, observations, perturbation, strength, radius, reach, shifts. Geometry errors are those of the
    saddle point. The energy error is that of the barrier: the sum over sites of what the surrogate adds to the one state and not
    to the other, in absolute values, and the difference of the works of the inner forces.
    """

    def made() -> Scene:
        cell = defect_cell(spec, rest_lattice(spec, perfect))
        return Scene(truth_of(spec), [_state(point, reference, cell) for point in POINTS], spec["reach"], sites_of)

    scene = kept((NAME, *(spec[name] for name in ("material", "defect", "size", "reach"))), made)
    model = scene.surrogate(spec["observations"], spec["perturbation"], spec["strength"], spec["shifts"])
    far = far_field(scene.cell, model, spec["radius"], scene.sites)
    low, high = scene.mixed(far)
    added = [far.energies(state.displacement + found.difference) for state, found in zip(scene.states, (low, high), strict=True)]
    return scene.record(spec["radius"], [low, high], high.work - low.work, added[1] - added[0])


def harvest(spec: RunSpec, outcome: list[tuple[Task, Record]]) -> Tables:
    """Errors and rates, and a table of the barriers themselves."""
    good = [(task, record) for task, record in outcome if record.ok]
    solved = [(task, record) for task, record in good if task.function == f"{TASK}:mixed"]
    failures = [remark for task, record in solved for remark in remarks(task, record)]
    lattices = {case.material.name: build_lattice(case.material) for case in spec.cases}

    def predicted(row: dict, quantity: str, radii: list[float]) -> float | None:
        return prediction(row["observations"], quantity, lattices[row["material"]])

    results = [row(NAME, task, record) for task, record in solved]
    found = [
        {
            "material": task.spec["material"]["name"],
            "defect": task.spec["defect"],
            "barrier": record.values["barrier"],
            "formation_energy": record.values.get("formation_energy", record.values["minimum"]["energy"]),
            "lowest_eigenvalue": record.values["saddle"]["lowest_eigenvalue"],
        }
        for task, record in good
        if task.function == f"{TASK}:exact"
    ]
    return Tables(results, rates(results, predicted), failures, {NAME: found} if found else {})
