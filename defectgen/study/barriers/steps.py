"""The steps of the study of migration barriers."""

from dataclasses import dataclass
from typing import Any

from ..._input import InputError
from ...campaign import Given, Step
from ...crystal import Cell
from ...crystal.elements import missing_potentials
from ...relax import migration_barrier
from ...surrogate import far_field, sites_of
from ..surrogates.scene import Scene, Solve, Solved
from ..tasks import Crystal, Rest, defect_cell, kept, truth_of

NAME = "barriers"


@dataclass(frozen=True, eq=False)
class Pass:
    """A minimum and the saddle point that an atom hops across."""

    barrier: float
    """eV."""
    atom: int
    """The atom that hops."""
    minimum: Rest
    saddle: Rest
    formation_energy: float | None
    """eV; None in a compound, where it is not defined without chemical potentials."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Hop(Step[Pass]):
    """The hop into a vacancy with the reference."""

    crystal: Crystal
    defect: str
    size: Any
    """Of the simulation cell."""

    @property
    def label(self) -> str:
        return f"{self.crystal.material.name} {self.defect} hop"

    @property
    def weight(self) -> float:
        return 3.0

    def cell(self, given: Given) -> Cell:
        """The unrelaxed vacancy."""
        return defect_cell(given[self.crystal].lattice(self.crystal.material), self.defect, self.size)

    def run(self, given: Given) -> Pass:
        """Minimum and saddle point."""
        material = self.crystal.material
        found = migration_barrier(self.cell(given), truth_of(material), chemical_potentials=material.potentials)
        if not found.converged:
            ended = found.saddle if found.minimum.converged else found.minimum
            raise InputError(f"no barrier was found: {ended.message}")
        missing = missing_potentials(found.minimum.cell, material.chemical_potentials)
        formation = None if missing else found.minimum.formation_energy
        return Pass(found.energy, found.atom, Rest.of(found.minimum), Rest.of(found.saddle), formation)


@dataclass(frozen=True, eq=False, kw_only=True)
class HopSolve(Solve):
    """Saddle point and minimum with the surrogate's forces beyond the radius, against the reference's.

    Geometry errors are those of the saddle point. The energy error is that of the barrier: the sum over sites of what the
    surrogate adds to the one state and not to the other, in absolute values, and the difference of the works of the inner
    forces.
    """

    exact: Hop

    def run(self, given: Given) -> Solved:
        """Solve and compare."""

        def made() -> Scene:
            cell, found = self.exact.cell(given), given[self.exact]
            states = [found.minimum.at(cell), found.saddle.at(cell)]
            return Scene(truth_of(self.crystal.material), states, self.error.reach, sites_of)

        scene = kept((NAME, self.exact.key, self.error.reach), made)
        far = far_field(scene.cell, scene.surrogate(self.error), self.error.radius, scene.sites)
        low, high = scene.mixed(far)
        pairs = zip(scene.states, (low, high), strict=True)
        added = [far.energies(state.displacement + found.difference) for state, found in pairs]
        return scene.solved(self.error.radius, [low, high], high.work - low.work, added[1] - added[0])
