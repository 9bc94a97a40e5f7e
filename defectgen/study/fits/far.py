"""A fit beyond a radius, the reference within.

Geometry: the forces on atoms beyond L are those of the fit, and the reference's within. The response is that of the perfect
crystal, by its Green's function, or the nonlinear equilibrium. Energy: forces that are mixed have none, so it is that of the far
field, E_fit - E_ref of a perfect crystal whose displacement is the exact one, cut off smoothly between L and 1.5 L. That is the
first order of the energy error in the error of the fit, a difference of total energies, and needs no site energies. Forces are
evaluated on one atom of each kind that the symmetry of the defect makes of each other. theory: bounds/one-potential.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from ..._typing import Bool, Float, Int
from ...crystal import Cell, Copies, copies
from ...energy.functional import CellEnergy, cell_energy
from ...energy.site import SiteEnergy
from ...energy.some import SomeForces
from ...errors.norms import bonds_of
from ...relax import Equilibrium, GreensFunction, greens_function
from ...relax.preconditioner import Preconditioner

Field = Float[np.ndarray, "atoms 3"]
Sites = Float[np.ndarray, "sites 3"]

WIDTH = 1.5
"""The cut-off of the displacement ends at this many times the radius where it begins."""

SHARE, WEIGHT = 3 / 4, 16 / 27
"""The part of the way where forces are evaluated, and their weight: WEIGHT SHARE^2 = 1/3 and WEIGHT SHARE^3 = 1/4."""


class SymmetricForces:
    """Forces on all atoms of a cell at positions that have the symmetry of a defect."""

    def __init__(self, cell: Cell, symmetry: Copies, cutoff: float):
        self.symmetry, self._some = symmetry, SomeForces(cell, cutoff, symmetry.first)

    def __call__(self, potential: SiteEnergy, x: Field) -> Field:
        """eV/A at positions x (A)."""
        return self.symmetry.spread(self._some(potential, x))


class FarScene:
    """What the fits around one defect have in common: its equilibrium, and the reference's forces there and in the far field."""

    def __init__(self, truth: SiteEnergy, exact: Equilibrium, perfect: Cell, cutoff: float):
        """`perfect` is the cell of the defect without it, `cutoff` that of the fits (A)."""
        self.truth, self.exact, self.cell, self.perfect = truth, exact, exact.cell, perfect
        self.green = greens_function(self.cell, truth)
        self.bonds = bonds_of(self.cell)
        self.answer = Preconditioner(self.cell, self.green)
        reach = max(cutoff, truth.cutoff)
        self.around = SymmetricForces(self.cell, copies(self.cell, displacement=exact.displacement), reach)
        self.within = SymmetricForces(perfect, copies(self.cell, perfect, exact.displacement), reach)
        self.displacement: Field = self.around.symmetry.mean(exact.displacement)
        self.forces: Field = self.around(truth, self.cell.positions + self.displacement)
        self._on: Bool[np.ndarray, " atoms"] = self.cell.sites >= 0
        self._site: Int[np.ndarray, " on"] = self.cell.sites[self._on]
        self._distance = self.cell.distance_to_defect() / self.cell.lattice.nearest_neighbour
        self._own = lru_cache(maxsize=16)(self._reference)

    @cached_property
    def energy(self) -> CellEnergy:
        """Of the reference, with all atoms: for nonlinear equilibria."""
        return cell_energy(self.cell, self.truth)

    def beyond(self, radius: float) -> Bool[np.ndarray, "atoms 1"]:
        """Atoms farther from the defect than a radius (spacings)."""
        return (self._distance > radius)[:, None]

    def far_field(self, radius: float) -> Sites:
        """The exact displacement on the sites of the perfect crystal, zero up to a radius, whole beyond 1.5 times it, A.

        The cut-off is twice continuously differentiable. The mean displacement in between is subtracted, since a translation is
        no strain.
        """
        s = np.clip((self._distance / radius - 1) / (WIDTH - 1), 0.0, 1.0)[:, None]
        between = (s > 0) & (s < 1)
        u = self.displacement
        eta = s**3 * (10 - 15 * s + 6 * s**2)
        return self._on_sites(eta * (u - (u * between).sum(axis=0) / max(between.sum(), 1)))

    def reference(self, radius: float) -> Sites:
        """Forces of the reference in the perfect crystal that is displaced by `SHARE` of the far field, eV/A."""
        return self._own(radius)

    def displaced(self, potential: SiteEnergy, v: Sites) -> Sites:
        """Forces in the perfect crystal displaced by v (A), eV/A."""
        return self.within(potential, self.perfect.positions + v)

    def stiffer(self, cell: Cell, green: GreensFunction) -> Callable[[Field], Field]:
        """Force constants of a fit less those of the reference, of the perfect crystal, on a field of the atoms of a cell."""
        fit, own = Preconditioner(cell, green), Preconditioner(cell, self.green)
        return lambda v: fit.stiffen(v) - own.stiffen(v)

    def _reference(self, radius: float) -> Sites:
        return self.displaced(self.truth, SHARE * self.far_field(radius))

    def _on_sites(self, field: Field) -> Sites:
        found = np.zeros((len(self.perfect), 3))
        found[self._site] = field[self._on]
        return found


class FittedBeyond:
    """A fit, ready to be used beyond any radius around the defect of a scene."""

    def __init__(self, scene: FarScene, model: SiteEnergy):
        self.scene, self.model = scene, model
        self.green = greens_function(scene.cell, model)
        self._stiffer, self._stiffer_crystal = (scene.stiffer(cell, self.green) for cell in (scene.cell, scene.perfect))
        self.residual: Field = scene.around(model, scene.cell.positions + scene.displacement) - scene.forces
        """Forces of the fit less those of the reference at the exact equilibrium, eV/A."""

    def response(self, radius: float) -> Field:
        """Displacement with which the perfect crystal of the reference answers the forces beyond a radius, A."""
        return self.scene.answer(np.where(self.scene.beyond(radius), self.residual, 0.0))

    def nonlinear(self, radius: float) -> "NonlinearFar":
        """Its forces beyond a radius."""
        return NonlinearFar(self.scene, cell_energy(self.scene.cell, self.model), self.scene.beyond(radius), self._stiffer)

    def far_energy(self, radius: float) -> float:
        """E_fit - E_ref of the far field, eV.

        The work on the straight way from the perfect crystal, where forces vanish. The force constants give that of the linear
        force; one evaluation at three quarters of the way gives that of the rest, quadratic and cubic in the displacement. Exact
        up to fourth order in the displacement, and without the rounding of total energies.
        """
        v = self.scene.far_field(radius)
        linear = -self._stiffer_crystal(v)
        found = self.scene.displaced(self.model, SHARE * v) - self.scene.reference(radius)
        return -float(np.vdot(linear / 2 + WEIGHT * (found - SHARE * linear), v))


@dataclass(frozen=True, eq=False)
class NonlinearFar:
    """Forces of a fit less those of the reference on the atoms beyond a radius."""

    scene: FarScene
    energy: CellEnergy
    beyond: Bool[np.ndarray, "atoms 1"]
    stiffer: Callable[[Field], Field]

    def forces(self, u: Field) -> Field:
        """eV/A at displacement u (A)."""
        x = self.scene.cell.positions + u
        found = self.energy.energy_forces(x)[1] - self.scene.energy.energy_forces(x)[1]
        return np.where(self.beyond, found, 0.0)

    def product(self, u: Field, v: Field) -> Field:
        """Minus the derivative of the forces along v at the perfect crystal: it steers the iteration, the forces end it."""
        return np.where(self.beyond, self.stiffer(v), 0.0)
