"""The forces of a surrogate around a dislocation: far from it every stencil is a strained perfect one, read off the atoms."""

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial import KDTree

from .._input import InputError
from .._typing import Array, Bool, Float
from ..crystal.cell import Cell, primitive_cell
from ..energy.bonds import Bonds, over_sites, pad, padded_rows
from ..energy.site import SiteEnergy
from .far_field import CHUNK
from .matched import Surrogate
from .perfect import Sites, perfect_stencils, sorted_bonds

LOST = 0.25
"""Nearest-neighbour spacings between an atom and the slot it is to fill: beyond it the crystal is not recognised any more."""

RIM = 5.0
"""Nearest-neighbour spacings inside the clamped atoms where the forces stay exact. The clamp makes a kink in the displacement, of
no concern to the dislocation, on which errors of strain gradients would feed; it has died away in less."""


@dataclass(frozen=True, eq=False)
class DislocatedFarField:
    """The surrogate's forces on the atoms farther than `radius` from the line of a dislocation and off the clamped atoms.

    As `FarField` for point defects, but the differences from the perfect stencil have a part from the unrelaxed atoms: with g(l)
    their stencil, v(l) = g(l) - rho + Du(l).
    """

    cell: Cell
    surrogate: Surrogate
    crystal: Sites
    strain: Float[Array, "rows slots 3"]
    """g(l) - rho, A."""
    beyond: Bool[np.ndarray, " atoms"]

    def forces(self, u: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "atoms 3"]:
        """Forces at displacement u (A), eV/A."""
        return self._kept(_forces(self.surrogate, self.crystal, self.strain, self._padded(u)))

    def product(self, u: Float[np.ndarray, "atoms 3"], v: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "atoms 3"]:
        """Minus the derivative of the forces along v, eV/A^2 times the unit of v; not a symmetric map."""
        return self._kept(_product(self.surrogate, self.crystal, self.strain, self._padded(u), self._padded(v)))

    def energies(self, u: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, " atoms"]:
        """Site energies of the surrogate on the same atoms, eV; zero elsewhere."""
        found = np.asarray(_energies(self.surrogate, self.crystal, self.strain, self._padded(u)))
        return np.where(self.beyond, found[: len(self.cell)], 0.0)

    def _padded(self, u):
        return jnp.asarray(pad(u, len(self.strain)))

    def _kept(self, field):
        return np.where(self.beyond[:, None], np.asarray(field)[: len(self.cell)], 0.0)


def dislocated_far_field(
    cell: Cell, surrogate: Surrogate, radius: float, sites: tuple[Sites, Float[Array, "rows slots 3"]] | None = None
) -> DislocatedFarField:
    """The surrogate beyond `radius` (nearest-neighbour spacings) of the line of a dislocation.

    `sites`, from `sites_read_off(cell, surrogate.perturbation)`, saves time when several radii are requested.
    Raises InputError if the surrogate would reach into the core, or the radius out of the free atoms.
    """
    crystal, strain = sites_read_off(cell, surrogate.perturbation) if sites is None else sites
    spacing, cutoff = cell.lattice.nearest_neighbour, surrogate.perturbation.cutoff
    distance = cell.distance_to_defect()
    end = distance[cell.free].max() - RIM * spacing
    unknown = ~np.asarray(crystal.whole)[: len(cell)]
    needed = (distance[unknown & cell.free].max(initial=0.0) + cutoff) / spacing
    if radius < needed:
        raise InputError(
            f"a radius of {radius:g} spacings is inside the dislocation's core: its surroundings are those of a strained crystal "
            f"beyond {needed:.2f}; use larger radii"
        )
    if radius * spacing >= end:
        raise InputError(
            f"a radius of {radius:g} spacings leaves no free atoms, whose radius is {cell.radius:.1f} with a rim of "
            f"{RIM:g}; use a smaller one"
        )
    return DislocatedFarField(cell, surrogate, crystal, strain, (distance > radius * spacing) & (distance < end))


