"""Training: which cells, their labels and rows, compressed."""

from .about import About
from .blocks import Block, Blocks
from .cells import Rattle, Strains, bulk_cell, defect_cells, strained_cells, training_cells
from .combine import combine_energies, energy_differences
from .compress import Compressor, join, residual_sum, triangle
from .cost import Cost, TrainingLabels, cheapest, lasting, pareto_front, undominated
from .dataset_errors import DatasetErrors
from .dataset_rows import DatasetRows, dataset_rows, with_offsets
from .diversity import Diversity, diversity, select_cells
from .label import label
from .observations import parse_observations, spell_observations

__all__ = [
    "About",
    "Block",
    "Blocks",
    "Compressor",
    "Cost",
    "DatasetErrors",
    "DatasetRows",
    "Diversity",
    "Rattle",
    "Strains",
    "TrainingLabels",
    "bulk_cell",
    "cheapest",
    "combine_energies",
    "dataset_rows",
    "defect_cells",
    "diversity",
    "energy_differences",
    "join",
    "label",
    "lasting",
    "pareto_front",
    "parse_observations",
    "residual_sum",
    "select_cells",
    "spell_observations",
    "strained_cells",
    "training_cells",
    "triangle",
    "undominated",
    "with_offsets",
]
