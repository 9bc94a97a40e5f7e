"""The perfect crystal under a defect: its sites, their stencils in one order per sublattice, and D and D^T on them."""

from dataclasses import dataclass

import equinox as eqx
import jax
import numpy as np

from .._input import InputError
from .._typing import Array, Bool, Float, Int
from ..crystal.cell import Cell
from ..energy.bonds import over_sites, pad
from ..energy.perfect import crystal_bonds
from ..energy.site import SiteEnergy, Stencil
from ..energy.total import site_hessians, stencils
from ..relax.fourier import grid

BATCH = 512
"""Stencils evaluated by one call."""

Slopes = Float[np.ndarray, "sites slots 3"]
"""Derivatives of site energies in their stencils, eV/A; also differences Du, A."""


@dataclass(frozen=True, eq=False)
class PerfectCrystal:
    """Sites of a periodic cell and their stencils; site s has sublattice `sublattice[s]`; padded slots point to itself."""

    cell: Cell
    cutoff: float
    """A."""
    sublattice: Int[np.ndarray, " sites"]
    near: Int[np.ndarray, "sites slots"]
    mask: Bool[np.ndarray, "sublattices slots"]
    separations: Float[np.ndarray, "sublattices slots 3"]
    """A; padding lies at twice the cutoff."""
    second: Int[np.ndarray, "sublattices slots"]
    """Sublattice of the neighbour in each slot."""
    shift: Int[np.ndarray, "sublattices slots 3"]
    """Primitive cell of the neighbour, relative to the site's."""

    def difference(self, u: Float[np.ndarray, "sites 3"]) -> Slopes:
        """(Du)(l) = {u(l + rho) - u(l)}, zero on padding."""
        return u[self.near] - u[:, None, :]

    def transpose(self, p: Slopes) -> Float[np.ndarray, "sites 3"]:
        """D^T p; minus it is the force of site energies with derivatives p. Padding cancels itself."""
        flat, place = p.reshape(-1, 3), self.near.ravel()
        arriving = np.stack([np.bincount(place, weights=column, minlength=len(self.near)) for column in flat.T], axis=1)
        return arriving - p.sum(axis=1)

    def hessians(self, energy: SiteEnergy) -> Float[np.ndarray, "sublattices slots 3 slots 3"]:
        """V''(0) of the perfect stencils, eV/A^2, zero on padding and beyond the energy's own cutoff."""
        _, bonds = crystal_bonds(self.cell.lattice, energy)
        x, count, slots = self.cell.lattice.motif, *self.mask.shape
        stencil = stencils(pad(x, len(bonds.index)), self.cell.lattice.vectors, bonds)
        result = np.zeros((count, slots, 3, slots, 3))
        for b in range(count):
            live = np.flatnonzero(np.asarray(bonds.mask)[b])
            keys = np.column_stack([np.asarray(bonds.index)[b, live], np.asarray(bonds.shift)[b, live]])
            own = np.column_stack([self.second[b], self.shift[b]])[self.mask[b]]
            place = np.flatnonzero(self.mask[b])[np.argmax((keys[:, None] == own[None]).all(axis=2), axis=1)]
            one = Stencil(*jax.device_put([np.asarray(a)[b : b + 1] for a in (stencil.g, stencil.centre, stencil.neighbour)]))
            inner = np.asarray(site_hessians(energy, one))[0][live][:, :, live]
            result[b, place[:, None, None, None], np.arange(3)[:, None, None], place[:, None], np.arange(3)] = inner
        return result

    def gradient(self, energy: SiteEnergy, v: Slopes, sublattice: Int[np.ndarray, " sites"] | None = None):
        """Values (eV) and derivatives (eV/A) of site energies at stencils rho + v, `v` with one row per entry of `sublattice`."""
        sublattice = self.sublattice if sublattice is None else sublattice
        known = {symbol: kind for kind, symbol in enumerate(energy.species)}
        kinds = np.array([known[symbol] for symbol in self.cell.lattice.species])
        values, slopes = np.empty(len(v)), np.empty_like(v)
        for start in range(0, len(v), BATCH):
            full = start + BATCH <= len(v)  # the last batch is filled up: one shape, one compilation
            here = slice(start, start + BATCH) if full else np.arange(start, start + BATCH) % len(v)
            b = sublattice[here]
            rho = self.separations if len(self.mask) == 1 else self.separations[b]
            stencil = Stencil(*jax.device_put((rho + v[here], kinds[b], kinds[self.second[b]])))
            found = _gradient(energy.compact, stencil)
            left = min(BATCH, len(v) - start)
            values[start : start + left] = np.asarray(found[0])[:left]
            slopes[start : start + left] = np.asarray(found[1])[:left]
        if not self.mask.all():
            slopes[~self.mask[sublattice]] = 0.0
        return values, slopes


@eqx.filter_jit
def _gradient(energy: SiteEnergy, stencil: Stencil) -> tuple[Float[Array, " sites"], Float[Array, "sites slots 3"]]:
    return over_sites(energy.gradient, stencil, len(stencil.g), energy.chunk)


def perfect_crystal(cell: Cell, widest: SiteEnergy) -> PerfectCrystal:
    """The sites under a cell with the stencils of `widest`.

    Raises InputError for a clamped ball, whose sites do not fill a lattice.
    """
    if cell.perfect_sites.matrix is None:
        raise InputError("the bound is measured in periodic cells; give dg.supercell(lattice, size)")
    lattice = cell.lattice
    _, bonds = crystal_bonds(lattice, widest)
    count = lattice.sublattices
    index, shift, mask = (np.asarray(a)[:count] for a in (bonds.index, bonds.shift, bonds.mask))
    used = int(mask.sum(axis=1).max())
    order = np.argsort(~mask, axis=1, kind="stable")[:, :used]  # live slots first: the list is padded to a few widths
    index, mask = np.take_along_axis(index, order, 1), np.take_along_axis(mask, order, 1)
    shift = np.take_along_axis(shift, order[..., None], 1)
    separations = shift @ lattice.vectors + lattice.motif[index] - lattice.motif[:, None, :]
    separations[~mask] = (2 * widest.cutoff, 0.0, 0.0)
    on = grid(cell.perfect_sites.matrix)
    sites, sublattice = len(cell.perfect_sites.sublattices), cell.perfect_sites.sublattices
    site = np.empty(sites, dtype=int)
    site[on.index(cell.perfect_sites.translations) * count + sublattice] = np.arange(sites)
    goal = cell.perfect_sites.translations[:, None, :] + shift[sublattice]
    near = site[on.index(goal.reshape(-1, 3)).reshape(sites, used) * count + index[sublattice]]
    near = np.where(mask[sublattice], near, np.arange(sites)[:, None])
    second = np.where(mask, index, np.arange(count)[:, None])
    return PerfectCrystal(cell, widest.cutoff, sublattice, near, mask, separations, second, np.where(mask[..., None], shift, 0))
