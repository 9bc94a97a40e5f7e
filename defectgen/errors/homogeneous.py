"""The homogeneous part of a stencil and the dispersion that is left: what two potentials differ by in strains and in waves."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from .._typing import Complex, Float
from ..crystal.lattice import Lattice
from ..crystal.symmetry import homogeneous_modes
from ..energy.site import SiteEnergy
from ..relax.fourier import grid
from .norms import REACH
from .perfect_crystal import PerfectCrystal, Slopes
from .property_errors import k_points

# ------ The homogeneous part of a stencil, and what two potentials differ by when the whole crystal is strained homogeneously

STEP = 1e-3
"""Strain: a third difference of stresses of 1 eV keeps five digits, and what is two orders higher is a few per cent at most."""


@dataclass(frozen=True, eq=False)
class Affine:
    """Least-squares projection of differences Du on those of homogeneous deformations, relative shifts of sublattices included.

    A slot's difference is rho . G + s: the columns of `frame` are the components of rho and an indicator of each other sublattice
    (what virials see that come with the forces on the sublattices). theory: bounds/multilattice, bounds/surrogates.
    """

    crystal: PerfectCrystal
    frame: Float[np.ndarray, "sublattices slots columns"]
    inverse: Float[np.ndarray, "sublattices columns slots"]

    @property
    def projection(self) -> Float[np.ndarray, "sublattices slots slots"]:
        """P = B B^+, symmetric."""
        return self.frame @ self.inverse

    def __call__(self, v: Slopes) -> Slopes:
        """P v at every site."""
        return per_site(self.projection, self.crystal, v)

    def coordinates(self, v: Slopes) -> Float[np.ndarray, "sites columns 3"]:
        """The displacement gradient G[a, i] = d u_i / d x_a, then the relative shifts (A)."""
        return per_site(self.inverse, self.crystal, v)

    def of_cells(self, v: Slopes) -> Slopes:
        """The homogeneous differences of the mean over the sublattices of each primitive cell; P v in a Bravais lattice.

        The energy of a cell in them is that of a strained crystal, however a potential shares it among the sublattices.
        """
        count = self.crystal.cell.lattice.sublattices
        if count == 1:
            return self(v)
        found, b = self.coordinates(v), self.crystal.sublattice
        shifts = np.zeros((len(found), count, 3))
        for own in range(count):
            others = [other for other in range(count) if other != own]
            shifts[np.ix_(b == own, others)] = found[b == own, 3:]
        gradient, shifts = self.shared(found[:, :3]), self.shared(shifts - shifts[:, :1])
        result = np.empty_like(v)
        for own in range(count):
            others = [other for other in range(count) if other != own]
            here = b == own
            apart = shifts[here][:, others] - shifts[here][:, own : own + 1]
            result[here] = self.frame[own] @ np.concatenate([gradient[here], apart], axis=1)
        return result

    def shared(self, field: Float[np.ndarray, " sites *components"]) -> Float[np.ndarray, " sites *components"]:
        """The mean of a field over the sublattices of each primitive cell, at all of them."""
        sites = self.crystal.cell.perfect_sites
        assert sites.matrix is not None  # a perfect crystal fills its cell
        cell = grid(sites.matrix).index(sites.translations)
        total = np.zeros((cell.max() + 1, *field.shape[1:]))
        np.add.at(total, cell, field)
        return total[cell] / self.crystal.cell.lattice.sublattices

    def size(self, v: Slopes) -> Float[np.ndarray, " sites"]:
        """Norm of the strain (G + G^T) / 2 and the shifts (in nearest-neighbour spacings, their mean removed) of each site."""
        found = self.coordinates(v)
        strain = (found[:, :3] + found[:, :3].swapaxes(1, 2)) / 2
        shifts = (
            np.concatenate([np.zeros((len(found), 1, 3)), found[:, 3:]], axis=1) / self.crystal.cell.lattice.nearest_neighbour
        )
        shifts = shifts - shifts.mean(axis=1, keepdims=True)
        return np.sqrt(np.sum(strain**2, axis=(1, 2)) + np.sum(shifts**2, axis=(1, 2)))

    def derivative(self, field: Float[np.ndarray, " sites *components"]) -> Float[np.ndarray, " sites 3 *components"]:
        """The gradient (1/A times the unit of the field) of any field on the sites, by the same least squares."""
        flat = field.reshape(len(field), -1)
        return (self._slopes @ flat).reshape(len(field), 3, *field.shape[1:])

    @cached_property
    def _slopes(self) -> csr_array:
        """The matrix of `derivative`: rows are sites and components, columns are sites. Padding is left out."""
        crystal, sites = self.crystal, len(self.crystal.sublattice)
        weights = np.where(crystal.mask[:, None], self.inverse[:, :3], 0.0)[crystal.sublattice]  # sites, 3, slots
        own = np.broadcast_to(np.arange(sites)[:, None, None], (sites, 3, 1))
        columns = np.concatenate([np.broadcast_to(crystal.near[:, None], weights.shape), own], axis=2)
        values = np.concatenate([weights, -weights.sum(axis=2, keepdims=True)], axis=2)
        starts = np.arange(3 * sites + 1) * values.shape[2]
        return csr_array((values.ravel(), columns.ravel(), starts), shape=(3 * sites, sites))


def affine_of(crystal: PerfectCrystal) -> Affine:
    """The projection for the stencils of a crystal crystal."""
    count = crystal.cell.lattice.sublattices
    frames = []
    for b in range(count):
        live = crystal.mask[b][:, None]
        others = [(crystal.second[b] == other)[:, None] for other in range(count) if other != b]
        frames.append(np.concatenate([np.where(live, crystal.separations[b], 0.0), *(live & o for o in others)], axis=1))
    frame = np.array(frames, dtype=float)
    return Affine(crystal, frame, np.linalg.pinv(frame, rcond=1e-10))


def per_site(matrices: Float[np.ndarray, "sublattices m k"], crystal: PerfectCrystal, v: Float[np.ndarray, "sites k c"]):
    """Each site's rows times the matrix of its sublattice: one product of matrices for each sublattice."""
    sites, slots, columns = v.shape
    flat = v.reshape(sites, slots * columns)
    result = np.empty((sites, matrices.shape[1] * columns))
    for b, matrix in enumerate(matrices):
        of_all = matrix if columns == 1 else np.kron(matrix, np.eye(columns))  # on a site's rows as they are: nothing is turned
        here = crystal.sublattice == b
        if here.all():
            np.matmul(flat, of_all.T, out=result)
        else:
            result[here] = flat[here] @ of_all.T
    return result.reshape(sites, -1, columns)


