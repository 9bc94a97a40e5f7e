"""Controlled surrogates: a reference plus one perturbation that keeps chosen observations exact, mixed in beyond a radius."""

from .dislocated import DislocatedFarField, dislocated_far_field, sites_read_off
from .far_field import FarField, far_field
from .matched import Surrogate, check_elastic, surrogate
from .perfect import Sites, sites_of
from .perturbation import MomentPerturbation

__all__ = [
    "DislocatedFarField",
    "FarField",
    "MomentPerturbation",
    "Sites",
    "Surrogate",
    "check_elastic",
    "dislocated_far_field",
    "far_field",
    "sites_of",
    "sites_read_off",
    "surrogate",
]
