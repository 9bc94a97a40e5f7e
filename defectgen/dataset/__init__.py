"""Data sets: labelled configurations of many structures, and how a budget of labels is divided between them."""

from .atom_energies import OneBody, one_body_energies, undetermined
from .checks import check_dataset
from .dataset import Configuration, Dataset, from_snapshots
from .division import Division, budget_grid, divide
from .labelled import LabelledSnapshots, Split, isolated_atoms
from .offsets import composition, one_body, relative

__all__ = [
    "Configuration",
    "Dataset",
    "Division",
    "LabelledSnapshots",
    "OneBody",
    "Split",
    "budget_grid",
    "check_dataset",
    "composition",
    "divide",
    "from_snapshots",
    "isolated_atoms",
    "one_body",
    "one_body_energies",
    "relative",
    "undetermined",
]
