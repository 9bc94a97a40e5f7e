"""How far two interpolations of the same embedded-atom tables are apart, as a force on an atom.

A smooth spline and the piecewise cubic of LAMMPS agree at the values of a table. Between them they differ by what the
table does not say: nothing that matters where the table is fine, and tenths of an eV/A where it is coarse, has kinks,
or carries the noise of few digits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .._typing import Float
from ..crystal.elements import element
from .eam_tables import Tables

SHELLS = np.array([(1, 12), (2, 6), (3, 24), (4, 12), (5, 24), (6, 8), (7, 48), (8, 6), (9, 36), (10, 24)])
"""Squared distance over that of the nearest neighbours, and number of neighbours, of the fcc crystal."""

CLOSEST = 0.85
"""The shortest distance that is compared, over that of nearest neighbours."""

DENSITIES = (0.4, 1.25)
"""The range of densities that is compared, over that of the close-packed crystal: 0.4 is an atom on a surface."""

INSIDE = 0.95
"""The part of the embedding table that is compared: tables often end with values that no crystal meets."""

STRETCH = 64
"""Values of a table that the scatter is taken over."""

WITHIN = np.array([0.0, 0.2, 0.4, 0.6, 0.8])
"""Places within one step at which derivatives are compared."""


@dataclass(frozen=True)
class Difference:
    """The largest difference between two interpolations."""

    force: float
    """eV/A."""
    where: str
    """The function and the place."""
    distance: float | None
    """Length of the bond, A; None if the place is a density."""
    noise: float
    """Scatter of the second derivative of a bond energy that the scatter of the tables makes, eV/A^2."""


@dataclass(frozen=True)
class Polynomials:
    """One interpolation: coefficients per step (constant first), as `EAM` holds them."""

    embedding: Float[np.ndarray, "species intervals powers"]
    radial: Float[np.ndarray, "species species functions steps powers"]
    """Of rho (first) and r phi."""


Window = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""A function of the distance (A) with its derivative."""


def largest_difference(tables: Tables, one: Polynomials, other: Polynomials, window: Window | None) -> Difference:
    """The largest difference in force between two interpolations over distances and densities that crystals have.

    Parameters
    ----------
    tables
        The tables that both interpolate.
    one, other
        The interpolations.
    window
        A function of the distance (A) that multiplies the radial functions of `one`, and its derivative; or None.

    Returns
    -------
    Difference
        The larger one of two scales, eV/A. Of a bond at distance r, |d phi' | + |F'| |d rho'| of both atoms, where d is
        the difference of the interpolations and ' the derivative. Of an atom at density rho, |d F'| max |rho'|.

    Notes
    -----
    Distances go from 0.85 nearest-neighbour distances to the cutoff. Densities go from 0.4 to 1.25 of those that the
    close-packed crystals of all pairs of species have, but not into the last 5 % of the table. The nearest-neighbour
    distance of an element is where its fcc crystal has the lowest energy by the tables, or twice the covalent radius if
    there is no minimum near that; of two elements the mean.
    """
    nearest = np.array([_nearest(tables, i) for i in range(len(tables.species))])
    distance = (nearest[:, None] + nearest[None]) / 2
    steps = min(one.radial.shape[-2], other.radial.shape[-2])
    x = (np.arange(steps)[:, None] + WITHIN).ravel()
    r = x * tables.spacing
    radial = [_evaluate(p.radial, x, tables.spacing) for p in (one, other)]
    if window is not None:
        (value, slope), (w, dw) = radial[0], window(r)
        radial[0] = value * w, slope * w + value * dw
    steps = min(one.embedding.shape[-2], other.embedding.shape[-2])
    x = (np.arange(steps)[:, None] + WITHIN).ravel()
    densities = x * tables.density_spacing
    slopes = [_evaluate(p.embedding, x, tables.density_spacing)[1] for p in (one, other)]
    change, steepest = _of_atoms(tables, distance, densities, slopes, r, radial[1][1][:, :, 0])
    found = Difference(0.0, "nowhere", None, _noise(tables, distance, steepest))
    for i, name in enumerate(tables.species):
        at = int(change[i].argmax())
        if not change[i, at] <= found.force:
            place = f"F of {name} at density {densities[at]:.4g}"
            found = replace(found, force=float(change[i, at]), where=place, distance=None)
    shift, shift_slope = (a - b for a, b in zip(*radial, strict=True))
    safe = np.maximum(r, 0.1)
    bond = np.abs(shift_slope[:, :, 1] / safe - shift[:, :, 1] / safe**2)
    bond += steepest[:, None, None] * np.abs(shift_slope[:, :, 0])
    bond += steepest[None, :, None] * np.abs(np.swapaxes(shift_slope[:, :, 0], 0, 1))
    bond = np.where((r >= CLOSEST * distance[..., None]) & (r < tables.cutoff), bond, 0.0)
    if not bond.max() <= found.force:
        i, j, at = np.unravel_index(int(bond.argmax()), bond.shape)
        place = f"the bond {tables.species[i]}-{tables.species[j]} at {r[at]:.3f} A"
        found = replace(found, force=float(bond.max()), where=place, distance=float(r[at]))
    return found


