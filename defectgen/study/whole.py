"""A whole run: from its file to steps, from their results to tables and pages, and the checks of a run file."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np

from .._input import InputError, InputWarning
from ..ace import check_count
from ..campaign import Given, Record, Task, in_order
from ..crystal import Lattice, defect_from_name
from ..energy.bonds import check_species
from ..energy.potential import Potential
from ..training import training_cells
from .fitting import Fits
from .interface import Tables
from .materials import build_lattice, build_reference
from .page import Page
from .registry import studies
from .run import Run
from .settings import Case
from .spec import RunSpec
from .tasks import box

CLOSEST = 0.5
"""A; the two atoms of a hydrogen molecule, the closest there are, are 0.74 A apart."""


def plan(spec: RunSpec) -> list[Task]:
    """All steps of a run, needed ones first. Raises InputError at once for defects, cells and files that cannot be used."""
    check(spec)
    return in_order([replace(step, study=study.name) for study, asked in spec.studies for step in study.plan(spec, asked)])


def tables(spec: RunSpec, outcome: Sequence[tuple[Task, Record]]) -> Tables:
    """All tables of a run, from its steps and their records; steps that failed are among the failures, with the reason."""
    failures = [{"label": task.label, "reason": record.failed} for task, record in outcome if not record.ok]
    given = Given({task.key: record for task, record in outcome})
    found = sum((study.tables(spec, asked, given) for study, asked in spec.studies), Tables(failures=failures))
    remarks = {(line["label"], line["reason"]): line for line in found.failures}  # a trial may belong to several studies
    return replace(found, failures=list(remarks.values()))


def pages(run: Run) -> Page:
    """The pages of the studies whose tables a run has."""
    return sum((study.page(run) for study in studies().values()), Page())


def check(spec: RunSpec) -> None:
    """Raises InputError for defects, cells and files that cannot be used."""
    for study, asked in spec.studies:
        study.check(spec, asked)
    boxed = all(study.boxed for study, _ in spec.studies)
    for case in spec.cases if boxed else ():
        _check_case(spec, case)


def _check_case(spec: RunSpec, case: Case) -> None:
    """Check that the defect fits into every cell, and that the reference and the basis have its species."""
    lattice, defect = build_lattice(case.material), defect_from_name(case.defect)
    reference = build_reference(case.material)
    _check_distance(case, lattice, reference)
    sizes = sorted({size for study, asked in spec.studies for size in study.sizes(asked)})
    cell = None
    for size in (case.simulation_size, *sizes):
        _check_atoms(case, lattice, size)
        cell = defect.apply(box(lattice, size))
        check_species(reference, cell.symbols)
    if case.basis is None or not sizes:
        return
    _warn_larger(case, lattice, sizes)
    _check_cutoff(case, case.basis.cutoff)
    assert cell is not None  # there is a simulation size
    _check_functions(spec, case, len(set(cell.symbols)))
    training = spec.training
    if training.configurations * len(cell) > CALCULATED:
        raise InputError(
            f"training.configurations has {training.configurations} copies of cells of up to {len(cell)} atoms; "
            f"at most {CALCULATED} atoms altogether are taken"
        )
    few = replace(training.rattles(), configurations=min(training.configurations, 1))
    training_cells(lattice, defect, min(sizes), training.seed, rattle=few, strains=training.strains())


def _check_distance(case: Case, lattice: Lattice, reference: Potential) -> None:
    """Refuse, before anything is computed, a crystal whose atoms are too close to each other or do not interact."""
    nearest, reach = lattice.nearest_neighbour, getattr(reference, "cutoff", np.inf)
    if nearest < CLOSEST:
        raise InputError(
            f"the atoms of {case.material.name} are {nearest:.2g} A apart, closer than in any crystal; give lengths in A"
        )
    if nearest >= reach:
        raise InputError(
            f"the atoms of {case.material.name} are {nearest:.4g} A apart, and the reference reaches {reach:.4g} A: they do not "
            "interact; check the lattice constant (A)"
        )


def _warn_larger(case: Case, lattice: Lattice, sizes: Sequence[int]) -> None:
    """Warn about training cells that are larger than the cell in which their fits are judged."""
    here = box(lattice, case.simulation_size).radius
    larger = [size for size in sizes if box(lattice, size).radius > here * (1 + 1e-9)]
    if larger:
        warnings.warn(
            f"training cells of size {', '.join(map(str, larger))} are larger than the simulation cell of {case.material.name} "
            f"({case.simulation_size}), in which the errors are measured: they do not show what the larger cells gain; use a "
            "larger simulation_size",
            InputWarning,
            stacklevel=3,
        )


LARGEST = 500_000
"""Atoms of a cell that a study relaxes."""
CALCULATED = 50_000_000
"""Atoms of all rattled cells of one size together."""


def _check_atoms(case: Case, lattice: Lattice, size: Any) -> None:
    """Raises InputError, before the cell is made, for one of more than LARGEST atoms."""
    rows = np.array(size, dtype=float)
    cells = abs(np.linalg.det(rows)) if rows.ndim == 2 else float(np.prod(np.broadcast_to(rows, 3)[: lattice.dimension]))
    atoms = cells * abs(np.linalg.det(lattice.conventional)) * lattice.sublattices
    if not atoms <= LARGEST:
        raise InputError(
            f"size {size} of {case.material.name} {case.defect} means about {atoms:.3g} atoms, and a study relaxes cells of "
            f"at most {LARGEST}; use a smaller size"
        )


def _check_functions(spec: RunSpec, case: Case, species: int) -> None:
    """Raises InputError for a basis that is too large with the species of the case and the largest degree of the study."""
    given = Fits(spec).full(case)
    check_count(species, given.order, given.degree, given.w_l, given.pairs)


def _check_cutoff(case: Case, cutoff: float) -> None:
    """The cutoff must reach a neighbour, and in the cell of the comparison no atom may interact with its own image twice."""
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
            f"interact with its own image twice; use {larger} or a smaller cutoff"
        )
