"""Question: where do errors of fits stop, as the basis grows? The cap of one relaxed cell, and the floor of rattled cells."""

from collections.abc import Iterator

from ..._input import InputError
from ...campaign import Given
from ..fitting import Fits
from ..interface import Study, Tables
from ..materials import build_lattice
from ..page import Page
from ..run import Run
from ..settings import Case
from ..spec import RunSpec
from ..tasks import called
from .checks import check_case, smallest
from .names import RATTLED, RELAXED
from .settings import FitFloors
from .steps import FloorFit
from .tables import pure_line, remarks

NAME = "fit_floors"


class FitFloorsStudy(Study[FitFloors]):
    """One fit per case, way to train, basis and observation set, at one training cell."""

    name = NAME
    settings = FitFloors
    fits = True

    def check(self, spec: RunSpec, asked: FitFloors) -> None:
        """Raises InputError for references without site energies, and bases without a function of their order."""
        for case in spec.cases:
            bases = asked.of(case.material.name)
            assert case.basis is not None  # the specification refuses a case without one
            if min(bases.degrees) < case.basis.order:
                raise InputError(
                    f"{NAME}.degrees has {min(bases.degrees):g}, too small for order {case.basis.order} for "
                    f"{called(case)}; give at least that"
                )
            check_case(spec, _widest(case, asked))

    def plan(self, spec: RunSpec, asked: FitFloors) -> list[FloorFit]:
        """The fits."""
        return [step for _, step in _steps(spec, asked)]

    def tables(self, spec: RunSpec, asked: FitFloors, given: Given) -> Tables:
        """Lines of results.csv; these are no curves in the radius, so there are no rates."""
        results, failures = [], []
        for study, step in _steps(spec, asked):
            found = given.get(step)
            if found is None:
                continue
            line = pure_line(study, step, found.errors, given[step.rows], given.seconds(step))
            results.append({**line, "held_out_forces": found.held_out})
            failures += [{"label": step.label, "reason": reason} for reason in remarks(found.errors)]
        return Tables(results, failures=failures)

    def page(self, run: Run) -> Page:
        """Errors against the number of functions, with cap and floor in sentences."""
        rows = run.results[run.results["study"].isin([RELAXED, RATTLED])]
        if rows.empty:
            return Page()
        from .floors_words import floors_page

        return floors_page(rows)


def _widest(case: Case, asked: FitFloors) -> Case:
    """The case with the largest of its bases: that of its rows."""
    assert case.basis is not None  # the specification refuses a case without one
    degree = max(asked.of(case.material.name).degrees)
    return case.model_copy(update={"basis": case.basis.model_copy(update={"degree": degree})})


def _steps(spec: RunSpec, asked: FitFloors) -> Iterator[tuple[str, FloorFit]]:
    """The fits, each with its entry in the column `study`."""
    rattled = spec.training.model_copy(update={"configurations": asked.copies, "rattle": asked.rattle})
    for study, training in ((RELAXED, spec.training), (RATTLED, rattled)):
        fits = Fits(spec.model_copy(update={"training": training}))
        for case in (_widest(case, asked) for case in spec.cases):
            bases = asked.of(case.material.name)
            rows = fits.rows(case, smallest(build_lattice(case.material), bases.radius))
            for degree in sorted(set(bases.degrees)):
                for observations in spec.observations:
                    yield (
                        study,
                        FloorFit(
                            crystal=rows.crystal,
                            exact=fits.exact(case, case.simulation_size, False),
                            rows=rows,
                            basis=fits.basis(case, degree),
                            observations=observations,
                            fit=spec.fit,
                            rest=fits.exact(case, rows.training_size, False),
                            copies=asked.held_out,
                            rattle=asked.rattle,
                        ),
                    )
