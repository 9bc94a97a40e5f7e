"""Relaxation of a cell to its equilibrium, with the lattice Green's function as preconditioner."""

from .equilibrium import Equilibrium
from .greens import GreensFunction, greens_function
from .newton import relax

__all__ = ["Equilibrium", "GreensFunction", "greens_function", "relax"]
