"""Lines of results.csv and failures.csv that trials give, whichever study carried them out."""

from collections.abc import Iterable, Sequence

from ..campaign import Given
from .columns import WARNED
from .interface import Tables
from .tasks import FitTrial, Rows, Trial


def trial_tables(trials: Iterable[tuple[str, FitTrial]], given: Given) -> Tables:
    """The lines of trials, each with its entry in the column `study`; a remark on a trial is given once."""
    results, failures, remarked = [], [], set()
    for name, step in trials:
        found = given.get(step)
        if found is None:
            continue
        results.append(trial_line(name, step, found, given[step.rows], given.seconds(step)))
        if step.key not in remarked:
            remarked.add(step.key)
            failures += trial_remarks(step.label, found)
    return Tables(results, failures=failures)


def trial_line(study: str, step: FitTrial, found: Trial, training: Rows, seconds: float) -> dict:
    """One line of results.csv."""
    return {
        "study": study,
        "material": step.crystal.material.name,
        "defect": step.exact.defect,
        "dimension": found.dimension,
        "observations": step.observations,
        "training_size": step.rows.training_size,
        "training_radius": training.radius,
        "training_atoms": training.atoms,
        "basis_functions": found.basis_functions,
        "degree": step.basis.degree,
        "simulation_size": step.exact.size,
        "simulation_atoms": found.simulation_atoms,
        "geometry_error": found.geometry_error,
        "geometry_error_max": found.geometry_error_max,
        "energy_error": found.energy_error,
        "rmse_energy": found.rmse.get("E"),
        "rmse_forces": found.rmse.get("F"),
        "rmse_force_constants": found.rmse.get("FC"),
        "rmse_virial": found.rmse.get("V"),
        "rank": found.rank,
        "condition": found.condition,
        "stability_constant": found.stability_constant,
        "converged": found.converged,
        "same_basin": found.same_basin,
        "seconds": seconds,
        "stable": found.stable,
        "lowest_phonon": found.lowest_phonon,
        "held_out_forces": found.held_out_forces,
    }


def trial_remarks(label: str, found: Trial) -> list[dict]:
    """Why a trial is in no rate, and the warnings of its fit."""
    reasons = []
    if not found.converged:
        reasons.append(f"the model did not relax: {found.message}")
    elif not found.same_basin and found.stable:
        reasons.append(f"the model rests in another basin: {found.why_not}")
    if not found.stable:
        reasons.append(_unstable(found))
    reasons += [WARNED + text for text in found.warnings]
    return [{"label": label, "reason": reason} for reason in reasons]


def trusted(row: dict) -> bool:
    """Whether a line of results.csv belongs in a rate: converged, in the same basin, and stable (theory: setting/stability)."""
    return bool(row["converged"] and row["same_basin"] and row.get("stable") is not False)


def joined(tables: Sequence[Tables]) -> Tables:
    """All tables together."""
    return sum(tables, Tables())


def _unstable(found: Trial) -> str:
    """What a fit without stability has lost."""
    if not found.lowest_phonon > 0:
        return (
            f"the fit does not hold the crystal together: its softest wave has the eigenvalue {found.lowest_phonon:.2g} eV/A^2; "
            "it is in no rate (observe force constants, or fit fewer functions)"
        )
    return (
        f"the model is not stable at the defect: its stability constant is {found.stability_constant:.2g}, and no bound holds; "
        "it is in no rate (train on rattled defect cells, or fit fewer functions)"
    )
