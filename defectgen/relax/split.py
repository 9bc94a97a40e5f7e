"""The Hessian of a large cell in two parts: exact where the crystal is strained, the perfect crystal's by FFT elsewhere."""

from collections.abc import Callable

import jax
import numpy as np

from .._typing import Float, Int
from ..crystal.cell import Cell
from ..energy.bonds import Bonds, bonds, pad, padded_rows
from ..energy.potential import Potential
from ..energy.prepared import prepared_hessian
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
    neighbourhood has sites, for any size of the cell. J differs from the Hessian by a few parts in a thousand, which is
    plenty for an iteration whose residual is evaluated exactly.
    """

    def __init__(self, precondition: Preconditioner, own: "_Near", perfect: "_Near"):
        self._precondition, self._own, self._perfect = precondition, own, perfect
        self._sites = precondition.cell.sites
        self._place = np.flatnonzero(self._sites >= 0)

    def __call__(self, v: Field) -> Field:
        """J v, eV/A^2 times the unit of v."""
        result = self._precondition.stiffen(v)
        on_sites = np.zeros((self._perfect.atoms, 3))
        on_sites[self._sites[self._place]] = v[self._place]
        result[self._place] -= self._perfect(on_sites)[self._sites[self._place]]
        return self._precondition.project(result + self._own(v))


class _Near:
    """Hessian products of the energy of the sites within a radius (A) of the defect."""

    def __init__(self, cell: Cell, potential: SiteEnergy, x: Field, away: Field, distance: np.ndarray, radius: float):
        self.atoms = len(cell)
        self._potential = potential
        near = np.flatnonzero(distance <= radius + potential.cutoff + MARGIN)
        # the sites that count come first, and only they are evaluated
        self._atom: Int[np.ndarray, " near"] = near[np.argsort(distance[near], kind="stable")]
        place = away[self._atom] + (x - cell.positions)[self._atom]
        symbols = tuple(cell.symbols[a] for a in self._atom)
        self._bonds: Bonds = bonds(place, np.eye(3), (False, False, False), symbols, potential)
        rows = len(self._bonds.index)
        self._x, self._box = jax.device_put((pad(place, rows), np.eye(3)))
        counted = int((distance[near] <= radius).sum())
        self._counted = jax.device_put(np.arange(min(padded_rows(counted), rows)) < counted)
        self._prepared = prepared_hessian(potential, self._x, self._box, self._bonds, self._counted)

    def __call__(self, v: Field) -> Field:
        rows = len(self._x)
        near = pad(v[self._atom], rows)
        if self._prepared is not None:
            product = self._prepared(near)
        else:
            product = hessian_product(self._potential, self._x, self._box, self._bonds, near, counted=self._counted)
        result = np.zeros_like(v)
        result[self._atom] = np.asarray(product)[: len(self._atom)]
        return result


class _Splitter:
    """What the split Hessians of one cell have in common: distances, the sites that no strain tells of, the perfect part."""

    def __init__(self, potential: SiteEnergy, precondition: Preconditioner):
        cell = self._cell = precondition.cell
        self._potential, self._precondition = potential, precondition
        self._away = cell.minimum_image(cell.positions - cell.centre)
        self._distance = np.linalg.norm(self._away, axis=1)
        self._on = np.flatnonzero(cell.sites >= 0)
        self._core = _core(cell) + potential.cutoff + MARGIN
        self._perfect: tuple[float, _Near] | None = None

    def __call__(self, x: Field) -> SplitHessian | None:
        """The split Hessian at positions x (A); None if the cell is strained almost everywhere."""
        radius = self._strained(x)
        if radius + self._potential.cutoff + MARGIN >= self._cell.radius * self._cell.lattice.nearest_neighbour:
            return None
        own = _Near(self._cell, self._potential, x, self._away, self._distance, radius)
        return SplitHessian(self._precondition, own, self._perfect_part(radius))

    def _strained(self, x: Field) -> float:
        """Distance (A) from the defect beyond which every stencil is whole and strained by less than STRAINED, in half spacings.

        Where u ~ r^(1-d), the strain is (d - 1) |u| / r.
        """
        u = x - self._cell.positions
        size = np.linalg.norm(u - u[self._on].mean(axis=0), axis=1) * (self._cell.lattice.dimension - 1)
        radius = max(self._distance[size > STRAINED * self._distance].max(initial=0.0), self._core)
        step = self._cell.lattice.nearest_neighbour / 2
        return float(np.ceil(radius / step) * step)

    def _perfect_part(self, radius: float) -> _Near:
        """The sites of the perfect crystal within the radius, made again only for another one."""
        if self._perfect is None or self._perfect[0] != radius:
            perfect, centre = self._cell.perfect, self._cell.centre
            away = perfect.minimum_image(perfect.positions - centre)
            part = _Near(perfect, self._potential, perfect.positions, away, np.linalg.norm(away, axis=1), radius)
            self._perfect = radius, part
        return self._perfect[1]


def splitter(potential: Potential, precondition: Preconditioner) -> Callable[[Field], SplitHessian | None] | None:
    """x -> the split Hessian at positions x (A), or None where it would save nothing.

    There is no such function, None, for a ball, a black box, or a preconditioner of another potential.
    """
    cell = precondition.cell
    if not isinstance(potential, SiteEnergy) or not all(cell.periodic[: cell.lattice.dimension]):
        return None
    return _Splitter(potential, precondition) if precondition.green.potential is potential else None


def split_hessian(potential: Potential, precondition: Preconditioner, x: Field) -> SplitHessian | None:
    """The split Hessian at given positions alone.

    Parameters
    ----------
    potential : SiteEnergy or BlackBox
        A reference, a fitted model, or another code.
    precondition : Preconditioner
        Of the cell.
    x : array, (atoms, 3)
        Positions, A.

    Returns
    -------
    SplitHessian or None
        None where it cannot be had or would save nothing.
    """
    split = splitter(potential, precondition)
    return None if split is None else split(x)


def _core(cell: Cell) -> float:
    """Distance (A) from the defect of the farthest site that is vacant or of another species, or atom that is on no site."""
    on = np.flatnonzero(cell.sites >= 0)
    symbols, species = np.array(cell.symbols), np.array(cell.lattice.species)
    vacant = np.ones(len(cell.site_positions), dtype=bool)
    vacant[cell.sites[on]] = False
    changed = on[symbols[on] != species[cell.perfect_sites.sublattices[cell.sites[on]]]]
    odd = [cell.site_positions[vacant], cell.positions[cell.sites < 0], cell.positions[changed]]
    return float(np.linalg.norm(cell.minimum_image(np.concatenate(odd) - cell.centre), axis=1).max(initial=0.0))
