"""The steps of the boundary study: the best far field there is as the truth, and every boundary condition against it."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from ..._input import InputError
from ..._typing import Float, Int
from ...campaign import Given, Step
from ...crystal import Cell, Lattice, ball, defect_from_name
from ...elastic import FarFieldEquilibrium, elastic_dipole, image_correction, infinite_greens, relax_far_field
from ...elastic.boundary import ORDERS
from ...elastic.multipoles import Multipoles, relaxation_volume_tensor
from ...energy.perfect import long_wave_elastic_constants
from ...energy.site import SiteEnergy
from ...errors.norms import bonds_of
from ...relax import relax
from ..tasks import Crystal, defect_cell, kept, truth_of

SYMMETRIC = 0.02
"""|M| / (|P| spacing) below which a defect has no third-rank moment: 0 up to R^(1-d) by inversion, else of order one."""

SHELL = 2.0 ** (1 / 3)
"""Ratio of the radii of neighbouring shells in which strains are averaged."""

TOGETHER = 1e-3
"""A: two atoms of different cells are the same if they are this near."""

CORE = 2.0
"""Nearest-neighbour spacings from the defect at which shells start."""


def ball_cell(defect: str, lattice: Lattice, potential: SiteEnergy, radius: float) -> Cell:
    """The defect in a ball of free atoms of `radius` spacings, with a shell of twice the cutoff."""
    clamp = 2 * potential.cutoff + 0.5
    return defect_from_name(defect).apply(ball(lattice, radius * lattice.nearest_neighbour, clamp))


@dataclass(frozen=True, eq=False)
class Truth:
    """The defect with the best far field there is."""

    displacement: Float[np.ndarray, "atoms 3"]
    """A."""
    energy: float
    """eV."""
    radius: float
    """Of the ball, nearest-neighbour spacings."""
    order: int
    """Of the far field: 1 dipole, 2 quadrupole."""
    odd: float
    """|M| / (|P| spacing), the third-rank moment against the dipole; 0 without one."""
    dimension: int
    decay: tuple[tuple[float, float, float], ...]
    """Shells: radius (spacings), root mean squares of the first and second differences of the displacement (A)."""

    @property
    def symmetric(self) -> bool:
        """Whether the defect has no third-rank moment."""
        return self.order == 2 and self.odd < SYMMETRIC


@dataclass(frozen=True, eq=False)
class Cut:
    """What one boundary condition at one radius makes of the defect."""

    radius: float
    """Nearest-neighbour spacings."""
    atoms: int
    free_atoms: int
    geometry_error: float
    """A."""
    energy_error: float
    """eV, signed."""
    dipole: tuple[tuple[float, ...], ...]
    """eV."""
    relaxation_volume: float
    """A^3 (A^2)."""
    rounds: int
    converged: bool
    message: str
    correction: float | None = None
    """Of the energy for the periodic images, eV; None for other conditions."""


class _Scene:
    """What all steps of one defect share: kept by the process, so that it is made once."""

    def __init__(self, far: "FarField", given: Given):
        self.lattice = given[far.crystal].lattice(far.crystal.material)
        potential = truth_of(far.crystal.material)
        assert isinstance(potential, SiteEnergy)  # `Boundaries.check` refuses others
        self.potential = potential
        self.cell = ball_cell(far.defect, self.lattice, potential, far.radius)
        self.green = infinite_greens(self.cell, potential)
        self.bonds = bonds_of(self.cell)
        self.middle = self.cell.positions[self.bonds.first] + self.bonds.vectors / 2 - self.cell.centre
        self.distance = np.linalg.norm(self.cell.positions - self.cell.centre, axis=1) / self.lattice.nearest_neighbour
        self.whole = (float(self.distance.max()) - 2) * self.lattice.nearest_neighbour
        """Radius (A) within which all bonds are in the list."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FarField(Step[Truth]):
    """The truth: the defect with the best far field in the largest ball, and how its strain decays."""

    crystal: Crystal
    defect: str
    radius: float
    """Of the ball, nearest-neighbour spacings."""

    @property
    def label(self) -> str:
        return f"{self.name} far field, radius {self.radius:.3g}"

    @property
    def name(self) -> str:
        """Material and defect."""
        return f"{self.crystal.material.name} {self.defect}"

    @property
    def weight(self) -> float:
        return 8.0

    def scene(self, given: Given) -> _Scene:
        """What this step and the conditions compared with it share."""
        return kept(("boundary", self.key), lambda: _Scene(self, given))

    def run(self, given: Given) -> Truth:
        """Relax with the far field of highest order; refuse what does not converge or is a saddle point."""
        scene = self.scene(given)
        order = 2 if scene.lattice.sublattices == 1 else 1
        found = relax_far_field(scene.cell, scene.potential, order, green=scene.green)
        if not found.converged:
            raise InputError(f"{self.name} has no far field to compare with: {found.message}")
        if found.inner.is_saddle:
            raise InputError(f"{self.name} rests at a saddle point; choose another defect")
        moments, odd = found.moments, 0.0
        if moments.quadrupole is not None:
            odd = float(np.abs(moments.quadrupole).max() / np.abs(moments.dipole).max() / scene.lattice.nearest_neighbour)
        return Truth(
            displacement=found.displacement,
            energy=found.energy,
            radius=scene.cell.radius,
            order=order,
            odd=odd,
            dimension=scene.lattice.dimension,
            decay=_decay(scene, found.displacement),
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Condition(Step[Cut]):
    """One boundary condition at one radius against the truth.

    Geometry: ||D(u_R - u)|| over all bonds of the infinite crystal, u_R being continued by its far field, by nothing where it has
    none, and beyond the truth's ball as the dipole law r^-2d of |Dw|^2 continues the outermost shell.
    """

    crystal: Crystal
    truth: FarField
    condition: str
    radius: float | None
    """Of the ball of free atoms, nearest-neighbour spacings; None for a periodic cell."""
    cells: int | None
    """Conventional cells along the side of a periodic cell; None for a ball."""
    wanted: float
    """The radius that was requested; a periodic cell has at least this one."""

    apart = ("study", "wanted")

    @property
    def label(self) -> str:
        return f"{self.truth.name} {self.condition}, radius {self.wanted:.3g}"

    @property
    def weight(self) -> float:
        return 2.0

    def run(self, given: Given) -> Cut:
        """Relax under the condition and compare."""
        scene, exact = self.truth.scene(given), given[self.truth]
        correction = None
        if self.cells is not None:
            cell = defect_cell(scene.lattice, self.truth.defect, self.cells)
            found = relax(cell, scene.potential, eigenvalue=False)
            moments = elastic_dipole(found, scene.potential)
            partner = _partners(scene.cell, cell)
            own = (partner >= 0) & (scene.distance < cell.radius - 1e-6)
            u = np.where(own[:, None], found.displacement[partner], 0.0)
            inside = own[scene.bonds.first] & own[scene.bonds.second]
            kept_strain = np.where(inside[:, None], scene.bonds.difference(u), 0.0)
            difference = kept_strain - scene.bonds.difference(exact.displacement)
            correction, volume, rounds = image_correction(found, scene.potential), moments.relaxation_volume, 1
        else:
            assert self.radius is not None  # a ball has one
            cell = ball_cell(self.truth.defect, scene.lattice, scene.potential, self.radius)
            found = relax_far_field(cell, scene.potential, ORDERS[self.condition], eigenvalue=False, green=scene.green)
            difference = scene.bonds.difference(_continued(scene, cell, found) - exact.displacement)
            moments = found.moments
            volume, rounds = _volume(scene, found.moments), found.rounds
        return Cut(
            radius=cell.radius,
            atoms=len(cell),
            free_atoms=int(cell.free.sum()),
            geometry_error=_norm(scene, difference),
            energy_error=found.energy - exact.energy,
            dipole=tuple(tuple(row) for row in moments.dipole.tolist()),
            relaxation_volume=volume,
            rounds=rounds,
            converged=found.converged,
            message=found.message,
            correction=correction,
        )


def _volume(scene: _Scene, moments: Multipoles) -> float:
    """Relaxation volume, A^3 (A^2)."""
    return float(np.trace(relaxation_volume_tensor(moments.dipole, long_wave_elastic_constants(scene.lattice, scene.potential))))


def _continued(scene: _Scene, cell: Cell, found: FarFieldEquilibrium) -> Float[np.ndarray, "atoms 3"]:
    """The displacement of a smaller ball on the atoms of the truth's: its own on free atoms, its far field beyond."""
    perfect, sites = scene.cell.perfect_sites, scene.cell.sites
    u = np.zeros((len(sites), 3))
    on = np.flatnonzero(sites >= 0)
    u[on] = found.sources.displacement(scene.green, perfect.translations[sites[on]], perfect.sublattices[sites[on]])
    partner = _partners(scene.cell, cell)
    own = (partner >= 0) & cell.free[partner]
    u[own] = found.displacement[partner[own]]
    return u


def _partners(big: Cell, small: Cell) -> Int[np.ndarray, " big"]:
    """The atom of `small` at the same place relative to the defect, for every atom of `big`; -1 where there is none."""
    place = small.minimum_image(small.positions - small.centre)
    away, partner = KDTree(place).query(big.positions - big.centre)
    return np.where(away < TOGETHER, partner, -1)


def _norm(scene: _Scene, difference: Float[np.ndarray, "bonds 3"]) -> float:
    """The l2 norm of bond differences (A), continued beyond the ball of the truth like r^-2d from its outermost quarter."""
    square = (difference**2).sum(axis=1)
    middle = np.linalg.norm(scene.middle, axis=1)
    d, end = scene.lattice.dimension, scene.whole
    begin = 0.75 * end
    shell = float(square[(middle > begin) & (middle <= end)].sum())
    tail = shell * end**-d / (begin**-d - end**-d)
    return float(np.sqrt(square[middle <= end].sum() + tail))


def _decay(scene: _Scene, u: Float[np.ndarray, "atoms 3"]) -> tuple[tuple[float, float, float], ...]:
    """Shells around the defect: radius (spacings), root mean squares of Du and D^2u along the primitive vectors, A."""
    cell, d = scene.cell, scene.lattice.dimension
    place = cell.positions - cell.centre
    tree = KDTree(place)
    edges = CORE * SHELL ** np.arange(1 + int(np.log(cell.radius / CORE) / np.log(SHELL)))
    first, second = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    shell = np.digitize(scene.distance, edges) - 1
    counts = np.zeros(len(edges) - 1)
    for vector in scene.lattice.vectors[:d]:
        (there, after), (back, before) = (tree.query(place + sign * vector) for sign in (1, -1))
        good = (there < TOGETHER) & (back < TOGETHER) & (shell >= 0) & (shell < len(counts))
        strain, gradient = (u[after] - u[before]) / 2, u[after] + u[before] - 2 * u
        np.add.at(first, shell[good], (strain[good] ** 2).sum(axis=1))
        np.add.at(second, shell[good], (gradient[good] ** 2).sum(axis=1))
        np.add.at(counts, shell[good], 1)
    full = counts > 0
    radius = np.sqrt(edges[1:] * edges[:-1])[full]
    rows = np.column_stack([radius, np.sqrt(first[full] / counts[full]), np.sqrt(second[full] / counts[full])])
    return tuple((r, strain, gradient) for r, strain, gradient in rows.tolist())
