"""Report: one self-contained page from the files of a run; it composes what the studies say and computes no physics."""

from .displacement_figure import displacement_figure
from .domain_figure import domain_figure
from .labelled_fit import write_fit
from .write import draw, write

__all__ = ["displacement_figure", "domain_figure", "draw", "write", "write_fit"]
