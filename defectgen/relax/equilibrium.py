"""What a relaxation returns: where the atoms are, how good that is, and whether it is a minimum."""

from dataclasses import dataclass

import numpy as np

from .._typing import Float
from ..crystal.cell import Cell


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """A stationary point of the bulk-referenced energy of a cell."""

    cell: Cell
    positions: Float[np.ndarray, "atoms 3"]
    """Relaxed positions, A."""
    forces: Float[np.ndarray, "atoms 3"]
    """Forces there, eV/A (zero on clamped atoms)."""
    energy: float
    """E - N E_bulk, eV."""
    residual: float
    """Largest force component on a free atom, eV/A."""
    residuals: tuple[float, ...]
    """The same after every Newton step, the starting point first."""
    converged: bool
    """Whether the residual is below the tolerance that was asked for."""
    lowest_eigenvalue: float | None
    """Smallest eigenvalue of the Hessian on free atoms, rigid translations excluded, eV/A^2; None if it was not asked for."""
    stability_constant: float | None
    """Smallest c with <H v, v> = c <P v, v>, P the perfect crystal's operator (missing sites relaxed along): dimensionless."""
    bulk_stable: bool
    """Whether all waves of the perfect crystal have positive energy (on the wave vectors of this cell)."""
    newton_steps: int
    energy_evaluations: int
    """Evaluations of energy and forces."""
    hessian_products: int
    """Hessian-vector products of the relaxation; in large periodic cells those of the split Hessian, which cost a fraction."""
    eigenvalue_products: int
    """Hessian-vector products of the stability check."""
    seconds: float
    message: str

    @property
    def displacement(self) -> Float[np.ndarray, "atoms 3"]:
        """Displacement from the unrelaxed positions, A."""
        return self.positions - self.cell.positions

    @property
    def formation_energy(self) -> float:
        """The energy under its usual name: E - N E_bulk, eV, without chemical potentials of added or exchanged species."""
        return self.energy

    @property
    def is_minimum(self) -> bool | None:
        """True at a strongly stable minimum, False at a saddle point, None if the Hessian was not examined."""
        return None if self.stability_constant is None else self.stability_constant > 0.0

    @property
    def is_saddle(self) -> bool | None:
        """The opposite of a minimum; None if the Hessian was not examined."""
        return None if self.is_minimum is None else not self.is_minimum
