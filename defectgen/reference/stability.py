"""Is a crystal a minimum? The lowest eigenvalue of its dynamical matrix."""

import numpy as np

from .._input import InputError
from ..crystal.lattice import Lattice
from ..energy.functional import Potential, crystal_force_constants
from ..energy.perfect import ForceConstants


def check_stable(lattice: Lattice, potential: Potential, grid: int = 6, constants: ForceConstants | None = None) -> float:
    """Lowest eigenvalue (eV/A^2) of the dynamical matrix (unit masses) on a grid of wave vectors, translations left out.

    `constants` are the crystal's force constants, if they are known already.
    Raises InputError if it is not positive: the crystal is then no minimum, and no defect in it can be relaxed.
    """
    phi = crystal_force_constants(lattice, potential) if constants is None else constants
    count, dimension = lattice.sublattices, lattice.dimension
    steps = np.arange(grid) / grid
    k = np.stack(np.meshgrid(steps, steps, steps if dimension == 3 else [0.0], indexing="ij"), -1).reshape(-1, 3)
    phase = np.exp(2j * np.pi * k @ phi.translations.T)
    matrix = np.zeros((len(k), count, count, 3, 3), dtype=complex)
    for pair in range(len(phi.first)):
        matrix[:, phi.first[pair], phi.second[pair]] += phase[:, pair, None, None] * phi.phi[pair]
    matrix = matrix[..., :dimension, :dimension].transpose(0, 1, 3, 2, 4).reshape(len(k), count * dimension, count * dimension)
    eigenvalues = np.linalg.eigvalsh((matrix + matrix.conj().transpose(0, 2, 1)) / 2)
    at_rest = np.argsort(np.abs(eigenvalues[0]))[dimension:]  # the wave vector 0 without its translations
    lowest = float(np.concatenate([eigenvalues[0, at_rest], eigenvalues[1:].ravel()]).min())
    if lowest <= 1e-8 * eigenvalues.max():
        raise InputError(
            f"{lattice.name} is not stable: the lowest eigenvalue of its dynamical matrix is {lowest:.3g} eV/A^2; "
            "choose another crystal structure, lattice constant or potential"
        )
    return lowest
