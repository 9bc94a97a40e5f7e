"""The perfect, infinite crystal from the jets of one primitive cell: energy, stress, force constants, elastic constants."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import jax
import numpy as np
from scipy.linalg import null_space

from .._input import takes
from .._typing import Float, Int
from ..crystal.cell import primitive_cell
from ..crystal.lattice import Lattice
from .bonds import Bonds, bonds, pad
from .packed import PackedBasis
from .pairs import CrystalPairs, crystal_pairs
from .site import SiteEnergy, Stencil
from .total import channel_rows, energy_forces_virial, packed_hessians, site_energies, site_hessians, stencils

PINV = 1e-9
"""Stiffness of a shift of sublattices, relative to the largest, below which it is none: out of the plane of a layer."""


@dataclass(frozen=True, eq=False)
class ForceConstants:
    """Phi[p] = d2E / du(0, first[p]) du(translations[p], second[p]) of the infinite crystal, eV/A^2
    (with trailing channels for a basis)."""

    first: Int[np.ndarray, " pairs"]
    second: Int[np.ndarray, " pairs"]
    translations: Int[np.ndarray, "pairs 3"]
    separations: Float[np.ndarray, "pairs 3"]
    """Vector from the first atom to the second, A."""
    phi: Float[np.ndarray, "pairs 3 3 *channels"]
    step: float | None = None
    """Finite-difference displacement, A, if the values were not computed analytically."""
    supercell: Int[np.ndarray, "3 3"] | None = None
    """Supercell of the finite differences, in primitive vectors: each value is a sum over its images. None: infinite crystal."""


def crystal_bonds(lattice: Lattice, energy: SiteEnergy) -> tuple[Float[np.ndarray, "rows 3"], Bonds]:
    """Padded positions and bonds of the periodic primitive cell: every stencil of the infinite crystal."""
    cell = primitive_cell(lattice)
    near = bonds(cell.positions, cell.vectors, cell.periodic, cell.symbols, energy)
    return pad(cell.positions, near.index.shape[0]), near


def bulk_site_energies(lattice: Lattice, energy: SiteEnergy) -> Float[np.ndarray, " sublattices *channels"]:
    """Energy of each sublattice's site in the perfect crystal, eV."""
    x, near = crystal_bonds(lattice, energy)
    return np.asarray(site_energies(energy, x, lattice.vectors, near))[: lattice.sublattices]


def bulk_energy(lattice: Lattice, energy: SiteEnergy) -> Float[np.ndarray, "*channels"]:
    """Energy of the primitive cell, eV."""
    return np.asarray(bulk_site_energies(lattice, energy).sum(axis=0))


def bulk_response(
    lattice: Lattice, energy: SiteEnergy
) -> tuple[Float[np.ndarray, "*channels"], Float[np.ndarray, "sublattices 3 *channels"], Float[np.ndarray, "3 3 *channels"]]:
    """Energy (eV), internal forces (eV/A) and virial (eV) of the primitive cell, for a potential or every channel of a basis."""
    x, near = crystal_bonds(lattice, energy)
    if jax.eval_shape(lambda y: energy(near.stencil(y, lattice.vectors)), x).ndim > 1:  # a channel for every function
        values, forces, virial = channel_rows(energy, x, lattice.vectors, near)
    else:
        values, forces, virial = energy_forces_virial(energy, x, lattice.vectors, near)
        values = np.asarray(values).sum()
    return np.asarray(values), np.asarray(forces)[: lattice.sublattices], np.asarray(virial)


def force_constants(lattice: Lattice, energy: SiteEnergy) -> ForceConstants:
    """Force constants of the infinite crystal from the Hessian jets of one primitive cell."""
    x, near = crystal_bonds(lattice, energy)
    stencil = stencils(x, lattice.vectors, near)
    if isinstance(energy, PackedBasis):
        return _packed_force_constants(lattice, near, energy, stencil)
    return assembled(lattice, near, lambda site: np.asarray(site_hessians(energy, _one(stencil, site)))[0])


def assembled(lattice: Lattice, near: Bonds, hessian: Callable[[int], np.ndarray]) -> ForceConstants:
    """Force constants of site energies with the given Hessians (slots, 3, slots, 3, *channels) on the primitive cell's bonds."""
    pairs = crystal_pairs(lattice, near)
    phi = sum((pairs.dense(site, hessian(site)) for site in range(1, lattice.sublattices)), pairs.dense(0, hessian(0)))
    return _force_constants(lattice, pairs, phi)


