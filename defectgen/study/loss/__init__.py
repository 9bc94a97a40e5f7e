"""Question: which observations, which weights? Every loss is a fit to the same labels, and each model meets the same defect."""

from .losses import check
from .steps import named, plan
from .tables import harvest

__all__ = ["check", "harvest", "named", "plan"]
