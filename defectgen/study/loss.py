"""Question: which observations, which weights? Every loss is a fit to the same labels, and each model meets the same defect."""

from dataclasses import replace
from typing import Any

import numpy as np

from .._input import InputError
from ..campaign import Record, Task
from ..errors.gradient import error_gradient
from ..fit import DEFAULT_WEIGHTS, Loss, fit, losses, spelled, weight_response
from ..training.observations import INTERNAL, KINDS, TARGETS, parts_of
from .materials import build_lattice
from .plan import Kitchen
from .spec import Case, RunSpec
from .steps import assess, blocks_of, defect_cell, kept, model_of, rest_lattice, restored
from .tabulation import Tables

NAME = "loss"
SENSITIVITY = "loss_sensitivity"
TRIAL, RESPONSE = "defectgen.study.loss:trial", "defectgen.study.loss:response"
DESIGNED = "as designed"
_QUANTITIES = {"geometry": "geometry_error", "energy": "energy_error", "forces": "rmse_forces"}
"""What a Pareto front is drawn in: two errors of the defect and that of the fit."""


def designs(spec: RunSpec) -> list[Loss]:
    """The loss of [fit] on each observation set of the study; what others are compared with is that of the largest set."""
    return [canonical(Loss(s, spec.fit.weights, prior=spec.fit.prior, solver=spec.fit.solver)) for s in spec.observations]


def default_of(spec: RunSpec) -> Loss:
    """The design with the most kinds of observation."""
    return max(designs(spec), key=lambda loss: loss.observations.count("+"))


def listed(spec: RunSpec) -> list[Loss]:
    """All losses of a study, each once: the designs, then the grids, which vary them. Raises InputError for an empty grid."""
    if spec.loss is None:
        return []
    found = designs(spec)
    for grid in spec.loss.grids:
        common: dict[str, Any] = {"observations": list(spec.observations), "prior": spec.fit.prior, "solver": spec.fit.solver}
        settings = {**common, **grid, "weights": {**spec.fit.weights, **grid.get("weights", {})}}
        settings["prior"] = _priors(settings["prior"])
        settings["weights"] = dict(sorted(settings["weights"].items()))  # a file that is written back orders its keys anew
        made = [canonical(each) for each in losses(**dict(sorted(settings.items())))]
        if grid.get("name") and len(made) > 1:
            raise InputError(
                f"loss.grids: a name belongs to one loss, and the grid {grid['name']!r} makes {len(made)}; leave it out"
            )
        found += made
    listed = [loss for place, loss in enumerate(found) if loss not in found[:place]]
    names = [called(spec, loss) for loss in listed]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(
            f"loss.grids: two losses are called {twice[0]!r} and could not be told apart; give them names of their own"
        )
    return listed


def _priors(given: Any) -> Any:
    """A prior or several, "none" being how a file says that there is none."""
    return [_priors(each) for each in given] if isinstance(given, list) else None if given == "none" else given


def called(spec: RunSpec, loss: Loss) -> str:
    """A loss in short: its name, or its observations and what is not as designed."""
    if loss.name:
        return loss.name
    design = canonical(Loss(loss.observations, spec.fit.weights, prior=spec.fit.prior, solver=spec.fit.solver))
    plain = {"prior": None, "solver": "qr"} | design.settings
    other = {
        key: value for key, value in loss.settings.items() if plain.get(key) != value and key not in ("observations", "weights")
    }
    other |= {key: getattr(loss, key) for key in ("prior", "solver") if getattr(loss, key) != getattr(design, key)}
    weights = {key: value for key, value in loss.weights.items() if design.weights.get(key) != value}
    weights |= {key: DEFAULT_WEIGHTS[key] for key in design.weights if key not in loss.weights and ":" not in key}
    short = spelled(({"weights": weights} if weights else {}) | other)
    return f"{loss.observations}, {short}" if short else loss.observations


