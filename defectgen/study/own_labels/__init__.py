"""A fit to a labelled data set of one's own: its settings, as a file, and what they give. `defectgen fit` carries it out."""

from .outcome import Outcome, fit_labelled
from .settings import TEMPLATE, LabelledFit, dump, load

__all__ = ["TEMPLATE", "LabelledFit", "Outcome", "dump", "fit_labelled", "load"]
