"""Question: how fast does the error fall with the radius L when a model is exact up to L and leaves one thing wrong beyond?"""

from collections.abc import Iterator

from ..._input import InputError
from ...campaign import Given
from ...energy.site import SiteEnergy
from ...surrogate import check_elastic
from ..interface import Study, Tables
from ..materials import build_lattice, build_reference
from ..page import Page
from ..rates import rates_of_fits
from ..run import Run
from ..settings import Case
from ..spec import RunSpec
from ..tasks import Crystal, Exact, box, called
from .scene import errors
from .settings import Surrogates
from .steps import NAME, PointSolve
from .tables import solve_page, solve_tables


class SurrogatesStudy(Study[Surrogates]):
    """One solve per case, observation set, perturbation, strength and radius."""

    name = NAME
    settings = Surrogates

    def check(self, spec: RunSpec, asked: Surrogates) -> None:
        """Raises InputError for a reference without jets, or radii that leave the simulation cell."""
        for case in spec.cases:
            check_radii(asked, case, self.name)
            check_sets(spec, case)

    def plan(self, spec: RunSpec, asked: Surrogates) -> list[PointSolve]:
        """The solves of every case."""
        return [step for case in spec.cases for step in _solves(spec, asked, case)]

    def tables(self, spec: RunSpec, asked: Surrogates, given: Given) -> Tables:
        """Lines of results.csv and their rates."""
        found = solve_tables(NAME, self.plan(spec, asked), given)
        return found + Tables(rates=rates_of_fits(found.results, spec, asked.law))

    def page(self, run: Run) -> Page:
        """Both errors against the radius."""
        return solve_page(run, NAME, "a periodic cell", "The energy error")


def _solves(spec: RunSpec, asked: Surrogates, case: Case) -> Iterator[PointSolve]:
    crystal = Crystal(material=case.material)
    exact = Exact(crystal=crystal, defect=case.defect, size=case.simulation_size, eigenvalue=False)
    for error in errors(asked, spec.observations):
        yield PointSolve(crystal=crystal, exact=exact, defect=case.defect, error=error, title=called(case))


def check_sets(spec: RunSpec, case: Case) -> None:
    """Raises InputError for a set of observations without a surrogate in this crystal."""
    for observations in spec.observations:
        check_elastic(build_lattice(case.material), observations)


def check_radii(asked: Surrogates, case: Case, table: str) -> None:
    """Raises InputError for a reference without jets, or radii that leave the simulation cell."""
    if not isinstance(build_reference(case.material), SiteEnergy):
        raise InputError(
            f"surrogates perturb site energies, and the reference of {case.material.name} is a black box; choose another"
        )
    cell, largest = box(build_lattice(case.material), case.simulation_size), max(asked.radii)
    if largest >= cell.radius:
        raise InputError(
            f"{table}.radii has {largest:g} spacings, out of the simulation cell of {case.material.name}, whose radius is "
            f"{cell.radius:.1f}; use smaller radii or a larger simulation_size (four times the radius shows the rates best)"
        )


STUDIES = (SurrogatesStudy,)
