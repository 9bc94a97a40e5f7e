"""The forces of a surrogate beyond a radius around a defect: a model is wrong where no training structure reached."""

from dataclasses import dataclass
from functools import cached_property

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._display import brief
from .._input import InputError
from .._typing import Bool, Complex, Float, Int
from ..crystal.cell import Cell
from ..energy.bonds import over_sites, pad
from ..relax.fourier import Grid, blocks, convolve, grid
from .matched import Surrogate, surrogate_force_constants
from .perfect import Sites, sites_of

CHUNK = 256
"""Sites evaluated at once."""


@dataclass(frozen=True, eq=False)
class FarField:
    """The surrogate's forces on the atoms farther than `radius` from the defect, as a function of the displacement.

    Forces are mixed, not energies: atoms within the radius feel none, and the small net force that is left over is projected
    out by whoever solves for the equilibrium.
    """

    cell: Cell
    surrogate: Surrogate
    crystal: Sites
    atom: Int[np.ndarray, " sites"]
    """Atom on each perfect site, -1 where there is none."""
    beyond: Bool[np.ndarray, " sites"]
    """Sites farther from the defect than the radius."""
    offset: Float[np.ndarray, "sites 3"]
    """Unrelaxed position of the atom minus that of its site, A."""
    grid: Grid
    waves: Complex[np.ndarray, "grid1 grid2 half components components"] | None
    """Fourier blocks of the surrogate's force constants, eV/A^2; None where it has none."""

    __repr__ = brief

    def forces(self, u: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "atoms 3"]:
        """Forces at displacement u (A), eV/A."""
        rows = self.crystal.whole.shape[0]
        found = _forces(self.surrogate, self.crystal, pad(self._on_sites(u) + self.offset, rows))
        return self._on_atoms(np.asarray(found))

    def product(self, u: Float[np.ndarray, "atoms 3"], v: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "atoms 3"]:
        """Minus the derivative of the forces along v at the perfect crystal, eV/A^2 times the unit of v; not a symmetric map.

        At u it is the same but for a fraction |Du| of the perturbation's strength.
        """
        result = np.zeros((len(self.atom), 3))
        if self.waves is not None:
            d, cells = self.cell.lattice.dimension, int(np.prod(self.grid.divisors))
            place = self._place
            field = np.zeros((len(self.atom), d))
            field[place] = self._on_sites(v)[:, :d]
            result[:, :d] = convolve(self.waves, self.grid, field.reshape(cells, -1)).reshape(field.shape)[place]
        return self._on_atoms(result)

    def energies(self, u: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, " sites"]:
        """Site energies of the surrogate beyond the radius, eV; zero elsewhere."""
        rows = self.crystal.whole.shape[0]
        found = _energies(self.surrogate, self.crystal, pad(self._on_sites(u) + self.offset, rows))
        return np.where(self.beyond, np.asarray(found)[: len(self.atom)], 0.0)

    @cached_property
    def _place(self) -> Int[np.ndarray, " sites"]:
        sites = self.cell.perfect_sites
        return self.grid.index(sites.translations) * self.cell.lattice.sublattices + sites.sublattices

    def _on_sites(self, u):
        field = np.zeros((len(self.atom), 3))
        field[self.atom >= 0] = u[self.atom[self.atom >= 0]]
        return field

    def _on_atoms(self, force):
        result = np.zeros((len(self.cell), 3))
        result[self.atom[self.beyond]] = force[: len(self.atom)][self.beyond]
        return result


def far_field(
    cell: Cell, surrogate: Surrogate, radius: float, sites: tuple[Sites, Int[np.ndarray, " sites"]] | None = None
) -> FarField:
    """The surrogate beyond `radius` (nearest-neighbour spacings) of the defect in a periodic cell.

    `sites`, from `sites_of(cell, surrogate.perturbation)`, saves time when several radii are requested.
    Raises InputError if the surrogate would reach into the defect, or the radius out of the cell.
    """
    crystal, atom = sites_of(cell, surrogate.perturbation) if sites is None else sites
    spacing = cell.lattice.nearest_neighbour
    distance = np.linalg.norm(cell.minimum_image(cell.site_positions - cell.centre), axis=1)
    whole = np.asarray(crystal.whole)[: len(atom)]
    core = distance[~whole].max(initial=0.0)
    needed = (core + surrogate.perturbation.cutoff) / spacing
    if radius < needed:
        raise InputError(
            f"a radius of {radius:g} spacings is inside the defect's core: its surroundings are those of the perfect crystal "
            f"beyond {needed:.2f}; use larger radii"
        )
    if radius >= cell.radius:
        raise InputError(f"a radius of {radius:g} spacings reaches out of the cell, whose radius is {cell.radius:.1f}")
    offset = np.zeros((len(atom), 3))
    there = atom >= 0
    offset[there] = cell.minimum_image(cell.positions[atom[there]] - cell.site_positions[there])
    if cell.perfect_sites.matrix is None:
        raise InputError("the far field of a surrogate is made for periodic cells; give dg.supercell(lattice, size)")
    on = grid(cell.perfect_sites.matrix)
    waves = blocks(on, cell.lattice, surrogate_force_constants(cell.lattice, surrogate)) if surrogate.stiff else None
    return FarField(cell, surrogate, crystal, atom, distance > radius * spacing, offset, on, waves)


def _slopes(surrogate, crystal, u):
    """dV/dv of every site, zero where the stencil is not whole."""
    tree = (crystal.sublattice, crystal.bonds.difference(u))
    slopes = over_sites(lambda batch: surrogate.gradient(*batch), tree, len(u), CHUNK, crystal.bonds.count)
    return jnp.where(crystal.whole[:, None, None], slopes, 0.0)


@eqx.filter_jit
def _forces(surrogate: Surrogate, crystal: Sites, u):
    return -crystal.bonds.transpose(_slopes(surrogate, crystal, u))


@eqx.filter_jit
def _energies(surrogate: Surrogate, crystal: Sites, u):
    tree = (crystal.sublattice, crystal.bonds.difference(u))
    values = over_sites(lambda batch: surrogate.energy(*batch), tree, len(u), CHUNK, crystal.bonds.count)
    return jnp.where(crystal.whole, values, 0.0)
