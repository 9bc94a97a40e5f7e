"""Question: how fast does the error fall with the radius L when a model is exact up to L and leaves one thing wrong beyond?"""

from .._input import InputError
from ..campaign import Record, Task
from ..crystal.lattice import Lattice
from ..energy.functional import Potential
from ..energy.site import SiteEnergy
from ..surrogate import far_field, sites_of
from .mixing import Scene, solves
from .plan import Kitchen
from .spec import Case, RunSpec, Surrogates
from .steps import box, defect_cell, kept, rest_lattice, restored, truth_of

NAME = "surrogates"


def plan(spec: RunSpec, kitchen: Kitchen) -> list[Task]:
    """One solve per case, observation set, perturbation, strength and radius."""
    if spec.surrogates is None:
        return []
    return [
        kitchen.surrogate(case, what, name) for case in spec.cases for what, name in solves(spec.surrogates, spec.observations)
    ]


def check(settings: Surrogates, case: Case, lattice: Lattice, reference: Potential, table: str = NAME) -> None:
    """Raises InputError for a reference without jets, or radii that leave the simulation cell."""
    if not isinstance(reference, SiteEnergy):
        raise InputError(
            f"surrogates perturb site energies, and the reference of {case.material.name} is a black box; choose another"
        )
    cell, largest = box(lattice, case.simulation_size), max(settings.radii)
    if largest >= cell.radius:
        raise InputError(
            f"{table}.radii has {largest:g} spacings, out of the simulation cell of {case.material.name}, whose radius is "
            f"{cell.radius:.1f}; use smaller radii or a larger simulation_size (four times the radius shows the rates best)"
        )


def mixed(spec: dict, perfect: Record, reference: Record) -> Record:
    """The equilibrium with the surrogate's forces beyond the radius, against the reference's.

    spec: material, defect, size, observations, perturbation, radius, strength, reach, shifts.
    """

    def made() -> Scene:
        cell = defect_cell(spec, rest_lattice(spec, perfect))
        return Scene(truth_of(spec), [restored(reference, cell)], spec["reach"], sites_of)

    scene = kept((NAME, *(spec[name] for name in ("material", "defect", "size", "reach"))), made)
    model = scene.surrogate(spec["observations"], spec["perturbation"], spec["strength"], spec["shifts"])
    far = far_field(scene.cell, model, spec["radius"], scene.sites)
    (found,) = scene.mixed(far)
    energies = far.energies(scene.states[0].displacement + found.difference)
    return scene.record(spec["radius"], [found], found.work, energies)
