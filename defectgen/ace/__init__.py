"""The linear atomic cluster expansion: an invariant basis of site energies, and the potential that it spans."""

from .basis import ACEBasis
from .following import followed
from .model import LinearACE, load_model

__all__ = ["ACEBasis", "LinearACE", "followed", "load_model"]