@dataclass(frozen=True, eq=False)
class StrainResponse:
    """Largest Taylor coefficients of t -> d/dt dW(1 + t e) over unit directions e, model minus truth, eV per primitive cell."""

    stress: float
    """epsC1: at t = 0, zero where both rest at the same lattice."""
    second: float
    """epsC2."""
    third: float
    """epsC3."""
    fourth: float
    """epsC4."""


def strain_response(crystal: PerfectCrystal, truth: SiteEnergy, model: SiteEnergy, step: float = STEP) -> StrainResponse:
    """Finite-strain response of the homogeneously strained crystal, model minus truth, by differences of exact stresses.

    Directions are all modes of strain and relative shifts of sublattices (in nearest-neighbour spacings) and the sums and
    differences of any two, each of norm 1: a sample of the sphere, so the coefficients are lower estimates of the suprema.
    phi(t) = a0 + a1 t + a2 t^2 + a3 t^3 + a4 t^4 is solved for from t = 0, +-h, +-2h. theory: bounds/term-by-term.
    """
    lattice = crystal.cell.lattice
    modes = homogeneous_modes(lattice)
    pairs = [(a + s * b) / np.sqrt(2) for i, a in enumerate(modes) for b in modes[:i] for s in (1.0, -1.0)]
    directions = np.array([*modes, *pairs])
    strain, shifts = directions[:, :9].reshape(-1, 3, 3), directions[:, 9:].reshape(len(directions), -1, 3)
    shifts = shifts * lattice.nearest_neighbour
    live = np.where(crystal.mask[..., None], crystal.separations, 0.0)
    motion = np.einsum("bka,dai->dbki", live, strain) + shifts[:, crystal.second] - shifts[:, :, None, :]
    times = step * np.array([0.0, 1.0, -1.0, 2.0, -2.0])
    count, slots = crystal.mask.shape
    v = (times[:, None, None, None, None] * motion).reshape(-1, slots, 3)
    sublattice = np.tile(np.arange(count), len(times) * len(directions))
    slopes = crystal.gradient(model, v, sublattice)[1] - crystal.gradient(truth, v, sublattice)[1]
    phi = np.einsum("tdbki,dbki->td", slopes.reshape(len(times), len(directions), count, slots, 3), motion)
    odd = (phi[1] - phi[2]) / 2, (phi[3] - phi[4]) / 2
    even = (phi[1] + phi[2]) / 2 - phi[0], (phi[3] + phi[4]) / 2 - phi[0]
    coefficients = (
        phi[0],
        (8 * odd[0] - odd[1]) / (6 * step),
        (16 * even[0] - even[1]) / (12 * step**2),
        (odd[1] - 2 * odd[0]) / (6 * step**3),
    )
    return StrainResponse(*(float(np.abs(a).max()) for a in coefficients))


# ------ Waves in the perfect crystal

GRID = 6
"""Wave vectors along each axis of the reciprocal cell."""


