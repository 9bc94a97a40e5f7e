"""Phonon frequencies of the infinite crystal, the quantity in which force constants are compared with other codes."""

from dataclasses import dataclass

import numpy as np
from ase.cell import Cell as Box
from scipy.constants import atomic_mass, elementary_charge

from .._display import brief
from .._typing import Float
from ..crystal.elements import element
from ..crystal.lattice import Lattice
from ..energy.perfect import ForceConstants

THZ = np.sqrt(elementary_charge / atomic_mass) * 1e10 / (2 * np.pi) / 1e12
"""THz per sqrt(eV/A^2/u): the frequency (not the angular one) of a unit force constant and mass."""


def phonon_frequencies(
    lattice: Lattice, constants: ForceConstants, points: Float[np.ndarray, "points 3"]
) -> Float[np.ndarray, "points modes"]:
    """Phonon frequencies of the infinite crystal.

    Parameters
    ----------
    lattice : Lattice
        The crystal; its masses are those of the elements.
    constants : ForceConstants
        Of the infinite crystal, eV/A^2.
    points : array (points, 3)
        Wave vectors in units of the reciprocal primitive vectors.

    Returns
    -------
    array (points, modes)
        Frequencies in THz, ascending; those of unstable modes are negative.

    Notes
    -----
    D_bc(q) = sum_t Phi(0 b, t c) exp(2 pi i q.t) / sqrt(m_b m_c), frequency = sqrt(eigenvalue) / 2 pi.
    """
    mass = np.array([element(symbol).mass for symbol in lattice.species])
    scaled = constants.phi / np.sqrt(mass[constants.first] * mass[constants.second])[:, None, None]
    result = []
    for q in np.atleast_2d(points):
        dynamical = np.zeros((lattice.sublattices, lattice.sublattices, 3, 3), dtype=complex)
        phase = np.exp(2j * np.pi * constants.translations @ q)
        np.add.at(dynamical, (constants.first, constants.second), scaled * phase[:, None, None])
        matrix = dynamical.swapaxes(1, 2).reshape(3 * lattice.sublattices, -1)
        square = np.linalg.eigvalsh((matrix + matrix.conj().T) / 2)
        result.append(np.sign(square) * np.sqrt(np.abs(square)) * THZ)
    return np.array(result)


@dataclass(frozen=True, eq=False)
class BandPath:
    """Wave vectors along lines between points of high symmetry."""

    points: Float[np.ndarray, "points 3"]
    """In units of the reciprocal primitive vectors."""
    axis: Float[np.ndarray, " points"]
    """Length along the path, 1/A, without the factor 2 pi."""
    ticks: Float[np.ndarray, " corners"]
    """Places of the corners on the axis."""
    labels: tuple[str, ...]
    """Names of the corners, G for the centre; two names where the path jumps, "U,K"."""

    __repr__ = brief


def band_path(lattice: Lattice, count: int = 200) -> BandPath:
    """The path through the Brillouin zone that is usual for the Bravais lattice of a crystal.

    Parameters
    ----------
    lattice : Lattice
        The crystal, periodic in three dimensions.
    count : int
        Wave vectors, all segments together.

    Returns
    -------
    BandPath
        Wave vectors, their place on the axis, and the corners.

    Notes
    -----
    The path is that of ASE: W. Setyawan and S. Curtarolo, Comput. Mater. Sci. 49, 299 (2010).
    """
    path = Box(lattice.vectors).bandpath(npoints=count)
    axis, ticks, labels = path.get_linear_kpoint_axis()
    return BandPath(np.asarray(path.kpts), np.asarray(axis), np.asarray(ticks), tuple(labels))
