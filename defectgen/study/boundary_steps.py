"""The tasks of the boundary study: the best far field there is as the truth, and every boundary condition against it."""

import numpy as np
from scipy.spatial import KDTree

from .._input import InputError
from .._typing import Float, Int
from ..campaign import Record
from ..crystal import Cell, ball, defect_from_name
from ..elastic import FarFieldEquilibrium, elastic_dipole, image_correction, infinite_greens, relax_far_field
from ..elastic.boundary import ORDERS
from ..elastic.multipoles import Multipoles, relaxation_volume_tensor
from ..energy.perfect import elastic_constants
from ..energy.site import SiteEnergy
from ..errors.norms import bonds_of
from ..relax import relax
from .steps import box, kept, rest_lattice, truth_of

SHELL = 2.0 ** (1 / 3)
"""Ratio of the radii of neighbouring shells in which strains are averaged."""

TOGETHER = 1e-3
"""A: two atoms of different cells are the same if they are this near."""

CORE = 2.0
"""Nearest-neighbour spacings from the defect at which shells start."""


def ball_cell(spec: dict, lattice, potential: SiteEnergy, radius: float) -> Cell:
    """The defect in a ball of free atoms of `radius` spacings, with a shell of twice the cutoff. spec: defect."""
    clamp = 2 * potential.cutoff + 0.5
    return defect_from_name(spec["defect"]).apply(ball(lattice, radius * lattice.nearest_neighbour, clamp))


class _Scene:
    """What all tasks of one defect share: kept by the process, so that it is made once."""

    def __init__(self, spec: dict, perfect: Record):
        self.lattice = rest_lattice(spec, perfect)
        potential = truth_of(spec)
        assert isinstance(potential, SiteEnergy)  # the plan has seen to it
        self.potential = potential
        self.cell = ball_cell(spec, self.lattice, potential, spec["truth"])
        self.green = infinite_greens(self.cell, potential)
        self.bonds = bonds_of(self.cell)
        self.middle = self.cell.positions[self.bonds.first] + self.bonds.vectors / 2 - self.cell.centre
        self.distance = np.linalg.norm(self.cell.positions - self.cell.centre, axis=1) / self.lattice.nearest_neighbour
        self.whole = (float(self.distance.max()) - 2) * self.lattice.nearest_neighbour
        """Radius (A) within which all bonds are in the list."""


def _scene(spec: dict, perfect: Record) -> _Scene:
    return kept(("boundary", *(spec[name] for name in ("material", "defect", "truth"))), lambda: _Scene(spec, perfect))


def truth(spec: dict, perfect: Record) -> Record:
    """The defect with the best far field in the largest ball, and how its strain decays. spec: material, defect, truth."""
    scene = _scene(spec, perfect)
    order = 2 if scene.lattice.sublattices == 1 else 1
    found = relax_far_field(scene.cell, scene.potential, order, green=scene.green)
    if not found.converged:
        raise InputError(f"{spec['defect']} in {spec['material']['name']} has no far field to compare with: {found.message}")
    if found.inner.is_saddle:
        raise InputError(f"{spec['defect']} in {spec['material']['name']} rests at a saddle point; choose another defect")
    moments = found.moments
    odd = 0.0
    if moments.quadrupole is not None:
        odd = float(np.abs(moments.quadrupole).max() / np.abs(moments.dipole).max() / scene.lattice.nearest_neighbour)
    values = {
        "energy": found.energy,
        "radius": scene.cell.radius,
        "order": order,
        "rounds": found.rounds,
        "odd": odd,
        "dimension": scene.lattice.dimension,
        "dipole": moments.dipole.tolist(),
        "relaxation_volume": _volume(scene, moments),
        "atoms": len(scene.cell),
        "decay": _decay(scene, found.displacement),
    }
    return Record(values, {"displacement": found.displacement})


def trial(spec: dict, perfect: Record, reference: Record) -> Record:
    """One boundary condition at one radius against the truth. spec: material, defect, truth, condition, radius or size.

    Geometry: ||D(u_R - u)|| over all bonds of the infinite crystal, u_R being continued by its far field, by nothing where it has
    none, and beyond the truth's ball as the dipole law r^-2d of |Dw|^2 continues the outermost shell.
    """
    scene = _scene(spec, perfect)
    exact = reference.arrays["displacement"]
    if spec["condition"] == "periodic":
        cell = defect_from_name(spec["defect"]).apply(box(scene.lattice, spec["size"]))
        found = relax(cell, scene.potential, eigenvalue=False)
        dipole = elastic_dipole(found, scene.potential)
        partner = _partners(scene.cell, cell)
        own = (partner >= 0) & (scene.distance < cell.radius - 1e-6)
        u = np.where(own[:, None], found.displacement[partner], 0.0)
        inside = own[scene.bonds.first] & own[scene.bonds.second]
        difference = np.where(inside[:, None], scene.bonds.difference(u), 0.0) - scene.bonds.difference(exact)
        correction = image_correction(found, scene.potential)
        extra = {"correction": correction, "relaxation_volume": dipole.relaxation_volume, "rounds": 1}
        moments = dipole
        error = found.energy - reference.values["energy"]
        converged, message = found.converged, found.message
    else:
        cell = ball_cell(spec, scene.lattice, scene.potential, spec["radius"])
        found = relax_far_field(cell, scene.potential, ORDERS[spec["condition"]], eigenvalue=False, green=scene.green)
        difference = scene.bonds.difference(_continued(scene, cell, found) - exact)
        extra = {"relaxation_volume": _volume(scene, found.moments), "rounds": found.rounds}
        moments = found.moments
        error = found.energy - reference.values["energy"]
        converged, message = found.converged, found.message
    return Record(
        {
            "radius": cell.radius,
            "atoms": len(cell),
            "free_atoms": int(cell.free.sum()),
            "geometry_error": _norm(scene, difference),
            "energy_error": error,
            "dipole": moments.dipole.tolist(),
            "converged": converged,
            "message": message,
            **extra,
        }
    )


def _volume(scene: _Scene, moments: Multipoles) -> float:
    """Relaxation volume, A^3 (A^2)."""
    return float(np.trace(relaxation_volume_tensor(moments.dipole, elastic_constants(scene.lattice, scene.potential))))


def _continued(scene: _Scene, cell: Cell, found: FarFieldEquilibrium) -> Float[np.ndarray, "atoms 3"]:
    """The displacement of a smaller ball on the atoms of the truth's: its own on free atoms, its far field beyond."""
    host, sites = scene.cell.host, scene.cell.sites
    u = np.zeros((len(sites), 3))
    on = np.flatnonzero(sites >= 0)
    u[on] = found.sources.displacement(scene.green, host.translations[sites[on]], host.sublattices[sites[on]])
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


def _decay(scene: _Scene, u: Float[np.ndarray, "atoms 3"]) -> list[list[float]]:
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
    return np.column_stack([radius, np.sqrt(first[full] / counts[full]), np.sqrt(second[full] / counts[full])]).tolist()
