"""The lattice Green's function for the atoms of one cell: vacancies, interstitials, clamped atoms, rigid translations."""

import numpy as np

from .._input import InputError
from .._typing import Bool, Float, Int
from ..crystal.cell import Cell
from .greens import GreensFunction, Waves


class Preconditioner:
    """G = T [R S (P^+ (+) 1/kappa) S^T R^T] T on the atoms of a cell, symmetric and positive definite on their free space.

    P^+ acts on all perfect sites (a vacant one carries no force, so it relaxes along), R reads the atoms' values. An
    interstitial atom rides on the mean displacement W u of its nearest perfect sites, bound to it by a spring kappa:
    S = [[1, 0], [W, 1]], the exact inverse of P + kappa |u_i - W u|^2 / 2. T removes what cannot move: clamped atoms, the
    normal of a plane, and the rigid translations of a periodic cell without clamped atoms.
    """

    def __init__(self, cell: Cell, green: GreensFunction):
        """Puts the Green's function on the atoms of a cell.

        Parameters
        ----------
        cell : Cell
            A cell, with or without a defect.
        green : GreensFunction
            Of its supercell.

        Raises
        ------
        InputError
            If `green` belongs to another supercell or lattice.
        """
        _check(cell, green)
        self.cell, self.green = cell, green
        sublattices, self._dimension = cell.lattice.sublattices, cell.lattice.dimension
        self._grid_shape = (int(np.prod(green.grid.divisors)), sublattices * self._dimension)
        places = green.grid.index(cell.perfect_sites.translations) * sublattices + cell.perfect_sites.sublattices
        # The periodic grid of a ball holds its free sites only: clamped ones beyond would fall onto the places of free ones.
        self._on = (cell.sites >= 0) & cell.free
        self._place = places[cell.sites[self._on]]
        self._loose = [int(atom) for atom in np.flatnonzero(cell.sites < 0)]
        carriers = [_nearest_sites(cell, atom) for atom in self._loose]
        self._carrier = [places[sites] for sites in carriers]
        self.movable: Bool[np.ndarray, "atoms 3"] = np.repeat(cell.free[:, None], 3, axis=1)
        self.movable[:, self._dimension :] = False
        self.rigid: bool = any(cell.periodic) and bool(cell.free.all())
        """Whether the cell can drift as a whole."""
        self._uniform = 0.0 if self.rigid or not len(green.softest.values) else 1.0 / max(abs(green.softest.values).min(), 1e-12)

    def project(self, v: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "atoms 3"]:
        """T v: the part of a displacement or force that can move.

        Parameters
        ----------
        v : array, (atoms, 3)
            A field on the atoms.

        Returns
        -------
        array, (atoms, 3)
            In the same unit.
        """
        v = np.where(self.movable, v, 0.0)
        if self.rigid:
            v[:, : self._dimension] -= v[:, : self._dimension].mean(axis=0)
        return v

    def __call__(self, force: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "atoms 3"]:
        """G times a force: the displacement of the perfect crystal under it.

        Parameters
        ----------
        force : array, (atoms, 3)
            eV/A.

        Returns
        -------
        array, (atoms, 3)
            A.
        """
        d = self._dimension
        force = self.project(force)
        field = np.zeros((self._grid_shape[0] * self._grid_shape[1] // d, d))
        field[self._place] = force[self._on, :d]
        for atom, sites in zip(self._loose, self._carrier, strict=True):
            field[sites] += force[atom, :d] / len(sites)
        answer = self.green.apply(field.reshape(self._grid_shape)).reshape(field.shape)
        if self._uniform:  # a clamped crystal does resist a uniform push: about as the longest wave does
            answer += field.mean(axis=0) * self._uniform
        u = np.zeros_like(force)
        u[self._on, :d] = answer[self._place]
        for atom, sites in zip(self._loose, self._carrier, strict=True):
            u[atom, :d] = answer[sites].mean(axis=0) + force[atom, :d] / self.green.stiffness
        return self.project(u)

    def stiffen(self, v: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "atoms 3"]:
        """R P R^T v: the perfect crystal's force constants on a displacement that does not move vacant sites.

        Parameters
        ----------
        v : array, (atoms, 3)
            A; interstitial atoms take no part.

        Returns
        -------
        array, (atoms, 3)
            Minus the forces, eV/A.
        """
        d = self._dimension
        field = np.zeros((self._grid_shape[0] * self._grid_shape[1] // d, d))
        field[self._place] = v[self._on, :d]
        answer = self.green.stiffen(field.reshape(self._grid_shape)).reshape(field.shape)
        result = np.zeros_like(v)
        result[self._on, :d] = answer[self._place]
        return result

    def waves(self, modes: Waves) -> Float[np.ndarray, "fields atoms 3"]:
        """Real and imaginary parts of plane waves on the atoms, neither normalised nor independent.

        Parameters
        ----------
        modes : Waves
            Waves of the perfect crystal.

        Returns
        -------
        array, (fields, atoms, 3)
            Zero on interstitials.
        """
        cell, d = self.cell, self._dimension
        shape = self.green.grid.shape
        index: Int[np.ndarray, " on"] = self._place // cell.lattice.sublattices
        grid = np.stack(np.unravel_index(index, shape), -1)
        phase = np.exp(2j * np.pi * (grid @ (modes.waves / self.green.grid.divisors).T))  # on, modes
        polarisation = modes.vectors.reshape(len(modes.values), cell.lattice.sublattices, d)
        wave = phase.T[:, :, None] * polarisation[:, self._place % cell.lattice.sublattices]
        fields = np.zeros((2 * len(modes.values), len(cell), 3))
        fields[0::2, self._on, :d] = np.real(wave)
        fields[1::2, self._on, :d] = np.imag(wave)
        return np.array([self.project(field) for field in fields])


def _nearest_sites(cell: Cell, atom: int) -> Int[np.ndarray, " sites"]:
    """Perfect sites (occupied or not) within 1.2 times the distance of the one nearest to an atom."""
    distance = np.linalg.norm(cell.minimum_image(cell.site_positions - cell.positions[atom]), axis=1)
    return np.flatnonzero(distance <= 1.2 * distance.min() + 1e-6)


def _check(cell: Cell, green: GreensFunction) -> None:
    """A Green's function serves one supercell of one lattice."""
    same_lattice = (
        green.lattice.sublattices == cell.lattice.sublattices
        and green.lattice.dimension == cell.lattice.dimension
        and np.abs(green.lattice.vectors - cell.lattice.vectors).max() <= 0.02 * cell.lattice.nearest_neighbour
    )  # truth and model may differ a little in their lattice constant
    if not same_lattice:
        raise InputError(
            f"the Green's function was made for the lattice {green.lattice.name}, the cell is of {cell.lattice.name}: "
            "make one with greens_function(cell, potential)"
        )
    if cell.perfect_sites.matrix is not None:
        fits = np.array_equal(green.matrix, cell.perfect_sites.matrix)
    else:
        needed = np.ptp(cell.perfect_sites.translations[cell.sites[cell.free & (cell.sites >= 0)]], axis=0) + 1
        fits = np.array_equal(green.matrix, np.diag(np.diag(green.matrix))) and bool(np.all(np.diag(green.matrix) >= needed))
    if not fits:
        raise InputError(
            f"the Green's function was made for the supercell {green.matrix.tolist()}, the cell needs "
            f"{'one that encloses it' if cell.perfect_sites.matrix is None else cell.perfect_sites.matrix.tolist()}: "
            "make one with greens_function(cell, potential)"
        )
