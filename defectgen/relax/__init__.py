"""Relaxation of a cell to its equilibrium, with the lattice Green's function as preconditioner."""

from .boundary import FarFieldEquilibrium, infinite_greens, relax_far_field
from .dislocation import SlipSystem, dislocation
from .equilibrium import Equilibrium
from .greens import GreensFunction, greens_function
from .images import image_correction
from .mixed import ForceField, MixedEquilibrium, mixed_equilibrium
from .multipoles import ElasticDipole, elastic_dipole
from .newton import relax
from .saddle import Barrier, migration_barrier, saddle_point

__all__ = [
    "Barrier",
    "ElasticDipole",
    "Equilibrium",
    "FarFieldEquilibrium",
    "ForceField",
    "GreensFunction",
    "MixedEquilibrium",
    "SlipSystem",
    "dislocation",
    "elastic_dipole",
    "greens_function",
    "image_correction",
    "infinite_greens",
    "migration_barrier",
    "mixed_equilibrium",
    "relax",
    "relax_far_field",
    "saddle_point",
]
