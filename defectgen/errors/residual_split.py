"""The force and the energy that two potentials differ by at one displacement, split into parts that sum to the whole."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._display import brief
from .._typing import Bool, Float, Int
from ..crystal.cell import Cell
from ..energy.bonds import bonds, pad
from ..energy.functional import SKIN
from ..energy.perfect import ForceConstants, bulk_site_energies
from ..energy.site import SiteEnergy
from ..energy.total import energy_forces_virial
from ..relax import Equilibrium
from ..relax.fourier import blocks, convolve, grid
from .homogeneous import Affine, per_site
from .perfect_crystal import PerfectCrystal, Slopes

FAR = ("C2", "G2", "C3", "G3", "C4")
"""Parts of the far field: homogeneous of second, third, fourth order, and the rest of the linear and of the nonlinear part."""

WITH_ENERGY = ("C2", "G2", "C3", "C4")
"""Those whose energy beyond a radius is one number. That of G3 depends on how a potential shares energy among the sites, which no
observation fixes."""


@dataclass(frozen=True, eq=False)
class ResidualSplit:
    """Model minus truth at the displacement of the exact defect, bulk-referenced; `far` atoms are farther than the radius."""

    far: Bool[np.ndarray, " atoms"]
    force: dict[str, Float[np.ndarray, "atoms 3"]]
    """eV/A: "F" on the atoms within the radius; on those beyond it "K", what the defect's missing or extra atoms change, and the
    parts of the perfect crystal's force, FAR. They sum to the whole."""
    energy: dict[str, float]
    """eV: WITH_ENERGY beyond the radius, "E" everything else. They sum to the whole. None depends on how a model shares its
    energy among the sites: what sites beyond the radius see of the defect, and the anharmonic gradients, count with E."""

    __repr__ = brief

    @property
    def whole(self) -> Float[np.ndarray, "atoms 3"]:
        """f_model - f_truth, eV/A."""
        return np.sum(list(self.force.values()), axis=0)


def site_displacement(cell: Cell, positions: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "sites 3"]:
    """Displacement (A) of the atom on each perfect site from that site; vacant sites stay where they are."""
    on = np.flatnonzero(cell.sites >= 0)
    u = np.zeros_like(cell.site_positions)
    u[cell.sites[on]] = cell.minimum_image(cell.positions[on] - cell.site_positions[cell.sites[on]]) + (
        positions[on] - cell.positions[on]
    )
    return u


@dataclass(frozen=True, eq=False)
class Strained:
    """The stencils at which both potentials are evaluated, and the reference there: the same for every model."""

    affine: Affine
    truth: SiteEnergy
    u: Float[np.ndarray, "sites 3"]
    """Displacement of the perfect sites, A."""

    @cached_property
    def v(self) -> Slopes:
        """Du, A."""
        return self.affine.crystal.difference(self.u)

    @cached_property
    def p(self) -> Slopes:
        """P Du, A."""
        return self.affine(self.v)

    @cached_property
    def q(self) -> Slopes:
        """The homogeneous differences of each primitive cell, A."""
        return self.affine.of_cells(self.v) if len(self.affine.crystal.mask) > 1 else self.p

    @cached_property
    def asked(self) -> tuple[Slopes, Int[np.ndarray, " stencils"]]:
        """v, p, -p, in multilattices q and -q, and the perfect stencils, with their sublattices."""
        crystal, (count, slots) = self.affine.crystal, self.affine.crystal.mask.shape
        several = [self.q, -self.q] if count > 1 else []
        where = np.concatenate([np.tile(crystal.sublattice, 3 + len(several)), np.arange(count)])
        return np.concatenate([self.v, self.p, -self.p, *several, np.zeros((count, slots, 3))]), where

    @cached_property
    def found(self) -> tuple[Float[np.ndarray, " stencils"], Slopes]:
        """Energies (eV) and slopes (eV/A) of the reference there."""
        return self.affine.crystal.gradient(self.truth, *self.asked)

    @cached_property
    def derivatives(self) -> tuple[Float[np.ndarray, " sites"], ...]:
        """Norms at every site: of the strain, of its gradient (1/A) and of its second gradient (1/A^2)."""
        affine, count = self.affine, len(self.u)
        second = affine.derivative(affine.derivative(self.u))
        third = affine.derivative(second)
        return affine.size(self.v), *(np.linalg.norm(a.reshape(count, -1), axis=1) for a in (second, third))


