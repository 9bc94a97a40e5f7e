"""How the defect errors of a linear model answer to its coefficients: one linear solve with its Hessian, exact to first order.

At the model's equilibrium u its forces sum_k theta_k f_k(u) vanish, so du/dtheta_k = H^-1 f_k (theory: fit/certificate). With
w = u - u_exact the geometry error |Dw| has the gradient b . du/dtheta_k = z . f_k, where b = D'Dw / |Dw| and H z = b is solved
once, for all k. The energy is stationary in u, so its gradient is the energy of every function, the bulk's subtracted.
theory: fit/weight-response.
"""

from dataclasses import dataclass

import numpy as np

from .._input import InputError
from .._typing import Float
from ..ace import LinearACE
from ..relax import Equilibrium, GreensFunction
from .certificate.answer import answers
from .certificate.sensitivity import rows_at
from .compare import compare
from .norms import bonds_of


@dataclass(frozen=True, eq=False)
class ErrorGradient:
    """Gradients with respect to the coefficients of the model."""

    geometry: Float[np.ndarray, " columns"]
    """d |D(u_model - u_exact)| / d theta, A per unit of a coefficient."""
    energy: Float[np.ndarray, " columns"]
    """d |E_model - E_exact| / d theta, eV per unit of a coefficient."""


def error_gradient(
    exact: Equilibrium, approx: Equilibrium, model: LinearACE, preconditioner: GreensFunction | None = None
) -> ErrorGradient:
    """Gradients of the two errors that `compare(exact, approx)` gives, `approx` being relaxed with `model`.

    Raises InputError for an equilibrium that is not converged or no minimum, and for a clamped cell.
    """
    cell = approx.cell
    if not approx.converged:
        raise InputError(
            f"the gradient of an error wants a converged equilibrium; relax further (residual {approx.residual:.1e} eV/A)"
        )
    error = compare(exact, approx)
    bonds, pull = bonds_of(cell), np.zeros_like(approx.positions)
    stretch = bonds.difference(error.displacement) / max(error.geometry, np.finfo(float).tiny)
    np.add.at(pull, bonds.second, stretch)
    np.add.at(pull, bonds.first, -stretch)
    answer = answers(approx, model, preconditioner, direct=0)(pull)  # one solve is no reason to factorise
    energy, forces = rows_at(approx, model.basis)
    return ErrorGradient(geometry=np.einsum("ia,iak->k", answer, forces), energy=np.sign(error.energy_signed) * energy)
