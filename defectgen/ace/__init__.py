"""The linear atomic cluster expansion: an invariant basis of site energies, and the potential that it spans."""

from .basis import ACEBasis
from .model import LinearACE, load_model

__all__ = ["ACEBasis", "LinearACE", "load_model"]
