"""Hardy's inequality behind the force weights, and the lattice Green's function as a preconditioner."""

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as spl

from .scalar_lattice import TRIANGULAR, TRIANGULAR_OFFSETS, slope


def clamped_laplacian(dimension, radius):
    """Matrix of sum |Dv|^2 on the sites within `radius` of the origin of a square or cubic lattice, v = 0 beyond; |l|."""
    axis = np.arange(-radius, radius + 1)
    grid = np.stack(np.meshgrid(*[axis] * dimension, indexing="ij"), -1)
    inside = np.linalg.norm(grid, axis=-1) <= radius
    number = np.full(inside.shape, -1)
    number[inside] = np.arange(inside.sum())
    sites = grid[inside]
    rows, columns = [], []
    for a in range(dimension):
        for sign in (1, -1):
            other = sites.copy()
            other[:, a] += sign
            keep = np.abs(other).max(1) <= radius
            partner = np.full(len(sites), -1)
            partner[keep] = number[tuple((other[keep] + radius).T)]
            found = partner >= 0
            rows.append(np.flatnonzero(found))
            columns.append(partner[found])
    i, j = np.concatenate(rows), np.concatenate(columns)
    matrix = sp.diags(np.full(len(sites), 2.0 * dimension)) - sp.csr_matrix((np.ones(len(i)), (i, j)), shape=(len(sites),) * 2)
    return sp.csc_matrix(matrix), np.linalg.norm(sites, axis=1)


def hardy(dimension, radius):
    """sup ||v / (1 + |l|)|| / ||Dv|| over v that vanish beyond the radius."""
    matrix, r = clamped_laplacian(dimension, radius)
    weight = sp.diags(1 / (1 + r) ** 2)
    value = spl.eigsh(weight, k=1, M=matrix, which="LM", return_eigenvectors=False)
    return float(np.sqrt(value[0]))


def test_hardy_constant_is_bounded_in_three_dimensions():
    constants = [hardy(3, radius) for radius in (3, 5, 8)]
    assert all(0.3 < c <= 2.0 for c in constants)  # 2 / (d - 2) is the constant of the continuum
    assert constants[-1] / constants[-2] < 1.15


def test_hardy_constant_grows_like_a_logarithm_in_two_dimensions():
    radii = np.array([4, 8, 16, 32])
    constants = np.array([hardy(2, int(radius)) for radius in radii])
    increments = np.diff(constants)
    assert np.all(increments > 0.1)  # grows
    assert increments.max() < 1.5 * increments.min()  # equally for every doubling
    assert slope(radii, constants) < 0.5  # and slower than a power that would change a rate


@pytest.mark.parametrize("seed", [0, 1])
def test_greens_function_preconditions_a_defect_independently_of_the_cell(seed):
    """Bonds near a defect are scaled by 1/2 to 3/2; the pencil (H, H0) then has its spectrum in that interval."""
    plain, preconditioned = [], []
    for n in (8, 12, 18):
        index = np.arange(n * n).reshape(n, n)
        bonds = np.concatenate([np.stack([index, np.roll(index, tuple(-o), (0, 1))], -1) for o in TRIANGULAR_OFFSETS[:3]])
        bonds = bonds.reshape(-1, 2)
        position = np.stack(np.meshgrid(np.arange(n), np.arange(n), indexing="ij"), -1).reshape(-1, 2) - n // 2
        near = np.linalg.norm(position @ TRIANGULAR, axis=1)[bonds].max(1) < 3
        stiffness = np.ones(len(bonds))
        stiffness[near] = np.random.default_rng(seed).uniform(0.5, 1.5, size=near.sum())
        difference = sp.csr_matrix(
            (np.tile([1.0, -1.0], len(bonds)), (np.repeat(np.arange(len(bonds)), 2), bonds.ravel())), shape=(len(bonds), n * n)
        )
        perfect = (difference.T @ difference).toarray()
        defective = (difference.T @ sp.diags(stiffness) @ difference).toarray()
        basis = np.linalg.qr(np.column_stack([np.ones(n * n), np.eye(n * n)[:, 1:]]))[0][:, 1:]  # mean-free fields
        perfect, defective = basis.T @ perfect @ basis, basis.T @ defective @ basis
        values = scipy.linalg.eigh(defective, perfect, eigvals_only=True)
        assert values.min() >= 0.5 - 1e-9 and values.max() <= 1.5 + 1e-9
        preconditioned.append(values.max() / values.min())
        plain.append(np.linalg.cond(defective))
    assert max(preconditioned) < 3 + 1e-6
    assert plain[-1] > 3 * plain[0]  # without it the condition number grows like n^2
