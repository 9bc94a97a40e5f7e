"""Forces on some atoms of a large cell, from the sites that they depend on."""

import equinox as eqx
import jax
import numpy as np

from .._typing import Float, Int
from ..crystal.cell import Cell
from ..crystal.neighbours import neighbours
from .bonds import Bonds, bonds, pad
from .site import SiteEnergy
from .total import energy_forces_virial

MARGIN = 0.4
"""A: bonds are followed this much farther than the cutoff, and again when an atom has moved by half of it."""


class SomeForces:
    """Forces on some atoms of a cell.

    The force on an atom depends on the energies of the sites within one cutoff, and those on the atoms within two. Only these
    atoms are kept, the sites that count come first, and no others are evaluated.
    """

    def __init__(self, cell: Cell, cutoff: float, atoms: Int[np.ndarray, " some"], keep: bool = False):
        """`cutoff` is the largest of the potentials that will be evaluated, A.

        `keep`: the neighbour list of the latest potential is made wider and kept for positions near by.
        """
        self.cell, self.atoms, self.cutoff, self._keep = cell, np.asarray(atoms), cutoff, keep
        self._follow(cell.positions)

    def _follow(self, x: Float[np.ndarray, "atoms 3"]) -> None:
        """The atoms that matter at positions near these."""
        near = neighbours(x, self.cell.vectors, self.cell.periodic, self.cutoff + MARGIN)
        self._near = x.copy()
        sites = self._with_neighbours(self.atoms, near)
        self._sites = len(sites)
        self._kept = self._with_neighbours(sites, near)
        self._symbols = tuple(self.cell.symbols[a] for a in self._kept)
        self._listed: tuple[SiteEnergy, Bonds] | None = None

    def __call__(self, potential: SiteEnergy, x: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "some 3"]:
        """Forces of a potential on these atoms at positions x of all atoms (A), eV/A."""
        return self.energies_forces(potential, x)[1]

    def energies_forces(
        self, potential: SiteEnergy, x: Float[np.ndarray, "atoms 3"]
    ) -> tuple[Float[np.ndarray, " some"], Float[np.ndarray, "some 3"]]:
        """Site energies (eV) of these atoms and the forces on them (eV/A), at positions x of all atoms (A)."""
        assert potential.cutoff <= self.cutoff + 1e-9
        if not np.linalg.norm(x - self._near, axis=1).max() <= MARGIN / 2:  # positions that are not numbers are refused there
            self._follow(x)
        place, cell = x[self._kept], self.cell
        listed = self._bonds(potential, place)
        rows = len(listed.index)
        values, forces, _ = energy_forces_virial(potential, pad(place, rows), cell.vectors, listed)
        return np.asarray(values)[: len(self.atoms)], np.asarray(forces)[: len(self.atoms)]

    def _bonds(self, potential: SiteEnergy, place: Float[np.ndarray, "kept 3"]) -> Bonds:
        """The neighbour list of the kept atoms, of which the sites that count are marked as real."""
        if self._listed is not None and self._listed[0] is potential:
            return self._listed[1]
        cell = self.cell
        at, skin = (self._near[self._kept], MARGIN) if self._keep else (place, 0.0)
        listed = bonds(at, cell.vectors, cell.periodic, self._symbols, potential, skin)
        counted = jax.device_put(np.arange(len(listed.index)) < self._sites)
        listed = eqx.tree_at(lambda each: each.real, listed, counted)
        if self._keep:
            self._listed = potential, listed
        return listed

    @staticmethod
    def _with_neighbours(atoms: np.ndarray, near) -> np.ndarray:
        """Atoms, followed by those of their neighbours that are not among them."""
        others = np.unique(near.index[atoms][near.mask[atoms]])
        return np.concatenate([atoms, np.setdiff1d(others, atoms)])
