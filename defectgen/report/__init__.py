"""Report: figures, tables and one self-contained page from the files of a run; computes no physics."""

from defectgen.report.domain_figure import domain_figure
from defectgen.report.write import write

__all__ = ["domain_figure", "write"]
