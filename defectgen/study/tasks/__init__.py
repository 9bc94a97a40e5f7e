"""Steps that several studies share: the perfect crystal, the exact defect, the training rows, a trial."""

from .cells import box, called, defect_cell, green_of, kept, spelled, truth_of
from .crystal import Crystal, Perfect
from .exact import Exact, Rest
from .rows import Rows, TrainingRows
from .trial import AT_REST, FitTrial, Trial, assess, remarked, rested

__all__ = [
    "AT_REST",
    "Crystal",
    "Exact",
    "FitTrial",
    "Perfect",
    "Rest",
    "Rows",
    "TrainingRows",
    "Trial",
    "assess",
    "box",
    "called",
    "defect_cell",
    "green_of",
    "kept",
    "remarked",
    "rested",
    "spelled",
    "truth_of",
]
