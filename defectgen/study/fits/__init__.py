"""Question: how fast do the errors of fits to one relaxed cell fall with its radius, used everywhere or beyond a radius only?"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np

from ..._input import InputError
from ...ace import check_count
from ...campaign import Given
from ...crystal import Lattice
from ...energy.site import SiteEnergy
from ...training.observations import NOTHING
from ..fitting import Fits
from ..interface import Study, Tables
from ..materials import build_lattice, build_reference
from ..page import Page
from ..rates import RESOLUTION, prediction, rates
from ..run import Run
from ..settings import Case
from ..spec import RunSpec
from ..tasks import TrainingRows, box, called, defect_cell
from ..windows import first_radius
from .settings import Beyond, FitRates
from .steps import FitBeyond, PureFit
from .tables import PURE, beyond_tables, pure_tables

__all__ = ["STUDIES", "FitRatesStudy"]


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
        if asked.degrees and min(asked.degrees) < order:
            return f"fits.degrees has {min(asked.degrees):g}, which holds no function of order {order}; give at least that"
        return ""

    def degrees(self, asked: FitRates) -> Iterable[float]:
        """Degrees that rows are made for."""
        return asked.degrees

    def plan(self, spec: RunSpec, asked: FitRates) -> list[Any]:
        """The fits of every case."""
        return [*chain.from_iterable(_pure(spec, asked, case) for case in spec.cases), *_all_beyond(spec, asked)]

    def tables(self, spec: RunSpec, asked: FitRates, given: Given) -> Tables:
        """Lines of results.csv, their rates, and fits_checks.csv."""
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

        return found + Tables(rates=rates(found.results, predicted, begin, resolution=resolution))

    def page(self, run: Run) -> Page:
        """Both errors against the radius, for both kinds of fits."""
        rows = run.results[run.results["study"].str.startswith("fits: ")]
        if rows.empty:
            return Page()
        from .words import fits_page

        return fits_page(run, rows)


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


def _all_beyond(spec: RunSpec, asked: FitRates) -> Iterator[FitBeyond]:
    for case in spec.cases:
        if (beyond := asked.of(case.material.name).beyond) is not None:
            yield from _beyond(spec, asked, beyond, case)


def _beyond(spec: RunSpec, asked: FitRates, beyond: Beyond, case: Case) -> Iterator[FitBeyond]:
    fits = Fits(spec)
    rows: TrainingRows = fits.rows(case, smallest(build_lattice(case.material), beyond.training_radius))
    for repeat, degree in enumerate(_degrees(asked, case)):
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
                nonlinear_at=beyond.nonlinear_at if not repeat else (),
            )


def smallest(lattice: Lattice, radius: float) -> int:
    """Conventional cells along the side of the smallest cube that holds a ball of this radius (spacings)."""
    return int(np.ceil(radius / box(lattice, 1).radius - 1e-6))


def _check(spec: RunSpec, asked: FitRates, case: Case) -> None:
    lattice, truth = build_lattice(case.material), build_reference(case.material)
    if not isinstance(truth, SiteEnergy):
        raise InputError(
            f"[fits] needs the force constants of every wave, and the reference of {case.material.name} is a black box; "
            "choose another"
        )
    largest = Fits(spec).full(case)
    check_count(len(set(lattice.species)), largest.order, largest.degree, largest.w_l, largest.pairs)
    own = asked.of(case.material.name)
    _check_radii(own.radii, "fits.radii", case, lattice, case.simulation_size)
    if own.beyond is not None:
        _check_radii(own.beyond.radii, "fits.beyond.radii", case, lattice, own.beyond.simulation_size)
        defect_cell(lattice, case.defect, smallest(lattice, own.beyond.training_radius))


def _check_radii(radii: tuple[float, ...], key: str, case: Case, lattice: Lattice, size: Any) -> None:
    """The window, chosen before anything is computed: from the core and two cutoffs to the cell of the comparison."""
    if not radii:
        return
    first, cell = first_radius(case), defect_cell(lattice, case.defect, size)
    if first is not None and min(radii) < first:
        raise InputError(
            f"{key} has {min(radii):g} spacings, and rates of {called(case)} begin at {first:.3g}, its core and two cutoffs; use "
            "larger radii"
        )
    if max(radii) >= cell.radius:
        raise InputError(
            f"{key} has {max(radii):g} spacings, out of the cell of {called(case)} in which errors are measured, whose radius is "
            f"{cell.radius:.1f}; use smaller radii or a larger simulation_size"
        )


STUDIES = (FitRatesStudy,)
