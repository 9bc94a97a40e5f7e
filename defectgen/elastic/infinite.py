"""The lattice Green's function of the infinite crystal, extrapolated from periodic cells."""

from dataclasses import dataclass

import numpy as np
from scipy import fft

from .._display import brief
from .._input import InputError
from .._typing import Float, Int
from ..crystal.lattice import Lattice, reduced_basis, widths
from ..energy.perfect import ForceConstants
from ..relax.fourier import blocks, grid

SPACING = 2.5
"""Distance of images in the smallest cell, in units of the reach."""

LONGER = (1.0, 1.25, 1.5)
"""Sides of the periodic cells relative to the smallest: three cells, so two powers of the side are removed."""

SMALLEST = 32
"""Least side of a cell in primitive cells,"""

RANGES = 6
"""and in ranges of the force constants: images see each other as the continuum does, up to dispersion, (range / side)^2."""


@dataclass(frozen=True, eq=False)
class InfiniteGreensFunction:
    """G(t): displacement (A) of the cell at t per unit force (eV/A) on the cell at the origin; for forces that sum to zero."""

    lattice: Lattice
    reach: float
    """Separations up to this length (A) are stored."""
    corner: Int[np.ndarray, "3"]
    """Translation of the first entry of `values`."""
    values: Float[np.ndarray, "n1 n2 n3 components components"]
    """A^2/eV; components are sublattices x dimension, up to a constant, on which forces with zero resultant do not depend."""

    __repr__ = brief

    def displacement(
        self,
        translations: Int[np.ndarray, "cells 3"],
        sources: Int[np.ndarray, "sources 3"],
        forces: Float[np.ndarray, "sources components"],
    ) -> Float[np.ndarray, "cells components"]:
        """Displacements of primitive cells under forces on others.

        Parameters
        ----------
        translations : integer array, (cells, 3)
            The cells that move.
        sources : integer array, (sources, 3)
            The cells that are pushed.
        forces : array, (sources, components)
            eV/A.

        Returns
        -------
        array, (cells, components)
            A.

        Raises
        ------
        InputError
            If a separation is beyond the reach.
        """
        total = np.zeros((len(translations), forces.shape[1]))
        for source, force in zip(sources, forces, strict=True):
            place = translations - source - self.corner
            if np.any(place < 0) or np.any(place >= self.values.shape[:3]):
                raise InputError(
                    f"the Green's function of the infinite crystal is known up to {self.reach:.1f} A, which a site exceeds; "
                    "call infinite_greens_function with a larger reach"
                )
            total += self.values[place[:, 0], place[:, 1], place[:, 2]] @ force
        return total


def infinite_greens_function(lattice: Lattice, constants: ForceConstants, reach: float) -> InfiniteGreensFunction:
    """G of the infinite crystal, from force constants.

    Parameters
    ----------
    lattice : Lattice
        The perfect crystal.
    constants : ForceConstants
        Its force constants, eV/A^2.
    reach : float
        Largest separation, A.

    Returns
    -------
    InfiniteGreensFunction
        Up to a constant, on which forces with zero resultant do not depend.

    Raises
    ------
    InputError
        For a reach that is no positive length.

    Notes
    -----
    The periodic G_N differs from it by the field of the images, whose expansion about the origin has the powers N^-d,
    N^-(d+2), ...
    of the side N (each term of G is homogeneous, and odd ones vanish by inversion): cells of equal shape and three sizes
    remove two
    of them, and leave (distance / side)^(d+4) of what the source does there. theory: setting/dipole.
    """
    if not 0 < reach < np.inf:
        raise InputError(f"the reach of a Green's function is a positive length in Angstrom; got {reach!r}")
    d = lattice.dimension
    shortest = np.linalg.norm(reduced_basis(lattice.vectors[:d]), axis=1).min()
    least = max(SPACING * reach / shortest, SMALLEST, RANGES * np.abs(constants.translations).max())
    span = np.ceil(reach / widths(lattice.vectors)).astype(int)
    span[d:] = 0
    least = max(least, 2 * span.max() + 2)
    axes = [np.arange(-n, n + 1) for n in span]
    window = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    sides = np.array([fft.next_fast_len(int(np.ceil(least * factor)), real=True) for factor in LONGER])
    powers = np.stack([np.ones(3), (sides / sides[0]) ** -float(d), (sides / sides[0]) ** -float(d + 2)])
    weights = np.linalg.solve(powers, np.array([1.0, 0.0, 0.0]))
    values = sum(w * _periodic(lattice, constants, int(n), window) for w, n in zip(weights, sides, strict=True))
    return InfiniteGreensFunction(lattice, reach, -span, np.asarray(values))


def _periodic(
    lattice: Lattice, constants: ForceConstants, side: int, window: Int[np.ndarray, "n1 n2 n3 3"]
) -> Float[np.ndarray, "n1 n2 n3 components components"]:
    """The Green's function of a periodic cell of side^d primitive cells, zero on uniform displacements, on a window of cells."""
    d = lattice.dimension
    on = grid(np.diag([side] * d + [1] * (3 - d)))
    block = blocks(on, lattice, constants)
    rigid = np.tile(np.eye(d), (lattice.sublattices, 1)) / np.sqrt(lattice.sublattices)
    top = np.abs(block).max()
    block[0, 0, 0] += top * rigid @ rigid.T  # inverted away from the rigid translations, which are taken out again
    inverse = np.linalg.inv(block)
    inverse[0, 0, 0] -= rigid @ rigid.T / top
    values = np.asarray(fft.irfftn(inverse, s=on.shape, axes=(0, 1, 2), overwrite_x=True))
    values = values.reshape(-1, *values.shape[3:])
    return values[on.index(window.reshape(-1, 3))].reshape(*window.shape[:3], *values.shape[1:])