def _packed_force_constants(lattice: Lattice, near: Bonds, energy: PackedBasis, stencil: Stencil) -> ForceConstants:
    """The same for every function of a basis, those of a site being added to the channels of its species."""
    pairs = crystal_pairs(lattice, near)
    total = np.zeros((energy.size, 9 * len(pairs.keys)))
    for site in range(lattice.sublattices):
        added = pairs.packed(site, packed_hessians(energy, _one(stencil, site)))
        total[energy.channels_of(int(np.asarray(stencil.centre)[site]))] += added
    return _force_constants(lattice, pairs, np.ascontiguousarray(total.T).reshape(-1, 3, 3, energy.size))


def _one(stencil: Stencil, site: int) -> Stencil:
    """The stencil of one site."""
    return jax.tree.map(lambda a: jax.device_put(np.asarray(a)[site : site + 1]), stencil)


def _force_constants(lattice: Lattice, pairs: CrystalPairs, phi: np.ndarray) -> ForceConstants:
    """Values with their pairs."""
    first, second, translation = pairs.keys[:, 0], pairs.keys[:, 1], pairs.keys[:, 2:]
    separation = translation @ lattice.vectors + lattice.motif[second] - lattice.motif[first]
    return ForceConstants(first, second, translation, separation, phi)


@lru_cache(maxsize=1)
def strain_modes() -> tuple[np.ndarray, ...]:
    """Unit symmetric strains in Voigt order xx yy zz yz xz xy (shears with engineering strain 1)."""
    modes = []
    for a, b in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
        e = np.zeros((3, 3))
        e[a, b] += 0.5
        e[b, a] += 0.5
        modes.append(e)
    return tuple(modes)


@takes(lattice=(Lattice, "a lattice, such as dg.fcc(...)"), energy=(SiteEnergy, "a reference or a fitted model"))
def elastic_constants(lattice: Lattice, energy: SiteEnergy) -> Float[np.ndarray, "6 6"]:
    """Elastic constants C of a site energy (eV/A^3, Voigt, internal coordinates relaxed) by the long-wave method.

    With s a strain and u sublattice shifts, E'' in (s, u) comes from the Hessian jets; C = (E_ss - E_su E_uu^+ E_us)/volume.
    In two dimensions only strains and shifts in the plane take part; rows and columns zz, yz, xz are zero, the unit is eV/A^2.
    """
    x, near = crystal_bonds(lattice, energy)
    stencil = stencils(x, lattice.vectors, near)
    mask, index = np.asarray(near.mask), np.asarray(near.index)
    count, d = 6 + 3 * lattice.sublattices, lattice.dimension
    total = np.zeros((count, count))
    for site in range(lattice.sublattices):
        one = _one(stencil, site)
        live = np.flatnonzero(mask[site])
        hessian = np.asarray(site_hessians(energy, one))[0][live][:, :, live]
        g = np.asarray(one.g)[0][live]
        motion = np.zeros((count, len(live), 3))
        for m, e in enumerate(strain_modes()):
            if not e[d:].any():
                motion[m] = g @ e.T
        for k, j in enumerate(index[site][live]):
            for a in range(d):
                motion[6 + 3 * j + a, k, a] += 1.0
                motion[6 + 3 * site + a, k, a] -= 1.0
        total += np.einsum("mka,kalb,nlb->mn", motion, hessian, motion, optimize=True)
    return condensed(total, 6, 3) / lattice.volume


def condensed(second: Float[np.ndarray, "m m"], strains: int, axes: int) -> Float[np.ndarray, "strains strains"]:
    """E_ss - E_su E_uu^+ E_us of second derivatives (eV) whose first rows are the strains, and the others shifts of sublattices
    along each of the axes; translations of all sublattices, which cost nothing but rounding, are left out."""
    c = second[:strains, :strains]
    count = (len(second) - strains) // axes
    if count > 1:
        relative = null_space(np.tile(np.eye(axes), count))
        coupling = second[:strains, strains:] @ relative
        inner = relative.T @ second[strains:, strains:] @ relative
        c = c - coupling @ np.linalg.pinv(inner, rcond=PINV) @ coupling.T
    return (c + c.T) / 2
