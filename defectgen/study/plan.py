"""From a specification to tasks: what is shared between trials (the crystal, the exact defect, the rows) is one task each."""

from ..campaign import Task
from .spec import Basis, Case, RunSpec

STEPS = "defectgen.study.steps"
SURROGATE = "defectgen.study.surrogates:mixed"


class Kitchen:
    """Makes the tasks of a run; equal tasks have equal keys, so asking twice costs nothing."""

    def __init__(self, spec: RunSpec, variant: str = ""):
        self.spec = spec
        self._variant = f", {variant}" if variant else ""

    def crystal(self, case: Case) -> Task:
        """The perfect crystal."""
        return Task(f"{STEPS}:crystal", {"material": _plain(case.material)}, (), f"{case.material.name} crystal", 0.5)

    def exact(self, case: Case, size, eigenvalue: bool) -> Task:
        """The defect relaxed with the reference in a cell of `size`."""
        spec = {"material": _plain(case.material), "defect": case.defect, "size": size, "eigenvalue": eigenvalue}
        label = f"{case.material.name} {case.defect} reference, size {_spelled(size)}"
        return Task(f"{STEPS}:exact", spec, (self.crystal(case),), label, 1.0)

    def rows(self, case: Case, size: int, subdivide: bool = False) -> Task:
        """Rows and labels of one training size, for the largest basis of the run: smaller ones are a column selection.

        `subdivide` keeps apart what losses weigh apart.
        """
        training = self.spec.training
        spec = {
            "material": _plain(case.material),
            "defect": case.defect,
            "size": size,
            "basis": self._full(case),
            "training": training.model_dump(mode="json") | ({"subdivide": True} if subdivide else {}),
        }
        after = (self.crystal(case), self.exact(case, size, size == _size(case))) if training.relaxed else (self.crystal(case),)
        return Task(
            f"{STEPS}:rows",
            spec,
            after,
            f"{case.material.name} {case.defect} training rows{', in parts' if subdivide else ''}, size {size}{self._variant}",
            1.0 + size**3 / 8,
        )

    def trial(self, case: Case, size: int, degree: float, observations: str) -> Task:
        """Fit, relax, compare."""
        spec = {
            "material": _plain(case.material),
            "defect": case.defect,
            "size": _size(case),
            "training_size": size,
            "basis": self._basis(case, degree),
            "full": self._full(case),
            "observations": observations,
            "fit": self.spec.fit.model_dump(mode="json"),
        }
        after = (self.crystal(case), self.exact(case, _size(case), True), self.rows(case, size))
        label = f"{case.material.name} {case.defect} {observations}, size {size}, degree {degree:g}{self._variant}"
        return Task(f"{STEPS}:trial", spec, after, label, 1.0, version="2")

    def surrogate(self, case: Case, what: dict, name: str) -> Task:
        """Solve with the forces of a controlled surrogate beyond a radius, compare."""
        spec = {"material": _plain(case.material), "defect": case.defect, "size": _size(case), **what}
        after = (self.crystal(case), self.exact(case, _size(case), False))
        label = f"{case.material.name} {case.defect} {name}"
        return Task(SURROGATE, spec, after, label, 1.0 + 2.0 * ("V" in what["observations"].split("+")))

    def largest_basis(self, case: Case) -> dict:
        """The largest basis that rows are made for."""
        return self._basis(case, self._largest(case))

    def _largest(self, case: Case) -> float:
        degrees = self.spec.fit_accuracy.degrees if self.spec.fit_accuracy is not None else ()
        more = max((table.richer for table in (self.spec.certificates, self.spec.design) if table is not None), default=0.0)
        return max([_fitted(case).degree, *degrees]) + more

    def _basis(self, case: Case, degree: float) -> dict:
        basis = _fitted(case).model_dump(mode="json")
        pair = basis["pair_degree"]
        return {**basis, "degree": degree, "pair_degree": int(degree) if pair is None else pair}

    def _full(self, case: Case) -> dict:
        """The basis of the rows, which holds those of all fits."""
        largest = self._largest(case)
        basis = self._basis(case, largest)
        return {**basis, "pair_degree": max(basis["pair_degree"], int(largest))}


def widened(basis: dict, more: float) -> dict:
    """The basis of a fit with `more` degrees, as a certificate takes it: a part of that of the rows."""
    return {**basis, "degree": basis["degree"] + more, "pair_degree": max(basis["pair_degree"], int(basis["degree"]) + int(more))}


def _size(case: Case):
    """The size of the simulation cell as plain data."""
    return case.model_dump(mode="json", include={"simulation_size"})["simulation_size"]


def _spelled(size) -> str:
    """4, 4 x 4 x 6, or the rows of a matrix."""
    if isinstance(size, int):
        return str(size)
    return " x ".join(map(str, size)) if isinstance(size[0], int) else " ".join(str(tuple(row)) for row in size)


def _fitted(case: Case) -> Basis:
    assert case.basis is not None  # the specification has seen to it
    return case.basis


def _plain(material) -> dict:
    return material.model_dump(mode="json")
