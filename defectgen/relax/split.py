"""The Hessian of a large cell in two parts: exact where the crystal is strained, the perfect crystal's by FFT elsewhere."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from .._typing import Float, Int
from ..crystal.cell import Cell
from ..energy.bonds import Bonds, bonds, pad, padded_rows
from ..energy.functional import Potential
from ..energy.site import SiteEnergy
from ..energy.total import hessian_product
from .preconditioner import Preconditioner

STRAINED = 3e-4
"""Strain from which a site counts with its own Hessian; force constants change by some ten times the strain."""

MARGIN = 1.0
"""A: atoms are followed this far beyond the cutoff of the strained sites."""

Field = Float[np.ndarray, "atoms 3"]


class SplitHessian:
    """J = R P R^T + sum over strained sites l of D^T [V_l''(Du) - V_l''(0)] D at one displacement; symmetric.

    P, the force constants of the perfect crystal, costs two Fourier transforms; the sum has as many terms as the defect's
    neighbourhood has sites, whatever the size of the cell. J differs from the Hessian by a few parts in a thousand, which is
    plenty for an iteration whose residual is evaluated exactly.
    """

    def __init__(self, cell: Cell, potential: SiteEnergy, precondition: Preconditioner, x: Field, radius: float):
        self._precondition = precondition
        self._sites = cell.sites
        host = cell.perfect
        self._own = _Near(cell, potential, x, radius)
        self._perfect = _Near(host, potential, host.positions, radius, cell.centre)
        self._place = np.flatnonzero(cell.sites >= 0)

    def __call__(self, v: Field) -> Field:
        """J v, eV/A^2 times the unit of v."""
        result = self._precondition.stiffen(v)
        on_sites = np.zeros((self._perfect.atoms, 3))
        on_sites[self._sites[self._place]] = v[self._place]
        result[self._place] -= self._perfect(on_sites)[self._sites[self._place]]
        return self._precondition.project(result + self._own(v))


class _Near:
    """Hessian products of the energy of the sites within a radius (A) of the defect."""

    def __init__(self, cell: Cell, potential: SiteEnergy, x: Field, radius: float, centre: np.ndarray | None = None):
        centre = cell.centre if centre is None else centre
        distance = np.linalg.norm(cell.minimum_image(cell.positions - centre), axis=1)
        self.atoms = len(cell)
        self._potential = potential
        order = np.argsort(distance, kind="stable")  # the sites that count come first, and only they are evaluated
        self._atom: Int[np.ndarray, " near"] = order[: int((distance <= radius + potential.cutoff + MARGIN).sum())]
        place = cell.minimum_image(cell.positions[self._atom] - centre) + (x - cell.positions)[self._atom]
        symbols = tuple(cell.symbols[a] for a in self._atom)
        self._bonds: Bonds = bonds(place, np.eye(3), (False, False, False), symbols, potential)
        rows = len(self._bonds.index)
        self._x, self._box = jnp.asarray(pad(place, rows)), jnp.eye(3)
        counted = int((distance <= radius).sum())
        self._counted = jnp.asarray(np.arange(min(padded_rows(counted), rows)) < counted)

    def __call__(self, v: Field) -> Field:
        rows = len(self._x)
        near = jnp.asarray(pad(v[self._atom], rows))
        product = hessian_product(self._potential, self._x, self._box, self._bonds, near, counted=self._counted)
        result = np.zeros_like(v)
        result[self._atom] = np.asarray(product)[: len(self._atom)]
        return result


def split_hessian(cell: Cell, potential: Potential, precondition: Preconditioner, x: Field) -> Callable[[Field], Field] | None:
    """The split Hessian at positions x (A) of a periodic cell; None where it cannot be had or would save nothing: a ball, a black
    box, a preconditioner of another potential, or a cell that is strained almost everywhere."""
    if not isinstance(potential, SiteEnergy) or not all(cell.periodic[: cell.lattice.dimension]):
        return None
    if precondition.green.potential is not potential:
        return None
    radius = _strained(cell, potential, x)
    if radius + potential.cutoff + MARGIN >= cell.radius * cell.lattice.nearest_neighbour:
        return None
    return SplitHessian(cell, potential, precondition, x, radius)


def _strained(cell: Cell, potential: SiteEnergy, x: Field) -> float:
    """Distance (A) from the defect beyond which every stencil is whole and strained by less than STRAINED.

    Where u ~ r^(1-d), the strain is (d - 1) |u| / r.
    """
    u = x - cell.positions
    on = cell.sites >= 0
    distance = cell.distance_to_defect()
    strain = (cell.lattice.dimension - 1) * np.linalg.norm(u - u[on].mean(axis=0), axis=1) / np.maximum(distance, 1e-9)
    vacant = np.setdiff1d(np.arange(len(cell.site_positions)), cell.sites[on])
    changed = np.array(
        [cell.symbols[a] != cell.lattice.species[cell.host.sublattices[cell.sites[a]]] for a in np.flatnonzero(on)]
    )
    odd = [cell.site_positions[vacant], cell.positions[~on], cell.positions[on][changed]]
    core = np.linalg.norm(cell.minimum_image(np.concatenate(odd) - cell.centre), axis=1).max(initial=0.0)
    return max(distance[strain > STRAINED].max(initial=0.0), core + potential.cutoff + MARGIN)
