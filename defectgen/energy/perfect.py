"""The perfect, infinite crystal from the jets of one primitive cell: energy, stress, force constants, elastic constants."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Float, Int
from ..crystal.cell import primitive_cell
from ..crystal.lattice import Lattice
from .bonds import Bonds, bonds, pad
from .site import SiteEnergy
from .total import channel_rows, energy_forces_virial, site_energies, site_hessians


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


def bulk_site_energies(lattice: Lattice, energy: SiteEnergy) -> Float[np.ndarray, "sublattices *channels"]:
    """Energy of each sublattice's site in the perfect crystal, eV."""
    x, near = crystal_bonds(lattice, energy)
    return np.asarray(site_energies(energy, jnp.asarray(x), jnp.asarray(lattice.vectors), near))[: lattice.sublattices]


def bulk_energy(lattice: Lattice, energy: SiteEnergy) -> Float[np.ndarray, "*channels"]:
    """Energy of the primitive cell, eV."""
    return np.asarray(bulk_site_energies(lattice, energy).sum(axis=0))


def bulk_response(
    lattice: Lattice, energy: SiteEnergy
) -> tuple[Float[np.ndarray, "*channels"], Float[np.ndarray, "sublattices 3 *channels"], Float[np.ndarray, "3 3 *channels"]]:
    """Energy (eV), internal forces (eV/A) and virial (eV) of the primitive cell, for a potential or every channel of a basis."""
    x, near = crystal_bonds(lattice, energy)
    x, box = jnp.asarray(x), jnp.asarray(lattice.vectors)
    if jax.eval_shape(energy, near.stencil(x, box)).ndim == 1:
        values, forces, virial = energy_forces_virial(energy, x, box, near)
        values = values.sum()
    else:
        values, forces, virial = channel_rows(energy, x, box, near)
    return np.asarray(values), np.asarray(forces)[: lattice.sublattices], np.asarray(virial)


def force_constants(lattice: Lattice, energy: SiteEnergy) -> ForceConstants:
    """Force constants of the infinite crystal from the Hessian jets of one primitive cell."""
    x, near = crystal_bonds(lattice, energy)
    stencil = near.stencil(jnp.asarray(x), jnp.asarray(lattice.vectors))

    def hessian(site: int) -> np.ndarray:
        one = type(stencil)(stencil.g[site : site + 1], stencil.centre[site : site + 1], stencil.neighbour[site : site + 1])
        return np.asarray(site_hessians(energy, one))[0]

    return assembled(lattice, near, hessian)


def assembled(lattice: Lattice, near: Bonds, hessian: Callable[[int], np.ndarray]) -> ForceConstants:
    """Force constants of site energies with the given Hessians (slots, 3, slots, 3, *channels) on the primitive cell's bonds.

    Every site l contributes V''_l(rho, sigma) to the pair (l + rho, l + sigma), minus its row sums to the pairs with l
    itself, so the acoustic sum rule holds to rounding. Pairs are sorted; the on-site pairs are included.
    """
    index, shift, mask = (np.asarray(a) for a in (near.index, near.shift, near.mask))
    keys, blocks = [], []
    for site in range(lattice.sublattices):
        live = np.flatnonzero(mask[site])
        inner = hessian(site)[live][:, :, live]  # k a k' b *c
        channels = inner.shape[4:]
        k = len(live)
        full = np.zeros((k + 1, 3, k + 1, 3, *channels))  # stencil atoms, then the site itself
        full[:k, :, :k] = inner
        full[k, :, :k] = -inner.sum(axis=0)
        full[:k, :, k] = -inner.sum(axis=2)
        full[k, :, k] = inner.sum(axis=(0, 2))
        atom = np.append(index[site][live], site)
        image = np.vstack([shift[site][live], np.zeros((1, 3), dtype=int)])
        a, b = (m.ravel() for m in np.meshgrid(np.arange(k + 1), np.arange(k + 1), indexing="ij"))
        keys.append(np.column_stack([atom[a], atom[b], image[b] - image[a]]))
        blocks.append(np.moveaxis(full, 2, 1).reshape((k + 1) ** 2, 3, 3, *channels))
    pair, place = np.unique(np.concatenate(keys), axis=0, return_inverse=True)
    values = np.concatenate(blocks)
    order = np.argsort(place.ravel(), kind="stable")
    starts = np.searchsorted(place.ravel()[order], np.arange(len(pair)))
    phi = np.add.reduceat(values[order], starts, axis=0)
    first, second, translation = pair[:, 0], pair[:, 1], pair[:, 2:]
    separation = translation @ lattice.vectors + lattice.motif[second] - lattice.motif[first]
    return ForceConstants(first, second, translation, separation, phi)


@lru_cache(maxsize=1)
def _strain_modes() -> tuple[np.ndarray, ...]:
    """Unit symmetric strains in Voigt order xx yy zz yz xz xy (shears with engineering strain 1)."""
    modes = []
    for a, b in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
        e = np.zeros((3, 3))
        e[a, b] += 0.5
        e[b, a] += 0.5
        modes.append(e)
    return tuple(modes)


def elastic_constants(lattice: Lattice, energy: SiteEnergy) -> Float[np.ndarray, "6 6"]:
    """Elastic constants C (eV/A^3, Voigt, internal coordinates relaxed) by the long-wave method.

    With s a strain and u sublattice shifts, E'' in (s, u) comes from the Hessian jets; C = (E_ss - E_su E_uu^+ E_us)/volume.
    Valid at zero stress. In two dimensions rows and columns zz, yz, xz vanish and the unit is eV/A^2.
    """
    x, near = crystal_bonds(lattice, energy)
    stencil = near.stencil(jnp.asarray(x), jnp.asarray(lattice.vectors))
    mask, index = np.asarray(near.mask), np.asarray(near.index)
    modes = _strain_modes()
    count = 6 + 3 * lattice.sublattices
    total = np.zeros((count, count))
    for site in range(lattice.sublattices):
        one = type(stencil)(stencil.g[site : site + 1], stencil.centre[site : site + 1], stencil.neighbour[site : site + 1])
        live = np.flatnonzero(mask[site])
        hessian = np.asarray(site_hessians(energy, one))[0][live][:, :, live]
        g = np.asarray(one.g)[0][live]
        motion = np.zeros((count, len(live), 3))
        for m, e in enumerate(modes):
            motion[m] = g @ e.T
        for k, j in enumerate(index[site][live]):
            for a in range(3):
                motion[6 + 3 * j + a, k, a] += 1.0
                motion[6 + 3 * site + a, k, a] -= 1.0
        total += np.einsum("mka,kalb,nlb->mn", motion, hessian, motion, optimize=True)
    inner = total[6:, 6:]
    c = total[:6, :6] - total[:6, 6:] @ np.linalg.pinv(inner, rcond=1e-9) @ total[6:, :6]
    return (c + c.T) / 2 / lattice.volume
