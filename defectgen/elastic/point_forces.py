"""Forces on a few sites that have the moments of a defect: their field in the infinite crystal, the energy of their images."""

from dataclasses import dataclass, replace
from itertools import combinations_with_replacement
from math import comb

import numpy as np

from .._display import brief
from .._input import InputError
from .._typing import Float, Int
from ..crystal.lattice import Lattice, widths
from ..energy.crystal_state import crystal_force_constants, require_equilibrium
from ..energy.potential import Potential
from ..relax.equilibrium import Equilibrium
from ..relax.greens import GreensFunction, greens_function
from .infinite import InfiniteGreensFunction, infinite_greens_function
from .multipoles import HarmonicCrystal, Multipoles, multipoles, residual_virial


@dataclass(frozen=True, eq=False)
class PointForces:
    """Forces on sites of sublattice 0 around the centre of a defect: zero resultant, given dipole, given or no quadrupole."""

    translations: Int[np.ndarray, "sources 3"]
    forces: Float[np.ndarray, "sources 3"]
    """eV/A."""

    __repr__ = brief

    def displacement(
        self, green: InfiniteGreensFunction, translations: Int[np.ndarray, "sites 3"], sublattices: Int[np.ndarray, " sites"]
    ) -> Float[np.ndarray, "sites 3"]:
        """Displacement of sites of the infinite crystal, vanishing at infinity.

        Parameters
        ----------
        green : InfiniteGreensFunction
            Of the crystal.
        translations : integer array, (sites, 3)
            Primitive cells of the sites.
        sublattices : integer array, (sites,)
            Their sublattices.

        Returns
        -------
        array, (sites, 3)
            A.
        """
        d, n = green.lattice.dimension, green.lattice.sublattices
        source = np.zeros((len(self.forces), n, d))
        source[:, 0] = self.forces[:, :d]
        cells, place = np.unique(translations, axis=0, return_inverse=True)
        field = green.displacement(cells, self.translations, source.reshape(len(source), n * d))
        u = np.zeros((len(translations), 3))
        u[:, :d] = field.reshape(-1, n, d)[place.ravel(), sublattices]
        return u


def point_forces(lattice: Lattice, centre: Float[np.ndarray, "3"], moments: Multipoles, order: int) -> PointForces:
    """The smallest forces near a point whose moments up to the second are (0, P, M).

    Parameters
    ----------
    lattice : Lattice
        The crystal.
    centre : array, (3,)
        The point, A.
    moments : Multipoles
        P and M.
    order : int
        1: M is zero; 2: M too.

    Returns
    -------
    PointForces
        On the nearest sites of sublattice 0, as many shells as the moments need.

    Notes
    -----
    In a multilattice forces that sum to zero on one sublattice need no condensation, their dipole is that of the far field.
    theory: setting/boundary-conditions.
    """
    d = lattice.dimension
    t = _nearest(lattice, centre)
    r = t @ lattice.vectors + lattice.motif[0] - centre
    distance = np.round(np.linalg.norm(r, axis=1), 6)
    unit = lattice.nearest_neighbour
    powers = [axes for degree in range(3) for axes in combinations_with_replacement(range(d), degree)]
    wanted = np.zeros((len(powers), 3))
    for row, axes in enumerate(powers):
        if len(axes) == 1:
            wanted[row] = moments.dipole[:, axes[0]] / unit
        if len(axes) == 2 and order > 1 and moments.quadrupole is not None:
            wanted[row] = moments.quadrupole[:, axes[0], axes[1]] / unit**2
    for shell in np.unique(distance):
        near = distance <= shell + 1e-6
        if near.sum() < comb(d + 2, 2):
            continue
        design = np.array([np.prod(r[near][:, list(axes)] / unit, axis=1) for axes in powers])
        if np.linalg.svd(design, compute_uv=False)[-1] > 1e-3:
            return PointForces(t[near], np.linalg.pinv(design) @ wanted)
    raise AssertionError("three shells of any crystal determine the second moments")


def _nearest(lattice: Lattice, centre: Float[np.ndarray, "3"]) -> Int[np.ndarray, "sites 3"]:
    """Translations of the sites of sublattice 0 within a few shells of a point, nearest first."""
    outer = 2.5 * lattice.volume ** (1 / lattice.dimension)
    middle = np.rint((centre - lattice.motif[0]) @ np.linalg.inv(lattice.vectors)).astype(int)
    span = np.ceil(outer / widths(lattice.vectors)).astype(int) + 1
    span[lattice.dimension :] = 0
    axes = [np.arange(-n, n + 1) for n in span]
    t = middle + np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    distance = np.linalg.norm(t @ lattice.vectors + lattice.motif[0] - centre, axis=1)
    order = np.lexsort((*t.T, np.round(distance, 6)))
    return t[order][distance[order] <= outer]


REACH = 4.0
"""Nearest-neighbour spacings between the forces that represent a dipole, at most."""


def image_correction(
    equilibrium: Equilibrium,
    potential: Potential,
    preconditioner: GreensFunction | None = None,
    infinite: InfiniteGreensFunction | None = None,
) -> float:
    """The energy to add to that of a periodic cell to remove the interaction of the defect with its images.

    Parameters
    ----------
    equilibrium : Equilibrium
        The relaxed defect in a periodic cell.
    potential : SiteEnergy or BlackBox
        The potential it was relaxed with.
    preconditioner : GreensFunction, optional
        Of the cell, from `greens_function`; saves time where it is known.
    infinite : InfiniteGreensFunction, optional
        Of the infinite crystal; the same.

    Returns
    -------
    float
        eV.

    Raises
    ------
    InputError
        For what is no equilibrium of a periodic cell, and for a perfect crystal that is not at equilibrium.

    Notes
    -----
    A force distribution F with the defect's dipole (that of `elastic_dipole`, from the stress where there is one) has the
    energy
    -<F, G F>/2 in a harmonic crystal; the correction is <F, (G_cell - G_infinite) F>/2 with the lattice Green's functions of
    the cell
    and of the infinite crystal. That of the cell leaves out the wave vector zero: its shape is that of the perfect crystal, so
    no
    conditionally convergent sum over images arises. The idea is that of C. Varvenne, F. Bruneval, M.-C. Marinica, E. Clouet,
    Phys.
    Rev. B 88, 134102 (2013), whose continuum sum it replaces. What is left falls like R^-(d+2) or R^-2d. theory:
    setting/dipole.
    """
    if not isinstance(equilibrium, Equilibrium) or not any(equilibrium.cell.periodic):
        raise InputError("images are those of an equilibrium in a periodic cell; relax the defect in dg.supercell(lattice, n)")
    cell, lattice = equilibrium.cell, equilibrium.cell.lattice
    require_equilibrium(lattice, potential, "an image correction")
    constants = crystal_force_constants(lattice, potential)
    crystal = HarmonicCrystal(cell, constants)
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