@dataclass(frozen=True, eq=False)
class Dispersion:
    """What of dPhi(k) the elastic constants do not see, and how soft the reference is."""

    gradient: float
    """epsG2: sup_k of |acoustic block of dPhi(k) - homogeneous part| / |k|^4, eV A^2 per primitive cell."""
    long_wave: float
    """sup_k |acoustic block of dPhi(k)| / |k|^2, eV per primitive cell."""
    softness: float
    """inf_k of <Phi(k) v, v> / <N(k) v, v>, N the bond Laplacian: <P v, v> >= softness ||Dv||^2, eV/A^2."""
    strain: float
    """sup of ||homogeneous coordinates of Dv|| / ||Dv||, 1/A: what turns a stress error into a dual norm."""


def dispersion(
    affine: Affine,
    truth: Float[np.ndarray, "sublattices slots 3 slots 3"],
    difference: Float[np.ndarray, "sublattices slots 3 slots 3"],
    grid: int = GRID,
) -> Dispersion:
    """Of the reference's site Hessians and of model minus reference.

    With D(k) the differences of a wave and P the projection on homogeneous ones, dPhi(k) = D* dV'' D splits into the symbol
    D* P dV'' P D, which starts with |k|^2 and is what elastic constants and shifts see, and the rest, which on acoustic waves
    starts with |k|^4. theory: bounds/term-by-term.
    """
    crystal, lattice = affine.crystal, affine.crystal.cell.lattice
    d, n = lattice.dimension, lattice.sublattices
    k = np.concatenate([k_points(lattice, grid), _boundary(lattice, grid)])
    waves = _differences(crystal, k)
    projected = np.einsum("bkl,pbli->pbki", affine.projection, waves)
    gradient = _symbol(waves, difference, d) - _symbol(projected, difference, d)
    uniform = np.tile(np.eye(d), (n, 1)) / np.sqrt(n)
    squared = np.sum(k**2, axis=1)

    def acoustic(matrices: Complex[np.ndarray, "points m m"]) -> Float[np.ndarray, " points"]:
        return np.abs(np.linalg.eigvalsh(uniform.T @ matrices @ uniform)).max(axis=1)

    bonded = np.linalg.norm(crystal.separations, axis=2) <= REACH * lattice.nearest_neighbour
    values, vectors = np.linalg.eigh(np.einsum("pbki,bk,pbkj->pij", waves.conj(), bonded / 2, waves))
    scalar = vectors / np.sqrt(values)[:, None, :]  # the inverse root of the bond Laplacian of one component
    root = np.kron(scalar, np.eye(d))
    coordinates = np.einsum("bck,pbki->pbci", affine.inverse, waves)
    coordinates[:, :, 3:] /= lattice.nearest_neighbour
    strained = np.einsum("pbci,pbcj->pij", coordinates.conj(), coordinates)
    stiffness = root.conj().swapaxes(1, 2) @ _symbol(waves, truth, d) @ root
    return Dispersion(
        gradient=float((acoustic(gradient) / squared**2).max()),
        long_wave=float((acoustic(_symbol(waves, difference, d)) / squared).max()),
        softness=float(np.linalg.eigvalsh(stiffness).min()),
        strain=float(np.sqrt(np.linalg.eigvalsh(scalar.conj().swapaxes(1, 2) @ strained @ scalar).max())),
    )


def _boundary(lattice: Lattice, grid: int) -> Float[np.ndarray, "points 3"]:
    """The mesh that is not shifted, without the origin: if even it holds the shortest waves, which can be the softest."""
    axis = (np.arange(grid) - grid // 2) / grid
    mesh = np.stack(np.meshgrid(axis, axis, axis if lattice.dimension == 3 else [0.0], indexing="ij"), -1).reshape(-1, 3)
    return mesh[np.abs(mesh).max(axis=1) > 0] @ (2 * np.pi * np.linalg.inv(lattice.vectors).T)


def _differences(
    crystal: PerfectCrystal, k: Float[np.ndarray, "points 3"]
) -> Complex[np.ndarray, "points sublattices slots sublattices"]:
    """(D e)(slot) = e(second) exp(i k . rho) - e(first) for each sublattice amplitude e."""
    count = len(crystal.mask)
    phase = np.exp(1j * np.einsum("bka,pa->pbk", crystal.separations, k))
    other, own = np.eye(count)[crystal.second], np.eye(count)[:, None, :]
    return np.where(crystal.mask[..., None], phase[..., None] * other - own, 0.0)


def _symbol(waves: np.ndarray, hessian: np.ndarray, d: int) -> Complex[np.ndarray, "points m m"]:
    """sum_b D_b* V_b'' D_b, Hermitian, sublattice by sublattice."""
    points, count = waves.shape[:2]
    total = np.zeros((points, count, d, count, d), dtype=complex)
    for b in range(count):
        right = np.tensordot(waves[:, b], hessian[b, :, :d, :, :d], axes=(1, 2))  # points, second, slots, a, c
        total += np.einsum("pki,pjkac->piajc", waves[:, b].conj(), right, optimize=True)
    matrix = total.reshape(points, count * d, count * d)
    return (matrix + matrix.conj().swapaxes(1, 2)) / 2
