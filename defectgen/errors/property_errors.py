"""Errors of what can be observed: force constants and elastic constants of the crystal, forces at one configuration."""

from dataclasses import dataclass

import numpy as np

from .._display import shown
from .._input import InputError
from .._typing import Complex, Float, Int
from ..crystal.cell import Cell, primitive_cell
from ..crystal.lattice import Lattice
from ..energy.crystal_state import crystal_force_constants
from ..energy.elastic import elastic_constants
from ..energy.functional import evaluate
from ..energy.potential import Potential
from ..units import EV_PER_A3_IN_GPA
from .norms import bonds_of

# ------ What a model gets wrong about the perfect crystal: force constants in real and reciprocal space, elastic constants


@dataclass(frozen=True, eq=False)
class ForceConstantError:
    """Norms of dPhi = Phi_model - Phi_truth of the infinite crystal; sums run over the pairs of one primitive cell.

    In two dimensions only entries in the plane count: no atom leaves it, and no observation has the others.
    """

    l2: float
    """(sum |dPhi|_F^2)^(1/2), eV/A^2."""
    max: float
    """Largest entry, eV/A^2."""
    range_weighted: float
    """sum |rho|^2 |dPhi(rho)|_F, eV: the norm that the bound contains (a matched range counts as much as a matched size)."""
    dual: float
    """sup_k of the largest generalised eigenvalue of |dPhi(k)| against the bond Laplacian N(k), eV/A^2:
    |<dPhi v, v>| <= dual ||Dv||^2 for all v, the consistency error in the dual norm. Finite for multilattices too."""
    long_wave: float
    """sup_k |v . dPhi(k) v| / |k|^2 over translations v of whole primitive cells, eV per atom: acoustic dispersion."""


def force_constant_error(lattice: Lattice, truth: Potential, model: Potential, grid: int = 8) -> ForceConstantError:
    """Errors of the force constants of the perfect crystal, model minus truth.

    Parameters
    ----------
    lattice : Lattice
        The crystal.
    truth, model : Potential
        Any potentials.
    grid : int
        Wave vectors run over a half-shifted grid^d mesh of the Brillouin zone, and over long waves.

    Returns
    -------
    ForceConstantError
        Errors of the force constants (eV/A^2) and of the waves.

    Notes
    -----
    theory: bounds/geometry (the terms epsC2 and epsG2).
    """
    if grid < 1:
        raise InputError(f"the k mesh needs at least one point along each axis; got grid={grid}")
    first, second, rho, delta = _difference(lattice, truth, model)
    d, n = lattice.dimension, lattice.sublattices
    points = k_points(lattice, grid)
    planar = delta[:, :d, :d]
    size = np.linalg.norm(planar, axis=(1, 2))
    pairs = _bond_laplacian(lattice)
    uniform = np.tile(np.eye(d), (n, 1)) / np.sqrt(n)
    dual, long_wave = 0.0, 0.0
    for k in points:
        error = _fourier(first, second, rho, planar, k, n)
        laplacian = np.kron(_fourier(*pairs[:3], pairs[3], k, n), np.eye(d))
        values, vectors = np.linalg.eigh(laplacian)
        root = vectors / np.sqrt(values)
        dual = max(dual, float(np.abs(np.linalg.eigvalsh(root.conj().T @ error @ root)).max()))
        acoustic = uniform.T @ error @ uniform
        long_wave = max(long_wave, float(np.abs(np.linalg.eigvalsh(acoustic)).max() / (k @ k)))
    return ForceConstantError(
        l2=float(np.linalg.norm(size)),
        max=float(np.abs(planar).max()),
        range_weighted=float(np.sum(np.sum(rho**2, axis=1) * size)),
        dual=dual,
        long_wave=long_wave,
    )


