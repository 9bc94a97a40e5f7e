"""Question: with N labels to spend, how many different structures, and how many configurations of each?

Two experiments (theory: diversity/fixed-budget, diversity/fixed-set): N constant and split in all ways, and structures fixed with
growing numbers of configurations. What is chosen among comes from a source (source.py says how one plugs in): molecules, a file,
crystals. It is asked of one data set, `[diversity]`, or of several, `[[diversity_sets]]`.
"""

from ...campaign import Record, Task
from ..interface import Tables
from ..plan import Kitchen
from ..spec import RunSpec
from . import experiments, sets


def plan(spec: RunSpec, kitchen: Kitchen) -> list[Task]:
    """The tasks of every data set of a study."""
    return experiments.plan(spec, kitchen) + sets.plan(spec, kitchen)


def harvest(spec: RunSpec, outcome: list[tuple[Task, Record]]) -> Tables:
    """The tables of every data set, and what only crystals have."""
    return experiments.harvest(spec, outcome) + sets.harvest(spec, outcome)
