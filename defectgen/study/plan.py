"""From a specification to tasks: what is shared between trials (the crystal, the exact defect, the rows) is one task each."""

from ..campaign import Task
from .spec import Case, RunSpec

STEPS = "defectgen.study.steps"


class Kitchen:
    """Makes the tasks of a run; equal tasks have equal keys, so asking twice costs nothing."""

    def __init__(self, spec: RunSpec):
        self.spec = spec

    def crystal(self, case: Case) -> Task:
        """The perfect crystal."""
        return Task(f"{STEPS}:crystal", {"material": _plain(case.material)}, (), f"{case.material.name} crystal", 0.5)

    def exact(self, case: Case, size: int, eigenvalue: bool) -> Task:
        """The defect relaxed with the reference in a cell of `size`."""
        spec = {"material": _plain(case.material), "defect": case.defect, "size": size, "eigenvalue": eigenvalue}
        label = f"{case.material.name} {case.defect} reference, size {size}"
        return Task(f"{STEPS}:exact", spec, (self.crystal(case),), label, 1.0)

    def rows(self, case: Case, size: int) -> Task:
        """Rows and labels of one training size, for the largest basis of the run: smaller ones are a column selection."""
        training = self.spec.training
        spec = {
            "material": _plain(case.material),
            "defect": case.defect,
            "size": size,
            "basis": self._basis(case, self._largest(case)),
            "training": training.model_dump(mode="json"),
        }
        after = (
            (self.crystal(case), self.exact(case, size, size == case.simulation_size))
            if training.relaxed
            else (self.crystal(case),)
        )
        return Task(
            f"{STEPS}:rows", spec, after, f"{case.material.name} {case.defect} training rows, size {size}", 1.0 + size**3 / 8
        )

    def trial(self, case: Case, size: int, degree: float, observations: str) -> Task:
        """Fit, relax, compare."""
        spec = {
            "material": _plain(case.material),
            "defect": case.defect,
            "size": case.simulation_size,
            "training_size": size,
            "basis": self._basis(case, degree),
            "full": self._basis(case, self._largest(case)),
            "observations": observations,
            "fit": self.spec.fit.model_dump(mode="json"),
        }
        after = (self.crystal(case), self.exact(case, case.simulation_size, True), self.rows(case, size))
        label = f"{case.material.name} {case.defect} {observations}, size {size}, degree {degree:g}"
        return Task(f"{STEPS}:trial", spec, after, label, 1.0)

    def _largest(self, case: Case) -> float:
        degrees = self.spec.fit_accuracy.degrees if self.spec.fit_accuracy is not None else ()
        return max([case.basis.degree, *degrees])

    def _basis(self, case: Case, degree: float) -> dict:
        basis = case.basis.model_dump(mode="json")
        pair = basis["pair_degree"]
        return {**basis, "degree": degree, "pair_degree": int(degree) if pair is None else min(pair, int(degree))}


def _plain(material) -> dict:
    return material.model_dump(mode="json")
