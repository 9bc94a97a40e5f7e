"""Input that both studies of dislocations refuse."""

from collections.abc import Sequence

from ..._input import InputError
from ...elastic import slip_system
from ...energy.site import SiteEnergy
from ...surrogate.dislocated import RIM
from ..materials import build_lattice, build_reference
from ..settings import Case


def check_lines(table: str, radii: Sequence[float], case: Case) -> None:
    """Raises InputError for a crystal without such a dislocation, a black box, and radii that leave the cylinder."""
    slip_system(build_lattice(case.material), case.defect)
    if not isinstance(build_reference(case.material), SiteEnergy):
        raise InputError(
            f"a dislocation needs site energies, and the reference of {case.material.name} is a black box; choose another"
        )
    if not isinstance(case.simulation_size, int):
        raise InputError(
            f"the simulation_size of a dislocation is a radius, one whole number of spacings; got {case.simulation_size}"
        )
    if max(radii) >= case.simulation_size - RIM:
        raise InputError(
            f"{table}.radii has {max(radii):g} spacings, too near to the clamped atoms at {case.simulation_size}; "
            "use smaller radii or a larger simulation_size (four times the radius shows the rates best)"
        )
