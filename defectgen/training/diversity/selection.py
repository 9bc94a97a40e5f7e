"""Which of many to label: the farthest from what is chosen, or those that raise the determinant most."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.linalg import solve_triangular, svdvals
from scipy.spatial import KDTree

from ..._input import InputError, check_finite, did_you_mean, takes, whole
from ..._typing import Float, Int
from ...ace import ACEBasis
from ...crystal.snapshot import Snapshot
from ...observe import environments
from .measures import Metric, metric_of, points_of

FLOOR = 1e-6
"""What is known of every function before the first choice, as a row of this part of its size: then there is a determinant."""


def farthest_points(points: Float[np.ndarray, "n m"], count: int, start: int = 0) -> Int[np.ndarray, " count"]:
    """One point, then again and again the point farthest from those chosen (the first of equals).

    Parameters
    ----------
    points : array (n, m)
        The points.
    count : int
        How many to choose.
    start : int
        Number of the first one.

    Returns
    -------
    array (count,) of int
        Numbers in the order of choice.

    Raises
    ------
    InputError
        More points than there are.

    Notes
    -----
    No other choice of as many points covers with less than half the radius: T. F. Gonzalez, Theor. Comput. Sci. 38, 293
    (1985).
    """
    _check(count, len(points))
    check_finite(points, "points")
    chosen, distance = [start], np.linalg.norm(points - points[start], axis=1)
    while len(chosen) < count:
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
        distance[chosen] = -1.0  # duplicates of a chosen point are still to be had, the point itself is not
    return np.array(chosen[:count], dtype=int)


def d_optimal(rows: Float[np.ndarray, "n m"], count: int) -> Int[np.ndarray, " count"]:
    """Again and again the row b that raises det(P) most, P = FLOOR^2 + sum b b^T over the chosen: the one of largest b^T P^-1 b.

    Parameters
    ----------
    rows : array (n, m)
        The rows; columns are scaled to root mean square 1.
    count : int
        How many to choose.

    Returns
    -------
    array (count,) of int
        Numbers in the order of choice.

    Raises
    ------
    InputError
        More rows than there are.

    Notes
    -----
    Sequential D-optimal design: V. V. Fedorov, Theory of Optimal Experiments (1972).
    """
    return _most_informative([row[None] for row in rows], count)


@takes(cells=(list | tuple, "a list of snapshots"))
def select_cells(
    cells: Sequence[Snapshot], basis: ACEBasis, count: int, method: str = "d-optimal", *, metric: Metric | None = None
) -> Int[np.ndarray, " count"]:
    """Which cells to label first: their numbers in order of choice.

    Parameters
    ----------
    cells : sequence of Snapshot
        The candidates.
    basis : ACEBasis
        What the environments are described with.
    count : int
        How many to choose.
    method : {"d-optimal", "farthest"}
        "d-optimal": each time the cell whose environments raise the determinant of the site rows most. "farthest": each time the
        cell with the environment farthest from all environments chosen so far, the first being the first cell.
    metric : Metric, optional
        Of "farthest"; by default that of these cells.

    Returns
    -------
    array (count,)
        Numbers of the cells.

    Raises
    ------
    InputError
        For another method, and for more cells than there are.
    """
    _check(count, len(cells))
    methods: dict[str, Callable[[], np.ndarray]] = {
        "d-optimal": lambda: _most_informative([_sites(basis, c) for c in cells], count),
        "farthest": lambda: _farthest_cells(cells, metric_of(cells, basis) if metric is None else metric, count),
    }
    if method not in methods:
        raise InputError(f"cells are selected by {' or '.join(methods)}; got {method!r}{did_you_mean(method, methods)}")
    return methods[method]()


def _most_informative(sets: Sequence[np.ndarray], count: int) -> Int[np.ndarray, " count"]:
    """Greedy choice of sets of rows by the gain log det(1 + B P^-1 B^T) = sum log(1 + s^2), s the singular values of B R^-1.

    P = R^T R is kept as its factor: with a floor of 1e-6 an inverse that is updated loses what later choices are decided by.
    """
    _check(count, len(sets))
    for rows in sets:
        check_finite(rows, "rows")
    size = np.sqrt(np.mean(np.concatenate(sets) ** 2, axis=0)) if len(sets) else np.ones(0)
    scaled = [b / np.where(size > 0, size, 1.0) for b in sets]
    factor = FLOOR * np.eye(len(size))
    left, chosen = list(range(len(sets))), []
    single = all(len(b) == 1 for b in sets)  # then the singular value of a row is its length, and all are found at once
    rows = np.concatenate(scaled) if single and len(sets) else np.zeros((0, len(size)))
    while len(chosen) < count:
        if single:
            gain = np.sum(solve_triangular(factor, rows[left].T, trans="T") ** 2, axis=0)
        else:
            gain = [np.sum(np.log1p(svdvals(solve_triangular(factor, scaled[k].T, trans="T")) ** 2)) for k in left]
        best = left.pop(int(np.argmax(gain)))
        factor = np.linalg.qr(np.concatenate([factor, scaled[best]]), mode="r")
        chosen.append(best)
    return np.array(chosen, dtype=int)


def _farthest_cells(cells: Sequence[Snapshot], metric: Metric, count: int) -> Int[np.ndarray, " count"]:
    """The distance of a cell is that of its farthest environment from all environments of the chosen cells."""
    sets = [points_of(metric, c) for c in cells]
    for points in sets:
        check_finite(points, "environments")
    chosen, distance = [0], [np.full(len(points), np.inf) for points in sets]
    while len(chosen) < count:
        tree = KDTree(sets[chosen[-1]])
        distance = [np.minimum(d, tree.query(points)[0]) for d, points in zip(distance, sets, strict=True)]
        far = np.array([d.max(initial=0.0) for d in distance])
        far[chosen] = -1.0
        chosen.append(int(np.argmax(far)))
    return np.array(chosen[:count], dtype=int)


def _sites(basis: ACEBasis, c: Snapshot) -> np.ndarray:
    return environments(basis, c.cell.symbols, c.positions, c.vectors, c.cell.periodic).sites


def _check(count: int, there: int) -> None:
    if whole(count, "the number to be chosen") > there:
        raise InputError(f"between 0 and all {there} can be chosen; got {count}")
