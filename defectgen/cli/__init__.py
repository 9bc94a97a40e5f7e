"""The command line: ``defectgen run``, ``report``, ``init``, ``list``, ``doctor``."""

from defectgen.cli.main import app, main

__all__ = ["app", "main"]
