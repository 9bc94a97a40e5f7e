"""From records to the tables of a run: one row per trial, one row per rate, one row per failure."""

from ..campaign import Record, Task
from . import (
    barriers,
    boundary,
    bounds,
    cell_size,
    certificates,
    choices,
    design,
    dislocations,
    diversity,
    fit_accuracy,
    loss,
    mixing,
    surrogates,
)
from .materials import build_lattice
from .plan import STEPS, SURROGATE, Kitchen
from .rates import rates_of
from .spec import RunSpec
from .tabulation import Tables


def tables(spec: RunSpec, outcome: list[tuple[Task, Record]]) -> Tables:
    """All tables of a run, from its tasks and their records; tasks that failed appear among the failures, with the reason."""
    records = {task.key: record for task, record in outcome}
    failures = [{"label": task.label, "reason": record.failed} for task, record in outcome if not record.ok]
    results, remarked, terms = [], set(), []
    origin: dict[str, int] = {}
    bound_of = {task.after[-1].key: (task, record) for task, record in outcome if task.function == bounds.TASK and record.ok}
    for study in (cell_size, fit_accuracy):
        name, asked = study.NAME, {task.key for task in study.plan(spec, Kitchen(spec))}
        for task, record in outcome:
            if task.key in asked and task.function == f"{STEPS}:trial" and record.ok:
                origin.setdefault(task.key, len(results))
                results.append(_row(name, task, record, records))
                failures += [] if task.key in remarked else _remarks(task, record)  # a trial may be in both tables
                remarked.add(task.key)
                terms += bounds.rows(*bound_of[task.key], results[-1]) if task.key in bound_of else []
    named = choices.variants_of(spec)
    for task, record in outcome:
        for variant in named.get(task.key, []) if record.ok else []:
            origin.setdefault(task.key, len(results))
            results.append(_row(choices.label(variant), task, record, records))
            failures += [] if task.key in remarked else _remarks(task, record)
            remarked.add(task.key)
            terms += bounds.rows(*bound_of[task.key], results[-1]) if task.key in bound_of else []
    by_loss = loss.named(spec)
    for task, record in outcome:
        if task.key in by_loss and record.ok:
            extra = {name: record.values[name] for name in ("rmse_elastic_constants", "rmse_formation_energy")}
            results.append({**_row(by_loss[task.key], task, record, records), **extra})
            failures += _remarks(task, record)
    for task, record in outcome:
        if task.function == SURROGATE and record.ok:
            results.append(mixing.row(surrogates.NAME, task, record))
            failures += mixing.remarks(task, record)
    lattices = {case.material.name: build_lattice(case.material) for case in spec.cases}
    measured = {bounds.NAME: terms, bounds.RATES: bounds.rates(terms)}
    tables = Tables(results, rates_of(results, lattices), failures, {name: lines for name, lines in measured.items() if lines})
    return (
        tables
        + certificates.harvest(outcome, results, origin)
        + design.harvest(outcome)
        + choices.worth(results)
        + loss.harvest(spec, outcome, results)
        + boundary.harvest(spec, outcome)
        + dislocations.harvest(spec, outcome)
        + barriers.harvest(spec, outcome)
        + diversity.harvest(spec, outcome)
    )


def _row(study: str, task: Task, record: Record, records: dict[str, Record]) -> dict:
    spec, values = task.spec, record.values
    training = records[task.after[2].key].values
    return {
        "study": study,
        "material": spec["material"]["name"],
        "defect": spec["defect"],
        "dimension": values["dimension"],
        "observations": spec["observations"],
        "training_size": spec["training_size"],
        "training_radius": training["radius"],
        "training_atoms": training["atoms"],
        "basis_functions": values["basis_functions"],
        "degree": spec["basis"]["degree"],
        "simulation_size": spec["size"],
        "simulation_atoms": values["simulation_atoms"],
        "geometry_error": values["geometry_error"],
        "geometry_error_max": values["geometry_error_max"],
        "energy_error": values["energy_error"],
        "rmse_energy": values["rmse_energy"],
        "rmse_forces": values["rmse_forces"],
        "rmse_force_constants": values["rmse_force_constants"],
        "rmse_virial": values["rmse_virial"],
        "rank": values["rank"],
        "condition": values["condition"],
        "stability_constant": values["stability_constant"],
        "converged": values["converged"],
        "same_basin": values["same_basin"],
        "seconds": record.seconds,
        "stable": values.get("stable"),
        "lowest_phonon": values.get("lowest_phonon"),
        "held_out_forces": values.get("held_out_forces"),
    }


def _remarks(task: Task, record: Record) -> list[dict]:
    """What a trial that ran has to confess; where the model did not reach the defect it is plotted hollow and in no rate."""
    values, found = record.values, []
    if not values["converged"]:
        found.append({"label": task.label, "reason": f"the model did not relax: {values['message']}"})
    elif not values["same_basin"] and values.get("stable") is not False:
        found.append({"label": task.label, "reason": f"the model rests in another basin: {values['why_not']}"})
    if values.get("stable") is False:
        found.append({"label": task.label, "reason": _unstable(values)})
    return found + [{"label": task.label, "reason": f"a fit with a reservation: {text}"} for text in values["warnings"]]


def _unstable(values: dict) -> str:
    """What a fit without stability has lost."""
    if values["lowest_phonon"] <= 0:
        return (
            f"the fit does not hold the crystal together: its softest wave has the eigenvalue {values['lowest_phonon']:.2g} "
            "eV/A^2; it is in no rate (observe force constants, or fit fewer functions)"
        )
    return (
        f"the model is not stable at the defect: its stability constant is {values['stability_constant']:.2g}, and no bound "
        "holds; it is in no rate (train on rattled defect cells, or fit fewer functions)"
    )
