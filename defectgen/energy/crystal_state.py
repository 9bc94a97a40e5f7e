"""The perfect crystal with any potential: its response, whether it is at equilibrium, its force constants."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .._input import InputError
from .._typing import Float
from ..crystal.lattice import Lattice
from ..units import EV_PER_A3_IN_GPA
from .blackbox import BlackBox, blackbox_bulk_response, blackbox_force_constants
from .perfect import ForceConstants, bulk_response, force_constants
from .potential import Potential, check_potential

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


def crystal_response(
    lattice: Lattice, potential: Potential, stress: bool = True
) -> tuple[float | Float[np.ndarray, ""], Float[np.ndarray, "sublattices 3"], Float[np.ndarray, "3 3"] | None]:
    """Energy, internal forces and virial of the primitive cell of the perfect crystal, for any potential.

    Parameters
    ----------
    lattice : Lattice
        The perfect crystal.
    potential : SiteEnergy or BlackBox
        A reference, a fitted model, or another code.
    stress : bool
        Whether the virial of a black box is needed.

    Returns
    -------
    energy : float
        eV, in the potential's own zero.
    forces : array, (sublattices, 3)
        eV/A.
    virial : array, (3, 3), or None
        -dE/d(strain), eV.
    """
    if isinstance(potential, BlackBox):
        return blackbox_bulk_response(lattice, potential, stress)
    check_potential(potential)
    return bulk_response(lattice, potential)


def crystal_state(lattice: Lattice, potential: Potential) -> CrystalState:
    """Energy per atom, virial and internal forces of the perfect crystal: whether it is at equilibrium with a potential.

    Parameters
    ----------
    lattice : Lattice
        The perfect crystal.
    potential : SiteEnergy or BlackBox
        A reference, a fitted model, or another code.

    Returns
    -------
    CrystalState
        Of a black box without a stress with a pressure from energies at two volumes.
    """
    if isinstance(potential, BlackBox):
        return _blackbox_state(lattice, potential)
    energy, forces, virial = crystal_response(lattice, potential)
    return state_of(lattice, float(energy), forces, virial, lattice.sublattices)


def require_equilibrium(lattice: Lattice, potential: Potential, what: str) -> CrystalState:
    """The state of a perfect crystal that must be at equilibrium.

    Parameters
    ----------
    lattice : Lattice
        The perfect crystal.
    potential : SiteEnergy or BlackBox
        A reference, a fitted model, or another code.
    what : str
        The quantity that is defined at equilibrium only, as the message names it.

    Returns
    -------
    CrystalState
        The state of the relaxed crystal.

    Raises
    ------
    InputError
        Where the crystal is not at equilibrium.
    """
    state = crystal_state(lattice, potential)
    if words := state.unrest():
        raise InputError(
            f"{what} is defined in a crystal at equilibrium only, and {words}; call dg.equilibrate(lattice, potential) first and "
            "make the cell of its result"
        )
    return state


def _blackbox_state(lattice: Lattice, potential: BlackBox) -> CrystalState:
    """The same for another code; where it has no stress for this crystal, the pressure comes from energies at two volumes."""
    if potential.has_stress:
        try:
            energy, forces, virial = blackbox_bulk_response(lattice, potential)
            if virial is not None:
                return state_of(lattice, energy, forces, virial, lattice.sublattices)
        except InputError:  # some calculators announce a stress that they do not have in every box
            pass
    energy, forces, _ = blackbox_bulk_response(lattice, potential, stress=False)
    virial = virial_by_energies(lattice, lambda crystal: blackbox_bulk_response(crystal, potential, stress=False)[0])
    return state_of(lattice, energy, forces, virial, lattice.sublattices)


def crystal_force_constants(lattice: Lattice, potential: Potential) -> ForceConstants:
    """Force constants of the perfect crystal, for any potential.

    Parameters
    ----------
    lattice : Lattice
        The perfect crystal.
    potential : SiteEnergy or BlackBox
        A reference, a fitted model, a basis, or another code, which is differenced in a supercell.

    Returns
    -------
    ForceConstants
        eV/A^2; with trailing channels for a basis.

    Raises
    ------
    InputError
        For what is no lattice, or no potential.

    Notes
    -----
    theory: crystal/force-constants.
    """
    if not isinstance(lattice, Lattice):
        raise InputError(f"force constants are those of a lattice, such as dg.fcc('Cu', 3.615); got {type(lattice).__name__}")
    if isinstance(potential, BlackBox):
        return blackbox_force_constants(lattice, potential)
    check_potential(potential, basis=True)
    return force_constants(lattice, potential)