def canonical(loss: Loss) -> Loss:
    """The loss without settings that act on nothing: weights of kinds that it leaves out, and those that are the default."""
    kinds = {*parts_of(loss.observations.split("+")), *TARGETS}

    def acts(key: str, value: Any) -> bool:
        kind = key.partition(":")[0]
        return kind in kinds and not (kind == key and DEFAULT_WEIGHTS[kind] == value)

    has = loss.observations.split("+")
    return Loss(
        loss.observations,
        {key: value for key, value in loss.weights.items() if acts(key, value)},
        force_distance_power=loss.force_distance_power if "F" in has else 0.0,
        force_constant_range_power=loss.force_constant_range_power if "FC" in has else 0.0,
        strains=loss.strains if "V" in has else None,
        strain_pairs=loss.strain_pairs or "V" not in has,
        robust=loss.robust,
        prior=loss.prior,
        solver=loss.solver,
        constraints=loss.constraints,
        name=loss.name,
    )


def check(spec: RunSpec, case: Case) -> None:
    """Raises InputError for weights and strains that would meet no rows of a case, and for powers in [training]."""
    if spec.loss is None:
        return
    training, several = spec.training, build_lattice(case.material).sublattices > 1
    if training.force_distance_power or training.force_constant_range_power:
        raise InputError(
            "a loss study weighs by distance late: take the powers out of [training] and vary them in [[loss.grids]]"
        )
    groups = {
        "E": ["defect", "bulk"],
        "F": ["defect"] + ["bulk"] * several,
        "FC": ["bulk"] + ["defect-core"] * bool(training.core_atoms),
        "V": ["strain"],
        INTERNAL: ["strain"] * several,
        "V0": ["bulk"],
        "C": ["bulk"],
        "Ef": ["defect"],
    }
    for loss in listed(spec):
        for key in loss.weights:
            kind, _, group = key.partition(":")
            if not groups[kind] or (group and group not in groups[kind]):
                known = ", ".join(f"{k}:{g}" for k, own in groups.items() for g in own)
                raise InputError(
                    f"loss.grids: the weight of {key} has no rows to act on in {case.material.name} (there are {known})"
                )
        if missing := [a for a in loss.strains or () if not any(np.isclose(a, training.virial_strains))]:
            known = ", ".join(f"{a:g}" for a in training.virial_strains)
            raise InputError(f"loss.grids: strains of {missing[0]:g} are not among training.virial_strains ({known})")


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
                found.append(Task(RESPONSE, trial.spec, (*trial.after, trial), label, 3.0))
    return found


def _trial(spec: RunSpec, kitchen: Kitchen, case: Case, loss: Loss) -> Task:
    assert spec.loss is not None
    like = kitchen.trial(case, spec.loss.size, case.basis.degree if case.basis else 0, loss.observations)
    rows = kitchen.rows(case, spec.loss.size, subdivide=True)
    settings = {key: _plain(value) for key, value in loss.settings.items()} | ({"name": loss.name} if loss.name else {})
    content = {k: v for k, v in like.spec.items() if k != "fit"}
    content |= {"observations": loss.observations, "loss": settings, "training": rows.spec["training"]}
    label = f"{case.material.name} {case.defect} {called(spec, loss)}"
    return Task(TRIAL, content, (*like.after[:2], rows), label, 1.0)


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
    found = {_RMSE[kind]: slopes.tolist() for kind, slopes in answer.rmse.items() if kind in _RMSE}
    if trial.values["converged"] and trial.values["same_basin"]:
        exact = restored(reference, cell)
        energy = exact.energy + trial.values["energy_error_signed"]
        resting = replace(exact, positions=trial.arrays["positions"], energy=energy)  # all that is asked of it
        gradient = error_gradient(exact, resting, model_of(spec, cell, trial))
        errors = {"geometry_error": gradient.geometry, "energy_error": gradient.energy}
        found |= {name: (answer.of(g) / trial.values[name]).tolist() for name, g in errors.items()}
    return Record({"knobs": list(answer.names), "slopes": found})


_RMSE = {
    "E": "rmse_energy",
    "F": "rmse_forces",
    "FC": "rmse_force_constants",
    "V": "rmse_virial",
    "C": "rmse_elastic_constants",
    "Ef": "rmse_formation_energy",
}


def label(spec: RunSpec, loss: Loss) -> str:
    """What the study column of a loss's rows says."""
    return f"{NAME}: {called(spec, loss)}"


def named(spec: RunSpec) -> dict[str, str]:
    """What the study column says of every trial, by the key of its task."""
    kitchen = Kitchen(spec)
    fitted = [case for case in spec.cases if case.basis is not None]
    return {_trial(spec, kitchen, case, loss).key: label(spec, loss) for case in fitted for loss in listed(spec)}


