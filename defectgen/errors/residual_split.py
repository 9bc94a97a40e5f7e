"""The force and the energy that two potentials differ by at one displacement, split into parts that sum to the whole."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .._display import brief
from .._typing import Bool, Float
from ..crystal.cell import Cell
from ..energy.bonds import bonds, pad
from ..energy.functional import SKIN
from ..energy.perfect import bulk_site_energies
from ..energy.site import SiteEnergy
from ..energy.total import energy_forces_virial
from ..relax import Equilibrium
from .homogeneous import Affine, per_site

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


def split_residual(
    affine: Affine,
    exact: Equilibrium,
    truth: SiteEnergy,
    model: SiteEnergy,
    hessian: Float[np.ndarray, "sublattices slots 3 slots 3"],
    radius: float,
) -> ResidualSplit:
    """Parts of the residual of the exact equilibrium in the model; `hessian` is that of the site energies, model minus truth.

    With v = Du on the perfect sites, P the projection on homogeneous differences and dV' = dV'(rho + .) - dV'(rho),
        C2  P dV'' P v          G2  dV'' v - C2          C3, C4  P dV'(P v), its even part in v, and its odd one less C2,
        G3  dV'(v) - dV'' v - C3 - C4,
    and the force of each is -D^T of it on the atoms beyond `radius` (nearest-neighbour spacings). Energies beyond it: of C2, C3,
    C4 that of the homogeneous strain of each primitive cell; of G2 the rest of -1/4 sum over pairs of dPhi (u_j - u_i)^2, half of
    a pair at each end. theory: bounds/term-by-term.
    """
    crystal, cell = affine.crystal, affine.crystal.cell
    found, forces_there = _bulk_referenced(cell, exact.positions, model)
    energy, force = found - exact.energy, forces_there - exact.forces
    far = cell.distance_to_defect() > radius * cell.lattice.nearest_neighbour
    away = np.linalg.norm(cell.minimum_image(cell.site_positions - cell.centre), axis=1)
    beyond = away > radius * cell.lattice.nearest_neighbour

    slopes, energies = _split(affine, site_displacement(cell, exact.positions), truth, model, hessian)
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


def _split(affine: Affine, u: np.ndarray, truth: SiteEnergy, model: SiteEnergy, hessian: np.ndarray):
    """Slopes (sites, slots, 3) of the far parts, and energies (sites) of WITH_ENERGY."""
    crystal = affine.crystal
    v = crystal.difference(u)
    p = affine(v)
    count, slots = crystal.mask.shape
    q = affine.of_cells(v) if count > 1 else p
    several = [q, -q] if count > 1 else []
    asked = np.concatenate([v, p, -p, *several, np.zeros((count, slots, 3))])
    sublattice = np.concatenate([np.tile(crystal.sublattice, 3 + len(several)), np.arange(count)])
    value, slope = (
        a - b for a, b in zip(crystal.gradient(model, asked, sublattice), crystal.gradient(truth, asked, sublattice), strict=True)
    )
    n = len(v)
    value0, slope0 = value[-count:][crystal.sublattice], slope[-count:][crystal.sublattice]
    full, plus, minus = (slope[k * n : (k + 1) * n] - slope0 for k in range(3))
    first = 1 + len(several)
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
    energies["G2"] = _of_pairs(lambda w: crystal.transpose(bend(crystal.difference(w))), u) - energies["C2"]
    return slopes, energies


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
