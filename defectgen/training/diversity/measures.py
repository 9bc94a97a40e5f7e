"""Measures of diversity: the metric of environments, coverage, the Vendi score, and sets of largest volume.

MaxVol: with C = A A_active^-1 the volume changes by the factor |C_ij| when row i takes the place of the j-th active row, so the
largest entry says which exchange to make, and at the end |C_ij| <= tolerance: every row is a combination of the active ones
with coefficients of at most that size. Each exchange costs one outer product.
S. A. Goreinov et al., in Matrix Methods: Theory, Algorithms, Applications, World Scientific (2010), p. 247.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from ..._input import InputError, check_finite
from ..._typing import Float, Int
from ...ace import ACEBasis
from ...crystal.snapshot import Snapshot
from ...observe import Environments, environments

# ------ The distance between two environments, in units of what a homogeneous strain of one per cent changes

STRAIN = 0.01
"""Environments that differ by less than this strain makes are much the same: thermal motion makes more, rounding far less."""
APART = 100.0
"""Distance given to environments of different species: beyond every kernel, and finite."""


@dataclass(frozen=True, eq=False)
class Metric:
    """d(b, b') = |w (b - b')| with w_c = 1 / (bandwidth (1 + s_c)), s the smoothness of each function.

    The weights are those of the smoothness prior: d^2 is the prior variance of the difference of two site energies, so wiggly
    functions count less. Two data sets are compared in one metric, that of one of them.
    """

    basis: ACEBasis
    bandwidth: float
    """Distance at strain STRAIN before this division."""

    def points(self, here: Environments) -> Float[np.ndarray, "atoms size"]:
        """The environments as points whose Euclidean distance is d.

        Parameters
        ----------
        here : Environments
            Of a configuration.

        Returns
        -------
        array (atoms, size)
        """
        points = here.sites / (self.bandwidth * (1.0 + self.basis.smoothness()))
        kinds = len(self.basis.species)
        points[:, :kinds] = here.sites[:, :kinds] * APART / np.sqrt(2)  # the constants: which species is in the centre
        return points


def metric_of(cells: Sequence[Snapshot], basis: ACEBasis, strain: float = STRAIN) -> Metric:
    """The metric in which a strain is a distance of 1, on root mean square over the environments of some cells.

    Parameters
    ----------
    cells : sequence of Snapshot
        The cells.
    basis : ACEBasis
        What environments are described with.
    strain : float
        The isotropic strain.

    Returns
    -------
    Metric

    Raises
    ------
    InputError
        A strain that is zero, and cells whose environments it does not change (no neighbour in reach).
    """
    if not 0 < abs(strain) < 0.3:
        raise InputError(f"the strain that is a distance of one is a small number, such as {STRAIN}; got {strain!r}")
    plain, squares = Metric(basis, 1.0), []
    for snapshot in cells:
        x, box = snapshot.positions, snapshot.vectors
        rest, moved = (plain.points(_at(basis, snapshot, x * f, box * f)) for f in (1.0, 1.0 + strain))
        squares.append(np.sum((moved - rest) ** 2, axis=1))
    bandwidth = float(np.sqrt(np.mean(np.concatenate(squares)))) if squares else 0.0
    if not bandwidth > 0:
        raise InputError("a strain changes nothing in these cells: the basis reaches no neighbour; use a larger cutoff")
    return Metric(basis, bandwidth)


def points_of(metric: Metric, snapshot: Snapshot) -> Float[np.ndarray, "atoms size"]:
    """All environments of a configuration as points."""
    return metric.points(_at(metric.basis, snapshot, snapshot.positions, snapshot.vectors))


def _at(basis: ACEBasis, snapshot: Snapshot, x: np.ndarray, box: np.ndarray) -> Environments:
    return environments(basis, snapshot.cell.symbols, x, box, snapshot.cell.periodic)


# ------ Who is near whom: distances to the nearest of a set, and the part of a pool that a set covers


def nearest_distances(points: Float[np.ndarray, "n m"], among: Float[np.ndarray, "k m"] | None = None) -> Float[np.ndarray, " n"]:
    """Distance of every point to the nearest one of a set.

    Parameters
    ----------
    points : array (n, m)
        The points.
    among : array (k, m), optional
        The set; without it the nearest other point counts.

    Returns
    -------
    array (n,)
        Infinite where there is no other point.

    Raises
    ------
    InputError
        An empty set, and points that are not finite.
    """
    check_finite(points, "points")
    if among is None:
        return KDTree(points).query(points, k=[2])[0][:, 0]
    if not len(among):
        raise InputError("there is nothing to be near to: the set is empty")
    check_finite(among, "points")
    return KDTree(among).query(points)[0]


def covered(points: Float[np.ndarray, "k m"], pool: Float[np.ndarray, "n m"], radius: float = 1.0) -> float:
    """Part of a pool that lies within a radius of one of the points.

    Parameters
    ----------
    points : array (k, m)
        The points.
    pool : array (n, m)
        The pool.
    radius : float
        The radius, in the unit of the coordinates.

    Returns
    -------
    float
    """
    return float(np.mean(nearest_distances(pool, points) <= radius)) if len(pool) else 1.0


# ------ How many different things there are

ROUNDING = 1e-9
"""How far the diagonal of a similarity matrix may be from one."""


def gaussian_similarity(points: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n n"]:
    """exp(-d^2 / 2) of all pairs, d their Euclidean distance.

    Parameters
    ----------
    points : array (n, m)
        The points.

    Returns
    -------
    array (n, n)
    """
    check_finite(points, "points")
    return np.exp(-0.5 * cdist(points, points, "sqeuclidean"))


def vendi_score(similarity: Float[np.ndarray, "n n"]) -> float:
    """How many different things there are: n if all are different, 1 if all are equal.

    Parameters
    ----------
    similarity : array (n, n)
        K, symmetric, positive semidefinite, with ones on its diagonal.

    Returns
    -------
    float

    Raises
    ------
    InputError
        A matrix that is not symmetric, or without ones on its diagonal, or with negative eigenvalues.

    Notes
    -----
    exp(-sum_i p_i log p_i), p the eigenvalues of K/n. D. Friedman, A. B. Dieng, Trans. Mach. Learn. Res. (2023).
    """
    n = len(similarity)
    if (
        n == 0
        or not np.allclose(np.diag(similarity), 1.0, atol=ROUNDING)
        or not np.allclose(similarity, similarity.T, atol=ROUNDING)
    ):
        raise InputError("similarities are a symmetric matrix with ones on its diagonal, of at least one thing")
    p = np.linalg.eigvalsh(similarity) / n
    if not p[0] >= -ROUNDING:
        raise InputError(
            f"similarities must be positive semidefinite, such as a Gaussian of distances; got the eigenvalue {n * p[0]:.2g}"
        )
    return _effective_number(np.clip(p, 0.0, None))


def effective_rank(rows: Float[np.ndarray, "n m"], least: float = 0.0) -> float:
    """How many directions some rows have, 1 to min(n, m).

    Parameters
    ----------
    rows : array (n, m)
        The rows.
    least : float
        Singular values that are not above it count as zero; if all are, so is the result.

    Returns
    -------
    float

    Notes
    -----
    exp of the entropy of the normalised singular values. O. Roy, M. Vetterli, Proc. 15th European Signal Processing Conference
    (2007), p. 606.
    """
    check_finite(rows, "rows")
    s = np.linalg.svd(rows, compute_uv=False)
    s = s[s > least]
    return _effective_number(s / s.sum()) if len(s) else 0.0


def similarity_entropy(similarity: Float[np.ndarray, "n n"]) -> float:
    """The entropy of a kernel density estimate at its own points, without the norm of the kernel.

    Parameters
    ----------
    similarity : array (n, n)
        K, with ones on its diagonal.

    Returns
    -------
    float
        Nats: log n if all are different, 0 if all are equal.

    Notes
    -----
    H = -1/n sum_i log(1/n sum_j K_ij). D. Schwalbe-Koda et al., Nat. Commun. 16 (2025), arXiv:2404.12367.
    """
    check_finite(similarity, "similarities")
    return float(np.mean(-np.log(np.mean(similarity, axis=1))))


def _effective_number(p: np.ndarray) -> float:
    """exp(-sum p log p) of a distribution."""
    p = p[p > 0]
    return float(np.exp(-np.sum(p * np.log(p))))


# ------ MaxVol: of many rows the square set whose volume |det| no exchange of one row can raise by more than a tolerance

TOLERANCE = 1.01
"""An exchange must gain at least one per cent of volume: finer ones take long and move no grade by more than that."""
REFRESH = 200
"""Exchanges after which C is solved for again: each outer product adds a few roundings times the square of an entry."""


@dataclass(frozen=True, eq=False)
class ActiveRows:
    """Rows of locally largest volume."""

    index: Int[np.ndarray, " m"]
    """Their numbers; the j-th column of `coefficients` belongs to the j-th of them."""
    coefficients: Float[np.ndarray, "n m"]
    """C with rows = C @ rows[index]; no entry is larger than the tolerance."""
    exchanges: int


def maxvol(rows: Float[np.ndarray, "n m"], tolerance: float = TOLERANCE) -> ActiveRows:
    """m of n rows such that no exchange of one row raises |det| by more than a factor.

    Parameters
    ----------
    rows : array (n, m)
        The rows.
    tolerance : float
        The factor, above 1.

    Returns
    -------
    ActiveRows

    Raises
    ------
    InputError
        Fewer rows than columns, columns that depend on each other, and a tolerance that is not above one.

    Notes
    -----
    Starts from the pivots of a QR factorisation.
    """
    n, m = rows.shape
    if not tolerance > 1:
        raise InputError(f"maxvol exchanges rows as long as the volume grows by a factor above 1; got tolerance {tolerance!r}")
    if n < m:
        raise InputError(f"a square set of rows needs at least as many rows as columns; got {n} rows for {m} columns")
    if not np.all(np.isfinite(rows)):
        raise InputError(f"rows must be finite; {int(np.sum(~np.isfinite(rows)))} of {rows.size} numbers are not")
    r, order = qr(rows.T, mode="r", pivoting=True, check_finite=False)  # pyright: ignore[reportAssignmentType]
    pivots = np.abs(np.diag(r))
    if m and not pivots[-1] > m * np.finfo(float).eps * pivots[0]:
        raise InputError(f"the {m} columns are not independent on these {n} rows, so every square set has volume zero")
    index, exchanges = np.array(order[:m]), 0
    while True:
        c = np.linalg.solve(rows[index].T, rows.T).T
        for _ in range(REFRESH):
            row, column = np.unravel_index(np.argmax(np.abs(c)), c.shape)
            if np.isnan(c[row, column]):
                raise InputError(
                    f"the {m} columns are nearly dependent on these {n} rows: the volume is not larger than rounding"
                )
            if abs(c[row, column]) <= tolerance:
                return ActiveRows(index, c, exchanges)
            change = c[row].copy()
            change[column] -= 1.0
            c -= np.outer(c[:, column] / c[row, column], change)
            index[column] = row
            exchanges += 1
