"""The linear atomic cluster expansion: an invariant basis of site energies, and the potential that it spans."""

from .basis import ACEBasis, basis_from_description
from .coupling import couplings
from .harmonics import Harmonics, real_harmonics
from .model import LinearACE, load_model
from .radial import Radial
from .repulsion import ZBL, Repulsion, TabulatedPairs, as_repulsion, repulsion_from_description, same_repulsion
from .specification import check_count, followed
from .yace import PACEModel
from .yace_export import Export, export

__all__ = [
    "ZBL",
    "ACEBasis",
    "Export",
    "Harmonics",
    "LinearACE",
    "PACEModel",
    "Radial",
    "Repulsion",
    "TabulatedPairs",
    "as_repulsion",
    "basis_from_description",
    "check_count",
    "couplings",
    "export",
    "followed",
    "load_model",
    "real_harmonics",
    "repulsion_from_description",
    "same_repulsion",
]