def strained(affine: Affine, exact: Equilibrium, truth: SiteEnergy) -> Strained:
    """The stencils of the exact equilibrium."""
    return Strained(affine, truth, site_displacement(exact.cell, exact.positions))


def split_residual(
    affine: Affine,
    exact: Equilibrium,
    truth: SiteEnergy,
    model: SiteEnergy,
    hessian: Float[np.ndarray, "sublattices slots 3 slots 3"],
    radius: float,
    known: Strained | None = None,
) -> ResidualSplit:
    """Parts of the residual of the exact equilibrium in the model; `hessian` is that of the site energies, model minus truth.

    With v = Du on the perfect sites, P the projection on homogeneous differences and dV' = dV'(rho + .) - dV'(rho),
        C2  P dV'' P v          G2  dV'' v - C2          C3, C4  P dV'(P v), its even part in v, and its odd one less C2,
        G3  dV'(v) - dV'' v - C3 - C4,
    and the force of each is -D^T of it on the atoms beyond `radius` (nearest-neighbour spacings). Energies beyond it: of C2, C3,
    C4 that of the homogeneous strain of each primitive cell; of G2 the rest of -1/4 sum over pairs of dPhi (u_j - u_i)^2, half of
    a pair at each end. theory: bounds/term-by-term. `known` is ``strained(affine, exact, truth)``, if it was made before.
    """
    crystal, cell = affine.crystal, affine.crystal.cell
    found, forces_there = _bulk_referenced(cell, exact.positions, model)
    energy, force = found - exact.energy, forces_there - exact.forces
    far = cell.distance_to_defect() > radius * cell.lattice.nearest_neighbour
    away = np.linalg.norm(cell.minimum_image(cell.site_positions - cell.centre), axis=1)
    beyond = away > radius * cell.lattice.nearest_neighbour

    slopes, energies = _split(known or strained(affine, exact, truth), model, hessian)
    forces, whole_far = {"F": np.where(far[:, None], 0.0, force)}, np.zeros_like(force)
    on = np.flatnonzero((cell.sites >= 0) & far)
    for name in FAR:
        part = np.zeros_like(force)
        part[on] = -crystal.transpose(slopes[name])[cell.sites[on]]
        part[:, cell.lattice.dimension :] = 0.0
        forces[name] = part
        whole_far += part
    forces["K"] = np.where(far[:, None], force - whole_far, 0.0)
    outer = {name: float(energies[name][beyond].sum()) for name in WITH_ENERGY}
    return ResidualSplit(far, forces, {"E": float(energy) - sum(outer.values()), **outer})


def _bulk_referenced(cell: Cell, x: Float[np.ndarray, "atoms 3"], potential: SiteEnergy):
    """Energy relative to the perfect crystal (eV) and forces (eV/A)."""
    near = bonds(x, cell.vectors, cell.periodic, cell.symbols, potential, SKIN)  # as in a relaxation: nothing is compiled again
    rows, n = len(near.index), len(cell)
    values, forces, _ = energy_forces_virial(potential, pad(x, rows), cell.vectors, near)
    bulk = bulk_site_energies(cell.lattice, potential)
    sublattice = cell.perfect_sites.sublattices[np.maximum(cell.sites, 0)]
    native = (cell.sites >= 0) & (np.array(cell.lattice.species)[sublattice] == np.array(cell.symbols))
    own = np.where(native, bulk[sublattice], bulk.mean())
    movable = np.array([1.0, 1.0, 1.0 if cell.lattice.dimension == 3 else 0.0])
    return np.sum(np.asarray(values)[:n] - own) + np.sum(own - bulk.mean()), np.asarray(forces)[:n] * movable


