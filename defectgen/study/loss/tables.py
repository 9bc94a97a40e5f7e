"""The tables of a study of losses: every loss with its settings, errors and place on the fronts; the response to every weight."""

from collections.abc import Iterable

import numpy as np

from ...campaign import Given
from ...fit import DEFAULT_WEIGHTS, Loss, spelled
from ...training import undominated
from ...training.observations import KINDS, TARGETS, parts_of
from ..interface import Tables
from ..results import trial_line, trial_remarks
from ..spec import RunSpec
from .losses import NAME, called, default_of, designs, listed
from .steps import RMSE, LossTrial, Sensitivities

SENSITIVITY = "loss_sensitivity"
DESIGNED = "as designed"
_QUANTITIES = {"geometry": "geometry_error", "energy": "energy_error", "forces": "rmse_forces"}
"""What a Pareto front is drawn in: two errors of the defect and that of the fit."""


def tables(spec: RunSpec, trials: Iterable[LossTrial], sensitivities: Iterable[Sensitivities], given: Given) -> Tables:
    """The lines of results.csv, losses.csv (a line per loss, every setting and error) and loss_sensitivity.csv."""
    results, own, failures = [], {}, []
    for step in trials:
        found = given.get(step)
        if found is not None:
            row = trial_line(f"{NAME}: {step.name}", step, found, given[step.rows], given.seconds(step))
            row |= {"rmse_elastic_constants": found.rmse.get("C"), "rmse_formation_energy": found.rmse.get("Ef")}
            results.append(row)
            own[row["material"], row["defect"], step.name] = row
            failures += trial_remarks(step.label, found)
    lines = []
    for case in spec.cases:
        place = case.material.name, case.defect
        mine = [(loss, row) for loss in listed(spec) if (row := own.get((*place, called(spec, loss)))) is not None]
        base = own.get((*place, called(spec, default_of(spec))))
        rows = [row for _, row in mine]
        fronts = zip(_front(rows, tuple(_QUANTITIES.values())), _front(rows, ("geometry_error", "energy_error")), strict=True)
        lines += [_line(spec, loss, row, base, *on) for (loss, row), on in zip(mine, fronts, strict=True)]
    slopes = [
        {"material": step.trial.crystal.material.name, "defect": step.trial.rows.defect, "observations": step.trial.observations}
        | {"knob": knob, "quantity": quantity, "slope": float(slope)}
        for step in sensitivities
        if (found := given.get(step)) is not None
        for quantity, values in found.slopes.items()
        for knob, slope in zip(found.knobs, values, strict=True)
    ]
    others = {name: table for name, table in (("losses", lines), (SENSITIVITY, slopes)) if table}
    return Tables(results, failures=failures, others=others)


def _line(spec: RunSpec, loss: Loss, row: dict, base: dict | None, front: bool, defect_front: bool) -> dict:
    """A line of losses.csv: the loss, every setting, every error, and how both errors compare with the default's."""
    parts = parts_of(loss.observations.split("+"))
    weights = {kind: DEFAULT_WEIGHTS[kind] if kind in parts else None for kind in (*KINDS, "V0", *TARGETS)}
    weights |= {kind: value for kind, value in loss.weights.items() if kind in weights}
    exact = loss.constraints.items() if isinstance(loss.constraints, dict) else ((name, None) for name in loss.constraints)
    about = ("material", "defect", "training_size", "training_radius", "basis_functions", "simulation_atoms")
    errors = ("geometry_error", "geometry_error_max", "energy_error", *RMSE.values())
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
        "weight": "" if loss.weight is None else str(loss.weight),
        "residual": spelled({"residual": loss.residual}) if loss.residual else "",
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


def _usable(row: dict) -> bool:
    """Whether the model reached the same state and is stable there."""
    return bool(row["converged"] and row["same_basin"])


def _ratio(row: dict, base: dict | None, column: str) -> float | None:
    return row[column] / base[column] if base is not None and base[column] else None


def _front(rows: list[dict], columns: tuple[str, ...]) -> list[bool]:
    """Whether no other trusted loss is at least as good in all of these errors, and better in one."""
    errors = [[row[name] if _usable(row) else np.inf for name in columns] for row in rows]
    return undominated(np.array(errors, dtype=float).reshape(len(rows), len(columns))).tolist()
