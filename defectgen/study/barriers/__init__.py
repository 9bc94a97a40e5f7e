"""Question: how fast does the error of a migration barrier fall with the radius L up to which a model is exact?"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._input import InputError
from ...campaign import Given, Step
from ...crystal import Cell
from ...relax import migration_barrier
from ...surrogate import far_field, sites_of
from ..interface import Study, Tables
from ..materials import build_lattice
from ..page import Page
from ..rates import rates_of_fits
from ..run import Run
from ..settings import Case
from ..spec import RunSpec
from ..surrogates import check_radii
from ..surrogates.scene import Scene, Solve, Solved, errors, solve_page, solve_tables
from ..tasks import Crystal, Rest, called, defect_cell, kept, truth_of
from .settings import Barriers

NAME = "barriers"


@dataclass(frozen=True, eq=False)
class Pass:
    """A minimum and the saddle point that an atom hops across."""

    barrier: float
    """eV."""
    atom: int
    """The atom that hops."""
    minimum: Rest
    saddle: Rest


@dataclass(frozen=True, eq=False, kw_only=True)
class Hop(Step[Pass]):
    """The hop into a vacancy with the reference."""

    crystal: Crystal
    defect: str
    size: Any
    """Of the simulation cell."""

    @property
    def label(self) -> str:
        return f"{self.crystal.material.name} {self.defect} hop reference"

    @property
    def weight(self) -> float:
        return 3.0

    def cell(self, given: Given) -> Cell:
        """The unrelaxed vacancy."""
        return defect_cell(given[self.crystal].lattice(self.crystal.material), self.defect, self.size)

    def run(self, given: Given) -> Pass:
        """Minimum and saddle point."""
        found = migration_barrier(self.cell(given), truth_of(self.crystal.material))
        if not found.converged:
            raise InputError(f"no barrier was found: {found.minimum.message}; {found.saddle.message}")
        return Pass(found.energy, found.atom, Rest.of(found.minimum), Rest.of(found.saddle))


@dataclass(frozen=True, eq=False, kw_only=True)
class HopSolve(Solve):
    """Saddle point and minimum with the surrogate's forces beyond the radius, against the reference's.

    Geometry errors are those of the saddle point. The energy error is that of the barrier: the sum over sites of what the
    surrogate adds to the one state and not to the other, in absolute values, and the difference of the works of the inner
    forces.
    """

    exact: Hop

    def run(self, given: Given) -> Solved:
        """Solve and compare."""

        def made() -> Scene:
            cell, found = self.exact.cell(given), given[self.exact]
            states = [found.minimum.at(cell), found.saddle.at(cell)]
            return Scene(truth_of(self.crystal.material), states, self.error.reach, sites_of)

        scene = kept((NAME, self.exact.key, self.error.reach), made)
        far = far_field(scene.cell, scene.surrogate(self.error), self.error.radius, scene.sites)
        low, high = scene.mixed(far)
        pairs = zip(scene.states, (low, high), strict=True)
        added = [far.energies(state.displacement + found.difference) for state, found in pairs]
        return scene.solved(self.error.radius, [low, high], high.work - low.work, added[1] - added[0])


class BarriersStudy(Study[Barriers]):
    """Minimum and saddle point of each case, then a solve at both per observation set, perturbation, strength and radius."""

    name = NAME
    settings = Barriers

    def check(self, spec: RunSpec, asked: Barriers) -> None:
        """Raises InputError for defects that are no vacancy, black boxes, and radii that leave the simulation cell."""
        for case in spec.cases:
            cell = defect_cell(build_lattice(case.material), case.defect, case.simulation_size)
            if len(cell.site_positions) != len(cell) + 1 or np.any(cell.sites < 0):
                raise InputError(f"a barrier is that of a hop into a vacancy; got the defect {case.defect}: use vacancy")
            check_radii(asked, case, self.name)

    def plan(self, spec: RunSpec, asked: Barriers) -> list[HopSolve]:
        """The solves of every case."""
        return [step for case in spec.cases for step in _solves(spec, asked, case)]

    def tables(self, spec: RunSpec, asked: Barriers, given: Given) -> Tables:
        """Errors and rates, and barriers.csv about the barriers themselves."""
        solves = self.plan(spec, asked)
        found = solve_tables(NAME, solves, given)
        hops = {step.exact.key: step.exact for step in solves}.values()
        table = [_line(hop, there) for hop in hops if (there := given.get(hop)) is not None]
        return found + Tables(rates=rates_of_fits(found.results, spec), others={NAME: table} if table else {})

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
        "formation_energy": found.minimum.scalars["energy"],
        "lowest_eigenvalue": found.saddle.scalars["lowest_eigenvalue"],
    }


STUDIES = (BarriersStudy,)