def _split(known: Strained, model: SiteEnergy, hessian: np.ndarray):
    """Slopes (sites, slots, 3) of the far parts, and energies (sites) of WITH_ENERGY."""
    affine, crystal, u, v, p, q = known.affine, known.affine.crystal, known.u, known.v, known.p, known.q
    count, slots = crystal.mask.shape
    value, slope = (a - b for a, b in zip(crystal.gradient(model, *known.asked), known.found, strict=True))
    n = len(v)
    value0, slope0 = value[-count:][crystal.sublattice], slope[-count:][crystal.sublattice]
    full, plus, minus = (slope[k * n : (k + 1) * n] - slope0 for k in range(3))
    first = 3 if count > 1 else 1
    up, down = (value[k * n : (k + 1) * n] - value0 for k in (first, first + 1))
    flat = hessian.reshape(count, slots * 3, slots * 3)

    def bend(w: np.ndarray) -> np.ndarray:
        """dV'' w."""
        return per_site(flat, crystal, w.reshape(n, slots * 3, 1)).reshape(w.shape)

    linear = bend(v)
    slopes = {"C2": affine(bend(p))}
    slopes["G2"] = linear - slopes["C2"]
    slopes["C3"] = affine(plus + minus) / 2
    slopes["C4"] = affine(plus - minus) / 2 - slopes["C2"]
    slopes["G3"] = full + slope0 - linear - slopes["C3"] - slopes["C4"]

    def half(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.sum(a * b, axis=(1, 2)) / 2

    energies = {"C2": half(q, bend(q))}
    energies["C3"] = (up - down) / 2 - 2 * half(slope0, q)
    energies["C4"] = (up + down) / 2 - energies["C2"]
    energies = {name: affine.shared(e) for name, e in energies.items()}
    energies["G2"] = _of_pairs(stiffness(crystal, hessian), u) - energies["C2"]
    return slopes, energies


def stiffness(
    crystal: PerfectCrystal, hessian: Float[np.ndarray, "sublattices slots 3 slots 3"]
) -> Callable[[np.ndarray], np.ndarray]:
    """w -> D^T V'' D w on the sites, by Fourier transforms: the force constants of sites that have these Hessians."""
    cell, lattice = crystal.cell, crystal.cell.lattice
    d, parts = lattice.dimension, []
    for b, live in enumerate(crystal.mask):
        k = int(live.sum())
        inner = hessian[b][live][:, :, live]
        phi = np.zeros((k + 1, 3, k + 1, 3))  # the neighbours, then the site itself
        phi[:k, :, :k] = inner
        phi[k, :, :k], phi[:k, :, k], phi[k, :, k] = -inner.sum(axis=0), -inner.sum(axis=2), inner.sum(axis=(0, 2))
        atom, place = np.append(crystal.second[b, live], b), np.vstack([crystal.shift[b, live], np.zeros((1, 3), dtype=int)])
        i, j = (m.ravel() for m in np.indices((k + 1, k + 1)))
        parts.append((atom[i], atom[j], place[j] - place[i], phi.swapaxes(1, 2).reshape(-1, 3, 3)))
    first, second, translations, values = (np.concatenate(each) for each in zip(*parts, strict=True))
    separations = translations @ lattice.vectors + lattice.motif[second] - lattice.motif[first]
    assert cell.perfect_sites.matrix is not None  # a perfect crystal fills its cell
    on = grid(cell.perfect_sites.matrix)
    block = blocks(on, lattice, ForceConstants(first, second, translations, separations, values))
    place = on.index(cell.perfect_sites.translations) * lattice.sublattices + crystal.sublattice

    def stiffen(w: Float[np.ndarray, "sites 3"]) -> Float[np.ndarray, "sites 3"]:
        field = np.empty((len(w), d))
        field[place] = w[:, :d]
        result = np.zeros_like(w)
        result[:, :d] = convolve(block, on, field.reshape(-1, lattice.sublattices * d)).reshape(-1, d)[place]
        return result

    return stiffen


def _of_pairs(stiffen: Callable[[np.ndarray], np.ndarray], u: np.ndarray) -> Float[np.ndarray, " sites"]:
    """-1/4 sum_j Phi_ab(i, j) (u_j - u_i)_a (u_j - u_i)_b at every site i: the harmonic energy from force constants alone.

    `stiffen` applies Phi, which gives zero for a translation; so the square is 2 u_i . (Phi u)_i less Phi_ab applied to u_a u_b.
    """
    products = np.zeros(len(u))
    for b in np.flatnonzero(np.abs(u).max(axis=0) > 0):
        for a in np.flatnonzero(np.abs(u).max(axis=0) > 0):
            field = np.zeros_like(u)
            field[:, b] = u[:, a] * u[:, b]
            products += stiffen(field)[:, a]
    return np.sum(u * stiffen(u), axis=1) / 2 - products / 4