def harvest(spec: RunSpec, outcome: list[tuple[Task, Record]], results: list[dict]) -> Tables:
    """The tables losses (a line per loss, every setting and error) and loss_sensitivity; `results` are lines of results.csv."""
    if spec.loss is None:
        return Tables()
    own = {(row["material"], row["defect"], row["study"]): row for row in results if row["study"].startswith(f"{NAME}: ")}
    lines = []
    for case in spec.cases:
        place = case.material.name, case.defect
        mine = [(loss, row) for loss in listed(spec) if (row := own.get((*place, label(spec, loss)))) is not None]
        base = own.get((*place, label(spec, default_of(spec))))
        rows = [row for _, row in mine]
        fronts = zip(_front(rows, tuple(_QUANTITIES.values())), _front(rows, ("geometry_error", "energy_error")), strict=True)
        lines += [_line(spec, loss, row, base, *on) for (loss, row), on in zip(mine, fronts, strict=True)]
    slopes = [
        {"material": task.spec["material"]["name"], "defect": task.spec["defect"], "observations": task.spec["observations"]}
        | {"knob": knob, "quantity": quantity, "slope": slope}
        for task, record in outcome
        if task.function == RESPONSE and record.ok
        for quantity, values in record.values["slopes"].items()
        for knob, slope in zip(record.values["knobs"], values, strict=True)
    ]
    return Tables(others={name: rows for name, rows in (("losses", lines), (SENSITIVITY, slopes)) if rows})


def trusted(row: dict) -> bool:
    """Whether the model reached the same state and is stable there."""
    return bool(row["converged"] and row["same_basin"])


def _line(spec: RunSpec, loss: Loss, row: dict, base: dict | None, front: bool, defect_front: bool) -> dict:
    """A line of losses.csv: the loss, every setting, every error, and how both errors compare with the default's."""
    parts = parts_of(loss.observations.split("+"))
    weights = {kind: DEFAULT_WEIGHTS[kind] if kind in parts else None for kind in (*KINDS, "V0", *TARGETS)}
    weights |= {kind: value for kind, value in loss.weights.items() if kind in weights}
    exact = loss.constraints.items() if isinstance(loss.constraints, dict) else ((name, None) for name in loss.constraints)
    about = ("material", "defect", "training_size", "training_radius", "basis_functions", "simulation_atoms")
    errors = ("geometry_error", "geometry_error_max", "energy_error", *_RMSE.values())
    return {
        **{name: row[name] for name in about},
        "loss": called(spec, loss),
        "design": DESIGNED if loss in designs(spec) else "",
        "default": loss == default_of(spec),
        "observations": loss.observations,
        **{f"weight_{kind}": weight for kind, weight in weights.items()},
        "weights_by_group": " ".join(f"{key}={value:g}" for key, value in loss.weights.items() if ":" in key),
        "force_distance_power": loss.force_distance_power,
        "force_constant_range_power": loss.force_constant_range_power,
        "strains": " ".join(f"{a:g}" for a in loss.strains or spec.training.virial_strains) if "V" in loss.observations else "",
        "strain_pairs": loss.strain_pairs,
        "robust": loss.robust,
        "prior": loss.prior,
        "solver": loss.solver,
        "constraints": " ".join(name if tolerance is None else f"{name}±{tolerance:g}" for name, tolerance in exact),
        **{name: row.get(name) for name in errors},
        **{name: row.get(name) for name in ("rank", "condition", "stability_constant", "converged", "same_basin")},
        "geometry_ratio": _ratio(row, base, "geometry_error"),
        "energy_ratio": _ratio(row, base, "energy_error"),
        "pareto": front,
        "pareto_defect": defect_front,
    }


def _ratio(row: dict, base: dict | None, column: str) -> float | None:
    return row[column] / base[column] if base is not None and base[column] else None


def _front(rows: list[dict], columns: tuple[str, ...]) -> list[bool]:
    """Whether no other trusted loss is at least as good in all of these errors, and better in one."""
    errors = np.array([[row[name] if trusted(row) else np.inf for name in columns] for row in rows], dtype=float)
    found = []
    for own in errors:
        beaten = np.all(errors <= own, axis=1) & np.any(errors < own, axis=1)
        found.append(bool(np.isfinite(own).all() and not beaten.any()))
    return found
