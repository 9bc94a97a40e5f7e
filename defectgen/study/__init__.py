"""Studies: one question a file, from a specification to records, and from records to tables."""

from ..campaign import Task, in_order
from ..crystal import DEFECTS, defect_from_name, supercell
from ..energy.bonds import check_species
from ..reference import REFERENCES
from ..training import Rattle, Strains, training_cells
from . import cell_size, fit_accuracy
from .materials import MATERIALS, build_lattice, build_reference
from .plan import Kitchen
from .spec import RunSpec, dump, embedded, load, parse, template
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
        training = spec.training
        rattle = Rattle(training.configurations, training.rattle, training.strain)
        strains = Strains(training.virial_strains, training.virial_pairs, training.shift)
        training_cells(lattice, defect, min(sizes), training.seed, rattle=rattle, strains=strains)
    kitchen = Kitchen(spec)
    return in_order([*cell_size.plan(spec, kitchen), *fit_accuracy.plan(spec, kitchen)])


def catalogue() -> dict[str, dict[str, str]]:
    """What a study file may name: materials, defects, references and embedded studies, each with one line."""
    return {
        "materials": {name: m.description for name, m in MATERIALS.items()},
        "defects": dict(DEFECTS),
        "references": {name: r.description for name, r in REFERENCES.items()},
        "studies": embedded(),
    }
