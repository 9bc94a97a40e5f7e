"""Question: how much smaller does a designed loss make the error of a defect, also of defects that it was not designed for?"""

from typing import Any

import numpy as np

from ..._input import InputError
from ...campaign import Record, Task
from ...errors.design import design_loss
from ...fit import Loss, fit
from ...relax import greens_function
from ..certificates import RICHER_PRIOR
from ..plan import Kitchen, widened
from ..spec import Case, RunSpec
from ..steps import assess, blocks_of, defect_cell, fitted_to, recorded, rest_lattice, rested
from ..tabulation import Tables
from .choice import START

NAME = "design"
TASK = "defectgen.study.design.loss:designed"
TRIAL = "defectgen.study.design.loss:tried"
DESIGNED, DEFAULT = "designed for", "default 30:1:1"

LOSSES = {DEFAULT: START, "uniform": {"E": 1.0, "F": 1.0, "FC": 1.0, "V": 1.0, "V0": 1.0, "VF": 1.0}}
"""What a design is compared with in every study."""

THEORY = "theory-weighted"
THEORY_LOSS = {"force_distance_power": 1.0, "force_constant_range_power": 2.0, "constraints": ["E:bulk"]}
"""The loss that the bound asks for, at the weights 30 : 1 : 1 (theory: fit/loss): forces by their distance to the defect, force
constants by the square of their range, energies from that of the crystal, which is held exactly."""


def plan(spec: RunSpec, kitchen: Kitchen) -> list[Task]:
    """One design per case, and trials of all designs and all other losses on every case; one observation set at a time."""
    if spec.design is None:
        return []
    cases = [case for case in spec.cases if case.basis is not None]
    found = []
    for observations in spec.observations:
        designs = {_title(case): _design(spec, kitchen, case, observations) for case in cases}
        for case in cases:
            found += [_trial(spec, kitchen, case, observations, name, None, design) for name, design in designs.items()]
            found += [
                _trial(spec, kitchen, case, observations, name, weights, None)
                for name, weights in {**LOSSES, **spec.design.losses}.items()
            ]
            found.append(_theory(spec, kitchen, case, observations))
    return found


def _title(case: Case) -> str:
    return f"{case.material.name} {case.defect}"


def _common(spec: RunSpec, kitchen: Kitchen, case: Case, observations: str) -> tuple[dict, Task]:
    """What design and trial need to know, and the trial task of the same fit (its inputs are theirs)."""
    assert spec.design is not None and case.basis is not None
    like = kitchen.trial(case, spec.design.size, case.basis.degree, observations)
    basis = like.spec["basis"]
    more = spec.design.richer
    wider = widened(basis, more)
    return {**like.spec, "richer": wider, "share": spec.design.share}, like


def _design(spec: RunSpec, kitchen: Kitchen, case: Case, observations: str) -> Task:
    """Designed in the training cell's neighbourhood: no reference in the large cell is asked."""
    common, like = _common(spec, kitchen, case, observations)
    crystal, _, rows = like.after
    return Task(TASK, common, (crystal, rows), f"design of {observations} for {_title(case)}", 3.0)


def _trial(
    spec: RunSpec, kitchen: Kitchen, case: Case, observations: str, name: str, weights: dict | None, design: Task | None
) -> Task:
    common, like = _common(spec, kitchen, case, observations)
    label = f"{_title(case)} {observations}, loss {f'{DESIGNED} {name}' if weights is None else name}"
    after = like.after if design is None else (*like.after, design)
    return Task(TRIAL, {**common, "loss": name, "loss_weights": weights}, after, label, 1.0)


def _theory(spec: RunSpec, kitchen: Kitchen, case: Case, observations: str) -> Task:
    """Distances weigh late, so its rows are kept apart by distance."""
    assert spec.design is not None
    usual = _trial(spec, kitchen, case, observations, THEORY, START, None)
    rows = kitchen.rows(case, spec.design.size, subdivide=True)
    return Task(TRIAL, {**usual.spec, "loss_settings": THEORY_LOSS}, (*usual.after[:2], rows), usual.label, 1.0)


