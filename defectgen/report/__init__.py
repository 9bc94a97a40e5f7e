"""Report: figures, tables and one self-contained page from the files of a run; computes no physics."""

from defectgen.report.domain_figure import domain_figure
from defectgen.report.plan_figure import plan_picture
from defectgen.report.write import draw, write

__all__ = ["domain_figure", "draw", "plan_picture", "write"]