def relative_stiffness(lattice: Lattice, truth: Potential, change: Potential, grid: int = 8) -> float:
    """sup_k of |<dPhi(k) v, v>| / <Phi(k) v, v>: how much `change`, added to `truth`, alters the energy of a wave at most."""
    d, n = lattice.dimension, lattice.sublattices
    own, other = crystal_force_constants(lattice, truth), crystal_force_constants(lattice, change)
    largest = 0.0
    for k in k_points(lattice, grid):
        stiffness, altered = (_fourier(c.first, c.second, c.separations, c.phi[:, :d, :d], k, n) for c in (own, other))
        values, vectors = np.linalg.eigh(stiffness)
        root = vectors / np.sqrt(values)
        largest = max(largest, float(np.abs(np.linalg.eigvalsh(root.conj().T @ altered @ root)).max()))
    return largest


def k_points(lattice: Lattice, grid: int) -> Float[np.ndarray, "points 3"]:
    """Wave vectors, 1/A: the half-shifted mesh of the reciprocal cell, and long waves 1/50 of it in all mesh directions."""
    reciprocal = 2 * np.pi * np.linalg.inv(lattice.vectors).T
    axis = (np.arange(grid) + 0.5) / grid - 0.5
    near = np.array([-1.0, 0.0, 1.0])

    def mesh(ticks: np.ndarray) -> np.ndarray:
        third = ticks if lattice.dimension == 3 else np.zeros(1)
        return np.stack(np.meshgrid(ticks, ticks, third, indexing="ij"), -1).reshape(-1, 3)

    fractions = np.concatenate([mesh(axis), mesh(near) / 50])  # 1/50: small, and k^2 still resolves dPhi(k) to twelve digits
    return (fractions[np.abs(fractions).max(axis=1) > 1e-9]) @ reciprocal


def _difference(lattice: Lattice, truth: Potential, model: Potential):
    """Pairs that either potential couples, their separations (A), and Phi_model - Phi_truth."""
    sums: dict[tuple[int, ...], np.ndarray] = {}
    for sign, potential in ((1.0, model), (-1.0, truth)):
        constants = crystal_force_constants(lattice, potential)
        keys = np.column_stack([constants.first, constants.second, constants.translations])
        for key, phi in zip(map(tuple, keys.tolist()), constants.phi, strict=True):
            sums[key] = sums.get(key, 0.0) + sign * phi
    pair = np.array(list(sums), dtype=int)
    separation = pair[:, 2:] @ lattice.vectors + lattice.motif[pair[:, 1]] - lattice.motif[pair[:, 0]]
    return pair[:, 0], pair[:, 1], separation, np.array(list(sums.values()))


def _fourier(
    first: Int[np.ndarray, " pairs"],
    second: Int[np.ndarray, " pairs"],
    rho: Float[np.ndarray, "pairs 3"],
    phi: Float[np.ndarray, "pairs d d"],
    k: Float[np.ndarray, "3"],
    sublattices: int,
) -> Complex[np.ndarray, "m m"]:
    """Phi(k) = sum_rho Phi(rho) exp(i k . rho), Hermitian, sublattice by sublattice."""
    d = phi.shape[1]
    total = np.zeros((sublattices, sublattices, d, d), dtype=complex)
    np.add.at(total, (first, second), phi * np.exp(1j * rho @ k)[:, None, None])
    matrix = total.transpose(0, 2, 1, 3).reshape(sublattices * d, sublattices * d)
    return (matrix + matrix.conj().T) / 2


def _bond_laplacian(lattice: Lattice):
    """Pairs and weights of sum over nearest-neighbour bonds |v_j - v_i|^2, each bond once."""
    cell = primitive_cell(lattice)
    bonds = bonds_of(cell)
    first, second = cell.perfect_sites.sublattices[bonds.first], cell.perfect_sites.sublattices[bonds.second]
    zero = np.zeros_like(bonds.vectors)
    rho = np.concatenate([bonds.vectors, -bonds.vectors, zero, zero])
    weight = np.repeat([-1.0, -1.0, 1.0, 1.0], len(bonds.vectors))[:, None, None]
    return np.concatenate([first, second, first, second]), np.concatenate([second, first, first, second]), rho, weight


