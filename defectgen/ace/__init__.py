"""The linear atomic cluster expansion: an invariant basis of site energies, and the potential that it spans."""

from .basis import ACEBasis, basis_from_description
from .following import followed
from .model import LinearACE, load_model
from .specification import check_count

__all__ = ["ACEBasis", "LinearACE", "basis_from_description", "check_count", "followed", "load_model"]
