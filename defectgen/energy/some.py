"""Forces on some atoms of a large cell, from the sites that they depend on."""

import equinox as eqx
import jax
import numpy as np

from .._typing import Float, Int
from ..crystal.cell import Cell
from ..crystal.neighbours import neighbours
from .bonds import bonds, pad
from .site import SiteEnergy
from .total import energy_forces_virial

MARGIN = 0.4
"""A: bonds are followed this much farther than the cutoff, and again when an atom has moved by half of it."""


class SomeForces:
    """Forces on some atoms of a cell.

    The force on an atom depends on the energies of the sites within one cutoff, and those on the atoms within two. Only these
    atoms are kept, the sites that count come first, and no others are evaluated.
    """

    def __init__(self, cell: Cell, cutoff: float, atoms: Int[np.ndarray, " some"]):
        """`cutoff` is the largest of the potentials that will be evaluated, A."""
        self.cell, self.atoms, self.cutoff = cell, np.asarray(atoms), cutoff
        self._follow(cell.positions)

    def _follow(self, x: Float[np.ndarray, "atoms 3"]) -> None:
        """The atoms that matter at positions near these."""
        near = neighbours(x, self.cell.vectors, self.cell.periodic, self.cutoff + MARGIN)
        self._near = x.copy()
        sites = self._with_neighbours(self.atoms, near)
        self._sites = len(sites)
        self._kept = self._with_neighbours(sites, near)
        self._symbols = tuple(self.cell.symbols[a] for a in self._kept)

    def __call__(self, potential: SiteEnergy, x: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "some 3"]:
        """Forces of a potential on these atoms at positions x of all atoms (A), eV/A."""
        assert potential.cutoff <= self.cutoff + 1e-9
        if np.linalg.norm(x - self._near, axis=1).max() > MARGIN / 2:
            self._follow(x)
        place, cell = x[self._kept], self.cell
        listed = bonds(place, cell.vectors, cell.periodic, self._symbols, potential)
        rows = len(listed.index)
        counted = jax.device_put(np.arange(rows) < self._sites)
        listed = eqx.tree_at(lambda each: each.real, listed, counted)
        forces = energy_forces_virial(potential, pad(place, rows), cell.vectors, listed)[1]
        return np.asarray(forces)[: len(self.atoms)]

    @staticmethod
    def _with_neighbours(atoms: np.ndarray, near) -> np.ndarray:
        """Atoms, followed by those of their neighbours that are not among them."""
        others = np.unique(near.index[atoms][near.mask[atoms]])
        return np.concatenate([atoms, np.setdiff1d(others, atoms)])
