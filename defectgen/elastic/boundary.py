"""A clamped ball whose outer atoms follow the field of the multipoles of the defect inside, fitted until both agree."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .._display import counted, shown
from .._input import InputError
from .._typing import Float
from ..crystal.cell import Cell
from ..energy.crystal_state import crystal_force_constants, require_equilibrium
from ..energy.potential import Potential
from ..energy.site import SiteEnergy
from ..relax.equilibrium import Equilibrium
from ..relax.greens import greens_function
from ..relax.newton import relax
from .far_energy import energy_of_infinite_crystal
from .infinite import InfiniteGreensFunction, infinite_greens_function
from .multipoles import HarmonicCrystal, Multipoles, multipoles
from .point_forces import PointForces, point_forces

ORDERS = {"clamped": 0, "dipole": 1, "quadrupole": 2}
"""Boundary conditions by name: how many moments of the defect's forces move the clamped atoms."""

BEYOND = 1.5
"""The energy counts sites one by one up to this multiple of the radius from which they see atoms of the far field only."""

HASTE = 1e-3
"""eV/A: forces that a round may leave, times the relative change of the far field in the round before."""

NOTHING = 1e-6
"""eV/A: sources below this are no far field (a defect that does not relax), and need not agree."""


@dataclass(frozen=True, eq=False)
class FarFieldEquilibrium:
    """A defect in equilibrium with the far field of its own multipoles, in the infinite crystal."""

    cell: Cell
    """The ball as it was given: displacements are measured from its positions."""
    positions: Float[np.ndarray, "atoms 3"]
    """Relaxed positions of the free atoms, predicted ones of the clamped, A."""
    energy: float
    """E - N E_bulk of the infinite crystal with this displacement, eV."""
    order: int
    """0 clamped, 1 dipole, 2 dipole and quadrupole."""
    moments: Multipoles
    """Of the relaxed interior."""
    sources: PointForces
    """What makes the far field: forces with these moments (zero for order 0)."""
    green: InfiniteGreensFunction
    rounds: int
    """Relaxations until interior and far field agreed."""
    change: float
    """Largest change of the sources in the last round, relative to the largest of them."""
    inner: Equilibrium
    """The last relaxation of the interior: residual, eigenvalue, counts; `elastic_dipole` of it has the relaxation volume."""
    converged: bool
    message: str

    def __repr__(self) -> str:
        return shown(
            self,
            self.cell.lattice.name,
            self.cell.defect,
            counted(self.cell.symbols),
            f"energy {self.energy:.6g} eV",
            f"far field of order {self.order}",
            "converged" if self.converged else f"not converged: {self.message}",
        )

    @property
    def displacement(self) -> Float[np.ndarray, "atoms 3"]:
        """Displacement from the unrelaxed positions, A."""
        return self.positions - self.cell.positions

    @property
    def lowest_eigenvalue(self) -> float | None:
        """Of the Hessian on the free atoms, eV/A^2, computed when it is first read; None if it was not requested."""
        return self.inner.lowest_eigenvalue

    @property
    def is_minimum(self) -> bool | None:
        """Whether the interior is at a minimum; None if it was not examined."""
        return self.inner.is_minimum


