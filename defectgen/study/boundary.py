"""Question: what does the boundary of the simulation cell cost, and how fast does that fall with the cell's radius?"""

from collections import defaultdict

import numpy as np

from .._input import InputError
from ..campaign import Record, Task
from ..crystal import Cell, defect_from_name
from ..crystal.lattice import Lattice
from ..energy.site import SiteEnergy
from .materials import build_lattice, build_reference
from .plan import Kitchen
from .rates import measured
from .spec import Case, RunSpec
from .steps import box
from .tabulation import Tables

NAME = "boundary"
DECAY = "boundary_decay"
STEPS = "defectgen.study.boundary_steps"

SYMMETRIC = 0.02
"""|M| / (|P| spacing) below which a defect has no third-rank moment: 0 up to R^(1-d) by inversion, else of order one."""


def plan(spec: RunSpec, kitchen: Kitchen) -> list[Task]:
    """The truth of every case, then a task per condition and radius. Raises InputError for cases that have no far field."""
    if spec.boundary is None:
        return []
    tasks = []
    for case in spec.cases:
        lattice = _checked(spec, case)
        largest = box(lattice, case.simulation_size).radius
        plain = {"material": case.material.model_dump(mode="json"), "defect": case.defect, "truth": largest}
        name, crystal = f"{case.material.name} {case.defect}", kitchen.crystal(case)
        truth = Task(f"{STEPS}:truth", plain, (crystal,), f"{name} far field, radius {largest:.3g}", 8.0)
        tasks.append(truth)
        for fraction in sorted(set(spec.boundary.fractions)):
            for condition in dict.fromkeys("periodic" if c == "corrected" else c for c in spec.boundary.conditions):
                radius = fraction * largest
                where = {"size": _size(lattice, radius)} if condition == "periodic" else {"radius": radius}
                label = f"{name} {condition}, radius {radius:.3g}"
                tasks.append(Task(f"{STEPS}:trial", {**plain, "condition": condition, **where}, (crystal, truth), label, 2.0))
    return tasks


def _checked(spec: RunSpec, case: Case) -> Lattice:
    """The lattice of a case that can have a far field."""
    assert spec.boundary is not None
    lattice = build_lattice(case.material)
    if not isinstance(build_reference(case.material), SiteEnergy):
        raise InputError(
            f"far fields want site energies, and the reference of {case.material.name} is a black box; choose another reference"
        )
    if "quadrupole" in spec.boundary.conditions and lattice.sublattices > 1:
        raise InputError(
            f"{case.material.name} has {lattice.sublattices} sublattices, whose shifts a quadrupole does not describe; "
            "leave it out of boundary.conditions"
        )
    smallest = min(spec.boundary.fractions) * box(lattice, case.simulation_size).radius
    if smallest < 2.5:
        raise InputError(
            f"boundary.fractions asks for a radius of {smallest:.2g} spacings around {case.material.name} {case.defect}, which "
            "leaves no far field; use 2.5 or more, or a larger simulation_size"
        )
    defect_from_name(case.defect).apply(box(lattice, _size(lattice, smallest)))
    return lattice


def _size(lattice: Lattice, radius: float) -> int:
    """Conventional cells along the side of the smallest periodic cell of at least this radius (spacings)."""
    one: Cell = box(lattice, 1)
    return int(np.ceil(radius / one.radius - 1e-6))


def predicted(condition: str, quantity: str, dimension: int, symmetric: bool) -> float:
    """Slope of log error against log radius. theory: setting/boundary-conditions."""
    d = dimension
    if condition == "reference":
        return -float(d) if quantity == "strain" else -float(d + 1)
    if condition == "corrected":
        return -float(min(d + 2, 2 * d))
    order = {"periodic": 0, "clamped": 0, "dipole": 2 if symmetric else 1, "quadrupole": 2}[condition]
    geometry = -min(d / 2 + order, 3 * d / 2)
    return geometry if quantity == "geometry" else 2 * geometry


