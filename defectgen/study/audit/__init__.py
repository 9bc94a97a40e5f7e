"""Question: how far does one potential differ from another one, in the perfect crystal and around defects?"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..._input import InputError
from ...campaign import Given, Step
from ...crystal.elements import checked_potentials, exchanged_species
from ...energy import BlackBox, SiteEnergy
from ...energy.bonds import check_species
from ...reference import check_labels
from ..barriers.steps import Hop
from ..interface import Study, Tables
from ..materials import Material, build_lattice
from ..page import Page
from ..potentials import PotentialText, located
from ..run import Run
from ..settings import Case
from ..spec import RunSpec
from ..tasks import Crystal, box, defect_cell, truth_of
from .settings import Audit
from .steps import NAME, AuditBound, Bulk, Compared, SameLattice, Strained, Vibrations
from .tables import CrystalPlan, DefectPlan, tables

__all__ = ["STUDIES", "Audit", "AuditStudy"]


class AuditStudy(Study[Audit]):
    """Two potentials, one after the other in the same crystals and defects."""

    name = NAME
    settings = Audit
    alone = "an audit compares two potentials, and no potential is fitted"

    def located(self, asked: Audit, folder: Path, code: bool) -> Audit:
        """The settings with the files of the model."""
        try:
            found = located(asked.model, folder, code)
        except InputError as error:
            raise InputError(f"the model of the audit: {error}") from None
        return asked.model_copy(update={"model": found.text, "files": found.files})

    def check(self, spec: RunSpec, asked: Audit) -> None:
        """Raises InputError for potentials that cannot be used, crystals that are flat, and settings that mean nothing."""
        known: set[str] = set()
        for case in spec.cases:
            if build_lattice(case.material).dimension != 3:
                raise InputError(f"an audit is about crystals in three dimensions, and {case.material.name} is flat")
            if not case.material.equilibrate:
                raise InputError(
                    f"an audit brings the crystal of each potential to zero stress; leave equilibrate of {case.material.name} on"
                )
            cell = defect_cell(build_lattice(case.material), case.defect, case.simulation_size)
            check_species(truth_of(_model(case.material, asked)), cell.symbols)
            known |= {*cell.lattice.species, *cell.symbols}
            for table in (asked.chemical_potentials, asked.chemical_potentials_model):
                checked_potentials(table or None, cell)
        for table in (asked.chemical_potentials, asked.chemical_potentials_model):
            if foreign := [symbol for symbol in table if symbol not in known]:
                raise InputError(
                    f"a chemical potential of {foreign[0]} is given, and neither the crystal nor the defects have such an atom; "
                    f"give those of {', '.join(sorted(known))}"
                )
        for material in {case.material.name: case.material for case in spec.cases}.values():
            for one in (material, _model(material, asked)):
                if isinstance(truth_of(one), BlackBox):  # site energies agree with their forces by construction
                    check_labels(truth_of(one), build_lattice(material), stress=False)

    def sizes(self, asked: Audit) -> Iterable[Any]:
        """Cells of the defects."""
        return asked.sizes

    def plan(self, spec: RunSpec, asked: Audit) -> list[Step[Any]]:
        """The steps of every crystal, then those of every defect."""
        found: list[Step[Any]] = []
        for crystal in _crystals(spec, asked):
            found += [*crystal.bulk, *crystal.vibrations, crystal.constants, *crystal.strained]
        for defect in _defects(spec, asked):
            found += [*defect.compared, *(defect.hops or ()), *([] if defect.bound is None else [defect.bound])]
        return found

    def tables(self, spec: RunSpec, asked: Audit, given: Given) -> Tables:
        """audit.csv, the curves, and scorecard.json."""
        return tables(list(_crystals(spec, asked)), list(_defects(spec, asked)), given)

    def page(self, run: Run) -> Page:
        """The answer, the scorecard, and figures of everything that was compared."""
        if NAME not in run.others or f"{NAME}_about" not in run.others:
            return Page()
        from .view import audit_page

        return audit_page(run.others)


def _model(material: Material, asked: Audit) -> Material:
    """The material with the potential that is audited in the place of the reference."""
    own = {} if material.structure is None else {p: d for p, d in material.files.items() if p == material.structure}
    files = {**own, **asked.files}
    changed = {"name": f"{material.name} (model)", "reference": asked.model, "files": files, "digest": ""}
    return material.model_copy(update={**changed, "chemical_potentials": {}})


def _crystals(spec: RunSpec, asked: Audit) -> Iterator[CrystalPlan]:
    for material in {case.material.name: case.material for case in spec.cases}.values():
        model = _model(material, asked)
        bulk = Bulk(material=material), Bulk(material=model)
        yield CrystalPlan(
            material,
            bulk,
            (
                Vibrations(bulk=bulk[0], path=bulk[0], mesh=asked.mesh),
                Vibrations(bulk=bulk[1], path=bulk[0], mesh=asked.mesh),
            ),
            SameLattice(bulk=bulk[0], model=model),
            (Strained(bulk=bulk[0], strain=asked.strain), Strained(bulk=bulk[1], strain=asked.strain)),
            _names(material, asked),
        )


def _names(material: Material, asked: Audit) -> tuple[str, str]:
    """Both potentials without the folders of their files; the whole texts where these would be one."""
    whole = material.reference, asked.model
    short = PotentialText(whole[0], material.files).short, PotentialText(whole[1], asked.files).short
    return whole if short[0] == short[1] and whole[0] != whole[1] else short


def _defects(spec: RunSpec, asked: Audit) -> Iterator[DefectPlan]:
    for case in spec.cases:
        mus = (asked.chemical_potentials or case.material.chemical_potentials, asked.chemical_potentials_model)
        model = _model(case.material, asked)
        pair = Crystal(material=case.material), Crystal(material=model)
        sizes = sorted({*asked.sizes, case.simulation_size}, key=lambda size: _atoms(case, size))
        compared = tuple(
            Compared(crystal=pair[0], model=pair[1], defect=case.defect, size=size, chemical_potentials=mus) for size in sizes
        )
        hops = None
        if asked.barrier and _hops(case):
            one, other = (Hop(crystal=crystal, defect=case.defect, size=sizes[-1]) for crystal in pair)
            hops = one, other
        jets = all(isinstance(truth_of(m), SiteEnergy) for m in (case.material, model))
        yield DefectPlan(
            case, compared, hops, AuditBound(compared=compared[-1], radius=asked.radius) if asked.bound and jets else None
        )


def _atoms(case: Case, size: Any) -> int:
    return len(box(build_lattice(case.material), size))


def _hops(case: Case) -> bool:
    """Whether a defect is a vacancy in an element, so that a hop of its neighbour leads to the same defect."""
    lattice = build_lattice(case.material)
    cell = defect_cell(lattice, case.defect, case.simulation_size)
    vacant = len(cell.site_positions) == len(cell) + 1 and bool(np.all(cell.sites >= 0))
    return vacant and len(set(lattice.species)) == 1 and not exchanged_species(cell)


STUDIES = (AuditStudy,)