def relax_far_field(
    cell: Cell,
    potential: Potential,
    order: int = 1,
    tolerance: float = 1e-10,
    agreement: float = 1e-6,
    max_rounds: int = 30,
    eigenvalue: bool = True,
    green: InfiniteGreensFunction | None = None,
    start: Float[np.ndarray, "atoms 3"] | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> FarFieldEquilibrium:
    """The equilibrium of a ball whose clamped atoms follow the defect's far field.

    Parameters
    ----------
    cell : Cell
        A clamped ball with a defect.
    potential : SiteEnergy
        A reference or a fitted model.
    order : int
        How many moments make the far field: none (0), the dipole (1), the quadrupole too (2).
    tolerance : float
        Largest force component of the interior, eV/A, as for `relax`.
    agreement : float
        Relative change of the sources at which interior and far field agree.
    max_rounds : int
        Relaxations at most.
    eigenvalue : bool
        Whether it is checked that the result is a minimum.
    green : InfiniteGreensFunction, optional
        From `infinite_greens`; saves time where several balls of one crystal are relaxed.
    start : array, (atoms, 3), optional
        Starting positions, A.
    progress : callable, optional
        Called as `progress(round, change)` after every round.

    Returns
    -------
    FarFieldEquilibrium
        Positions, energy and moments.

    Raises
    ------
    InputError
        For a periodic cell, a black box, a crystal that is not at equilibrium, an order that is not there, and a multilattice
        with
        order 2.

    Notes
    -----
    u_far = G * F, G the lattice Green's function of the infinite crystal, F forces near the centre with the moments of the
    interior's Kanzaki forces. Relaxing the interior and fitting its moments alternate until F agrees; each round is a Newton
    iteration from the one before. The idea of far fields predicted by fitted multipoles is that of J. Braun, C. Ortner, Y.
    Wang, L.
    Zhang, arXiv:2210.05573. theory: setting/boundary-conditions.
    """
    _check(cell, potential, order)
    assert isinstance(potential, SiteEnergy)
    require_equilibrium(cell.lattice, potential, "a far field")
    constants = crystal_force_constants(cell.lattice, potential)
    if green is None:
        green = infinite_greens(cell, potential)
    preconditioner = greens_function(cell, potential)
    crystal = HarmonicCrystal(cell, constants)
    sources = PointForces(np.zeros((1, 3), dtype=int), np.zeros((1, 3)))
    x = cell.positions if start is None else start
    change, rounds = np.inf, 0
    while True:
        rounds += 1
        # Moments need forces no smaller than the change of the far field that they are about to make.
        enough = tolerance if order == 0 else max(tolerance, HASTE * min(change, 1.0))
        inner = relax(_moved(cell, sources, green), potential, x, enough, preconditioner=preconditioner, eigenvalue=False)
        x = inner.positions
        moments = multipoles(cell, crystal, constants, x, inner.forces)
        if order == 0:
            change = 0.0
            break
        fitted = point_forces(cell.lattice, cell.centre, moments, order)
        before = sources.forces if len(sources.forces) == len(fitted.forces) else np.zeros_like(fitted.forces)
        change = float(np.abs(fitted.forces - before).max() / max(np.abs(fitted.forces).max(), NOTHING))
        if progress is not None:
            progress(rounds, change)
        if not inner.converged or rounds >= max_rounds or (change <= agreement and inner.residual <= tolerance):
            break
        sources = fitted
    if eigenvalue:
        inner = relax(inner.cell, potential, inner, tolerance, preconditioner=preconditioner)
    agreed = change <= agreement
    notes = [] if inner.converged else [inner.message]
    if not agreed:
        notes.append(f"interior and far field differ by {change:.1e} after {rounds} rounds; use a larger ball")
    return FarFieldEquilibrium(
        cell=cell,
        positions=x,
        energy=energy_of_infinite_crystal(cell, potential, x, sources, green, constants, BEYOND) if order else inner.energy,
        order=order,
        moments=moments,
        sources=sources,
        green=green,
        rounds=rounds,
        change=change,
        inner=inner,
        converged=inner.converged and agreed,
        message="; ".join(notes) or "converged",
    )


def infinite_greens(cell: Cell, potential: SiteEnergy) -> InfiniteGreensFunction:
    """The Green's function of the infinite crystal with the reach that a ball, and every smaller one, needs.

    Parameters
    ----------
    cell : Cell
        The largest ball.
    potential : SiteEnergy
        A reference or a fitted model.

    Returns
    -------
    InfiniteGreensFunction
        For `relax_far_field`.
    """
    constants = crystal_force_constants(cell.lattice, potential)
    edge = float(np.linalg.norm(cell.site_positions - cell.centre, axis=1).max())
    needed = max(BEYOND * (_free_radius(cell) + potential.cutoff) + potential.cutoff, edge)
    return infinite_greens_function(cell.lattice, constants, needed + 4 * cell.lattice.nearest_neighbour)


def _moved(cell: Cell, sources: PointForces, green: InfiniteGreensFunction) -> Cell:
    """The ball with its clamped atoms where the far field puts them."""
    clamped = np.flatnonzero(~cell.free)
    site = cell.sites[clamped]
    u = sources.displacement(green, cell.perfect_sites.translations[site], cell.perfect_sites.sublattices[site])
    positions = cell.positions.copy()
    positions[clamped] = cell.site_positions[site] + u
    return replace(cell, positions=positions)


def _free_radius(cell: Cell) -> float:
    """Distance of the farthest free atom from the centre, A."""
    return float(np.linalg.norm(cell.positions[cell.free] - cell.centre, axis=1).max())


def _check(cell: Cell, potential: Potential, order: int) -> None:
    if not isinstance(cell, Cell) or any(cell.periodic):
        raise InputError("a far field surrounds a clamped ball; make the cell with defect.apply(dg.ball(lattice, radius))")
    if not isinstance(potential, SiteEnergy):
        raise InputError(
            "the energy of a ball in its far field is a sum of site energies, which a black box does not have; relax the "
            "defect in a periodic cell, where dg.elastic_dipole and dg.image_correction give its far field by differences"
        )
    if order not in ORDERS.values():
        raise InputError(f"the order of a far field is 0 (clamped), 1 (dipole) or 2 (dipole and quadrupole); got {order!r}")
    if order > 1 and cell.lattice.sublattices > 1:
        raise InputError(
            f"{cell.lattice.name} has {cell.lattice.sublattices} sublattices, whose shifts a quadrupole does not describe; "
            "use order=1"
        )
