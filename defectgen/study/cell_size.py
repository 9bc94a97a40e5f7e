"""Question: how fast does the error of a fit fall as its training cell grows?"""

from ..campaign import Task
from .plan import Kitchen
from .spec import RunSpec

NAME = "cell-size"


def plan(spec: RunSpec, kitchen: Kitchen) -> list[Task]:
    """One trial per case, training size and observation set, at the basis of the case."""
    if spec.cell_size is None:
        return []
    return [
        kitchen.trial(case, size, case.basis.degree, observations)
        for case in spec.cases
        if case.basis is not None
        for size in sorted(set(spec.cell_size.sizes))
        for observations in spec.observations
    ]
