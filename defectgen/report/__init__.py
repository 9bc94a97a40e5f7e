"""Report: figures, tables and one self-contained page from the files of a run; computes no physics."""

from defectgen.report.write import write

__all__ = ["write"]
