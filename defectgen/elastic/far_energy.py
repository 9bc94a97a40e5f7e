"""The energy of an infinite crystal that follows a far field of point forces outside a ball."""

import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Bool, Float, Int
from ..crystal.cell import Cell, Sites
from ..crystal.cut import ball
from ..energy.bonds import bonds, pad
from ..energy.perfect import ForceConstants, bulk_site_energies
from ..energy.site import SiteEnergy
from ..energy.total import site_energies
from .infinite import InfiniteGreensFunction
from .multipoles import HarmonicCrystal, site_displacement
from .point_forces import PointForces


def energy_of_infinite_crystal(
    cell: Cell,
    potential: SiteEnergy,
    positions: Float[np.ndarray, "atoms 3"],
    sources: PointForces,
    green: InfiniteGreensFunction,
    constants: ForceConstants,
    beyond: float,
) -> float:
    """E(u) - N E_bulk of u = the displacement of the free atoms, G * F outside.

    Parameters
    ----------
    cell : Cell
        The ball.
    potential : SiteEnergy
        A reference or a fitted model.
    positions : array, (atoms, 3)
        Relaxed positions, A.
    sources : PointForces
        F, which make the far field.
    green : InfiniteGreensFunction
        G.
    constants : ForceConstants
        H, of the perfect crystal.
    beyond : float
        Sites are summed one by one within this multiple of the radius of the ball with its shell.

    Returns
    -------
    float
        eV.

    Notes
    -----
    Sites within the radius R_B are summed as they are. For the rest C the series V(Du) - V(0) = V'Du + V''[Du]^2/2 + O(|Du|^3)
    is
    summed in closed form: over all sites of the perfect crystal the linear part vanishes and the quadratic one is <Hu, u>/2,
    so both
    are minus their sums over B, plus <Hu, u>/2; with u = G F + v this is <F, G F> + 2 <F, v> + <Hv, v>, finite sums. The cubic
    rest
    falls like r^-3d and is carried on from the shell that was summed. theory: setting/boundary-conditions.
    """
    d = cell.lattice.dimension
    free = np.linalg.norm(cell.positions[cell.free] - cell.centre, axis=1).max()
    far = free + potential.cutoff  # sites beyond see far-field atoms only
    outer = beyond * far
    whole, old = _larger(cell, outer + potential.cutoff)
    sites = whole.perfect_sites
    u = sources.displacement(green, sites.translations, sites.sublattices)
    v = np.zeros_like(u)
    inner = site_displacement(cell, positions)
    own = np.flatnonzero(_follows_atoms(cell))
    v[old[own]] = inner[own] - u[old[own]]

    # <Hu, u> = <F, G F> + 2 <F, v> + <Hv, v>
    source = _rows(sites, sources.translations)
    product = float(np.vdot(sources.forces, u[source] + 2 * v[source]))
    product += float(np.vdot(v, HarmonicCrystal(whole, constants).forces(v)))

    u = u + v
    distance = np.linalg.norm(whole.site_positions - cell.centre, axis=1)
    counted = distance <= outer
    linear, quadratic, cubic = _series(whole, potential, u, counted)
    beyond_ball = counted & (distance > far + 1e-6)
    inside = float(np.linalg.norm(whole.site_positions[~beyond_ball & counted] - cell.centre, axis=1).max())
    shell = float(cubic[beyond_ball].sum())
    reach = float(distance[counted].max())
    tail = shell * reach ** (-2 * d) / (inside ** (-2 * d) - reach ** (-2 * d))
    return _defective(cell, whole, old, potential, positions, u, outer) - linear - quadratic / 2 + product / 2 + tail


def _larger(cell: Cell, radius: float) -> tuple[Cell, Int[np.ndarray, " sites"]]:
    """The perfect ball of a radius (A) around the same centre, and the row in it of every site of the cell."""
    lattice = cell.lattice
    edge = np.linalg.norm(cell.site_positions - cell.centre, axis=1).max()
    made = ball(lattice, max(radius, edge) + lattice.nearest_neighbour, clamp=0.0)
    return made, _rows(made.perfect_sites, cell.perfect_sites.translations, cell.perfect_sites.sublattices)


