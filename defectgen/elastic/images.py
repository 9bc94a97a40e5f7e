"""The elastic interaction of a defect with its periodic images, taken out of the energy of a finite cell."""

from dataclasses import replace

import numpy as np

from .._input import InputError
from ..energy.functional import Potential, crystal_force_constants, require_equilibrium
from ..relax.equilibrium import Equilibrium
from ..relax.greens import GreensFunction, greens_function
from .infinite import InfiniteGreensFunction, infinite_greens_function
from .kanzaki import PerfectCrystal
from .multipole_field import PointForces, point_forces
from .multipoles import multipoles, residual_virial

REACH = 4.0
"""Nearest-neighbour spacings between the forces that stand for a dipole, at most."""


def image_correction(
    equilibrium: Equilibrium,
    potential: Potential,
    preconditioner: GreensFunction | None = None,
    infinite: InfiniteGreensFunction | None = None,
) -> float:
    """What to add to the energy of a periodic cell so that the defect no longer feels its images, eV. theory: setting/dipole.

    A force distribution F with the defect's dipole (that of `elastic_dipole`, from the stress where there is one) has the
    energy -<F, G F>/2 in a harmonic crystal; the correction is <F, (G_cell - G_infinite) F>/2 with the lattice Green's functions
    of the cell and of the infinite crystal. That of the cell leaves out the wave vector zero: its shape is that of the perfect
    crystal, so no conditionally convergent sum over images arises. The idea is that of C. Varvenne, F. Bruneval, M.-C. Marinica,
    E. Clouet, Phys. Rev. B 88, 134102 (2013), whose continuum sum it replaces. What is left falls like R^-(d+2) or R^-2d.
    `preconditioner` (of the cell) and `infinite` save time where they are known.
    Raises InputError for what is no equilibrium of a periodic cell, and for a perfect crystal that is not at equilibrium.
    """
    if not isinstance(equilibrium, Equilibrium) or not any(equilibrium.cell.periodic):
        raise InputError("images are those of an equilibrium in a periodic cell; relax the defect in dg.supercell(lattice, n)")
    cell, lattice = equilibrium.cell, equilibrium.cell.lattice
    require_equilibrium(lattice, potential, "an image correction")
    constants = crystal_force_constants(lattice, potential)
    crystal = PerfectCrystal(cell, constants)
    moments = multipoles(cell, crystal, constants, equilibrium.positions, equilibrium.forces)
    stress = residual_virial(cell, potential, equilibrium.positions)
    if stress is not None:
        moments = replace(moments, dipole=stress)
    sources = point_forces(lattice, cell.centre, moments, order=1)
    green = greens_function(cell, potential) if preconditioner is None else preconditioner
    if infinite is None:
        infinite = infinite_greens_function(lattice, constants, REACH * lattice.nearest_neighbour)
    alone = sources.displacement(infinite, sources.translations, np.zeros(len(sources.translations), dtype=int))
    return float(np.vdot(sources.forces, _in_cell(sources, green) - alone)) / 2


def _in_cell(sources: PointForces, green: GreensFunction) -> np.ndarray:
    """Displacement (A) of the sources in the periodic cell."""
    d, n = green.lattice.dimension, green.lattice.sublattices
    place = green.grid.index(sources.translations)
    field = np.zeros((int(np.prod(green.grid.divisors)), n, d))
    np.add.at(field[:, 0], place, sources.forces[:, :d])
    answer = green.apply(field.reshape(len(field), n * d)).reshape(field.shape)
    u = np.zeros_like(sources.forces)
    u[:, :d] = answer[place, 0]
    return u
