"""Relaxation of a cell to its equilibrium, with the lattice Green's function as preconditioner."""

from .equilibrium import Equilibrium
from .greens import GreensFunction, greens_function
from .mixed import ForceField, MixedEquilibrium, mixed_equilibrium
from .newton import relax
from .saddle import Barrier, migration_barrier, saddle_point

__all__ = [
    "Barrier",
    "Equilibrium",
    "ForceField",
    "GreensFunction",
    "MixedEquilibrium",
    "greens_function",
    "migration_barrier",
    "mixed_equilibrium",
    "relax",
    "saddle_point",
]
