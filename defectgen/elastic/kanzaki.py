"""Kanzaki forces f = H u: what would have to push the perfect crystal to give it the displacement of a defect."""

import numpy as np

from .._typing import Float, Int
from ..crystal.cell import Cell
from ..energy.perfect import ForceConstants
from ..relax.fourier import blocks, convolve, grid


class PerfectCrystal:
    """The force constants H of the perfect crystal on displacements of the sites of one cell.

    In a ball, what lies outside counts as undisplaced; a site all of whose neighbours are in the ball gets its exact force.
    """

    def __init__(self, cell: Cell, constants: ForceConstants):
        lattice, sites = cell.lattice, cell.perfect_sites
        matrix = sites.matrix
        if matrix is None:
            reach = np.abs(constants.translations).max(axis=0)
            span = np.ptp(sites.translations, axis=0) + 1 + reach  # no site meets another around the corner
            span[lattice.dimension :] = 1
            matrix = np.diag(span)
        self._dimension = lattice.dimension
        self._grid = grid(matrix)
        self._block = blocks(self._grid, lattice, constants)
        self._place: Int[np.ndarray, " sites"] = self._grid.index(sites.translations) * lattice.sublattices + sites.sublattices
        self._shape = (int(np.prod(self._grid.divisors)), lattice.sublattices * lattice.dimension)

    def forces(self, u: Float[np.ndarray, "sites 3"]) -> Float[np.ndarray, "sites 3"]:
        """H u, eV/A: the external forces that hold the displacement u (A) of the sites."""
        d = self._dimension
        field = np.zeros((self._shape[0] * self._shape[1] // d, d))
        field[self._place] = u[:, :d]
        answer = convolve(self._block, self._grid, field.reshape(self._shape)).reshape(field.shape)
        result = np.zeros_like(u)
        result[:, :d] = answer[self._place]
        return result


def site_displacement(cell: Cell, positions: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "sites 3"]:
    """Displacement (A) of every perfect site: that of the atom on it, zero where there is none.

    Any value would do on a vacant site: it changes u by a field v of finite support; H v has no resultant and no dipole.
    """
    u = np.zeros((len(cell.perfect_sites.sublattices), 3))
    on = np.flatnonzero(cell.sites >= 0)
    u[cell.sites[on]] = cell.minimum_image(positions[on] - cell.site_positions[cell.sites[on]])
    return u


def relaxed_shifts(sublattices: int, dimension: int, constants: ForceConstants) -> Float[np.ndarray, "sublattices 3 3 3"]:
    """ds_b/d(strain): shift (A) of every sublattice per unit of a symmetric strain, its mean zero; zero in a Bravais lattice."""
    d = dimension
    stiffness = np.zeros((sublattices, sublattices, d, d))
    coupling = np.zeros((sublattices, d, d, d))
    phi = constants.phi[:, :d, :d]
    np.add.at(stiffness, (constants.first, constants.second), phi)
    np.add.at(coupling, constants.first, phi[:, :, :, None] * constants.separations[:, None, None, :d])
    coupling = (coupling + coupling.swapaxes(2, 3)) / 2
    square = stiffness.swapaxes(1, 2).reshape(sublattices * d, -1)
    shift = -np.linalg.pinv((square + square.T) / 2, rcond=1e-9) @ coupling.reshape(sublattices * d, -1)
    result = np.zeros((sublattices, 3, 3, 3))
    result[:, :d, :d, :d] = shift.reshape(sublattices, d, d, d)
    return result
