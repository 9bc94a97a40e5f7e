"""The lattice Green's function of the perfect crystal: its force constants, inverted on a periodic grid by FFT."""

from dataclasses import dataclass

import numpy as np
from scipy import fft

from .._display import shown
from .._typing import Complex, Float, Int
from ..crystal.cell import Cell
from ..crystal.lattice import Lattice
from ..energy.crystal_state import crystal_force_constants
from ..energy.potential import Potential
from .fourier import Grid, blocks, convolve, grid

FLOOR = 1e-3
"""Softest eigenvalue that is believed, relative to the stiffest one and to the long-wave factor sin^2(k/2): metals reach 1e-2."""

SOFT_MODES = 24
"""Softest waves that are remembered, at most: a whole star of the shortest wave vectors of a cubic supercell."""

SOFT_RANGE = 1.2
"""And only those up to this multiple of the smallest eigenvalue: a defect splits a star, but hardly mixes it with the next."""


@dataclass(frozen=True, eq=False)
class Waves:
    """Plane waves u(t, b) = Re or Im of e_b exp(2 pi i sum_a wave_a g_a / d_a), g the grid index of cell t."""

    values: Float[np.ndarray, " modes"]
    """Eigenvalues of the perfect crystal's operator, eV/A^2, ascending."""
    waves: Int[np.ndarray, "modes 3"]
    vectors: Complex[np.ndarray, "modes components"]


@dataclass(frozen=True, eq=False)
class GreensFunction:
    """The inverse of the perfect crystal's operator P on the periodic displacement fields of one supercell.

    P is block-diagonal in Fourier space, D(k)[b, b'] = sum_t Phi(t; b, b') exp(i k t), with k dual to the translation group
    Z^3 / (Z^3 M). Stored are the inverse blocks, zero on the rigid translations. Negative eigenvalues (an unstable crystal)
    enter with their modulus, so that P stays positive definite; `stable` says whether there were any.
    """

    potential: Potential
    """Whose crystal it is."""
    lattice: Lattice
    matrix: Int[np.ndarray, "3 3"]
    """Supercell vectors as rows, in units of the primitive ones."""
    grid: Grid
    operator: Complex[np.ndarray, "grid1 grid2 half components components"]
    """D(k) on the half grid of a real transform, eV/A^2, as it is: negative eigenvalues included."""
    inverse: Complex[np.ndarray, "grid1 grid2 half components components"]
    """D(k)^+ on the half grid of a real transform, A^2/eV."""
    stiffness: float
    """Mean on-site force constant, eV/A^2."""
    softest: Waves
    stable: bool
    message: str
    """Names the most unstable wave; empty if the crystal is stable."""

    def __repr__(self) -> str:
        return shown(self, self.lattice.name, f"supercell {self.matrix.tolist()}", "stable" if self.stable else self.message)

    def apply(self, field: Float[np.ndarray, "cells components"]) -> Float[np.ndarray, "cells components"]:
        """P^+ on a force field.

        Parameters
        ----------
        field : array, (cells, components)
            Forces on the grid, eV/A; components are sublattices x dimension.

        Returns
        -------
        array, (cells, components)
            Displacements, A.
        """
        return convolve(self.inverse, self.grid, field)

    def stiffen(self, field: Float[np.ndarray, "cells components"]) -> Float[np.ndarray, "cells components"]:
        """The force constants of the perfect crystal on a displacement field.

        Parameters
        ----------
        field : array, (cells, components)
            Displacements on the grid, A.

        Returns
        -------
        array, (cells, components)
            Minus the forces, eV/A.
        """
        return convolve(self.operator, self.grid, field)


def greens_function(cell: Cell, potential: Potential) -> GreensFunction:
    """The lattice Green's function of the perfect crystal under a cell; any defect of the same supercell can share it.

    Parameters
    ----------
    cell : Cell
        A periodic cell; a clamped ball or cylinder is embedded in a periodic supercell of primitive vectors that encloses its
        free
        atoms.
    potential : SiteEnergy or BlackBox
        A reference, a fitted model, or another code.

    Returns
    -------
    GreensFunction
        The inverse of the force constants on the supercell. theory: relax/greens-function.
    """
    matrix = cell.perfect_sites.matrix if cell.perfect_sites.matrix is not None else _enclosing_supercell(cell)
    return build(cell.lattice, matrix, potential)


