"""Question: how fast does the error of a migration barrier fall with the radius L up to which a model is exact?"""

from collections.abc import Iterator

from ...campaign import Given
from ..interface import Study, Tables
from ..page import Page
from ..rates import rates_of_fits
from ..run import Run
from ..settings import Case
from ..spec import RunSpec
from ..surrogates import check_radii, check_sets
from ..surrogates.scene import errors
from ..surrogates.settings import Surrogates
from ..surrogates.tables import solve_page, solve_tables
from ..tasks import Crystal, called
from .fitted import FitBarriersStudy, check_vacancy
from .steps import NAME, Hop, HopSolve, Pass


class Barriers(Surrogates):
    """Error of the barrier of a hop into a vacancy, against the radius around it (theory: bounds/barriers)."""


class BarriersStudy(Study[Barriers]):
    """Minimum and saddle point of each case, then a solve at both per observation set, perturbation, strength and radius."""

    name = NAME
    settings = Barriers

    def check(self, spec: RunSpec, asked: Barriers) -> None:
        """Raises InputError for defects that are no vacancy, black boxes, and radii that leave the simulation cell."""
        for case in spec.cases:
            check_vacancy(case.material, case.defect, case.simulation_size)
            check_radii(asked, case, self.name)
            check_sets(spec, case)

    def plan(self, spec: RunSpec, asked: Barriers) -> list[HopSolve]:
        """The solves of every case."""
        return [step for case in spec.cases for step in _solves(spec, asked, case)]

    def tables(self, spec: RunSpec, asked: Barriers, given: Given) -> Tables:
        """Errors and rates, and barriers.csv about the barriers themselves."""
        solves = self.plan(spec, asked)
        found = solve_tables(NAME, solves, given)
        hops = {step.exact.key: step.exact for step in solves}.values()
        table = [_line(hop, there) for hop in hops if (there := given.get(hop)) is not None]
        return found + Tables(rates=rates_of_fits(found.results, spec, asked.law), others={NAME: table} if table else {})

    def page(self, run: Run) -> Page:
        """Both errors against the radius."""
        return solve_page(run, NAME, "a periodic cell", "Geometry of the saddle point; the error of the barrier")


def _solves(spec: RunSpec, asked: Barriers, case: Case) -> Iterator[HopSolve]:
    crystal = Crystal(material=case.material)
    exact = Hop(crystal=crystal, defect=case.defect, size=case.simulation_size)
    for error in errors(asked, spec.observations):
        yield HopSolve(crystal=crystal, exact=exact, defect=case.defect, error=error, title=f"{called(case)} hop")


def _line(hop: Hop, found: Pass) -> dict:
    return {
        "material": hop.crystal.material.name,
        "defect": hop.defect,
        "barrier": found.barrier,
        "formation_energy": found.formation_energy,
        "lowest_eigenvalue": found.saddle.scalars["eigenvalue"],
    }


STUDIES = (BarriersStudy, FitBarriersStudy)
