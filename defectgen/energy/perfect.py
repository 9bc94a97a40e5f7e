"""The perfect, infinite crystal from the jets of one primitive cell: energy, stress, force constants, elastic constants."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import jax
import numpy as np
from scipy.linalg import null_space
from scipy.sparse import csr_array

from .._display import shown
from .._input import takes
from .._typing import Float, Int
from ..crystal.cell import primitive_cell
from ..crystal.lattice import Lattice
from .bonds import Bonds, bonds, pad
from .forms import PackedBasis, PackedHessian
from .site import SiteEnergy, Stencil, has_channels
from .total import channel_rows, energy_forces_virial, packed_hessians, site_energies, site_hessians, stencils


@dataclass(frozen=True, eq=False)
class CrystalPairs:
    """Every pair (b, b', t) of an atom b of the home cell and an atom b' of cell t within one stencil, its site included; sorted.

    Site l couples the atoms of its stencil and itself: V''_l(rho, sigma) goes to the pair (l + rho, l + sigma), and minus its
    row sums to the pairs with l, so the acoustic sum rule holds to rounding.
    """

    keys: Int[np.ndarray, "pairs 5"]
    live: tuple[Int[np.ndarray, " neighbours"], ...]
    """For each site of the home cell the slots that hold a neighbour."""
    place: tuple[Int[np.ndarray, "atoms atoms"], ...]
    """The pair of every two atoms that the site couples: its neighbours, then the site itself."""

    def dense(
        self, site: int, hessian: Float[np.ndarray, "slots 3 slots 3 *channels"]
    ) -> Float[np.ndarray, "pairs 3 3 *channels"]:
        """What a site with this Hessian adds to every pair."""
        live, place = self.live[site], self.place[site]
        inner = hessian[live][:, :, live]
        k, channels = len(live), inner.shape[4:]
        full = np.zeros((k + 1, 3, k + 1, 3, *channels))
        full[:k, :, :k] = inner
        full[k, :, :k] = -inner.sum(axis=0)
        full[:k, :, k] = -inner.sum(axis=2)
        full[k, :, k] = inner.sum(axis=(0, 2))
        blocks = np.moveaxis(full, 2, 1).reshape((k + 1) ** 2, 3, 3, *channels)
        order = np.argsort(place, axis=None, kind="stable")
        found, starts = np.unique(place.ravel()[order], return_index=True)
        total = np.zeros((len(self.keys), 3, 3, *channels))
        total[found] = np.add.reduceat(blocks[order], starts, axis=0)
        return total

    def packed(self, site: int, hessian: PackedHessian) -> Float[np.ndarray, "functions entries"]:
        """The same for every function of a site, entries (pairs, 3, 3). Function by function: no Hessian of all is made."""
        live, place = self.live[site], self.place[site]
        slopes, middle, own = (np.asarray(a)[0] for a in (hessian.slopes, hessian.middle, hessian.own))
        support = np.asarray(hessian.support)
        sums, k, functions = len(slopes), len(live), len(support)
        moved = np.zeros((sums, 3, k + 1))  # of the neighbours, then of the site itself: the difference operator
        moved[:, :, :k] = slopes[:, :, live]
        moved[:, :, k] = -moved.sum(axis=2)
        moved = moved.reshape(sums, -1)
        over_pairs = _sums_over_pairs(place, len(self.keys))
        total = np.empty((functions, over_pairs.shape[0]))
        width = (support < sums).sum(axis=1)
        for c, (w, chosen, matrix) in enumerate(zip(width, support, middle, strict=True)):
            directions = moved[chosen[:w]]
            total[c] = over_pairs @ (directions.T @ (matrix[:w, :w] @ directions)).ravel()
        itself = _of_one_neighbour(place, len(self.keys)) @ own[..., live].reshape(-1, k).T
        return total + np.swapaxes(itself.reshape(-1, functions, 9), 0, 1).reshape(functions, -1)


def crystal_pairs(lattice: Lattice, near: Bonds) -> CrystalPairs:
    """The pairs of a primitive cell with these bonds."""
    index, shift, mask = (np.asarray(a) for a in (near.index, near.shift, near.mask))
    keys, live = [], []
    for site in range(lattice.sublattices):
        slots = np.flatnonzero(mask[site])
        atom = np.append(index[site][slots], site)
        image = np.vstack([shift[site][slots], np.zeros((1, 3), dtype=int)])
        a, b = (m.ravel() for m in np.meshgrid(np.arange(len(atom)), np.arange(len(atom)), indexing="ij"))
        keys.append(np.column_stack([atom[a], atom[b], image[b] - image[a]]))
        live.append(slots)
    pair, place = np.unique(np.concatenate(keys), axis=0, return_inverse=True)
    parts = np.split(place.ravel(), np.cumsum([len(k) for k in keys])[:-1])
    return CrystalPairs(pair, tuple(live), tuple(p.reshape(len(s) + 1, -1) for p, s in zip(parts, live, strict=True)))


def _sums_over_pairs(place: Int[np.ndarray, "atoms atoms"], pairs: int) -> csr_array:
    """From a matrix (3 atoms, 3 atoms), coordinates before atoms, to its 3 x 3 blocks added up over pairs."""
    n = len(place)
    a, k, b, l = np.indices((3, n, 3, n)).reshape(4, -1)  # noqa: E741
    target = 9 * place[k, l] + 3 * a + b
    return csr_array((np.ones(9 * n * n), (target, np.arange(9 * n * n))), shape=(9 * pairs, 9 * n * n))


def _of_one_neighbour(place: Int[np.ndarray, "atoms atoms"], pairs: int) -> csr_array:
    """From one block for each neighbour, V''(rho, rho) of its own, to pairs: with itself, with the site, and the site's own."""
    k = len(place) - 1
    own = np.arange(k)
    target = np.concatenate([place[own, own], place[own, k], place[k, own], np.full(k, place[k, k])])
    return csr_array((np.repeat([1.0, -1.0, -1.0, 1.0], k), (target, np.tile(own, 4))), shape=(pairs, k))


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

    def __repr__(self) -> str:
        reach = np.linalg.norm(self.separations, axis=1).max() if len(self.separations) else 0.0
        channels = "".join(f", {n:,} channels" for n in self.phi.shape[3:])
        step = "" if self.step is None else f"finite differences of {self.step:g} A"
        return shown(self, f"{len(self.first):,} pairs up to {reach:.4g} A{channels}", step)


def crystal_bonds(lattice: Lattice, energy: SiteEnergy) -> tuple[Float[np.ndarray, "rows 3"], Bonds]:
    """Padded positions and bonds of the periodic primitive cell: every stencil of the infinite crystal.

    Parameters
    ----------
    lattice : Lattice
        The perfect crystal.
    energy : SiteEnergy
        Its cutoff and species count.

    Returns
    -------
    positions : array, (rows, 3)
        A.
    bonds : Bonds
        The neighbour list.
    """
    cell = primitive_cell(lattice)
    near = bonds(cell.positions, cell.vectors, cell.periodic, cell.symbols, energy)
    return pad(cell.positions, near.index.shape[0]), near


def bulk_site_energies(lattice: Lattice, energy: SiteEnergy) -> Float[np.ndarray, " sublattices *channels"]:
    """Energy of each sublattice's site in the perfect crystal.

    Parameters
    ----------
    lattice : Lattice
        The perfect crystal.
    energy : SiteEnergy
        A potential or a basis.

    Returns
    -------
    array, (sublattices, ...)
        eV; with trailing channels for a basis.
    """
    x, near = crystal_bonds(lattice, energy)
    if has_channels(energy):
        return np.asarray(site_energies(energy, x, lattice.vectors, near))[: lattice.sublattices]
    return np.asarray(energy_forces_virial(energy, x, lattice.vectors, near)[0])[: lattice.sublattices]


def bulk_energy(lattice: Lattice, energy: SiteEnergy) -> Float[np.ndarray, "*channels"]:
    """Energy of the primitive cell.

    Parameters
    ----------
    lattice : Lattice
        The perfect crystal.
    energy : SiteEnergy
        A potential or a basis.

    Returns
    -------
    array, (...)
        eV; one number for a potential, channels for a basis.
    """
    return bulk_response(lattice, energy)[0]  # whose program is there already


def bulk_response(
    lattice: Lattice, energy: SiteEnergy
) -> tuple[Float[np.ndarray, "*channels"], Float[np.ndarray, "sublattices 3 *channels"], Float[np.ndarray, "3 3 *channels"]]:
    """Energy, internal forces and virial of the primitive cell, for a potential or every channel of a basis.

    Parameters
    ----------
    lattice : Lattice
        The perfect crystal.
    energy : SiteEnergy
        A potential or a basis.

    Returns
    -------
    energy : array, (...)
        eV.
    forces : array, (sublattices, 3, ...)
        eV/A.
    virial : array, (3, 3, ...)
        -dE/d(strain), eV. theory: crystal/virial.
    """
    x, near = crystal_bonds(lattice, energy)
    if has_channels(energy):
        values, forces, virial = channel_rows(energy, x, lattice.vectors, near)
    else:
        values, forces, virial = energy_forces_virial(energy, x, lattice.vectors, near)
        values = np.asarray(values).sum()
    return np.asarray(values), np.asarray(forces)[: lattice.sublattices], np.asarray(virial)


def force_constants(lattice: Lattice, energy: SiteEnergy) -> ForceConstants:
    """Force constants of the infinite crystal from the Hessian jets of one primitive cell.

    Parameters
    ----------
    lattice : Lattice
        The perfect crystal.
    energy : SiteEnergy
        A potential or a basis.

    Returns
    -------
    ForceConstants
        eV/A^2; with trailing channels for a basis. theory: crystal/force-constants.
    """
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
def long_wave_elastic_constants(lattice: Lattice, energy: SiteEnergy) -> Float[np.ndarray, "6 6"]:
    """Elastic constants C of a site energy, internal coordinates relaxed, by the method of long waves.

    Parameters
    ----------
    lattice : Lattice
        The relaxed perfect crystal.
    energy : SiteEnergy
        A reference or a fitted model.

    Returns
    -------
    array, (6, 6)
        Voigt order xx yy zz yz xz xy, eV/A^3. In two dimensions only strains and shifts in the plane take part; rows and
        columns zz,
        yz, xz are zero and the unit is eV/A^2.

    Raises
    ------
    InputError
        For what is no lattice, or no site energy.

    Notes
    -----
    With s a strain and u shifts of the sublattices, E'' in (s, u) comes from the Hessian jets;
    C = (E_ss - E_su E_uu^+ E_us)/volume. theory: crystal/elastic-constants.
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
