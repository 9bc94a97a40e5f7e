"""Energy, virial and internal forces of a perfect crystal, whether or not the potential offers a stress."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .._input import InputError
from .._typing import Float
from ..crystal.lattice import Lattice
from ..energy.functional import Potential, crystal_response


@dataclass(frozen=True, eq=False)
class Response:
    """What the crystal answers: its energy (eV) and minus its gradient with respect to strain (eV) and positions (eV/A)."""

    energy: float
    virial: Float[np.ndarray, "3 3"]
    forces: Float[np.ndarray, "sublattices 3"]


def response_of(lattice: Lattice, potential: Potential) -> Callable[[Lattice], Response]:
    """A function lattice -> Response; without a stress the virial is the central difference of energies."""
    try:
        crystal_response(lattice, potential)
    except InputError:
        crystal_response(lattice, potential, stress=False)  # if this fails too, the potential cannot be used at all
        return lambda crystal: _by_differences(crystal, potential)

    def ask(crystal: Lattice) -> Response:
        energy, forces, virial = crystal_response(crystal, potential)
        virial = np.asarray(virial)
        return _planar(crystal, Response(float(energy), (virial + virial.T) / 2, forces - forces.mean(axis=0)))

    return ask


def _by_differences(lattice: Lattice, potential: Potential, step: float = 2e-3) -> Response:
    """The virial from energies at strains of +-h and +-2h, h = 2e-3: error h^4, and 1e-10 eV from the rounding of energies."""
    energy, forces, _ = crystal_response(lattice, potential, stress=False)
    virial = np.zeros((3, 3))
    for a in range(lattice.dimension):
        for b in range(a, lattice.dimension):
            mode = np.zeros((3, 3))
            mode[a, b] += 0.5
            mode[b, a] += 0.5
            value = [
                float(crystal_response(lattice.deformed(np.eye(3) + m * step * mode), potential, stress=False)[0])
                for m in (1, -1, 2, -2)
            ]
            virial[a, b] = virial[b, a] = -(8 * (value[0] - value[1]) - (value[2] - value[3])) / (12 * step)
    return _planar(lattice, Response(float(energy), virial, forces - forces.mean(axis=0)))


def _planar(lattice: Lattice, response: Response) -> Response:
    """In two dimensions only in-plane strain and forces count."""
    if lattice.dimension == 3:
        return response
    virial, forces = response.virial.copy(), response.forces.copy()
    virial[2, :] = virial[:, 2] = 0.0
    forces[:, 2] = 0.0
    return Response(response.energy, virial, forces)