def designed(spec: dict, perfect: Record, training: Record) -> Record:
    """Weights that minimise the certificate of the defect, from 30 : 1 : 1. spec: that of a trial, richer, share."""
    cell = defect_cell(spec, rest_lattice(spec, perfect))
    spec = {**spec, "fit": {**spec["fit"], "weights": START}}
    pilot = fitted_to(spec, cell, training)
    richer = fitted_to(spec, cell, training, spec["richer"], RICHER_PRIOR)
    green = greens_function(cell, pilot.model)
    try:
        with recorded():
            rest = rested(cell, pilot.model, preconditioner=green)
            found = design_loss(pilot, rest, richer=richer, share=spec["share"])
    except InputError as error:
        return Record({"refused": str(error), "weights": {}})
    return Record(
        {
            "refused": "",
            "weights": found.weights,
            "geometry_before": found.before.geometry.estimate,
            "geometry_after": found.after.geometry.estimate,
            "energy_before": found.before.energy.estimate,
            "energy_after": found.after.energy.estimate,
        }
    )


def tried(spec: dict, perfect: Record, reference: Record, training: Record, design: Record | None = None) -> Record:
    """A fit with some loss, relaxed and compared.

    spec: that of a trial, loss, loss_weights (None: those of the design), loss_settings (beyond weights, if any).
    """
    cell = defect_cell(spec, rest_lattice(spec, perfect))
    if "loss_settings" in spec:
        settings: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in spec["loss_settings"].items()}
        prior, solver = spec["fit"]["prior"], spec["fit"]["solver"]
        loss = Loss(spec["observations"], spec["loss_weights"], prior=prior, solver=solver, **settings)
        found = assess(spec, cell, reference, lambda: fit(blocks_of(spec, cell, training), loss))
        return Record({**found.values, "refused": ""})
    if design is not None and design.values["refused"]:
        return Record({"refused": design.values["refused"]})
    weights = spec["loss_weights"] if design is None else design.values["weights"]
    pilot = fitted_to({**spec, "fit": {**spec["fit"], "weights": {}}}, cell, training)
    known = _known(weights, pilot.weights)
    record = assess(spec, cell, reference, lambda: fit(pilot.blocks, pilot.observations, known, pilot.prior, pilot.solver))
    return Record({**record.values, "refused": ""})


def _known(weights: dict, present: dict) -> dict:
    """Without kinds and groups that this crystal has no rows for: a design for silicon has internal forces, copper none."""
    found = {}
    for kind, value in weights.items():
        if kind not in present:
            continue
        found[kind] = {g: w for g, w in value.items() if g in present[kind]} if isinstance(value, dict) else value
    return found


def harvest(outcome: list[tuple[Task, Record]]) -> Tables:
    """design.csv: every loss on every defect, with the error over that of the default; design_weights.csv: the weights."""
    tried_ = [(task, record) for task, record in outcome if task.function == TRIAL and record.ok]
    if not tried_:
        return Tables()
    lines = [_line(task, record) for task, record in tried_]
    base = {_place(line): line for line in lines if line["loss"] == DEFAULT}
    for line in lines:
        own = base.get(_place(line))
        for what in ("geometry", "energy"):
            error, other = line[f"{what}_error"], None if own is None else own[f"{what}_error"]
            line[f"{what}_gain"] = other / error if other and error else None
    weights = [
        {
            "designed_for": f"{task.spec['material']['name']} {task.spec['defect']}",
            "observations": task.spec["observations"],
            "group": f"{kind}:{group}",
            "weight": weight,
            **{name: record.values.get(name) for name in ("geometry_before", "geometry_after", "energy_before", "energy_after")},
        }
        for task, record in outcome
        if task.function == TASK and record.ok
        for kind, groups in record.values["weights"].items()
        for group, weight in groups.items()
    ]
    return Tables(others={NAME: lines, "design_weights": weights})


def _place(line: dict) -> tuple:
    return line["material"], line["defect"], line["observations"]


def _line(task: Task, record: Record) -> dict:
    spec, values = task.spec, record.values
    own = f"{spec['material']['name']} {spec['defect']}"
    name = spec["loss"]
    kind = "other" if spec["loss_weights"] is not None else "own" if name == own else _kinship(name, own)
    good = not values["refused"] and values["converged"] and values["same_basin"]
    return {
        "material": spec["material"]["name"],
        "defect": spec["defect"],
        "observations": spec["observations"],
        "loss": name if spec["loss_weights"] is not None else f"{DESIGNED} {name}",
        "designed_for": kind,
        "geometry_error": values["geometry_error"] if good else np.nan,
        "energy_error": values["energy_error"] if good else np.nan,
        "rmse_forces": values.get("rmse_forces"),
        "trusted": bool(good),
        "refused": values["refused"],
    }


def _kinship(name: str, own: str) -> str:
    return "another defect" if name.split(" ")[0] == own.split(" ")[0] else "another material"
