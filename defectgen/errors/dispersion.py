"""Waves in the perfect crystal: how the force constants of two potentials differ, split in a homogeneous part and dispersion."""

from dataclasses import dataclass

import numpy as np

from .._typing import Complex, Float
from ..crystal.lattice import Lattice
from .bulk import k_points
from .homogeneous import Affine
from .host import Host
from .norms import REACH

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
    host, lattice = affine.host, affine.host.cell.lattice
    d, n = lattice.dimension, lattice.sublattices
    k = np.concatenate([k_points(lattice, grid), _boundary(lattice, grid)])
    waves = _differences(host, k)
    projected = np.einsum("bkl,pbli->pbki", affine.projection, waves)
    gradient = _symbol(waves, difference, d) - _symbol(projected, difference, d)
    uniform = np.tile(np.eye(d), (n, 1)) / np.sqrt(n)
    squared = np.sum(k**2, axis=1)

    def acoustic(matrices: Complex[np.ndarray, "points m m"]) -> Float[np.ndarray, " points"]:
        return np.abs(np.linalg.eigvalsh(uniform.T @ matrices @ uniform)).max(axis=1)

    bonded = np.linalg.norm(host.separations, axis=2) <= REACH * lattice.nearest_neighbour
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


def _differences(host: Host, k: Float[np.ndarray, "points 3"]) -> Complex[np.ndarray, "points sublattices slots sublattices"]:
    """(D e)(slot) = e(second) exp(i k . rho) - e(first) for each sublattice amplitude e."""
    count = len(host.mask)
    phase = np.exp(1j * np.einsum("bka,pa->pbk", host.separations, k))
    other, own = np.eye(count)[host.second], np.eye(count)[:, None, :]
    return np.where(host.mask[..., None], phase[..., None] * other - own, 0.0)


def _symbol(waves, hessian, d: int) -> Complex[np.ndarray, "points m m"]:
    """sum_b D_b* V_b'' D_b, Hermitian, sublattice by sublattice."""
    points, count = waves.shape[:2]
    total = np.zeros((points, count, d, count, d), dtype=complex)
    for b in range(count):
        right = np.tensordot(waves[:, b], hessian[b, :, :d, :, :d], axes=(1, 2))  # points, second, slots, a, c
        total += np.einsum("pki,pjkac->piajc", waves[:, b].conj(), right, optimize=True)
    matrix = total.reshape(points, count * d, count * d)
    return (matrix + matrix.conj().swapaxes(1, 2)) / 2
