"""Question: how near does the certificate of a fit, made without the reference, come to its true error?"""

import numpy as np
from scipy.stats import spearmanr

from .._input import InputError
from ..campaign import Record, Task
from ..errors import certify
from ..relax import greens_function
from . import cell_size, choices, fit_accuracy
from .plan import Kitchen, widened
from .spec import RunSpec
from .steps import defect_cell, fitted_to, recorded, rest_lattice, rested
from .tabulation import Tables

NAME = "certificates"
QUALITY = "certificate_quality"
TASK = "defectgen.study.certificates:measured"

RICHER_PRIOR = "smoothness(1e-6)"
"""Of the richer fit where the study names none: it may have more functions than the rows determine."""

FACTOR = 3.0
"""An estimate within this factor of the true error counts as near."""


def plan(spec: RunSpec, kitchen: Kitchen) -> list[Task]:
    """One task per trial of the questions that [certificates] names."""
    if spec.certificates is None:
        return []
    asked = [study for study in (cell_size, fit_accuracy, choices) if getattr(spec.certificates, _name(study))]
    trials = {task.key: task for study in asked for task in study.plan(spec, kitchen)}
    return [_after(trial, spec.certificates.richer) for trial in trials.values()]


def _name(study) -> str:
    return study.__name__.rpartition(".")[2]


def _after(trial: Task, richer: float) -> Task:
    """The task that certifies a trial."""
    basis = trial.spec["basis"]
    wider = widened(basis, richer)
    return Task(TASK, {**trial.spec, "richer": wider}, (*trial.after, trial), f"certificate of {trial.label}", 1.0)


def measured(spec: dict, perfect: Record, reference: Record, training: Record, trial: Record) -> Record:
    """The certificate of one fit, at its own equilibrium in the simulation cell. The reference is not asked.

    spec: that of the trial, and richer. A fit that does not hold the defect has none, and the record says why.
    """
    if not trial.values["converged"]:
        return Record({"refused": f"the model did not relax: {trial.values['message']}"})
    cell = defect_cell(spec, rest_lattice(spec, perfect))
    fitted = fitted_to(spec, cell, training)
    richer = fitted_to(spec, cell, training, spec["richer"], RICHER_PRIOR)
    green = greens_function(cell, fitted.model)
    start = trial.arrays["positions"]
    try:
        with recorded():
            rest = rested(cell, fitted.model, start, green)
            found = certify(fitted, rest, richer=richer, preconditioner=green)
    except InputError as error:
        return Record({"refused": str(error)})
    values: dict = {"refused": "", "parameters": found.parameters, "rows": found.rows, "residual": found.residual}
    for what, quantity in (("geometry", found.geometry), ("energy", found.energy)):
        for name in ("estimate", "spread", "shift", "remainder", "bound", "deviation"):
            value = getattr(quantity, name)
            values[f"{what}_{name}"] = float(value) if value is not None and np.isfinite(value) else None
        values[f"{what}_asks"] = min(quantity.weights, key=quantity.weights.__getitem__)
        values[f"{what}_slopes"] = quantity.weights
    return Record(values)


def harvest(outcome: list[tuple[Task, Record]], results: list[dict], origin: dict[str, int]) -> Tables:
    """certificates.csv, a line per fit, and certificate_quality.csv, a line per material and quantity.

    `origin`: key of a trial -> its line in `results`.
    """
    lines, seen = [], set()
    for task, record in outcome:
        if task.function != TASK or not record.ok or task.after[-1].key not in origin:
            continue
        result = results[origin[task.after[-1].key]]
        if task.key in seen:
            continue
        seen.add(task.key)
        lines.append(_line(record.values, result, task))
    if not lines:
        return Tables()
    quality = [line for material in dict.fromkeys(line["material"] for line in lines) for line in _quality(material, lines)]
    return Tables(others={NAME: lines, QUALITY: quality})


def _line(values: dict, result: dict, task: Task) -> dict:
    names = ("material", "defect", "observations", "training_size", "training_radius", "degree", "basis_functions")
    good = result["converged"] and result["same_basin"] and result.get("stable") is not False
    numbers = {
        f"{what}_{name}": values.get(f"{what}_{name}")
        for what in ("geometry", "energy")
        for name in ("estimate", "spread", "shift", "remainder", "bound", "deviation", "asks")
    }
    return {
        "study": result["study"],
        **{name: result[name] for name in names},
        "weights": " ".join(f"{kind}={weight:g}" for kind, weight in task.spec["fit"]["weights"].items()) or "default",
        "prior": task.spec["fit"]["prior"],
        "geometry_error": result["geometry_error"],
        "energy_error": result["energy_error"],
        **numbers,
        "trusted": bool(good and not values["refused"]),
        "refused": values["refused"],
    }


def _quality(material: str, lines: list[dict]) -> list[dict]:
    """How good bound and estimates of one material are, of geometry and energy."""
    own = [line for line in lines if line["material"] == material and line["trusted"]]
    found = []
    for what in ("geometry", "energy"):
        error = np.array([line[f"{what}_error"] for line in own], dtype=float)
        if len(own) < 2:
            continue

        def ratio(name: str, what=what, error=error) -> np.ndarray:
            values = [line[f"{what}_{name}"] for line in own]
            return np.array([np.inf if v is None else v for v in values], dtype=float) / error

        estimate, spread, bound, deviation = (ratio(name) for name in ("estimate", "spread", "bound", "deviation"))
        found.append(
            {
                "material": material,
                "quantity": what,
                "fits": len(own),
                "refused": sum(1 for line in lines if line["material"] == material and line["refused"]),
                "bound_holds": float(np.mean(bound >= 1)),
                "bound_median": float(np.median(bound)),
                **{f"estimate_{key}": value for key, value in _nearness(estimate, error).items()},
                **{f"spread_{key}": value for key, value in _nearness(spread, error).items()},
                "posterior_covers_95": float(np.mean(1.96 * deviation >= 1)),
                "spread_covers_95": float(np.mean(1.96 * spread >= 1)),
            }
        )
    return found


def _nearness(ratio: np.ndarray, error: np.ndarray) -> dict[str, float]:
    """Share of estimates within the factor, quantiles of estimate / error, rank correlation with the error."""
    low, middle, high = np.quantile(ratio, [0.05, 0.5, 0.95])
    rank = spearmanr(ratio * error, error).statistic if len(np.unique(ratio * error)) > 1 else np.nan
    return {
        "near": float(np.mean((ratio >= 1 / FACTOR) & (ratio <= FACTOR))),
        "median": float(middle),
        "low": float(low),
        "high": float(high),
        "rank_correlation": float(rank),
    }
