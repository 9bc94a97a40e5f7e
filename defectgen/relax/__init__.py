"""Relaxation of a cell to its equilibrium, with the lattice Green's function as preconditioner."""

from .equilibrium import Equilibrium
from .greens import GreensFunction, greens_function
from .mixed import ForceField, MixedEquilibrium, mixed_equilibrium
from .newton import relax

__all__ = [
    "Equilibrium",
    "ForceField",
    "GreensFunction",
    "MixedEquilibrium",
    "greens_function",
    "mixed_equilibrium",
    "relax",
]
