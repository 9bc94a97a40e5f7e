"""How a relaxed defect answers to the coefficients of its model: K = du/dtheta and k = dE/dtheta, by implicit differentiation."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..._input import InputError
from ..._typing import Float
from ...ace import ACEBasis, LinearACE
from ...crystal.snapshot import Snapshot
from ...energy.perfect import bulk_energy
from ...observe import respond
from ...relax import Equilibrium, GreensFunction
from ..norms import bonds_of
from .answer import DIRECT, answers

STRAY = 1e-6
"""eV/A: forces of the model above it, and above what its relaxation left, say that another potential has relaxed there.
Smaller ones move atoms by about 1e-6 A; two potentials usually differ by 1e-3 eV/A."""


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """First-order change of a relaxed defect with the coefficients theta of a linear model."""

    rest: Equilibrium
    displacement: Float[np.ndarray, "atoms 3 columns"]
    """K = du/dtheta = H^-1 df/dtheta, A per unit coefficient."""
    energy: Float[np.ndarray, " columns"]
    """k = d(E - N E_bulk)/dtheta at the equilibrium, eV per unit coefficient; with chemical potentials, which are held fixed, the
    derivative of the formation energy."""
    answer: Callable
    """f -> H^-1 f for any force fields (atoms, 3, ...), eV/A to A."""

    def strain(self, fields: Float[np.ndarray, "atoms 3 *fields"]) -> Float[np.ndarray, "bonds 3 *fields"]:
        """Differences over nearest-neighbour bonds: what geometry errors are measured in."""
        return bonds_of(self.rest.cell).difference(fields)

    def strains(self) -> Float[np.ndarray, "rows columns"]:
        """D K, one row per bond and direction."""
        columns = len(self.energy)
        return self.strain(self.displacement).reshape(-1, columns)


def sensitivity(
    rest: Equilibrium,
    model: LinearACE,
    preconditioner: GreensFunction | None = None,
    direct: int = DIRECT,
    answer: Callable | None = None,
) -> Sensitivity:
    """Derivatives of displacement and formation energy of a defect that was relaxed with `model`. theory: fit/certificate.

    The energy is stationary in the displacement, so its derivative is the energy row of the basis; the displacement takes one
    linear solve with the Hessian per coefficient. `preconditioner`, from greens_function(cell, model), saves time;
    so does the `answer` of a model with nearly the same Hessian.
    Raises InputError for what is no linear model, an equilibrium that did not converge, is no minimum or is that of another
    potential, and a clamped ball.
    """
    if not isinstance(model, LinearACE):
        raise InputError(
            f"a sensitivity is taken in the coefficients of a fitted model; got {type(model).__name__}: give fit.model"
        )
    if not rest.converged:
        raise InputError(f"the defect must be relaxed with the model, and it is not: {rest.message}")
    energy, forces = rows_at(rest, model.basis)
    if answer is None:
        _check_own(rest, forces @ np.asarray(model.coefficients))
        answer = answers(rest, model, preconditioner, direct)
    return Sensitivity(rest, answer(forces), energy, answer)


def _check_own(rest: Equilibrium, forces: Float[np.ndarray, "atoms 3"]) -> None:
    """Raises InputError if the model's forces do not vanish at the equilibrium."""
    force = np.where(rest.cell.free[:, None], forces, 0.0)[:, : rest.cell.lattice.dimension]
    left = float(np.abs(force).max(initial=0.0))
    if not left <= max(STRAY, 2 * rest.residual):
        raise InputError(
            f"this equilibrium is not that of the fitted model, whose forces there are up to {left:.1e} eV/A; relax the defect "
            "with the model, dg.relax(cell, fit.model)"
        )


def rows_at(rest: Equilibrium, basis: ACEBasis) -> tuple[Float[np.ndarray, " columns"], Float[np.ndarray, "atoms 3 columns"]]:
    """Energy minus N times the bulk's (eV) and forces (eV/A) of every function of a basis at an equilibrium.

    Atoms that are exchanged with reservoirs of fixed chemical potentials do not count in N: the row is that of the formation
    energy. Raises InputError for a clamped ball.
    """
    cell = rest.cell
    if cell.clamped:
        raise InputError("derivatives in the coefficients are taken in a periodic cell; use dg.supercell(lattice, size)")
    rows = respond(basis, Snapshot(cell, rest.positions, cell.vectors), stress=False)
    assert rows.energy is not None and rows.forces is not None  # a site energy has both
    per_atom = bulk_energy(cell.lattice, basis) / cell.lattice.sublattices
    return rows.energy - (len(cell) - sum(rest.exchanged.values())) * per_atom, rows.forces
