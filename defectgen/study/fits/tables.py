"""Lines of results.csv of both kinds of fits, and the check of the response by nonlinear equilibria: fits_checks.csv."""

from collections.abc import Iterable, Iterator

from ...campaign import Given
from ..columns import WARNED
from ..interface import Tables
from ..tasks import Rows
from .names import BEYOND, PURE
from .steps import ACCURACY, Check, Curve, FitBeyond, FloorFit, Point, Pure, PureFit

CHECKS = "fits_checks"
"""The table of responses and nonlinear equilibria at the same radii."""


def pure_tables(steps: Iterable[PureFit], given: Given, study: str = PURE) -> Tables:
    """The lines of pure fits, each with `study` in the column of this name, and why one is in no rate."""
    results, failures = [], []
    for step in steps:
        found = given.get(step)
        if found is None:
            continue
        results.append(pure_line(study, step, found, given[step.rows], given.seconds(step)))
        failures += [{"label": step.label, "reason": reason} for reason in remarks(found)]
    return Tables(results, failures=failures)


def beyond_tables(steps: Iterable[FitBeyond], given: Given) -> Tables:
    """The lines of fits used beyond a radius, one for every radius, and the checks of their response."""
    results, failures, checks = [], [], []
    for step in steps:
        found = given.get(step)
        if found is None:
            continue
        rows, seconds = given[step.rows], given.seconds(step)
        for point in found.points:
            results.append(_beyond(step, found, point, rows, seconds / len(found.points)))
        for check in found.checks:
            checks.append(_check(step, found, check))
            if not check.converged:
                reason = (
                    f"{WARNED}the nonlinear equilibrium that checks the response stopped at a relative residual of "
                    f"{check.residual:.0e}, above {ACCURACY:g}"
                )
                failures.append({"label": f"{step.label} = {check.radius:g}", "reason": reason})
        failures += [{"label": step.label, "reason": WARNED + text} for text in found.warnings]
    return Tables(results, failures=failures, others={CHECKS: checks} if checks else {})


def _case(study: str, step: PureFit | FitBeyond | FloorFit, dimension: int) -> dict:
    return {
        "study": study,
        "material": step.crystal.material.name,
        "defect": step.rows.defect,
        "dimension": dimension,
        "observations": step.observations,
        "training_size": step.rows.training_size,
    }


def _fit(step: PureFit | FitBeyond | FloorFit, found: Pure | Curve, rows: Rows) -> dict:
    return {
        "rmse_energy": found.rmse.get("E"),
        "rmse_forces": found.rmse.get("F"),
        "rmse_force_constants": found.rmse.get("FC"),
        "rmse_virial": found.rmse.get("V"),
        "perturbation": step.repeat,
        "fit_radius": rows.radius,
        "lowest_phonon": found.lowest_phonon,
    }


def pure_line(study: str, step: PureFit | FloorFit, found: Pure, rows: Rows, seconds: float) -> dict:
    """A line of results.csv."""
    return {
        **_case(study, step, found.dimension),
        "training_radius": rows.radius,
        "training_atoms": rows.atoms,
        "basis_functions": found.functions,
        "degree": step.basis.degree,
        "simulation_atoms": found.simulation_atoms,
        "geometry_error": found.geometry_error,
        "geometry_error_max": found.geometry_error_max,
        "energy_error": found.energy_error,
        "energy_error_signed": found.energy_error_signed,
        **_fit(step, found, rows),
        "rank": found.rank,
        "condition": found.condition,
        "converged": found.converged,
        "same_basin": found.same_basin,
        "seconds": seconds,
    }


def _beyond(step: FitBeyond, found: Curve, point: Point, rows: Rows, seconds: float) -> dict:
    return {
        **_case(BEYOND, step, found.dimension),
        "training_radius": point.radius,
        "training_atoms": point.training_atoms,
        "basis_functions": found.functions,
        "degree": step.basis.degree,
        "simulation_atoms": found.simulation_atoms,
        "geometry_error": point.geometry_error,
        "geometry_error_max": point.geometry_error_max,
        "energy_error": abs(point.energy_error_signed),
        "energy_error_signed": point.energy_error_signed,
        **_fit(step, found, rows),
        "converged": True,
        "same_basin": found.stable,
        "seconds": seconds,
    }


def _check(step: FitBeyond, found: Curve, check: Check) -> dict:
    return {
        **_case(BEYOND, step, found.dimension),
        "training_radius": check.radius,
        "simulation_atoms": check.atoms,
        "response_geometry": check.response,
        "nonlinear_geometry": check.nonlinear,
        "geometry_ratio": check.response / check.nonlinear,
        "relative_residual": check.residual,
    }


def remarks(found: Pure) -> Iterator[str]:
    """Why a fit is in no rate, and its warnings."""
    if not found.converged:
        yield f"the model did not relax: {found.message}"
    elif not found.same_basin:
        yield f"the model rests in another state: {found.why_not}"
    yield from (WARNED + text for text in found.warnings)
