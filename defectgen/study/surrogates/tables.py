"""What the studies of controlled surrogates share: their lines of results.csv and their figures."""

from collections.abc import Iterable, Iterator
from typing import Any

from ...campaign import Given
from ..interface import Tables
from ..page import Page
from ..run import Run
from .scene import Solve, Solved

LEAD = (
    "The forces are the reference's up to the radius L around the defect, and beyond it carry one controlled error, which "
    "leaves the named observations exact; the difference from the reference's equilibrium is the error shown here."
)


def solve_tables(study: str, solves: Iterable[Solve], given: Given) -> Tables:
    """The lines of results.csv, and why a solve is in no rate."""
    results, failures = [], []
    for step in solves:
        found = given.get(step)
        if found is not None:
            results.append(_line(study, step, found, given.seconds(step)))
            failures += [{"label": step.label, "reason": reason} for reason in _remarks(found)]
    return Tables(results, failures=failures)


def _line(study: str, step: Solve, found: Solved, seconds: float) -> dict:
    error = step.error
    shared = ("dimension", "simulation_atoms", "geometry_error", "geometry_error_max", "energy_error", "energy_error_signed")
    return {
        "study": study,
        "material": step.crystal.material.name,
        "defect": step.defect,
        "observations": error.observations,
        "training_size": error.radius,
        "training_radius": error.radius,
        "training_atoms": found.training_atoms,
        **{name: getattr(found, name) for name in (*shared, "simulation_radius", "converged", "same_basin")},
        "perturbation": error.perturbation,
        "strength": error.strength,
        "shifts": error.shifts,
        "seconds": seconds,
    }


def _remarks(found: Solved) -> Iterator[str]:
    if not found.converged:
        yield f"the mixed forces were reduced to {found.reduction:.1e} of their start only"
    elif not found.same_basin:
        yield "the difference is too large for a perturbation; use a smaller strength"


def solve_page(run: Run, study: str, where: str, energy: str) -> Page:
    """A figure per case: both errors against the radius of exact forces; `where` it was solved, which `energy` is meant."""
    rows = run.results[run.results["study"] == study]
    if rows.empty:
        return Page()
    from ...plot.convergence import convergence_pictures, span

    def caption(material: str, defect: str, own: Any) -> str:
        return (
            f"{material} {defect}: error made by a surrogate whose forces are the reference's up to the radius L and carry one "
            f"perturbation beyond, which leaves the named observations exact; in {where} of "
            f"{span(own['simulation_atoms'])} atoms. {energy} is a sum of absolute contributions."
        )

    drawn = tuple(convergence_pictures(rows, run.rates, caption, "radius of exact forces"))
    return Page((LEAD,), figures=drawn, compared=frozenset({study}))
