"""Report: one self-contained page from the files of a run; it composes what the studies say and computes no physics."""

from .displacement_figure import displacement_figure
from .domain_figure import domain_figure
from .interim import INTERIM, Interim, unfinished, write_interim
from .labelled_fit import write_fit
from .write import draw, write, write_tables

__all__ = [
    "INTERIM",
    "Interim",
    "displacement_figure",
    "domain_figure",
    "draw",
    "unfinished",
    "write",
    "write_fit",
    "write_interim",
    "write_tables",
]
