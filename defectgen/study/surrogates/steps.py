"""The step of the study of surrogates."""

from dataclasses import dataclass

from ...campaign import Given
from ...surrogate import far_field, sites_of
from ..tasks import Exact, kept, truth_of
from .scene import Scene, Solve, Solved

NAME = "surrogates"


@dataclass(frozen=True, eq=False, kw_only=True)
class PointSolve(Solve):
    """A point defect with the surrogate's forces beyond the radius, against the reference's equilibrium."""

    exact: Exact

    @property
    def weight(self) -> float:
        return 1.0 + 2.0 * ("V" in self.error.observations.split("+"))

    def run(self, given: Given) -> Solved:
        """Solve and compare."""

        def made() -> Scene:
            state = given[self.exact].at(self.exact.cell(given))
            return Scene(truth_of(self.crystal.material), [state], self.error.reach, sites_of)

        scene = kept((NAME, self.exact.key, self.error.reach), made)
        far = far_field(scene.cell, scene.surrogate(self.error), self.error.radius, scene.sites)
        (found,) = scene.mixed(far)
        energies = far.energies(scene.states[0].displacement + found.difference)
        return scene.solved(self.error.radius, [found], found.work, energies)
