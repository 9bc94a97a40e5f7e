"""Question: how fast does the error of a dislocation fall with the radius L around its line up to which a model is exact?"""

from collections.abc import Iterator

import numpy as np

from ..._input import InputError
from ...campaign import Given
from ...elastic.dislocation import elastic_field, slip_frame, slip_system
from ...energy.site import SiteEnergy
from ...errors.predicted_rates import dislocation_rate
from ...surrogate.dislocated import RIM
from ..interface import Study, Tables
from ..materials import build_lattice as build_lattice
from ..materials import build_reference as build_reference
from ..page import Page
from ..rates import rates
from ..run import Run
from ..settings import Case
from ..spec import RunSpec
from ..surrogates import check_sets
from ..surrogates.scene import errors
from ..surrogates.settings import Beyond
from ..surrogates.tables import solve_page, solve_tables
from ..tasks import Crystal, called, truth_of
from .checks import check_lines
from .fitted import FitDislocationsStudy
from .steps import NAME, Line, LineSolve


class Dislocations(Beyond):
    """Error of a straight dislocation against the radius around its line (theory: bounds/dislocations).

    The defects of the cases are "edge" or "screw", their simulation_size the radius of the free cylinder in nearest-neighbour
    spacings.
    """


class DislocationsStudy(Study[Dislocations]):
    """The relaxed dislocation of each case, then a solve per observation set, perturbation, strength and radius."""

    name = NAME
    settings = Dislocations
    boxed = False
    alone = "a dislocation lies in a cylinder, other defects in a box"

    def check(self, spec: RunSpec, asked: Dislocations) -> None:
        """Raises InputError for crystals without such a dislocation, black boxes, and radii that leave the cylinder."""
        for case in spec.cases:
            check_lines(NAME, asked.radii, case)
            check_sets(spec, case)

    def plan(self, spec: RunSpec, asked: Dislocations) -> list[LineSolve]:
        """The solves of every case."""
        return [step for case in spec.cases for step in _solves(spec, asked, case)]

    def tables(self, spec: RunSpec, asked: Dislocations, given: Given) -> Tables:
        """Errors and rates, and dislocations.csv about the dislocations themselves."""
        solves = self.plan(spec, asked)
        found = solve_tables(NAME, solves, given)
        lines = {step.exact.key: step.exact for step in solves}.values()
        cores = [_core(line, given) for line in lines if given.get(line) is not None]
        return found + Tables(rates=rates(found.results, _predicted, law=asked.law), others={NAME: cores} if cores else {})

    def page(self, run: Run) -> Page:
        """Both errors against the radius."""
        return solve_page(run, NAME, "a clamped cylinder", "The energy error, per period of the line,")


def _solves(spec: RunSpec, asked: Dislocations, case: Case) -> Iterator[LineSolve]:
    assert isinstance(case.simulation_size, int)  # `check_lines` refuses others
    crystal = Crystal(material=case.material)
    exact = Line(crystal=crystal, slip=case.defect, radius=case.simulation_size)
    for error in errors(asked, spec.observations):
        yield LineSolve(crystal=crystal, exact=exact, defect=case.defect, error=error, title=f"{called(case)} dislocation")


def _predicted(row: dict, quantity: str, radii: list[float]) -> float | None:
    try:
        return dislocation_rate(row["observations"], quantity, radii, row["simulation_radius"] - RIM)
    except InputError:
        return None


def _core(line: Line, given: Given) -> dict:
    """One line of dislocations.csv: the energy E = K log(R/b) + E_core per period of the line, and how firmly it sits."""
    lattice, truth = given[line.crystal].lattice(line.crystal.material), truth_of(line.crystal.material)
    assert isinstance(truth, SiteEnergy)  # `check_lines` refuses others
    cell, system, scalars = line.cell(lattice), slip_system(lattice, line.slip), given[line].scalars
    field = elastic_field(lattice, truth, slip_frame(lattice, system), system)
    return {
        "material": line.crystal.material.name,
        "defect": line.slip,
        "simulation_atoms": len(cell),
        "radius": cell.radius,
        "burgers": float(np.linalg.norm(field.burgers)),
        "period": float(np.linalg.norm(cell.vectors[2])) if cell.line is not None else 1.0,
        "energy_factor": field.energy_factor,
        "energy": scalars["energy"],
        "stability_constant": scalars["stability_constant"],
        "lowest_eigenvalue": scalars["eigenvalue"],
    }


STUDIES = (DislocationsStudy, FitDislocationsStudy)
