"""Relaxation of a cell to its equilibrium, with the lattice Green's function as preconditioner."""

from .elsewhere import equilibrium
from .equilibrium import Equilibrium
from .fourier import smith_normal_form
from .greens import GreensFunction, greens_function
from .mixed import ForceField, MixedEquilibrium, mixed_equilibrium
from .newton import relax
from .preconditioner import Preconditioner
from .saddle import Barrier, migration_barrier, saddle_point
from .search import truncated_newton
from .split import split_hessian
from .stability import lowest_eigenpair, sign_in_doubt

__all__ = [
    "Barrier",
    "Equilibrium",
    "ForceField",
    "GreensFunction",
    "MixedEquilibrium",
    "Preconditioner",
    "equilibrium",
    "greens_function",
    "lowest_eigenpair",
    "migration_barrier",
    "mixed_equilibrium",
    "relax",
    "saddle_point",
    "sign_in_doubt",
    "smith_normal_form",
    "split_hessian",
    "truncated_newton",
]
