"""Phonon frequencies of the infinite crystal, the quantity in which force constants are compared with other codes."""

import numpy as np
from scipy.constants import atomic_mass, elementary_charge

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
