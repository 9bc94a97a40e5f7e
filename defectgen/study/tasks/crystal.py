"""The perfect crystal at zero stress, and the check that it is stable."""

from dataclasses import dataclass, replace

import numpy as np

from ..._input import InputError
from ..._typing import Float
from ...campaign import Given, Step
from ...campaign.files import unchanged
from ...crystal import Lattice
from ...energy.crystal_state import crystal_state
from ...reference import check_stable, equilibrate
from ..materials import Material, build_lattice
from .cells import truth_of

PRESSURE_FREE = 1e-4
"""eV per atom and eV/A: what may be left of the virial and the internal forces of a crystal that errors are measured in."""


@dataclass(frozen=True, eq=False)
class Perfect:
    """The crystal at zero stress."""

    vectors: Float[np.ndarray, "3 3"]
    """Primitive vectors as rows, A."""
    motif: Float[np.ndarray, "atoms 3"]
    """A."""
    lowest_phonon: float
    """Of all waves that were looked at, eV/A^2."""

    def lattice(self, material: Material) -> Lattice:
        """The lattice that a material starts from, brought to zero stress."""
        return replace(build_lattice(material), vectors=self.vectors, motif=self.motif)


@dataclass(frozen=True, eq=False, kw_only=True)
class Crystal(Step[Perfect]):
    """The perfect crystal of a material, at zero stress and stable."""

    material: Material

    @property
    def label(self) -> str:
        return f"{self.material.name} crystal"

    @property
    def weight(self) -> float:
        return 0.5

    def run(self, given: Given) -> Perfect:
        """Equilibrate, and refuse a crystal under stress or without stability."""
        unchanged(self.material.files)
        truth, lattice = truth_of(self.material), build_lattice(self.material)
        if self.material.equilibrate:
            lattice = equilibrate(lattice, truth)
        state = crystal_state(lattice, truth)
        if not state.at_rest(PRESSURE_FREE):
            raise InputError(
                f"the lattice of {self.material.name} is not at equilibrium: {state}; leave equilibrate on, or give the lattice "
                "constant of this reference"
            )
        lowest = check_stable(lattice, truth)
        return Perfect(lattice.vectors, lattice.motif, float(lowest))
