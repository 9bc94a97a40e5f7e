"""Question: what is a design by the certificate worth, of the loss and of the training data?"""

from ...campaign import Record, Task
from ..interface import Tables
from ..plan import Kitchen
from ..spec import RunSpec
from . import data, loss


def plan(spec: RunSpec, kitchen: Kitchen) -> list[Task]:
    """Tasks of both designs."""
    return [*loss.plan(spec, kitchen), *data.plan(spec, kitchen)]


def harvest(outcome: list[tuple[Task, Record]]) -> Tables:
    """Tables of both designs."""
    return loss.harvest(outcome) + data.harvest(outcome)
