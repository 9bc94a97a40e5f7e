"""The tasks of a study of losses: one trial a case and loss, and the exact answer of the designs to every weight."""

from dataclasses import replace
from typing import Any

from ...campaign import PlainTask, Record, Task
from ...errors.gradient import error_gradient
from ...fit import Loss, fit, weight_response
from ..plan import Kitchen
from ..spec import Case, RunSpec
from ..steps import assess, blocks_of, defect_cell, kept, model_of, rest_lattice, restored
from .losses import called, designs, label, listed

TRIAL, RESPONSE = "defectgen.study.loss.steps:trial", "defectgen.study.loss.steps:response"
RMSE = {
    "E": "rmse_energy",
    "F": "rmse_forces",
    "FC": "rmse_force_constants",
    "V": "rmse_virial",
    "C": "rmse_elastic_constants",
    "Ef": "rmse_formation_energy",
}


def plan(spec: RunSpec, kitchen: Kitchen) -> list[Task]:
    """One trial per case and loss, and the response of the designs."""
    if spec.loss is None:
        return []
    found = []
    for case in spec.cases:
        if case.basis is None:
            continue
        trials = {called(spec, loss): _trial(spec, kitchen, case, loss) for loss in listed(spec)}
        found += trials.values()
        if spec.loss.sensitivity:
            for design in designs(spec):
                trial = trials[called(spec, design)]
                label = f"{case.material.name} {case.defect} sensitivities of {design.observations}"
                found.append(PlainTask(RESPONSE, trial.spec, (*trial.after, trial), label, 3.0))
    return found


def named(spec: RunSpec) -> dict[str, str]:
    """What the study column says of every trial, by the key of its task."""
    kitchen = Kitchen(spec)
    fitted = [case for case in spec.cases if case.basis is not None]
    return {_trial(spec, kitchen, case, loss).key: label(spec, loss) for case in fitted for loss in listed(spec)}


def _trial(spec: RunSpec, kitchen: Kitchen, case: Case, loss: Loss) -> Task:
    assert spec.loss is not None
    like = kitchen.trial(case, spec.loss.size, case.basis.degree if case.basis else 0, loss.observations)
    rows = kitchen.rows(case, spec.loss.size, subdivide=True)
    settings = {key: _plain(value) for key, value in loss.settings.items()} | ({"name": loss.name} if loss.name else {})
    content = {k: v for k, v in like.spec.items() if k != "fit"}
    content |= {"observations": loss.observations, "loss": settings, "training": rows.spec["training"]}
    label = f"{case.material.name} {case.defect} {called(spec, loss)}"
    return PlainTask(TRIAL, content, (*like.after[:2], rows), label, 1.0)


def _plain(value: Any) -> Any:
    """Settings as a file holds them."""
    return [_plain(v) for v in value] if isinstance(value, tuple) else dict(value) if isinstance(value, dict) else value


def loss_of(spec: dict) -> Loss:
    """The loss of a task."""
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in spec["loss"].items()}
    return Loss(**{**settings, "observations": spec["observations"]})


def trial(spec: dict, perfect: Record, reference: Record, training: Record) -> Record:
    """Fit one loss, relax the defect with the model, compare.

    spec: material, defect, size, training_size, basis, full, training, observations, loss.
    """
    key = tuple(repr(spec[name]) for name in ("material", "defect", "size", "training_size", "basis", "training"))

    def scene():
        cell = defect_cell(spec, rest_lattice(spec, perfect))
        return cell, blocks_of(spec, cell, training)

    cell, blocks = kept(key, scene)
    found = assess(spec, cell, reference, lambda: fit(blocks, loss_of(spec)))
    rmse = found.values["rmse"]
    extra = {"rmse_elastic_constants": rmse.get("C"), "rmse_formation_energy": rmse.get("Ef")}
    return Record({**found.values, **extra}, found.arrays)


def response(spec: dict, perfect: Record, reference: Record, training: Record, trial: Record) -> Record:
    """d log error / d log weight of one loss, errors of fit and defect: exact, by the normal equations and one Hessian solve.

    spec: that of the trial.
    """
    cell = defect_cell(spec, rest_lattice(spec, perfect))
    fitted = fit(blocks_of(spec, cell, training), loss_of(spec))
    answer = weight_response(fitted)
    found = {RMSE[kind]: slopes.tolist() for kind, slopes in answer.rmse.items() if kind in RMSE}
    if trial.values["converged"] and trial.values["same_basin"]:
        exact = restored(reference, cell)
        energy = exact.energy + trial.values["energy_error_signed"]
        resting = replace(exact, positions=trial.arrays["positions"], energy=energy)  # all that is asked of it
        gradient = error_gradient(exact, resting, model_of(spec, cell, trial))
        errors = {"geometry_error": gradient.geometry, "energy_error": gradient.energy}
        found |= {name: (answer.of(g) / trial.values[name]).tolist() for name, g in errors.items()}
    return Record({"knobs": list(answer.names), "slopes": found})
