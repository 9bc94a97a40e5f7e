"""Question: how does the error of a defect follow the accuracy of the fit, at one training cell?"""

from ..campaign import Task
from .plan import Kitchen
from .spec import RunSpec

NAME = "fit-accuracy"


def plan(spec: RunSpec, kitchen: Kitchen) -> list[Task]:
    """One trial per case, basis degree and observation set, at one training size."""
    if spec.fit_accuracy is None:
        return []
    return [
        kitchen.trial(case, spec.fit_accuracy.size, degree, observations)
        for case in spec.cases
        for degree in sorted(set(spec.fit_accuracy.degrees))
        for observations in spec.observations
    ]
