"""Studies: one question a file, from a specification to records, and from records to tables."""

import numpy as np

from .._input import InputError
from ..campaign import Task, in_order
from ..crystal import DEFECTS, defect_from_name, supercell
from ..energy.bonds import check_species
from ..reference import REFERENCES
from ..training import Rattle, Strains, training_cells
from . import cell_size, fit_accuracy
from .materials import MATERIALS, build_lattice, build_reference
from .plan import Kitchen
from .spec import Case, RunSpec, dump, embedded, load, parse, template
from .tables import Tables, tables

__all__ = ["RunSpec", "Tables", "catalogue", "dump", "embedded", "load", "parse", "plan", "tables", "template"]


def plan(spec: RunSpec) -> list[Task]:
    """All tasks of a run, needed ones first. Raises InputError at once for defects, cells and files that cannot be used."""
    for case in spec.cases:
        lattice, defect = build_lattice(case.material), defect_from_name(case.defect)
        reference = build_reference(case.material)
        sizes = set(spec.cell_size.sizes if spec.cell_size is not None else ())
        sizes |= {spec.fit_accuracy.size} if spec.fit_accuracy is not None else set()
        for size in sorted({case.simulation_size, *sizes}):
            cell = defect.apply(supercell(lattice, size))
            check_species(reference, cell.symbols)
        _check_cutoff(case)
        training = spec.training
        rattle = Rattle(training.configurations, training.rattle, training.strain)
        strains = Strains(training.virial_strains, training.virial_pairs, training.shift)
        training_cells(lattice, defect, min(sizes), training.seed, rattle=rattle, strains=strains)
    kitchen = Kitchen(spec)
    return in_order([*cell_size.plan(spec, kitchen), *fit_accuracy.plan(spec, kitchen)])


def _check_cutoff(case: Case) -> None:
    """The model must see a neighbour, and in the cell of the comparison no atom may see itself twice."""
    lattice, cutoff = build_lattice(case.material), case.basis.cutoff
    nearest = lattice.nearest_neighbour
    half = supercell(lattice, case.simulation_size).radius * nearest
    if cutoff <= nearest:
        raise InputError(
            f"cutoff {cutoff:g} A reaches no neighbour in {case.material.name}, the nearest is {nearest:.2f} A away; "
            f"use about {2 * nearest:.1f} A"
        )
    if cutoff > half:
        enough = int(np.ceil(case.simulation_size * cutoff / half))
        raise InputError(
            f"cutoff {cutoff:g} A reaches past half the simulation cell of {case.material.name} ({half:.1f} A): an atom would "
            f"see its own image twice; use simulation_size >= {enough} or a smaller cutoff"
        )


def catalogue() -> dict[str, dict[str, str]]:
    """What a study file may name: materials, defects, references and embedded studies, each with one line."""
    return {
        "materials": {name: m.description for name, m in MATERIALS.items()},
        "defects": dict(DEFECTS),
        "references": {name: r.description for name, r in REFERENCES.items()},
        "studies": embedded(),
    }
