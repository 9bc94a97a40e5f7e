"""Lattice convolutions on a periodic supercell: its translations as cyclic groups, force constants as blocks, applied by FFT."""

from dataclasses import dataclass

import numpy as np
from scipy import fft

from .._input import InputError
from .._typing import Complex, Float, Int
from ..crystal.lattice import Lattice
from ..energy.perfect import ForceConstants


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
    """The translation group of a supercell as a grid.

    Parameters
    ----------
    matrix : integer array, (3, 3)
        Supercell vectors as rows, in units of the primitive ones.

    Returns
    -------
    Grid
        Its divisors and chart.
    """
    _, divisors, chart = smith_normal_form(matrix)
    return Grid(divisors, chart)


def blocks(
    on: Grid, lattice: Lattice, constants: ForceConstants
) -> Complex[np.ndarray, "grid1 grid2 half components components"]:
    """The force constants in Fourier space, D(k)[b, b'] = sum_t Phi(t; b, b') exp(i k t).

    Parameters
    ----------
    on : Grid
        The translations of the supercell.
    lattice : Lattice
        The perfect crystal.
    constants : ForceConstants
        Phi, eV/A^2.

    Returns
    -------
    complex array, (grid1, grid2, half, components, components)
        Hermitian blocks on the half grid of a real transform, eV/A^2; components are sublattices x dimension.

    Notes
    -----
    The acoustic sum rule is mended: finite-difference constants miss it a little, and unmended the longest waves would look
    unstable.
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
    """The field on the grid with every wave multiplied by its block.

    Parameters
    ----------
    block : complex array, (grid1, grid2, half, components, components)
        One matrix for each wave vector.
    on : Grid
        The translations of the supercell.
    field : array, (cells, components)
        A field on the primitive cells.

    Returns
    -------
    array, (cells, components)
        The convolution.
    """
    wave = np.asarray(fft.rfftn(field.reshape(*on.shape, -1), axes=(0, 1, 2)))
    wave = np.einsum("xyzab,xyzb->xyza", block, wave)
    return np.asarray(fft.irfftn(wave, s=on.shape, axes=(0, 1, 2), overwrite_x=True)).reshape(field.shape)


def smith_normal_form(
    matrix: Int[np.ndarray, "n n"],
) -> tuple[Int[np.ndarray, "n n"], Int[np.ndarray, " n"], Int[np.ndarray, "n n"]]:
    """Unimodular U, V and divisors d > 0 with U M V = diag(d), where every d[k] divides d[k + 1].

    Parameters
    ----------
    matrix : integer array, (n, n)
        M.

    Returns
    -------
    u : integer array, (n, n)
    divisors : integer array, (n,)
    v : integer array, (n, n)

    Raises
    ------
    InputError
        For a matrix without volume.

    Notes
    -----
    With the rows of M as supercell vectors, t -> (t V) mod d is an isomorphism of Z^n / (Z^n M) onto Z/d[0] x Z/d[1] x ...,
    because n M V = (n U^-1) diag(d). Integer row and column operations only, so exact.
    """
    size = len(matrix)
    a = [[int(entry) for entry in row] for row in matrix]
    u = [[int(i == j) for j in range(size)] for i in range(size)]
    v = [[int(i == j) for j in range(size)] for i in range(size)]

    def add_row(target: int, source: int, factor: int) -> None:
        for table in (a, u):
            table[target] = [x + factor * y for x, y in zip(table[target], table[source], strict=True)]

    def add_column(target: int, source: int, factor: int) -> None:
        for table in (a, v):
            for row in table:
                row[target] += factor * row[source]

    for k in range(size):
        while True:
            rest = [(abs(a[i][j]), i, j) for i in range(k, size) for j in range(k, size) if a[i][j]]
            if not rest:
                raise InputError(
                    f"a supercell matrix needs a volume; choose independent vectors, not {np.asarray(matrix).tolist()}"
                )
            _, i, j = min(rest)  # the smallest entry becomes the pivot, so every pass makes it smaller
            for table in (a, u):
                table[k], table[i] = table[i], table[k]
            for table in (a, v):
                for row in table:
                    row[k], row[j] = row[j], row[k]
            pivot = a[k][k]
            for i in range(k + 1, size):
                add_row(i, k, -(a[i][k] // pivot))
            for j in range(k + 1, size):
                add_column(j, k, -(a[k][j] // pivot))
            if any(a[i][k] or a[k][i] for i in range(k + 1, size)):
                continue
            odd = [i for i in range(k + 1, size) for j in range(k + 1, size) if a[i][j] % pivot]
            if not odd:
                break
            add_row(k, odd[0], 1)
        if a[k][k] < 0:
            a[k] = [-x for x in a[k]]
            u[k] = [-x for x in u[k]]
    return np.array(u), np.array([a[k][k] for k in range(size)]), np.array(v)
