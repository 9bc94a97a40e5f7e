"""Training: which cells, their labels and rows, compressed."""

from .blocks import Block, Blocks
from .cells import Rattle, Strains, bulk_cell, defect_cells, strained_cells, training_cells
from .diversity import Diversity, diversity, select_cells
from .label import label
from .observations import parse_observations, spell_observations

__all__ = [
    "Block",
    "Blocks",
    "Diversity",
    "Rattle",
    "Strains",
    "bulk_cell",
    "defect_cells",
    "diversity",
    "label",
    "parse_observations",
    "select_cells",
    "spell_observations",
    "strained_cells",
    "training_cells",
]
