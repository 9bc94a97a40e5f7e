"""Whether another code can be audited at all: it evaluates a small cell, and its forces are minus the gradient of its energy."""

import numpy as np

from ..._input import InputError
from ...crystal import Lattice, supercell
from ...energy import BlackBox, evaluate
from ...energy.potential import Potential, potential_name

RATTLE = 0.03
"""A: standard deviation of the displacements u between whose single and double the energy is compared with the work of forces."""
WORK = 0.03
"""Part of the change of the energy; Simpson's rule leaves 1e-4 of it at these displacements, and converged forces 1e-3."""
LEAST = 1e-5
"""eV per atom: changes of the energy below it are the threshold of a self-consistent calculation."""


def check_code(potential: Potential, lattice: Lattice) -> None:
    """Raises InputError if a black box fails for the crystal, or its forces are not minus the gradient of its energy.

    E(x + 2u) - E(x + u) = -(f(1) + 4 f(1.5) + f(2)) . u / 6 up to terms of fifth order. Site energies are exact by construction.
    """
    if not isinstance(potential, BlackBox):
        return
    cell = supercell(lattice, 1)
    u = RATTLE * np.random.default_rng(0).normal(size=(len(cell), 3))
    found = [evaluate(potential, cell, cell.positions + s * u, stress=potential.has_stress and s == 1.0) for s in (1.0, 1.5, 2.0)]
    push = [float(np.vdot(one.forces, u)) for one in found]
    work, change = (push[0] + 4 * push[1] + push[2]) / 6, found[2].energy - found[0].energy
    if not abs(work + change) <= WORK * abs(change) + LEAST * len(cell):
        raise InputError(
            f"forces of {potential_name(potential)} are not minus the gradient of its energy: between two rattled cells of "
            f"{len(cell)} atoms the energy changes by {change:.4g} eV and the forces do a work of {work:.4g} eV, which should be "
            f"{-change:.4g} eV (tolerance {WORK:.0%}); check units and convergence of the calculator"
        )
