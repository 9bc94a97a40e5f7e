"""A fit beyond a radius, the reference within: a conservative mixture, to first order in the response or nonlinear.

The energy is E_ref(u) + (E_fit - E_ref)(eta u). The displacement u is cut off by eta, zero up to L and one beyond 1.5 L, and
displaces a perfect crystal, whose total energy with the fit less that with the reference is the second term. Forces within L are
the reference's. No energy is divided into site energies. theory: bounds/one-potential.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..._typing import Bool, Float, Int
from ...crystal import Cell
from ...energy.functional import CellEnergy, Potential, cell_energy
from ...errors.norms import bonds_of
from ...relax import Equilibrium, GreensFunction, greens_function
from ...relax.preconditioner import Preconditioner

Field = Float[np.ndarray, "atoms 3"]
Sites = Float[np.ndarray, "sites 3"]

WIDTH = 1.5
"""The cut-off ends at this many times the radius where it begins."""


class FarScene:
    """What the fits around one defect have in common: its equilibrium, and the reference's forces in the displaced crystal."""

    def __init__(self, truth: Potential, exact: Equilibrium, perfect: Cell):
        """`perfect` is the cell of the defect without it."""
        self.truth, self.exact, self.cell, self.perfect = truth, exact, exact.cell, perfect
        self.green = greens_function(self.cell, truth)
        self.energy = cell_energy(self.cell, truth)
        self.bonds = bonds_of(self.cell)
        self.on: Bool[np.ndarray, " atoms"] = self.cell.sites >= 0
        self.site: Int[np.ndarray, " on"] = self.cell.sites[self.on]
        self._distance = self.cell.distance_to_defect() / self.cell.lattice.nearest_neighbour
        self._crystal = cell_energy(perfect, truth)
        self._own = lru_cache(maxsize=16)(self._reference)

    def within(self, radius: float) -> int:
        """Atoms within a radius (spacings)."""
        return int((self._distance <= radius).sum())

    def cut_off(self, radius: float) -> Float[np.ndarray, "atoms 1"]:
        """eta, twice continuously differentiable."""
        s = np.clip((self._distance / radius - 1) / (WIDTH - 1), 0.0, 1.0)[:, None]
        return s**3 * (10 - 15 * s + 6 * s**2)

    def on_sites(self, field: Field) -> Sites:
        """A field of the atoms on the sites of the perfect crystal, zero where there is no atom."""
        found = np.zeros((len(self.perfect), 3))
        found[self.site] = field[self.on]
        return found

    def on_atoms(self, field: Sites) -> Field:
        """A field of the sites on the atoms, zero on those without a site."""
        found = np.zeros((len(self.cell), 3))
        found[self.on] = field[self.site]
        return found

    def reference(self, radius: float, share: float) -> Sites:
        """Forces of the reference where the crystal is displaced by this share of the exact displacement, cut off, eV/A."""
        return self._own(radius, share)

    def _reference(self, radius: float, share: float) -> Sites:
        return self.crystal_forces(self._crystal, share * self.cut_off(radius) * self.exact.displacement)

    def crystal_forces(self, energy: CellEnergy, v: Field) -> Sites:
        """Forces in the perfect crystal displaced by a field of the atoms (A), eV/A."""
        return energy.energy_forces(self.perfect.positions + self.on_sites(v))[1]

    def difference(self, energy: CellEnergy, v: Field) -> Sites:
        """Forces of a fit less those of the reference."""
        return self.crystal_forces(energy, v) - self.crystal_forces(self._crystal, v)


class FittedBeyond:
    """A fit, ready to be used beyond any radius around the defect of a scene."""

    def __init__(self, scene: FarScene, model: Potential):
        self.scene, self._energy = scene, cell_energy(scene.perfect, model)
        self.green: GreensFunction = greens_function(scene.perfect, model)
        own, truth = (Preconditioner(scene.perfect, green) for green in (self.green, scene.green))
        self._stiffer: Callable[[Sites], Sites] = lambda v: own.stiffen(v) - truth.stiffen(v)

    def linear(self, radius: float) -> "LinearFar":
        """Its forces beyond a radius to first order in the response: the residual, and the perfect crystal's force constants."""
        scene, eta = self.scene, self.scene.cut_off(radius)
        half, whole = (self._residual(radius, share) for share in (0.5, 1.0))
        v = scene.on_sites(eta * scene.exact.displacement)
        # Simpson's rule on the straight way from the perfect crystal, where the forces vanish: exact up to fourth order in v
        energy = -float(np.vdot(4 * half + whole, v)) / 6
        return LinearFar(scene, eta, eta * scene.on_atoms(whole), energy, self._stiffer)

    def nonlinear(self, radius: float) -> "NonlinearFar":
        """Its forces beyond a radius."""
        return NonlinearFar(self.scene, self.scene.cut_off(radius), self._energy, self._stiffer)

    def _residual(self, radius: float, share: float) -> Sites:
        v = share * self.scene.cut_off(radius) * self.scene.exact.displacement
        return self.scene.crystal_forces(self._energy, v) - self.scene.reference(radius, share)


@dataclass(frozen=True, eq=False)
class LinearFar:
    """Forces beyond a radius that depend linearly on the displacement."""

    scene: FarScene
    eta: Float[np.ndarray, "atoms 1"]
    residual: Field
    """At the exact equilibrium, eV/A."""
    energy: float
    """E_fit - E_ref of the exact displacement, cut off, eV."""
    stiffer: Callable[[Sites], Sites]

    def forces(self, u: Field) -> Field:
        """eV/A at displacement u (A)."""
        return self.residual - self.product(u, u - self.scene.exact.displacement)

    def product(self, u: Field, v: Field) -> Field:
        """Minus the derivative of the forces along v, eV/A^2 times the unit of v."""
        return _stiffer(self, v)

    def energy_error(self, w: Field) -> float:
        """Energy of the mixture less that of the reference, each at its equilibrium, to second order in w = H^-1 g, eV.

        -g.w of the far forces and g.w / 2 of both potentials' curvature add up to -g.w / 2.
        """
        return self.energy - float(np.vdot(self.residual, w)) / 2


@dataclass(frozen=True, eq=False)
class NonlinearFar:
    """Forces of a fit less those of the reference beyond a radius."""

    scene: FarScene
    eta: Float[np.ndarray, "atoms 1"]
    crystal: CellEnergy
    stiffer: Callable[[Sites], Sites]

    def forces(self, u: Field) -> Field:
        """eV/A at displacement u (A)."""
        return self.eta * self.scene.on_atoms(self.scene.difference(self.crystal, self.eta * u))

    def product(self, u: Field, v: Field) -> Field:
        """Minus the derivative of the forces along v at the perfect crystal: it steers the iteration, the forces end it."""
        return _stiffer(self, v)


def _stiffer(far: LinearFar | NonlinearFar, v: Field) -> Field:
    return far.eta * far.scene.on_atoms(far.stiffer(far.scene.on_sites(far.eta * v)))


def core_radius(cell: Cell) -> float:
    """Nearest-neighbour spacings from the centre to the farthest site without an atom, or atom without a site."""
    vacant = np.setdiff1d(np.arange(len(cell.site_positions)), cell.sites[cell.sites >= 0])
    points = np.vstack([cell.site_positions[vacant], cell.positions[cell.sites < 0]])
    return float(cell.distance_from_centre(points).max(initial=0.0) / cell.lattice.nearest_neighbour)
