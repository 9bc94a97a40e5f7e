"""Question: what does the boundary of the simulation cell cost, and how fast does that fall with the cell's radius?"""

from collections.abc import Iterator

import numpy as np

from ..._input import InputError
from ...campaign import Given
from ...crystal import Lattice, defect_from_name
from ...energy.site import SiteEnergy
from ..interface import Study, Tables
from ..materials import build_lattice, build_reference
from ..page import Page
from ..run import Run
from ..settings import Case
from ..spec import RunSpec
from ..tasks import Crystal, box, called
from ..windows import first_radius
from .settings import Boundary
from .steps import Condition, FarField
from .tables import DECAY, NAME, tables

__all__ = ["STUDIES", "Boundaries"]


class Boundaries(Study[Boundary]):
    """Periodic, clamped and far-field boundary conditions against the size of the cell."""

    name = NAME
    settings = Boundary

    def check(self, spec: RunSpec, asked: Boundary) -> None:
        """Raises InputError for cases that have no far field, or cells too small for one."""
        for case in spec.cases:
            _check(asked, case)

    def plan(self, spec: RunSpec, asked: Boundary) -> list[Condition]:
        """A step per case, radius and condition; each needs the truth of its case."""
        return [step for case in spec.cases for step in _conditions(asked, case)]

    def tables(self, spec: RunSpec, asked: Boundary, given: Given) -> Tables:
        """boundary.csv, boundary_decay.csv, and the rates of both."""
        begins = {(case.material.name, case.defect): first_radius(case) for case in spec.cases}
        return tables(asked, self.plan(spec, asked), given, begins)

    def page(self, run: Run) -> Page:
        """Errors against the radius of the cell, and the decay of the strain."""
        from .figures import boundary_pictures

        if NAME not in run.others or DECAY not in run.others:
            return Page()
        lead = (
            "The defect is relaxed with the reference in growing cells under several boundary conditions; the difference from "
            "the largest cell with the best far field is the error shown here."
        )
        return Page((lead,), figures=tuple(boundary_pictures(run.others[NAME], run.others[DECAY], run.rates)))


def _conditions(asked: Boundary, case: Case) -> Iterator[Condition]:
    lattice, crystal = build_lattice(case.material), Crystal(material=case.material)
    truth = FarField(crystal=crystal, defect=case.defect, radius=box(lattice, case.simulation_size).radius)
    for fraction in sorted(set(asked.fractions)):
        radius = fraction * truth.radius
        for condition in dict.fromkeys("periodic" if c == "corrected" else c for c in asked.conditions):
            size = (
                {"radius": None, "cells": _cells(lattice, radius)}
                if condition == "periodic"
                else {"radius": radius, "cells": None}
            )
            yield Condition(crystal=crystal, truth=truth, condition=condition, **size, wanted=radius)


def _check(asked: Boundary, case: Case) -> None:
    lattice = build_lattice(case.material)
    if not isinstance(build_reference(case.material), SiteEnergy):
        raise InputError(
            f"far fields need site energies, and the reference of {case.material.name} is a black box; choose another reference"
        )
    if "quadrupole" in asked.conditions and lattice.sublattices > 1:
        raise InputError(
            f"{case.material.name} has {lattice.sublattices} sublattices, whose shifts a quadrupole does not describe; "
            "leave it out of boundary.conditions"
        )
    smallest = min(asked.fractions) * box(lattice, case.simulation_size).radius
    if smallest < 2.5:
        raise InputError(
            f"boundary.fractions gives a radius of {smallest:.2g} spacings around {called(case)}, which leaves no far field; "
            "use 2.5 or more, or a larger simulation_size"
        )
    defect_from_name(case.defect).apply(box(lattice, _cells(lattice, smallest)))


def _cells(lattice: Lattice, radius: float) -> int:
    """Conventional cells along the side of the smallest periodic cell of at least this radius (spacings)."""
    return int(np.ceil(radius / box(lattice, 1).radius - 1e-6))


STUDIES = (Boundaries,)
