"""Input that the studies of fits to one relaxed cell refuse, and the size of a training cell from its radius."""

from typing import Any

import numpy as np

from ..._input import InputError
from ...ace import check_count
from ...crystal import Lattice
from ...energy.site import SiteEnergy
from ..fitting import Fits
from ..materials import build_lattice, build_reference
from ..settings import Case
from ..spec import RunSpec
from ..tasks import box, called, defect_cell
from ..windows import first_radius


def smallest(lattice: Lattice, radius: float) -> int:
    """Conventional cells along the side of the smallest cube that holds a ball of this radius (spacings)."""
    return int(np.ceil(radius / box(lattice, 1).radius - 1e-6))


def check_case(spec: RunSpec, case: Case) -> None:
    """Raises InputError for a reference without site energies, and a basis of too many functions."""
    if not isinstance(build_reference(case.material), SiteEnergy):
        raise InputError(
            f"[fits] needs the force constants of every wave, and the reference of {case.material.name} is a black box; "
            "choose another"
        )
    largest = Fits(spec).full(case)
    check_count(len(set(build_lattice(case.material).species)), largest.order, largest.degree, largest.w_l, largest.pairs)


def check_radii(radii: tuple[float, ...], key: str, case: Case, size: Any) -> None:
    """The window, chosen before anything is computed: from the core and two cutoffs to the cell of the comparison."""
    if not radii:
        return
    first, cell = first_radius(case), defect_cell(build_lattice(case.material), case.defect, size)
    if first is not None and min(radii) < first:
        raise InputError(
            f"{key} has {min(radii):g} spacings, and rates of {called(case)} begin at {first:.3g}, its core and two cutoffs; use "
            "larger radii"
        )
    if max(radii) >= cell.radius:
        raise InputError(
            f"{key} has {max(radii):g} spacings, out of the cell of {called(case)} in which errors are measured, whose radius is "
            f"{cell.radius:.1f}; use smaller radii or a larger simulation_size"
        )