def _rows(
    sites: Sites, translations: Int[np.ndarray, "n 3"], sublattices: Int[np.ndarray, " n"] | None = None
) -> Int[np.ndarray, " n"]:
    """Rows of `sites` with the given translations (of sublattice 0, if none is given)."""
    sub = np.zeros(len(translations), dtype=int) if sublattices is None else sublattices
    low, span = sites.translations.min(axis=0), np.ptp(sites.translations, axis=0) + 1
    table = np.full((*span, sites.sublattices.max() + 1), -1)
    table[(*(sites.translations - low).T, sites.sublattices)] = np.arange(len(sites.sublattices))
    return table[(*(translations - low).T, sub)]


def _follows_atoms(cell: Cell) -> Bool[np.ndarray, " sites"]:
    """Sites whose displacement is that of a free atom, or zero because they are vacant; the others follow the far field."""
    follows = np.ones(len(cell.perfect_sites.sublattices), dtype=bool)
    on = cell.sites >= 0
    follows[cell.sites[on]] = cell.free[on]
    return follows


def _series(
    whole: Cell, potential: SiteEnergy, u: Float[np.ndarray, "sites 3"], counted: Bool[np.ndarray, " sites"]
) -> tuple[float, float, Float[np.ndarray, " sites"]]:
    """Sums over counted sites of V'Du and V''[Du]^2 at the perfect crystal, and what is left of V(Du) - V(0) at each site, eV."""
    near = bonds(whole.site_positions, whole.vectors, whole.periodic, whole.symbols, potential, 0.8)
    rows = len(near.index)
    x, step, box = jnp.asarray(pad(whole.site_positions, rows)), jnp.asarray(pad(u, rows)), jnp.asarray(whole.vectors)

    def along(scale):
        return site_energies(potential, x + scale * step, box, near)

    def slope(scale):
        return jax.jvp(along, (scale,), (1.0,))[1]

    (first, second), moved, still = jax.jvp(slope, (0.0,), (1.0,)), along(1.0), along(0.0)
    n = len(whole)
    first, second, change = (np.asarray(a)[:n] for a in (first, second, moved - still))
    return float(first[counted].sum()), float(second[counted].sum()), change - first - second / 2


def _defective(
    cell: Cell,
    whole: Cell,
    old: Int[np.ndarray, " own"],
    potential: SiteEnergy,
    positions: Float[np.ndarray, "atoms 3"],
    u: Float[np.ndarray, "sites 3"],
    outer: float,
) -> float:
    """Sum of V - V_bulk, eV, over the atoms of the defective crystal within a radius (A)."""
    bulk = bulk_site_energies(cell.lattice, potential)
    mean = float(bulk.mean())
    rest = np.ones(len(whole), dtype=bool)
    rest[old] = False
    symbols = (*cell.symbols, *(whole.symbols[k] for k in np.flatnonzero(rest)))
    clamped = ~cell.free
    placed = positions.copy()
    site = old[cell.sites[clamped]]
    placed[clamped] = whole.site_positions[site] + u[site]
    x = np.vstack([placed, (whole.site_positions + u)[rest]])
    home = np.concatenate([np.where(cell.sites >= 0, old[cell.sites], -1), np.flatnonzero(rest)])
    start = np.where((home >= 0)[:, None], whole.site_positions[home], cell.centre)  # whoever is on no site is in the core
    counted = np.linalg.norm(start - cell.centre, axis=1) <= outer
    near = bonds(x, whole.vectors, whole.periodic, symbols, potential)
    rows = len(near.index)
    values = np.asarray(site_energies(potential, pad(x, rows), whole.vectors, near))[: len(x)]
    # Site by site the bulk energy of the site; atoms that came, went or changed their species count with the mean one.
    native = np.array([h >= 0 and whole.symbols[h] == s for h, s in zip(home, symbols, strict=True)])
    own = np.where(native, bulk[whole.perfect_sites.sublattices[np.maximum(home, 0)]], mean)
    missing = np.ones(len(whole), dtype=bool)
    missing[home[native]] = False
    offset = float((bulk - mean)[whole.perfect_sites.sublattices[missing]].sum())
    return float((values - own)[counted].sum()) - offset
