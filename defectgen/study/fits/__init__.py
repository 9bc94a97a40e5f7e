"""Question: how fast do the errors of fits to one relaxed cell fall with its radius, used everywhere or beyond a radius only?"""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from ...campaign import Given
from ...training.observations import NOTHING
from ..costs import cost_page, cost_tables
from ..fitting import Fits
from ..interface import Study, Tables
from ..materials import build_lattice
from ..page import Page
from ..rates import RESOLUTION, prediction, rates
from ..run import Run
from ..settings import Case
from ..spec import RunSpec
from ..tasks import TrainingRows, defect_cell
from ..windows import first_radius
from .checks import check_case, check_radii, smallest
from .choices import FitChoicesStudy
from .floors import FitFloorsStudy
from .names import BEYOND, PURE
from .settings import Beyond, FitRates
from .steps import FitBeyond, PureFit
from .tables import beyond_tables, pure_tables

__all__ = ["STUDIES", "FitChoicesStudy", "FitFloorsStudy", "FitRatesStudy"]


class FitRatesStudy(Study[FitRates]):
    """A pure fit per case, training radius, basis and observation set; a fit for all radii beyond which it is used."""

    name = "fits"
    settings = FitRates
    fits = True

    def check(self, spec: RunSpec, asked: FitRates) -> None:
        """Raises InputError for references without site energies, and radii outside the window or the cells."""
        for case in spec.cases:
            _check(spec, asked, case)

    def refuse(self, spec: RunSpec, asked: FitRates) -> str:
        """Rattled training cells, whose floor hides every rate, and degrees that hold no function of the order of a case."""
        if spec.training.configurations or not spec.training.relaxed:
            return "[fits] takes one relaxed cell, since a rattle gives all errors one floor; set training.configurations = 0"
        names = {case.material.name for case in spec.cases}
        if strange := sorted(set(asked.materials) - names):
            return f"fits.materials has {strange[0]!r}, which is the crystal of no case; cases are of {', '.join(sorted(names))}"
        order = max((case.basis.order for case in spec.cases if case.basis is not None), default=0)
        given = self.degrees(asked)
        if given and min(given) < order:
            return f"fits.degrees has {min(given):g}, too small for order {order}; give at least that"
        return ""

    def degrees(self, asked: FitRates) -> tuple[float, ...]:
        """Degrees that rows are made for."""
        beyond = [each.beyond for each in (asked, *asked.materials.values()) if each.beyond is not None]
        return (*asked.degrees, *chain.from_iterable(each.degrees for each in beyond))

    def plan(self, spec: RunSpec, asked: FitRates) -> list[Any]:
        """The fits of every case."""
        return [*chain.from_iterable(_pure(spec, asked, case) for case in spec.cases), *_all_beyond(spec, asked)]

    def tables(self, spec: RunSpec, asked: FitRates, given: Given) -> Tables:
        """Lines of results.csv, their rates, fits_checks.csv, and costs.csv of the pure fits."""
        pure = chain.from_iterable(_pure(spec, asked, case) for case in spec.cases)
        found = pure_tables(pure, given) + beyond_tables(_all_beyond(spec, asked), given)
        lattices = {case.material.name: build_lattice(case.material) for case in spec.cases}
        begins = {(case.material.name, case.defect): first_radius(case) for case in spec.cases}

        def predicted(row: dict, quantity: str, radii: list[float]) -> float | None:
            of = "fit" if row["study"] == PURE else "surrogate"
            return prediction(row["observations"], quantity, lattices[row["material"]], of)

        def begin(row: dict) -> float | None:
            return begins[row["material"], row["defect"]]

        def resolution(row: dict) -> float:
            # the images of a periodic training cell scale with it: the strain that it lacks is L^-d (1 + O(L^-2)), with no shift
            return 0.0 if row["study"] == PURE else RESOLUTION

        priced = chain.from_iterable(_priced(spec, asked, case) for case in spec.cases)
        return found + Tables(rates=rates(found.results, predicted, begin, resolution=resolution)) + cost_tables(priced, given)

    def page(self, run: Run) -> Page:
        """Both errors against the radius, for both kinds of fits, and against the cost of the labels."""
        rows = run.results[run.results["study"].isin([PURE, BEYOND])]
        if rows.empty:
            return Page()
        from .words import fits_page

        return fits_page(run, rows) + cost_page(run, (PURE,))


