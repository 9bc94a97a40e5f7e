"""Strong stability of an equilibrium, measured against the reference's perfect crystal: one scale for reference and models."""

import warnings

import numpy as np

from .._input import InputWarning
from .._typing import Float
from ..crystal.cell import Cell
from ..energy.blackbox import BlackBox
from ..energy.functional import cell_energy
from ..energy.potential import Potential
from ..relax import GreensFunction, greens_function
from ..relax.preconditioner import Preconditioner
from ..relax.split import split_hessian
from ..relax.stability import Field, lowest_eigenpair, sign_in_doubt

ACCURACY = 3e-2
"""Relative accuracy of the constant: what divides a bound and has a sign need not be known better, and products are saved."""

STEP = 1e-5
"""A: a one-sided difference of forces over it is off by 1e-4 of the Hessian and rounded to 1e-9, for a third of the price."""


def stability_constant(
    cell: Cell,
    potential: Potential,
    positions: Float[np.ndarray, "atoms 3"],
    green: GreensFunction,
    own: GreensFunction | None = None,
    accuracy: float = ACCURACY,
) -> float:
    """The stability of a relaxed cell under a potential, in units of the stability of the perfect crystal.

    Parameters
    ----------
    cell : Cell
        The cell.
    potential : Potential
        The energy E.
    positions : array (atoms, 3)
        Where E'' is taken, A.
    green : GreensFunction
        The inverse of P, force constants of a perfect crystal on the waves of the cell; those of the reference for the bounds.
    own : GreensFunction, optional
        The same of the potential, with which the Hessian of a large cell is split; made if not given.
    accuracy : float
        Relative accuracy of the result.

    Returns
    -------
    float
        c, dimensionless. c <= 0: a saddle point, or a crystal that the potential does not hold together.

    Raises
    ------
    InputError
        `green` or `own` belongs to another supercell.

    Warns
    -----
    InputWarning
        About a black box whose forces are not smooth over its step, so that the sign is not known.

    Notes
    -----
    c = min <E''(x) v, v> / <P v, v>, so that <E'' v, v> >= c <P v, v>: what the bounds divide by. By Lanczos, in some ten
    Hessian products: in large cells the Hessian is split, in small ones it is a difference of forces. theory: setting/stability.
    """
    precondition = Preconditioner(cell, green)
    own = greens_function(cell, potential) if own is None else own
    split = split_hessian(potential, Preconditioner(cell, own), positions)
    if split is not None:
        return lowest_eigenpair(split, precondition, accuracy).value
    functional = cell_energy(cell, potential)
    if isinstance(potential, BlackBox):  # whose own step accounts for its noise
        found = lowest_eigenpair(lambda v: functional.hessian_product(positions, v), precondition, accuracy)
        if doubt := sign_in_doubt(found):
            warnings.warn(doubt, InputWarning, stacklevel=2)
        return found.value
    rest = functional.energy_forces(positions)[1]

    def product(v: Field) -> Field:
        h = STEP / np.abs(v).max()
        return (rest - functional.energy_forces(positions + h * v)[1]) / h

    return lowest_eigenpair(product, precondition, accuracy).value


def lowest_phonon(green: GreensFunction) -> float:
    """Lowest eigenvalue of the force constants of the perfect crystal on the waves of a cell, translations left out.

    Parameters
    ----------
    green : GreensFunction
        Of the potential, for the cell.

    Returns
    -------
    float
        eV/A^2. Negative where the potential lets a wave of the crystal run away; it falls with the square of the longest
        wavelength.
    """
    values = np.linalg.eigvalsh(green.operator)
    at_rest = np.argsort(np.abs(values[0, 0, 0]))[green.lattice.dimension :]  # the wave vector 0 without its translations
    others = values.reshape(-1, values.shape[-1])[1:]
    return float(min(values[0, 0, 0][at_rest].min(initial=np.inf), others.min(initial=np.inf)))
