"""Training: which cells, their labels and rows, compressed."""

from .blocks import Block, Blocks
from .cells import Rattle, Strains, bulk_cell, defect_cells, strained_cells, training_cells
from .label import label
from .observations import parse_observations, spell_observations

__all__ = [
    "Block",
    "Blocks",
    "Rattle",
    "Strains",
    "bulk_cell",
    "defect_cells",
    "label",
    "parse_observations",
    "spell_observations",
    "strained_cells",
    "training_cells",
]