def _degrees(asked: FitRates, case: Case) -> tuple[float, ...]:
    assert case.basis is not None  # the specification refuses a case without one
    return asked.degrees or (case.basis.degree,)


def _pure(spec: RunSpec, asked: FitRates, case: Case) -> Iterator[PureFit]:
    fits, lattice = Fits(spec), build_lattice(case.material)
    for size in sorted({smallest(lattice, radius) for radius in asked.of(case.material.name).radii}):
        rows = fits.rows(case, size)
        for repeat, degree in enumerate(_degrees(asked, case)):
            for observations in spec.observations:
                yield PureFit(
                    crystal=rows.crystal,
                    exact=fits.exact(case, case.simulation_size, False),
                    rows=rows,
                    basis=fits.basis(case, degree),
                    observations=observations,
                    fit=spec.fit,
                    repeat=repeat,
                )


def _priced(spec: RunSpec, asked: FitRates, case: Case) -> Iterator[tuple[str, PureFit]]:
    """The fits whose labels are priced: those of the basis of the case, or of the largest if that is not fitted."""
    degrees = _degrees(asked, case)
    assert case.basis is not None  # the specification refuses a case without one
    chosen = case.basis.degree if case.basis.degree in degrees else max(degrees)
    yield from ((PURE, step) for step in _pure(spec, asked, case) if step.basis.degree == chosen)


def _all_beyond(spec: RunSpec, asked: FitRates) -> Iterator[FitBeyond]:
    for case in spec.cases:
        if (beyond := asked.of(case.material.name).beyond) is not None:
            yield from _beyond(spec, asked, beyond, case)


def _beyond(spec: RunSpec, asked: FitRates, beyond: Beyond, case: Case) -> Iterator[FitBeyond]:
    fits = Fits(spec)
    rows: TrainingRows = fits.rows(case, smallest(build_lattice(case.material), beyond.training_radius))
    for repeat, degree in enumerate(beyond.degrees or _degrees(asked, case)):
        for observations in ((NOTHING,) if beyond.nothing else ()) + spec.observations:
            yield FitBeyond(
                crystal=rows.crystal,
                exact=fits.exact(case, beyond.simulation_size, False),
                rows=rows,
                basis=fits.basis(case, degree),
                observations=observations,
                fit=spec.fit,
                repeat=repeat,
                radii=tuple(sorted(set(beyond.radii))),
                **(_nonlinear(fits, case, beyond) if not repeat else {}),
            )


def _nonlinear(fits: Fits, case: Case, beyond: Beyond) -> dict[str, Any]:
    """Where the response is checked, and in which cell."""
    if not beyond.nonlinear_at:
        return {}
    size = beyond.simulation_size if beyond.nonlinear_size is None else beyond.nonlinear_size
    return {"checked": fits.exact(case, size, False), "nonlinear_at": beyond.nonlinear_at}


def _check(spec: RunSpec, asked: FitRates, case: Case) -> None:
    check_case(spec, case)
    own = asked.of(case.material.name)
    check_radii(own.radii, "fits.radii", case, case.simulation_size)
    if own.beyond is not None:
        check_radii(own.beyond.radii, "fits.beyond.radii", case, own.beyond.simulation_size)
        if own.beyond.nonlinear_size is not None:
            check_radii(own.beyond.nonlinear_at, "fits.beyond.nonlinear_at", case, own.beyond.nonlinear_size)
        lattice = build_lattice(case.material)
        defect_cell(lattice, case.defect, smallest(lattice, own.beyond.training_radius))


STUDIES = (FitRatesStudy, FitChoicesStudy, FitFloorsStudy)