def harvest(spec: RunSpec, outcome: list[tuple[Task, Record]]) -> Tables:
    """boundary.csv, boundary_decay.csv, and the rates of both."""
    if spec.boundary is None:
        return Tables()
    truths = {task.key: record for task, record in outcome if task.function == f"{STEPS}:truth" and record.ok}
    table, decay, failures = [], [], []
    for task, record in outcome:
        if task.key in truths:
            decay += [
                {**_case(task, record), "radius": r, "strain": strain, "strain_gradient": gradient}
                for r, strain, gradient in record.values["decay"]
            ]
        if task.function == f"{STEPS}:trial" and record.ok:
            table += _rows(spec, task, record, truths[task.after[1].key])
            if not record.values["converged"]:
                failures.append({"label": task.label, "reason": f"it did not converge: {record.values['message']}"})
    symmetric = {_named(task): _symmetric(truths[task.key]) for task, _ in outcome if task.key in truths}
    return Tables([], [*_rates(table, symmetric), *_decays(decay)], failures, {NAME: table, DECAY: decay} if table else {})


def _named(task: Task) -> tuple[str, str]:
    return task.spec["material"]["name"], task.spec["defect"]


def _case(task: Task, truth: Record) -> dict:
    material, defect = _named(task)
    return {"material": material, "defect": defect, "dimension": truth.values["dimension"]}


def _symmetric(truth: Record) -> bool:
    return truth.values["order"] == 2 and truth.values["odd"] < SYMMETRIC


def _rows(spec: RunSpec, task: Task, record: Record, truth: Record) -> list[dict]:
    """The lines of boundary.csv of one trial: a periodic cell may have two, with and without its images."""
    assert spec.boundary is not None
    values, condition = record.values, task.spec["condition"]
    p = np.array(values["dipole"])
    shared = {
        "radius": values["radius"],
        "atoms": values["atoms"],
        "free_atoms": values["free_atoms"],
        "geometry_error": values["geometry_error"],
        "energy_error": abs(values["energy_error"]),
        "energy_error_signed": values["energy_error"],
        **{f"dipole_{'xyz'[i]}{'xyz'[j]}": p[i, j] for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))},
        "relaxation_volume": values["relaxation_volume"],
        "rounds": values["rounds"],
        "converged": values["converged"],
        "truth_radius": truth.values["radius"],
        "seconds": record.seconds,
    }
    rows = [{**_case(task, truth), "condition": condition, **shared}] if condition in spec.boundary.conditions else []
    if condition == "periodic" and "corrected" in spec.boundary.conditions:
        left = values["energy_error"] + values["correction"]
        images = {"geometry_error": None, "energy_error": abs(left), "energy_error_signed": left}
        rows.append({**_case(task, truth), "condition": "corrected", **shared, **images})
    return rows


def _rates(table: list[dict], symmetric: dict[tuple[str, str], bool]) -> list[dict]:
    """One rate per case, condition and quantity."""
    curves = defaultdict(list)
    for row in table:
        curves[row["material"], row["defect"], row["dimension"], row["condition"]].append(row)
    found = []
    for (material, defect, dimension, condition), rows in curves.items():
        for quantity in ("energy",) if condition == "corrected" else ("geometry", "energy"):
            expected = predicted(condition, quantity, dimension, symmetric[material, defect])
            errors = [row[f"{quantity}_error"] for row in rows]
            found.append(
                {
                    **_curve(material, defect, dimension, condition),
                    "quantity": quantity,
                    **measured([row["radius"] for row in rows], errors, [row["converged"] for row in rows], expected),
                }
            )
    return found


def _decays(decay: list[dict]) -> list[dict]:
    """Rates of the strain and of its gradient against the distance from the defect."""
    curves = defaultdict(list)
    for row in decay:
        curves[row["material"], row["defect"], row["dimension"]].append(row)
    return [
        {
            **_curve(case[0], case[1], case[2], "reference"),
            "quantity": quantity,
            **measured(
                [row["radius"] for row in rows],
                [row[quantity.replace(" ", "_")] for row in rows],
                [True] * len(rows),
                predicted("reference", quantity, case[2], False),
            ),
        }
        for case, rows in curves.items()
        for quantity in ("strain", "strain gradient")
    ]


def _curve(material: str, defect: str, dimension: int, condition: str) -> dict:
    return {"study": NAME, "material": material, "defect": defect, "dimension": dimension, "observations": condition}
