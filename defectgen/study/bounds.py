"""Question: which term of the bound is the floor under the error of a fit? Measured after every trial."""

from collections import defaultdict
from math import isfinite

import numpy as np

from ..campaign import Record, Task
from ..energy.site import SiteEnergy
from ..errors import bound
from . import cell_size, choices, fit_accuracy
from .materials import build_reference
from .plan import Kitchen
from .spec import RunSpec
from .steps import defect_cell, model_of, recorded, rest_lattice, restored, truth_of

NAME = "bounds"

TASK = "defectgen.study.bounds:measured"

RATES = "bound_rates"
LEAST = 3
"""Training radii from which a term has a slope."""

TERM = ("term", "symbol", "value", "unit", "power", "tail", "geometry_contribution", "energy_contribution")
"""Columns of one term; results of the whole bound stand after them."""


def plan(spec: RunSpec, kitchen: Kitchen) -> list[Task]:
    """One task per trial whose reference has jets; those of the questions that [bounds] names."""
    asked = [study for study in (cell_size, fit_accuracy, choices) if getattr(spec.bounds, study.__name__.rpartition(".")[2])]
    black = {case.material.name for case in spec.cases if not isinstance(build_reference(case.material), SiteEnergy)}
    trials = {task.key: task for study in asked for task in study.plan(spec, kitchen)}
    return [_after(trial) for trial in trials.values() if trial.spec["material"]["name"] not in black]


def _after(trial: Task) -> Task:
    """The task that measures the bound of a trial."""
    spec = {name: trial.spec[name] for name in ("material", "defect", "size", "basis")}
    return Task(TASK, spec, (*trial.after, trial), f"bound of {trial.label}", 0.5)


def measured(spec: dict, perfect: Record, reference: Record, training: Record, trial: Record) -> Record:
    """All terms of the bound of one fit, at the exact equilibrium in the simulation cell.

    spec: material, defect, size, basis. The stability constant is the trial's.
    """
    cell = defect_cell(spec, rest_lattice(spec, perfect))
    with recorded():
        found = bound(
            restored(reference, cell),
            truth_of(spec),
            model_of(spec, cell, trial),
            training.values["radius"],
            stability=trial.values["stability_constant"],
        )
    terms = [
        {
            "term": term.name,
            "symbol": term.symbol,
            "value": _plain(term.value),
            "unit": term.unit,
            "power": term.geometry_power,
            "energy_power": term.energy_power,
            "tail": _plain(term.tail),
            "geometry_contribution": _plain(term.geometry),
            "geometry_response": term.response,
            "geometry_norms": _plain(term.norms),
            "energy_contribution": _plain(term.energy),
        }
        for term in found.terms
    ]
    return Record(
        {
            "terms": terms,
            "geometry_bound": _plain(found.geometry),
            "geometry_estimate": found.estimate,
            "energy_bound": _plain(found.energy),
            "energy_estimate": abs(found.energy_estimate),
            "floor": found.floor,
            "energy_floor": found.energy_floor,
        }
    )


def rates(rows: list[dict]) -> list[dict]:
    """Lines of bound_rates.csv: how every far term of the bound falls with L, and its coefficient and tail apart.

    The theory predicts the tails. A fit's coefficient falls too where larger training cells teach it, and then the error is
    steeper than its rate. theory: bounds/visibility.
    """
    curves = defaultdict(list)
    for row in rows:
        if row["trusted"] and row["power"] is not None:
            curves[tuple(row[name] for name in ("study", "material", "defect", "observations", "degree", "term"))].append(row)
    found = []
    for curve, own in curves.items():
        if len({row["training_radius"] for row in own}) < LEAST:
            continue
        slopes = {
            f"{what}_slope": _slope(own, column)
            for what, column in (
                ("coefficient", "value"),
                ("tail", "tail"),
                ("geometry", "geometry_response"),
                ("energy", "energy_contribution"),
            )
        }
        radii = sorted(row["training_radius"] for row in own)
        found.append(
            {
                **dict(zip(("study", "material", "defect", "observations", "degree", "term"), curve, strict=True)),
                "window": f"{radii[0]:.3g}-{radii[-1]:.3g}",
                **slopes,
                "geometry_predicted": own[0]["power"],
                "energy_predicted": own[0]["energy_power"],
            }
        )
    return found


def _slope(rows: list[dict], column: str) -> float | None:
    """Slope of log value against log training radius; None where the values have no logarithm."""
    values = np.array([np.nan if row[column] is None else row[column] for row in rows], dtype=float)
    if not np.all(values > 0):
        return None
    return float(np.polyfit(np.log([row["training_radius"] for row in rows]), np.log(values), 1)[0])


def _plain(value: float) -> float | None:
    """A number, or None for what has none."""
    return float(value) if isfinite(value) else None


def rows(task: Task, record: Record, result: dict) -> list[dict]:
    """The lines of bounds.csv of one bound; `result` is the line of its trial in results.csv."""
    values = record.values
    common = {name: result[name] for name in ("study", "material", "defect", "observations", "training_size", "training_radius")}
    return [
        {
            **common,
            "degree": result["degree"],
            **{name: term[name] for name in TERM},
            "geometry_bound": values["geometry_bound"],
            "geometry_error": result["geometry_error"],
            "energy_bound": values["energy_bound"],
            "energy_error": result["energy_error"],
            "dominates": term["term"] == values["floor"],
            "dominates_energy": term["term"] == values["energy_floor"],
            "geometry_response": term["geometry_response"],
            "geometry_norms": term["geometry_norms"],
            "geometry_estimate": values["geometry_estimate"],
            "energy_estimate": values["energy_estimate"],
            "energy_power": term["energy_power"],
            "trusted": result["converged"] and result["same_basin"] and result.get("stable") is not False,
        }
        for term in values["terms"]
    ]
