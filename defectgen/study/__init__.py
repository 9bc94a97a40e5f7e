"""Studies: one question a file, from a specification to records, and from records to tables."""

import warnings
from math import ceil
from typing import Any

import numpy as np

from .._input import InputError, InputWarning
from ..ace import check_count
from ..campaign import Task, in_order
from ..crystal import DEFECTS, Lattice, defect_from_name
from ..energy.bonds import check_species
from ..energy.functional import Potential
from ..reference import REFERENCES
from ..training import Rattle, Strains, training_cells
from . import (
    barriers,
    boundary,
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
from .harvest import tables
from .materials import MATERIALS, build_lattice, build_reference
from .plan import Kitchen
from .spec import Case, RunSpec, dump, embedded, load, parse, template
from .steps import box
from .tabulation import Tables

CLOSEST = 0.5
"""A; the two atoms of a hydrogen molecule, the closest there are, are 0.74 A apart."""

__all__ = ["RunSpec", "Tables", "catalogue", "check", "dump", "embedded", "load", "parse", "plan", "tables", "template"]


def plan(spec: RunSpec) -> list[Task]:
    """All tasks of a run, needed ones first. Raises InputError at once for defects, cells and files that cannot be used."""
    check(spec)
    kitchen = Kitchen(spec)
    fits = (cell_size, fit_accuracy, choices, loss, bounds, certificates, design)
    studies = (*fits, surrogates, boundary, dislocations, barriers, diversity)
    return in_order([task for study in studies for task in study.plan(spec, kitchen)])


def check(spec: RunSpec) -> None:
    """Raises InputError for defects, cells and files that cannot be used."""
    for case in spec.cases if spec.dislocations is None else ():
        lattice, defect = build_lattice(case.material), defect_from_name(case.defect)
        reference = build_reference(case.material)
        _check_distance(case, lattice, reference)
        sizes = set(spec.cell_size.sizes if spec.cell_size is not None else ())
        sizes |= {spec.fit_accuracy.size} if spec.fit_accuracy is not None else set()
        sizes |= set(spec.choices.sizes if spec.choices is not None else ())
        sizes |= {spec.design.size} if spec.design is not None else set()
        sizes |= set(spec.design.data.sizes) if spec.design is not None and spec.design.data is not None else set()
        sizes |= {spec.loss.size} if spec.loss is not None else set()
        for size in (case.simulation_size, *sorted(sizes)):
            _check_atoms(case, lattice, size)
            cell = defect.apply(box(lattice, size))
            check_species(reference, cell.symbols)
        if spec.surrogates is not None:
            surrogates.check(spec.surrogates, case, lattice, reference)
        if case.basis is None:
            continue
        _warn_larger(case, lattice, sizes)
        _check_cutoff(case, case.basis.cutoff)
        _check_functions(spec, case, len(set(cell.symbols)))
        loss.check(spec, case)
        training = spec.training
        if training.configurations * len(cell) > CALCULATED:
            raise InputError(
                f"training.configurations has {training.configurations} copies of cells of up to {len(cell)} atoms; "
                f"at most {CALCULATED} atoms altogether are taken"
            )
        rattle = Rattle(min(training.configurations, 1), training.rattle, training.strain)
        strains = Strains(training.virial_strains, training.virial_pairs, training.shift)
        training_cells(lattice, defect, min(sizes), training.seed, rattle=rattle, strains=strains)


def _check_distance(case: Case, lattice: Lattice, reference: Potential) -> None:
    """A crystal whose atoms lie on each other or do not meet is a wrong length, which is known before anything is computed."""
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


def _warn_larger(case: Case, lattice: Lattice, sizes: set[int]) -> None:
    """Warn about training cells that are larger than the cell in which their fits are judged."""
    here = box(lattice, case.simulation_size).radius
    larger = [size for size in sorted(sizes) if box(lattice, size).radius > here * (1 + 1e-9)]
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
    kitchen = Kitchen(spec)
    given = kitchen.largest_basis(case)
    check_count(species, given["order"], given["degree"], given["w_l"], given["pair_degree"])


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