def _of_atoms(
    tables: Tables,
    distance: Float[np.ndarray, "species species"],
    densities: Float[np.ndarray, " densities"],
    slopes: Sequence[np.ndarray],
    r: Float[np.ndarray, " points"],
    density_slopes: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Force differences (eV/A) from F' at each density and species; the largest |F'| of each species in its range."""
    change, steepest = [], []
    for i in range(len(tables.species)):
        packed = [_packed_density(tables, i, j, distance[i, j]) for j in range(len(tables.species))]
        low, high = DENSITIES[0] * min(packed), min(DENSITIES[1] * max(packed), INSIDE * densities[-1])
        counted = (densities >= low) & (densities <= high)
        near = (r >= CLOSEST * distance[i, :, None]) & (r < tables.cutoff)
        # the force on a neighbour is F' of this atom times the slope of the density that it receives
        received = np.where(near, np.abs(density_slopes[i]), 0.0).max()
        change.append(np.where(counted, np.abs(slopes[0][i] - slopes[1][i]), 0.0) * received)
        steepest.append(np.where(counted, np.abs(slopes[1][i]), 0.0).max())
    return np.array(change), np.array(steepest)


def _noise(tables: Tables, distance: Float[np.ndarray, "species species"], steepest: Float[np.ndarray, " species"]) -> float:
    """Scatter of second derivatives, eV/A^2, from the sixth differences of the tables, which a smooth function has not.

    Values with independent errors of size e have sixth differences of size sqrt(924) e. The median over a stretch of a
    table leaves out single kinks.
    """
    points = tables.pair.shape[-1]
    stretches = (points - 6) // STRETCH
    if stretches == 0:
        return 0.0
    r = tables.spacing * (3 + STRETCH * np.arange(stretches + 1))

    def scatter(table: np.ndarray) -> np.ndarray:
        differences = np.abs(np.diff(table, 6, axis=-1))[..., : stretches * STRETCH]
        median = np.median(differences.reshape(*table.shape[:-1], stretches, STRETCH), axis=-1)
        return median / (0.6745 * np.sqrt(924.0)) / tables.spacing**2  # of a normal distribution the median is 0.6745

    noise = scatter(tables.pair) / r[1:] + steepest[:, None, None] * scatter(tables.density)
    counted = (r[:-1] >= CLOSEST * distance[..., None]) & (r[1:] <= tables.cutoff)
    return float(np.where(counted, noise, 0.0).max())


def _nearest(tables: Tables, i: int) -> float:
    """Nearest-neighbour distance of an element, A."""
    typical = 2.0 * element(tables.species[i]).covalent_radius
    trial = np.linspace(0.75, 1.5, 301) * typical
    shells = trial[:, None] * np.sqrt(SHELLS[:, 0])
    grid = np.arange(tables.pair.shape[-1]) * tables.spacing
    counts = np.where(shells < min(tables.cutoff, grid[-1]), SHELLS[:, 1], 0.0)
    pair = np.sum(counts * np.interp(shells, grid, tables.pair[i, i]) / shells, axis=1) / 2
    density = np.sum(counts * np.interp(shells, grid, tables.density[i, i]), axis=1)
    points = np.arange(tables.embedding.shape[-1]) * tables.density_spacing
    energy = pair + np.interp(density, points, tables.embedding[i])
    best = int(energy[: np.searchsorted(trial, grid[-1])].argmin())
    return float(trial[best]) if 0 < best < len(trial) - 1 and energy[best] < 0.0 else typical


def _packed_density(tables: Tables, i: int, j: int, nearest: float) -> float:
    """Density at a species with the close-packed neighbours of another."""
    grid = np.arange(tables.density.shape[-1]) * tables.spacing
    shells = nearest * np.sqrt(SHELLS[:, 0])
    return float(np.sum(np.where(shells < tables.cutoff, SHELLS[:, 1], 0.0) * np.interp(shells, grid, tables.density[i, j])))


def _evaluate(coefficients: np.ndarray, x: np.ndarray, spacing: float):
    """Values and derivatives of piecewise polynomials at x (in steps), the last axes being steps and powers."""
    step = np.minimum(x.astype(int), coefficients.shape[-2] - 1)
    part = x - step
    value, slope = np.zeros(1), np.zeros(1)
    for k in range(coefficients.shape[-1] - 1, -1, -1):
        slope = slope * part + value
        value = value * part + coefficients[..., step, k]
    return value, slope / spacing