@dataclass(frozen=True, eq=False)
class ElasticConstantError:
    """C_model - C_truth, Voigt order xx yy zz yz xz xy."""

    difference: Float[np.ndarray, "6 6"]
    """eV/A^3 (eV/A^2 in two dimensions)."""
    uncertainty: float | None = None
    """Estimate of the largest error of the finite differences of black boxes in it, eV/A^3; None if both are analytic."""
    dimension: int = 3
    """Of the crystal."""

    def __repr__(self) -> str:
        unit = "eV/A^3" if self.dimension == 3 else "eV/A^2"
        uncertain = "" if self.uncertainty is None else f"uncertainty {self.uncertainty:.2g} {unit}"
        return shown(self, f"{np.abs(self.difference).max():.4g} {unit} at most", uncertain)

    @property
    def max(self) -> float:
        """Largest entry, eV/A^3 (eV/A^2)."""
        return float(np.abs(self.difference).max())

    @property
    def gpa(self) -> Float[np.ndarray, "6 6"]:
        """The difference in GPa. Raises InputError in two dimensions, where elastic constants are forces per length."""
        if self.dimension != 3:
            raise InputError("elastic constants of a layer are in eV/A^2 and have no value in GPa; use .difference or .max")
        return self.difference * EV_PER_A3_IN_GPA

    @property
    def max_gpa(self) -> float:
        """Largest entry, GPa. Raises InputError in two dimensions."""
        return float(np.abs(self.gpa).max())


def elastic_constant_error(lattice: Lattice, truth: Potential, model: Potential) -> ElasticConstantError:
    """Error of the relaxed-ion elastic constants, model minus truth.

    Parameters
    ----------
    lattice : Lattice
        The crystal on which both are taken.
    truth, model : Potential
        Any potentials; those of a black box are differenced, as `dg.elastic_constants` says.

    Returns
    -------
    ElasticConstantError
        The difference in Voigt order, eV/A^3 (eV/A^2 in two dimensions; `gpa` in GPa), and its uncertainty.

    Warns
    -----
    InputWarning
        Where a potential is under stress on this lattice.

    Notes
    -----
    theory: bounds/geometry (the term epsC2).
    """
    of_model, of_truth = elastic_constants(lattice, model), elastic_constants(lattice, truth)
    errors = [c.error for c in (of_model, of_truth) if c.error is not None]
    return ElasticConstantError(np.asarray(of_model - of_truth), sum(errors) if errors else None, lattice.dimension)


# ------ Force errors on one configuration: plain, and weighted by the distance to the defect as in the bounds


@dataclass(frozen=True)
class ForceError:
    """Norms of f_model - f_truth over the free atoms, eV/A; in two dimensions of what lies in the plane."""

    plain: float
    """l2 norm."""
    weighted: float
    """||(1 + |l|) (f_model - f_truth)||_l2, |l| the distance of the site to the defect in nearest-neighbour spacings."""
    rms: float
    """Root mean square over components."""
    max: float
    """Largest error of one atom."""


def force_error(cell: Cell, positions: Float[np.ndarray, "atoms 3"], truth: Potential, model: Potential) -> ForceError:
    """Errors of the model's forces on one configuration.

    Parameters
    ----------
    cell : Cell
        The cell, with or without a defect.
    positions : array (atoms, 3)
        Where the atoms are, A.
    truth, model : Potential
        Any potentials.

    Returns
    -------
    ForceError
        Norms over the free atoms, eV/A: `plain`, `weighted` by 1 + distance to the defect, `rms`, `max`.

    Notes
    -----
    theory: bounds/geometry (the term epsFw).
    """
    own, wanted = (evaluate(potential, cell, positions, stress=False).forces for potential in (model, truth))
    error = (own - wanted)[cell.free, : cell.lattice.dimension]
    distance = cell.distance_to_defect()[cell.free] / cell.lattice.nearest_neighbour
    size = np.linalg.norm(error, axis=1)
    components = max(size.size * cell.lattice.dimension, 1)
    return ForceError(
        plain=float(np.linalg.norm(size)),
        weighted=float(np.linalg.norm((1 + distance) * size)),
        rms=float(np.linalg.norm(size) / np.sqrt(components)),
        max=float(size.max(initial=0.0)),
    )
