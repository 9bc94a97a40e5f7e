"""Is the perfect crystal at equilibrium? Its energy, pressure and internal forces, and one sentence where it is not."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .._typing import Float
from ..crystal.lattice import Lattice
from ..units import EV_PER_A3_IN_GPA

AT_REST = 0.01
"""eV per atom and eV/A: a crystal beyond it is not at equilibrium. It is a stress of 0.1 GPa on an atom of 16 A^3, and about the
force that relaxations with other codes leave; a lattice constant that was never equilibrated is usually far above."""

STRETCH = 5e-3
"""Change of all lengths behind a pressure from energies: truncation is a few per cent of the pressure's own change over it."""


@dataclass(frozen=True, eq=False)
class CrystalState:
    """The perfect crystal of a lattice with one potential."""

    lattice: Lattice
    energy: float
    """Energy per atom in the potential's own zero, eV."""
    virial: Float[np.ndarray, "3 3"]
    """-dE/d(strain) per atom, eV; entries out of a plane are zero. Without a stress, only its isotropic part."""
    force: float
    """Largest internal force component, eV/A."""

    @property
    def pressure(self) -> float:
        """Pressure, GPa (N/m in two dimensions); negative where the crystal is stretched."""
        d = self.lattice.dimension
        return float(np.trace(self.virial)) / d * self._per_volume

    @property
    def stress(self) -> float:
        """Largest stress component, GPa (N/m)."""
        return float(np.abs(self.virial).max()) * self._per_volume

    @property
    def _per_volume(self) -> float:
        """From eV per atom to GPa; eV/A^2 are GPa times 0.1 nm = 0.1 N/m."""
        return self.lattice.sublattices / self.lattice.volume * EV_PER_A3_IN_GPA * (1.0 if self.lattice.dimension == 3 else 0.1)

    def at_rest(self, tolerance: float = AT_REST) -> bool:
        """Whether virial per atom and internal forces are below a tolerance.

        Parameters
        ----------
        tolerance : float
            eV per atom and eV/A.

        Returns
        -------
        bool
            False, if one of them is no number.
        """
        return bool(np.abs(self.virial).max() <= tolerance and self.force <= tolerance)

    def unrest(self, tolerance: float = AT_REST, potential: str = "potential") -> str:
        """Why this crystal is not at equilibrium, in words.

        Parameters
        ----------
        tolerance : float
            eV per atom and eV/A.
        potential : str
            What the sentence calls the potential.

        Returns
        -------
        str
            Empty if it is at equilibrium.
        """
        if self.at_rest(tolerance):
            return ""
        return f"the perfect crystal {self.lattice.name} is not at equilibrium with this {potential}: {self}"

    def __str__(self) -> str:
        unit = "GPa" if self.lattice.dimension == 3 else "N/m"
        sheared = f", largest stress component {self.stress:.3g} {unit}" if self.stress > 1.05 * abs(self.pressure) else ""
        return (
            f"virial {np.abs(self.virial).max():.2g} eV per atom (pressure {self.pressure:.3g} {unit}{sheared}), "
            f"internal forces {self.force:.2g} eV/A"
        )


def state_of(lattice: Lattice, energy: float, forces: np.ndarray | None, virial: np.ndarray | None, atoms: int) -> CrystalState:
    """The state from energy (eV), forces (eV/A) and virial (eV) of so many atoms; None counts as zero."""
    d, planar = lattice.dimension, np.zeros((3, 3))
    if virial is not None:
        planar[:d, :d] = (np.asarray(virial)[:d, :d] + np.asarray(virial)[:d, :d].T) / (2 * atoms)
    force = 0.0 if forces is None else float(np.abs(np.asarray(forces)[:, :d]).max(initial=0.0))
    return CrystalState(lattice, energy / atoms, planar, force)


def virial_by_energies(lattice: Lattice, energy: Callable[[Lattice], float]) -> Float[np.ndarray, "3 3"]:
    """The isotropic part of the virial (eV) of a primitive cell, from its energies at two volumes."""
    d = lattice.dimension
    flat = np.diag([1.0] * d + [0.0] * (3 - d))
    up, down = (energy(lattice.deformed(np.eye(3) + sign * STRETCH * flat)) for sign in (1, -1))
    return -(up - down) / (2 * STRETCH * d) * flat
