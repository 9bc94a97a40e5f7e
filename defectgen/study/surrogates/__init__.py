"""Question: how fast does the error fall with the radius L when a model is exact up to L and leaves one thing wrong beyond?"""

from collections.abc import Iterator
from dataclasses import dataclass

from ..._input import InputError
from ...campaign import Given
from ...energy.site import SiteEnergy
from ...surrogate import far_field, sites_of
from ..interface import Study, Tables
from ..materials import build_lattice, build_reference
from ..page import Page
from ..rates import rates_of_fits
from ..run import Run
from ..settings import Case
from ..spec import RunSpec
from ..tasks import Crystal, Exact, box, called, kept, truth_of
from .scene import Scene, Solve, Solved, errors, solve_page, solve_tables
from .settings import Surrogates

NAME = "surrogates"


@dataclass(frozen=True, eq=False, kw_only=True)
class PointSolve(Solve):
    """A point defect with the surrogate's forces beyond the radius, against the reference's equilibrium."""

    exact: Exact

    @property
    def weight(self) -> float:
        return 1.0 + 2.0 * ("V" in self.error.observations.split("+"))

    def run(self, given: Given) -> Solved:
        """Solve and compare."""

        def made() -> Scene:
            state = given[self.exact].at(self.exact.cell(given))
            return Scene(truth_of(self.crystal.material), [state], self.error.reach, sites_of)

        scene = kept((NAME, self.exact.key, self.error.reach), made)
        far = far_field(scene.cell, scene.surrogate(self.error), self.error.radius, scene.sites)
        (found,) = scene.mixed(far)
        energies = far.energies(scene.states[0].displacement + found.difference)
        return scene.solved(self.error.radius, [found], found.work, energies)


class SurrogatesStudy(Study[Surrogates]):
    """One solve per case, observation set, perturbation, strength and radius."""

    name = NAME
    settings = Surrogates

    def check(self, spec: RunSpec, asked: Surrogates) -> None:
        """Raises InputError for a reference without jets, or radii that leave the simulation cell."""
        for case in spec.cases:
            check_radii(asked, case, self.name)

    def plan(self, spec: RunSpec, asked: Surrogates) -> list[PointSolve]:
        """The solves of every case."""
        return [step for case in spec.cases for step in _solves(spec, asked, case)]

    def tables(self, spec: RunSpec, asked: Surrogates, given: Given) -> Tables:
        """Lines of results.csv and their rates."""
        found = solve_tables(NAME, self.plan(spec, asked), given)
        return found + Tables(rates=rates_of_fits(found.results, spec))

    def page(self, run: Run) -> Page:
        """Both errors against the radius."""
        return solve_page(run, NAME, "a periodic cell", "The energy error")


def _solves(spec: RunSpec, asked: Surrogates, case: Case) -> Iterator[PointSolve]:
    crystal = Crystal(material=case.material)
    exact = Exact(crystal=crystal, defect=case.defect, size=case.simulation_size, eigenvalue=False)
    for error in errors(asked, spec.observations):
        yield PointSolve(crystal=crystal, exact=exact, defect=case.defect, error=error, title=called(case))


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
