"""Studies: one question a folder, from settings to steps, from results to tables, figures and sentences."""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from typing import Any

from .._input import InputError
from ..campaign import Given, Record, Task, in_order
from ..crystal import DEFECTS, defect_from_name
from ..energy.bonds import check_species
from ..reference import REFERENCES
from ..training import training_cells
from . import (
    barriers,
    bounds,
    cell_size,
    certificates,
    choices,
    design,
    dislocations,
    diversity,
    fit_accuracy,
    loss,
    surrogates,
)
from .harvest import tables_of
from .interface import Study, Tables
from .materials import MATERIALS, build_lattice, build_reference
from .page import Page
from .plan import Kitchen
from .registry import studies
from .run import Run, gather
from .settings import Case
from .spec import RunSpec, dump, embedded, load, parse, template
from .tasks import box

__all__ = [
    "Run",
    "RunSpec",
    "Study",
    "Tables",
    "catalogue",
    "check",
    "dump",
    "embedded",
    "gather",
    "load",
    "pages",
    "parse",
    "plan",
    "studies",
    "tables",
    "template",
]


def asked_of(spec: RunSpec) -> list[tuple[Study[Any], Any]]:
    """The registered studies that a run asks for, with their settings."""
    return [(study, spec.tables[name]) for name, study in studies().items() if name in spec.tables]


def tables(spec: RunSpec, outcome: Sequence[tuple[Task, Record]]) -> Tables:
    """All tables of a run, from its steps and their records."""
    given = Given({task.key: record for task, record in outcome})
    return sum((study.tables(spec, asked, given) for study, asked in asked_of(spec)), tables_of(spec, list(outcome)))


def plan(spec: RunSpec) -> list[Task]:
    """All tasks of a run, needed ones first. Raises InputError at once for defects, cells and files that cannot be used."""
    check(spec)
    kitchen = Kitchen(spec)
    fits = (cell_size, fit_accuracy, choices, loss, bounds, certificates, design)
    others = (*fits, surrogates, dislocations, barriers, diversity)
    steps = [replace(step, study=study.name) for study, asked in asked_of(spec) for step in study.plan(spec, asked)]
    return in_order([*(task for study in others for task in study.plan(spec, kitchen)), *steps])


def check(spec: RunSpec) -> None:
    """Raises InputError for defects, cells and files that cannot be used."""
    for study, asked in asked_of(spec):
        study.check(spec, asked)
    for case in spec.cases if spec.dislocations is None else ():
        lattice, defect = build_lattice(case.material), defect_from_name(case.defect)
        reference = build_reference(case.material)
        sizes = set(spec.cell_size.sizes if spec.cell_size is not None else ())
        sizes |= {spec.fit_accuracy.size} if spec.fit_accuracy is not None else set()
        sizes |= set(spec.choices.sizes if spec.choices is not None else ())
        sizes |= {spec.design.size} if spec.design is not None else set()
        sizes |= set(spec.design.data.sizes) if spec.design is not None and spec.design.data is not None else set()
        sizes |= {spec.loss.size} if spec.loss is not None else set()
        sizes |= {size for study, asked in asked_of(spec) for size in study.sizes(asked)}
        for size in (case.simulation_size, *sorted(sizes)):
            cell = defect.apply(box(lattice, size))
            check_species(reference, cell.symbols)
        if spec.surrogates is not None:
            surrogates.check(spec.surrogates, case, lattice, reference)
        if case.basis is None:
            continue
        _check_cutoff(case, case.basis.cutoff)
        loss.check(spec, case)
        training = spec.training
        training_cells(lattice, defect, min(sizes), training.seed, rattle=training.rattles(), strains=training.strains())


def _check_cutoff(case: Case, cutoff: float) -> None:
    """The model must see a neighbour, and in the cell of the comparison no atom may see itself twice."""
    lattice = build_lattice(case.material)
    nearest = lattice.nearest_neighbour
    half = box(lattice, case.simulation_size).radius * nearest
    if cutoff <= nearest:
        raise InputError(
            f"cutoff {cutoff:g} A reaches no neighbour in {case.material.name}, the nearest is {nearest:.2f} A away; "
            f"use about {2 * nearest:.1f} A"
        )
    if cutoff > half:
        size = case.simulation_size
        larger = f"simulation_size >= {ceil(size * cutoff / half)}" if isinstance(size, int) else "a larger simulation_size"
        raise InputError(
            f"cutoff {cutoff:g} A reaches past half the simulation cell of {case.material.name} ({half:.1f} A): an atom would "
            f"see its own image twice; use {larger} or a smaller cutoff"
        )


def catalogue() -> dict[str, dict[str, str]]:
    """What a study file may name: materials, defects, references and embedded studies, each with one line."""
    return {
        "materials": {name: m.description for name, m in MATERIALS.items()},
        "defects": dict(DEFECTS),
        "references": {name: r.description for name, r in REFERENCES.items()},
        "studies": embedded(),
    }


def pages(run: Run) -> Page:
    """What the registered studies say about a run that has their tables."""
    return sum((study.page(run) for study in studies().values()), Page())
