"""The elastic far field of a defect: dipoles, the infinite crystal's Green's function, boundary conditions, dislocation lines."""

from .boundary import FarFieldEquilibrium, infinite_greens, relax_far_field
from .dislocation import SYSTEMS, LineField, SlipSystem, dislocation, elastic_field, line_field, slip_frame, slip_system
from .far_energy import energy_of_infinite_crystal
from .infinite import InfiniteGreensFunction, infinite_greens_function
from .multipoles import ElasticDipole, HarmonicCrystal, Multipoles, elastic_dipole, multipoles
from .point_forces import PointForces, image_correction, point_forces

__all__ = [
    "SYSTEMS",
    "ElasticDipole",
    "FarFieldEquilibrium",
    "HarmonicCrystal",
    "InfiniteGreensFunction",
    "LineField",
    "Multipoles",
    "PointForces",
    "SlipSystem",
    "dislocation",
    "elastic_dipole",
    "elastic_field",
    "energy_of_infinite_crystal",
    "image_correction",
    "infinite_greens",
    "infinite_greens_function",
    "line_field",
    "multipoles",
    "point_forces",
    "relax_far_field",
    "slip_frame",
    "slip_system",
]
