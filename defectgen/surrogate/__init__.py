"""Controlled surrogates: a reference plus one perturbation that keeps chosen observations exact, mixed in beyond a radius."""

from .far_field import FarField, far_field
from .matched import Surrogate, surrogate
from .perfect import Sites, sites_of
from .perturbation import MomentPerturbation

__all__ = ["FarField", "MomentPerturbation", "Sites", "Surrogate", "far_field", "sites_of", "surrogate"]
