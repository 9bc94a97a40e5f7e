"""The command line: ``defectgen run``, ``report``, ``init``, ``list``, ``doctor``."""

from .main import app, main

__all__ = ["app", "main"]
