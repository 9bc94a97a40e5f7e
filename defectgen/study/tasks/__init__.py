"""Steps that several studies share: the perfect crystal, the exact defect, the training rows, a trial."""

from .cells import box, called, defect_cell, kept, spelled, truth_of
from .crystal import Crystal, Perfect
from .exact import Exact, Rest

__all__ = ["Crystal", "Exact", "Perfect", "Rest", "box", "called", "defect_cell", "kept", "spelled", "truth_of"]
