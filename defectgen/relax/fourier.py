"""Lattice convolutions on a periodic supercell: force constants as blocks in Fourier space, applied by FFT."""

from dataclasses import dataclass

import numpy as np
from scipy import fft

from .._typing import Complex, Float, Int
from ..crystal.lattice import Lattice
from ..energy.perfect import ForceConstants
from .smith import smith_normal_form


@dataclass(frozen=True, eq=False)
class Grid:
    """The translation group Z^3 / (Z^3 M) of a supercell as a product of cyclic groups, Z_d1 x Z_d2 x Z_d3."""

    divisors: Int[np.ndarray, "3"]
    """Shape d of the Fourier grid."""
    chart: Int[np.ndarray, "3 3"]
    """V of the Smith normal form: primitive cell t has grid index (t V) mod d."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """The divisors as a tuple."""
        return int(self.divisors[0]), int(self.divisors[1]), int(self.divisors[2])

    def index(self, translations: Int[np.ndarray, "n 3"]) -> Int[np.ndarray, " n"]:
        """Flat, row-major index of primitive cells."""
        g = (translations @ (self.chart % self.divisors)) % self.divisors
        return (g[:, 0] * self.divisors[1] + g[:, 1]) * self.divisors[2] + g[:, 2]


def grid(matrix: Int[np.ndarray, "3 3"]) -> Grid:
    """The grid of the supercell whose vectors, in units of the primitive ones, are the rows of `matrix`."""
    _, divisors, chart = smith_normal_form(matrix)
    return Grid(divisors, chart)


def blocks(
    on: Grid, lattice: Lattice, constants: ForceConstants
) -> Complex[np.ndarray, "grid1 grid2 half components components"]:
    """D(k)[b, b'] = sum_t Phi(t; b, b') exp(i k t) on the half grid of a real transform, Hermitian, eV/A^2.

    Components are sublattices x dimension. The acoustic sum rule is mended: finite-difference constants miss it a little, and
    unmended the longest waves would look unstable.
    """
    d, n = lattice.dimension, lattice.sublattices
    kernel = np.zeros((int(np.prod(on.divisors)), n, n, d, d))
    np.add.at(kernel, (on.index(constants.translations), constants.first, constants.second), constants.phi[:, :d, :d])
    excess = kernel.sum(axis=(0, 2))
    for b in range(n):
        kernel[0, b, b] -= (excess[b] + excess[b].T) / 2
    wave = fft.rfftn(kernel.swapaxes(2, 3).reshape(*on.shape, n * d, n * d), axes=(0, 1, 2))
    block = np.asarray(wave).conj()
    return (block + np.swapaxes(block, -1, -2).conj()) / 2


def convolve(
    block: Complex[np.ndarray, "grid1 grid2 half components components"],
    on: Grid,
    field: Float[np.ndarray, "cells components"],
) -> Float[np.ndarray, "cells components"]:
    """The field on the grid with every wave multiplied by its block."""
    wave = np.asarray(fft.rfftn(field.reshape(*on.shape, -1), axes=(0, 1, 2)))
    wave = np.einsum("xyzab,xyzb->xyza", block, wave)
    return np.asarray(fft.irfftn(wave, s=on.shape, axes=(0, 1, 2), overwrite_x=True)).reshape(field.shape)
