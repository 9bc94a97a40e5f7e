"""The tables of the study of transfer: every cell of the matrix, and the elastic constants of every fit."""

from collections.abc import Iterable

from ...campaign import Given
from ..interface import Tables
from ..results import trial_line, trial_remarks
from ..tasks import FitTrial, Trial
from .steps import NAME, FitElasticity

PLAIN = "as designed"
"""The name of the run file as it is, where there are no variants."""
ELASTICITY = "transfer_elasticity"
HELD, UNSTABLE, STRAYED, LOST = "same state", "unstable", "another basin", "not relaxed"
"""What became of a defect under a fit; only the first has an error that means anything."""


def study_name(variant: str) -> str:
    """The entry of a variant in the column `study`."""
    return f"{NAME}: {variant}"


def state(found: Trial) -> str:
    """The state of the defect after its relaxation with a fit.

    Without stability of the crystal or of the defect no minimum is known (theory: setting/stability): unstable comes first.
    """
    if not found.converged:
        return LOST
    return UNSTABLE if not found.stable else HELD if found.same_basin else STRAYED


def tables(trials: Iterable[tuple[str, FitTrial]], elasticities: Iterable[tuple[str, FitElasticity]], given: Given) -> Tables:
    """Lines of results.csv, transfer.csv and transfer_elasticity.csv."""
    results, failures, cells = [], [], []
    for variant, step in trials:
        found = given.get(step)
        if found is None:
            continue
        row = trial_line(study_name(variant), step, found, given[step.rows], given.seconds(step))
        row |= {"trained_on": step.rows.defect, "state": state(found)}
        results.append(row)
        cells.append({"variant": variant, **row})
        failures += trial_remarks(step.label, found)
    own = {_key(cell, cell["defect"]): cell for cell in cells if cell["defect"] == cell["trained_on"]}
    table = [_cell(cell, own.get(_key(cell, cell["defect"]))) for cell in cells]
    constants = [
        {
            "variant": variant,
            "material": step.crystal.material.name,
            "trained_on": step.trial.rows.defect,
            "observations": step.trial.observations,
            "elastic_factor": found.factor,
            "elastic_rest": found.rest,
        }
        for variant, step in elasticities
        if (found := given.get(step)) is not None
    ]
    return Tables(results, failures=failures, others={n: t for n, t in ((NAME, table), (ELASTICITY, constants)) if t})


def _key(cell: dict, defect: str) -> tuple:
    """The fit of the same variant and observations that was trained on a defect."""
    return cell["variant"], cell["material"], cell["observations"], defect


def _cell(cell: dict, own: dict | None) -> dict:
    """A line of transfer.csv; ratios to the fit trained on the defect itself, None unless it is stable under both."""
    about = ("variant", "material", "trained_on", "defect", "observations", "training_radius", "training_atoms")
    errors = ("basis_functions", "simulation_atoms", "geometry_error", "energy_error", "rmse_forces", "state")
    both = own is not None and cell["state"] == own["state"] == HELD
    ratios = {
        f"{quantity}_ratio": cell[f"{quantity}_error"] / own[f"{quantity}_error"]
        if both and own is not None and own[f"{quantity}_error"]
        else None
        for quantity in ("geometry", "energy")
    }
    return {**{name: cell[name] for name in (*about, *errors)}, **ratios}
