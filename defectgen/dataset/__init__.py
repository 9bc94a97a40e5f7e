"""Data sets: labelled configurations of many structures, and how a budget of labels is spent on them; knows no potential."""

from .checks import check_dataset
from .dataset import Configuration, Dataset, from_snapshots
from .division import Division, budget_grid, divide
from .offsets import composition, one_body, relative

__all__ = [
    "Configuration",
    "Dataset",
    "Division",
    "budget_grid",
    "check_dataset",
    "composition",
    "divide",
    "from_snapshots",
    "one_body",
    "relative",
]