def build(lattice: Lattice, matrix: Int[np.ndarray, "3 3"], potential: Potential) -> GreensFunction:
    """Fourier blocks of the force constants on Z^3 / (Z^3 M), and their inverses."""
    constants = crystal_force_constants(lattice, potential)
    on, dimension, components = grid(matrix), lattice.dimension, lattice.sublattices * lattice.dimension
    block = blocks(on, lattice, constants)
    here = (constants.first == constants.second) & ~constants.translations.any(axis=1)
    stiffness = float(np.mean([np.trace(phi[:dimension, :dimension]) / dimension for phi in constants.phi[here]]))
    values, vectors = np.linalg.eigh(block)
    # At k = 0 the rigid translations are eigenvectors with eigenvalue zero; shift them up to find the optical rest.
    rigid = np.tile(np.eye(dimension), (lattice.sublattices, 1)) / np.sqrt(lattice.sublattices)
    top = float(np.abs(values).max())
    values[0, 0, 0], vectors[0, 0, 0] = np.linalg.eigh(block[0, 0, 0] + 4 * top * rigid @ rigid.T)
    acoustic = np.zeros(values.shape, dtype=bool)
    acoustic[0, 0, 0, components - dimension :] = True

    waves = np.stack(np.meshgrid(*[np.arange(n) for n in block.shape[:3]], indexing="ij"), -1)
    reduced = (waves / on.divisors) @ on.chart.T  # k in units of the primitive reciprocal vectors, up to integers
    slowness = np.sin(np.pi * reduced) ** 2
    long_wave = slowness[..., : lattice.dimension].mean(-1)
    long_wave[0, 0, 0] = 1.0
    floor = FLOOR * top * long_wave[..., None]
    unstable = ~(acoustic | (values >= -1e-2 * floor))  # softer than any crystal, harder than rounding at the longest wave
    message = ""
    if unstable.any():
        worst = np.unravel_index(np.argmin(np.where(acoustic, np.inf, values)), values.shape)
        k = reduced[worst[:3]]
        k = k - np.round(k)
        message = (
            f"the perfect crystal is unstable: eigenvalue {values[worst]:.3g} eV/A^2 at k = "
            f"({', '.join(f'{x:.3f}' for x in k)}) in primitive reciprocal vectors"
        )
    inverse_value = np.where(acoustic, 0.0, 1.0 / np.maximum(np.abs(values), np.maximum(floor, 1e-300)))
    inverse = (vectors * inverse_value[..., None, :]) @ np.swapaxes(vectors, -1, -2).conj()
    return GreensFunction(
        potential=potential,
        lattice=lattice,
        matrix=np.array(matrix),
        grid=on,
        operator=block,
        inverse=inverse,
        stiffness=stiffness,
        softest=_softest(np.where(acoustic, np.inf, values), waves, vectors),
        stable=not unstable.any(),
        message=message,
    )


def _softest(values: np.ndarray, waves: np.ndarray, vectors: np.ndarray) -> Waves:
    """The waves of smallest (signed) eigenvalue."""
    flat = values.ravel()
    count = min(SOFT_MODES, int(np.isfinite(flat).sum()))
    order = np.argpartition(flat, count - 1)[:count] if count else np.zeros(0, dtype=int)
    order = order[np.argsort(flat[order], kind="stable")]
    order = order[flat[order] <= SOFT_RANGE * np.abs(flat[order[:1]])]
    place = np.unravel_index(order, values.shape)
    return Waves(flat[order], waves[place[:3]], np.swapaxes(vectors, -1, -2)[place])


def _enclosing_supercell(cell: Cell) -> Int[np.ndarray, "3 3"]:
    """A diagonal supercell of primitive vectors that holds every free site of a ball or cylinder, with a fast Fourier length."""
    on_site = cell.sites[cell.free & (cell.sites >= 0)]
    t = cell.perfect_sites.translations[on_site]
    span = np.ptp(t, axis=0) + 1
    in_crystal = (np.arange(3) < cell.lattice.dimension) & ~np.array(cell.periodic)  # along its line a cylinder is one period
    return np.diag([fft.next_fast_len(int(n) + 4, real=True) if used else 1 for n, used in zip(span, in_crystal, strict=True)])