def sites_read_off(cell: Cell, energy: SiteEnergy) -> tuple[Sites, Float[Array, "rows slots 3"]]:
    """Who fills which slot of the perfect stencil of every atom - the atom nearest to where the slot should be - and the
    difference g - rho, A. Atoms with a slot that none or a stranger fills are not `whole`."""
    perfect = perfect_stencils(cell.lattice, energy)
    one, filled = sorted_bonds(primitive_cell(cell.lattice), energy)
    sublattice = cell.perfect_sites.sublattices[cell.sites]
    rho, filled = np.asarray(perfect.g)[sublattice], np.asarray(filled)[sublattice]
    there = cell.positions[:, None] + np.where(filled[..., None], rho, 0.0)

    atoms, images = len(cell), _images(cell, energy.cutoff)
    everyone = (cell.positions + (images @ cell.vectors)[:, None]).reshape(-1, 3)
    distance, found = KDTree(everyone).query(there.reshape(-1, 3))
    index, shift = (found % atoms).reshape(filled.shape), images[found // atoms].reshape(*filled.shape, 3)
    near = (distance.reshape(filled.shape) < LOST * cell.lattice.nearest_neighbour) & filled

    back = np.asarray(one.reverse)[: cell.lattice.sublattices] % filled.shape[1]  # slot of the other site that points here
    opposite = back[sublattice]
    here = np.arange(atoms)[:, None]
    mutual = near & near[index, opposite] & (index[index, opposite] == here) & (shift[index, opposite] == -shift).all(-1)
    whole = (mutual | ~filled).all(axis=1)
    own = here * filled.shape[1] + np.arange(filled.shape[1])
    rows = padded_rows(atoms)
    extra = np.arange(atoms * filled.shape[1], rows * filled.shape[1]).reshape(-1, filled.shape[1])
    made = Bonds(
        index=jnp.asarray(pad(np.where(mutual, index, 0), rows)),
        shift=jnp.asarray(pad(np.where(mutual[..., None], shift, 0), rows)),
        mask=jnp.asarray(pad(mutual, rows)),
        reverse=jnp.asarray(np.concatenate([np.where(mutual, index * filled.shape[1] + opposite, own), extra])),
        kinds=jnp.asarray(pad(np.asarray(perfect.centre)[sublattice], rows)),
        real=jnp.asarray(pad(np.ones(atoms, dtype=bool), rows)),
        cutoff=float(energy.cutoff),
    )
    g = cell.positions[index] + shift @ cell.vectors - cell.positions[:, None]
    strain = np.where(mutual[..., None], g - rho, 0.0)
    return Sites(made, jnp.asarray(pad(sublattice, rows)), jnp.asarray(pad(whole, rows))), jnp.asarray(pad(strain, rows))


def _images(cell: Cell, cutoff: float) -> np.ndarray:
    """Periodic images along the line that a stencil can reach, in box vectors."""
    if cell.line is None:
        return np.zeros((1, 3), dtype=int)
    reach = int(np.ceil((cutoff + cell.lattice.nearest_neighbour) / np.linalg.norm(cell.vectors[2]))) + 1
    return np.array([[0, 0, n] for n in range(-reach, reach + 1)])


def _slopes(surrogate, crystal, v):
    """dV/dv of every site, zero where the stencil is not whole."""
    slopes = over_sites(lambda batch: surrogate.gradient(*batch), (crystal.sublattice, v), len(v), CHUNK, crystal.bonds.count)
    return jnp.where(crystal.whole[:, None, None], slopes, 0.0)


@eqx.filter_jit
def _forces(surrogate: Surrogate, crystal: Sites, strain, u):
    return -crystal.bonds.transpose(_slopes(surrogate, crystal, strain + crystal.bonds.difference(u)))


@eqx.filter_jit
def _product(surrogate: Surrogate, crystal: Sites, strain, u, w):
    at, along = strain + crystal.bonds.difference(u), crystal.bonds.difference(w)

    def slope(batch):
        sublattice, v, dv = batch
        return jax.jvp(lambda x: surrogate.gradient(sublattice, x), (v,), (dv,))[1]

    slopes = over_sites(slope, (crystal.sublattice, at, along), len(u), CHUNK, crystal.bonds.count)
    return crystal.bonds.transpose(jnp.where(crystal.whole[:, None, None], slopes, 0.0))


@eqx.filter_jit
def _energies(surrogate: Surrogate, crystal: Sites, strain, u):
    tree = (crystal.sublattice, strain + crystal.bonds.difference(u))
    values = over_sites(lambda batch: surrogate.energy(*batch), tree, len(u), CHUNK, crystal.bonds.count)
    return jnp.where(crystal.whole, values, 0.0)
