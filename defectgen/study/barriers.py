"""Question: how fast does the error of a migration barrier fall with the radius L up to which a model is exact?"""

from dataclasses import fields
from functools import lru_cache
from typing import Any

import numpy as np

from .._input import InputError
from ..campaign import Record, Task
from ..crystal import defect_from_name
from ..energy.functional import cell_energy
from ..energy.site import SiteEnergy
from ..errors import predicted_rate
from ..errors.norms import bonds_of, strain_max, strain_norm
from ..relax import Equilibrium, greens_function, migration_barrier, mixed_equilibrium
from ..surrogate import MomentPerturbation, far_field, sites_of, surrogate
from .dislocations import row
from .materials import build_lattice, centrosymmetric
from .plan import Kitchen
from .repeats import rates
from .spec import RunSpec
from .steps import box, defect_cell, rest_lattice, truth_of
from .surrogates import SMALL, check, remarks
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
        for observations in spec.observations:
            for seed in settings.perturbations:
                for strength in settings.strengths:
                    for radius in sorted(set(settings.radii)):
                        what = {"observations": observations, "perturbation": seed, "strength": strength, "radius": radius}
                        label = f"{name} {observations}, perturbation {seed} of {strength:g}, radius {radius:g}"
                        task = {**plain, **what, "reach": settings.reach, "shifts": settings.shifts}
                        tasks.append(Task(f"{TASK}:mixed", task, (crystal, passes), label, 2.0))
    return tasks


def exact(spec: dict, perfect: Record) -> Record:
    """Minimum and saddle point with the reference. spec: material, defect, size."""
    cell = defect_cell(spec, rest_lattice(spec, perfect))
    found = migration_barrier(cell, truth_of(spec))
    if not found.converged:
        raise InputError(f"no barrier was found: {found.minimum.message}; {found.saddle.message}")
    values: dict[str, Any] = {"barrier": found.energy, "atom": found.atom}
    arrays = {}
    for point in POINTS:
        state = getattr(found, point)
        plain = {
            f.name: getattr(state, f.name) for f in fields(state) if f.name not in ("cell", "positions", "forces", "seconds")
        }
        values[point] = {**plain, "residuals": list(state.residuals)}
        arrays |= {f"{point}_positions": state.positions, f"{point}_forces": state.forces}
    return Record(values, arrays)


class _Scene:
    """What all solves of one hop share."""

    def __init__(self, spec: dict, perfect: Record, reference: Record):
        self.lattice, self.truth = rest_lattice(spec, perfect), truth_of(spec)
        self.cell = defect_cell(spec, self.lattice)
        self.states = []
        for point in POINTS:
            values = {**reference.values[point], "residuals": tuple(reference.values[point]["residuals"])}
            arrays = {name: reference.arrays[f"{point}_{name}"] for name in ("positions", "forces")}
            self.states.append(Equilibrium(cell=self.cell, seconds=reference.seconds, **arrays, **values))
        self.green = greens_function(self.cell, self.truth)
        self.energy = cell_energy(self.cell, self.truth)
        self.bonds = bonds_of(self.cell)
        self.sites = sites_of(self.cell, self.perturbation(spec["reach"], 0))

    @lru_cache(maxsize=4)  # noqa: B019  a scene lives as long as its process needs it
    def surrogate(self, reach: float, seed: int, observations: str, strength: float, shifts: bool):
        assert isinstance(self.truth, SiteEnergy)  # the plan has seen to it
        return surrogate(self.lattice, self.truth, self.perturbation(reach, seed), observations, strength, shifts)

    def perturbation(self, reach: float, seed: int) -> MomentPerturbation:
        return MomentPerturbation(self.lattice.species, reach * self.lattice.nearest_neighbour, seed)


_latest: list[tuple[Any, _Scene]] = []


def mixed(spec: dict, perfect: Record, reference: Record) -> Record:
    """Saddle point and minimum with the surrogate's forces beyond the radius, against the reference's.

    spec: material, defect, size, observations, perturbation, strength, radius, reach, shifts. Geometry errors are those of the
    saddle point. The energy error is that of the barrier: the sum over sites of what the surrogate adds to the one state and not
    to the other, in absolute values, and the difference of the works of the inner forces.
    """
    key = [spec[name] for name in ("material", "defect", "size", "reach")]
    if not _latest or _latest[0][0] != key:
        _latest[:] = [(key, _Scene(spec, perfect, reference))]
    scene = _latest[0][1]
    made = scene.surrogate(*(spec[name] for name in ("reach", "perturbation", "observations", "strength", "shifts")))
    far = far_field(scene.cell, made, spec["radius"], scene.sites)
    low, high = (
        mixed_equilibrium(state, scene.truth, far, preconditioner=scene.green, energy=scene.energy) for state in scene.states
    )
    added = [far.energies(state.displacement + found.difference) for state, found in zip(scene.states, (low, high), strict=True)]
    w, work = high.difference, high.work - low.work
    distance = scene.cell.distance_to_defect() / scene.lattice.nearest_neighbour
    moved = max(float(np.linalg.norm(found.difference, axis=1).max()) for found in (low, high))
    return Record(
        {
            "geometry_error": strain_norm(scene.cell, w, scene.bonds),
            "geometry_error_max": strain_max(scene.cell, w, scene.bonds),
            "energy_error": abs(work) + float(np.abs(added[1] - added[0]).sum()),
            "energy_error_signed": work + float((added[1] - added[0]).sum()),
            "training_atoms": int((distance <= spec["radius"]).sum()),
            "simulation_atoms": len(scene.cell),
            "simulation_radius": scene.cell.radius,
            "dimension": scene.lattice.dimension,
            "converged": low.converged and high.converged,
            "same_basin": moved < SMALL * scene.lattice.nearest_neighbour,
            "reduction": max(low.reduction, high.reduction),
            "newton_steps": low.newton_steps + high.newton_steps,
            "hessian_products": low.hessian_products + high.hessian_products,
        }
    )


def harvest(spec: RunSpec, outcome: list[tuple[Task, Record]]) -> Tables:
    """Errors and rates, and a table of the barriers themselves."""
    good = [(task, record) for task, record in outcome if record.ok]
    solved = [(task, record) for task, record in good if task.function == f"{TASK}:mixed"]
    failures = [remark for task, record in solved for remark in remarks(task, record)]
    inversion = {case.material.name: centrosymmetric(build_lattice(case.material)) for case in spec.cases}

    def predicted(row: dict, quantity: str, radii: list[float]) -> float | None:
        try:
            return predicted_rate(row["observations"], row["dimension"], quantity, inversion[row["material"]])
        except InputError:
            return None

    results = [row(NAME, task, record) for task, record in solved]
    found = [
        {
            "material": task.spec["material"]["name"],
            "defect": task.spec["defect"],
            "barrier": record.values["barrier"],
            "formation_energy": record.values["minimum"]["energy"],
            "lowest_eigenvalue": record.values["saddle"]["lowest_eigenvalue"],
        }
        for task, record in good
        if task.function == f"{TASK}:exact"
    ]
    return Tables(results, rates(results, predicted), failures, {NAME: found} if found else {})
