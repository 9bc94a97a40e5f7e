"""The elastic far field of a defect: dipoles, the infinite crystal's Green's function, boundary conditions, dislocation lines."""

from .boundary import FarFieldEquilibrium, infinite_greens, relax_far_field
from .dislocation import SlipSystem, dislocation
from .images import image_correction
from .multipoles import ElasticDipole, elastic_dipole

__all__ = [
    "ElasticDipole",
    "FarFieldEquilibrium",
    "SlipSystem",
    "dislocation",
    "elastic_dipole",
    "image_correction",
    "infinite_greens",
    "relax_far_field",
]
