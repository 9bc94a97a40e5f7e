"""The steps of the study of dislocations."""

from dataclasses import dataclass, replace

from ..._input import InputError
from ...campaign import Given, Step
from ...crystal import Cell, Lattice
from ...elastic import dislocation
from ...relax import relax
from ...surrogate import dislocated_far_field, sites_read_off
from ..surrogates.scene import Scene, Solve, Solved
from ..tasks import Crystal, Rest, kept, truth_of

NAME = "dislocations"


ACCURACY = 1e-4
"""Relative residual of the mixed equilibrium. Where a dislocation glides easily its softest mode is a thousand times softer than
the crystal, and what is left of the residual there counts a thousand times."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Line(Step[Rest]):
    """A straight dislocation relaxed with the reference in a clamped cylinder."""

    crystal: Crystal
    slip: str
    """"edge" or "screw"."""
    radius: int
    """Of the free atoms, nearest-neighbour spacings."""

    @property
    def label(self) -> str:
        return f"{self.crystal.material.name} {self.slip} dislocation reference, radius {self.radius}"

    @property
    def weight(self) -> float:
        return 4.0

    def cell(self, lattice: Lattice) -> Cell:
        """The unrelaxed dislocation."""
        truth = truth_of(self.crystal.material)
        return dislocation(lattice, self.slip, self.radius * lattice.nearest_neighbour, truth)

    def run(self, given: Given) -> Rest:
        """Relax."""
        cell = self.cell(given[self.crystal].lattice(self.crystal.material))
        found = relax(cell, truth_of(self.crystal.material), tolerance=1e-10)
        if not found.converged or not found.is_minimum:
            raise InputError(f"the dislocation did not relax: {found.message}")
        return Rest.of(replace(found, eigenvalue=found.lowest_eigenvalue))  # a column of the table


@dataclass(frozen=True, eq=False, kw_only=True)
class LineSolve(Solve):
    """A dislocation with the surrogate's forces beyond the radius, against the reference's equilibrium.

    In signed sums of the energy error odd powers of the strain would cancel (theory: bounds/dislocations).
    """

    exact: Line

    def run(self, given: Given) -> Solved:
        """Solve and compare."""

        def made() -> Scene:
            cell = self.exact.cell(given[self.crystal].lattice(self.crystal.material))
            return Scene(truth_of(self.crystal.material), [given[self.exact].at(cell)], self.error.reach, sites_read_off)

        scene = kept((NAME, self.exact.key, self.error.reach), made)
        far = dislocated_far_field(scene.cell, scene.surrogate(self.error), self.error.radius, scene.sites)
        (found,) = scene.mixed(far, accuracy=ACCURACY)
        energies = far.energies(scene.states[0].displacement + found.difference)
        return scene.solved(self.error.radius, [found], found.work, energies)
