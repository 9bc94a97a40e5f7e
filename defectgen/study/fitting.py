"""From settings to the steps of fits: what trials share - the crystal, the exact defect, the rows - is one step each."""

from typing import TYPE_CHECKING, Any

from ..training.observations import ELASTIC, FORMATION
from .settings import Basis, Case
from .tasks import Crystal, Exact, FitTrial, TrainingRows

if TYPE_CHECKING:
    from .spec import RunSpec


class Fits:
    """Makes the steps of a run's fits; equal steps have equal keys, so making one twice costs nothing.

    `richer` are degrees that the largest basis has beyond the largest that is fitted, for studies that compare with a richer fit.
    """

    def __init__(self, spec: "RunSpec", variant: str = ""):
        self.spec, self.variant = spec, variant

    def exact(self, case: Case, size: Any, eigenvalue: bool) -> Exact:
        """The defect relaxed with the reference in a cell of `size`."""
        return Exact(crystal=Crystal(material=case.material), defect=case.defect, size=size, eigenvalue=eigenvalue)

    def rows(self, case: Case, training_size: int, subdivide: bool | str = False) -> TrainingRows:
        """The rows of one training size, for the largest basis of the run."""
        training, crystal = self.spec.training, Crystal(material=case.material)
        rest = self.exact(case, training_size, training_size == case.simulation_size) if training.relaxed else None
        return TrainingRows(
            crystal=crystal,
            rest=rest,
            defect=case.defect,
            training_size=training_size,
            basis=self.full(case),
            training=training,
            subdivide=subdivide,
            elastic=any(ELASTIC in observations.split("+") for observations in self.spec.observations),
            formation=any(name.partition(":")[0] == FORMATION for name in self.spec.fit.weights),
            variant=self.variant,
        )

    def trial(self, case: Case, training_size: int, degree: float, observations: str, tried: Case | None = None) -> FitTrial:
        """Fit, relax, compare; `tried` is another defect of the crystal that the fit is tried on, by default the case's own."""
        tried = case if tried is None else tried
        return FitTrial(
            crystal=Crystal(material=case.material),
            exact=self.exact(tried, tried.simulation_size, True),
            rows=self.rows(case, training_size),
            basis=self.basis(case, degree),
            observations=observations,
            fit=self.spec.fit,
            variant=self.variant,
        )

    def basis(self, case: Case, degree: float) -> Basis:
        """The basis of a case at another degree."""
        assert case.basis is not None  # the specification refuses a case without one
        pairs = int(degree) if case.basis.pair_degree is None else case.basis.pair_degree
        return case.basis.model_copy(update={"degree": degree, "pair_degree": pairs})

    def full(self, case: Case) -> Basis:
        """The basis of the rows, which holds those of all fits."""
        largest = self.spec.largest_degree(case)
        basis = self.basis(case, largest)
        return basis.model_copy(update={"pair_degree": max(basis.pairs, int(largest))})
