"""Settings of the study of boundary conditions."""

from typing import Annotated, Literal

from pydantic import Field

from ..settings import Strict


class Boundary(Strict):
    """Error against the radius of the simulation cell, for several boundary conditions (theory: setting/boundary-conditions)."""

    fractions: tuple[Annotated[float, Field(gt=0, le=0.75)], ...] = Field(min_length=1)
    """Radii of the cells, as fractions of the radius of the cell of `simulation_size`, which is used for the exact result."""
    conditions: tuple[Literal["periodic", "corrected", "clamped", "dipole", "quadrupole"], ...] = Field(
        ("periodic", "corrected", "clamped", "dipole", "quadrupole"), min_length=1
    )
    """Boundary conditions that are compared; `corrected` is the energy of the periodic cell without its images."""
