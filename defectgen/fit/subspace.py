"""Where constraints leave a fit free: theta = origin + directions @ z meets them for every z (theory: fit/constraints)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr

from .._input import InputError
from .._typing import Float
from .constraint import Constraint

SEEN = 1e-9
"""Singular values of the rows of one constraint (columns scaled to norm one) below this times the largest are rounding of
redundant rows: rows carry about ten digits after cancellation in energies."""


@dataclass(frozen=True, eq=False)
class Subspace:
    """All coefficients that meet the constraints."""

    origin: Float[np.ndarray, " columns"]
    """The shortest of them in scaled coefficients."""
    directions: Float[np.ndarray, "columns free"]
    """Orthonormal in scaled coefficients."""
    names: tuple[str, ...]

    @property
    def held(self) -> int:
        """Number of independent conditions."""
        return self.directions.shape[0] - self.directions.shape[1]

    def reduce(self, factor: Float[np.ndarray, "k columns_plus_one"]) -> Float[np.ndarray, "k free_plus_one"]:
        """Rows for the free coordinates.

        Parameters
        ----------
        factor : array (k, columns + 1)
            Rows [A | y].

        Returns
        -------
        array (k, free + 1)
            [A Z | y - A theta_0].
        """
        a = factor[:, :-1]
        return np.column_stack([a @ self.directions, factor[:, -1] - a @ self.origin])

    def lift(self, z: Float[np.ndarray, " free"]) -> Float[np.ndarray, " columns"]:
        """The coefficients of free coordinates.

        Parameters
        ----------
        z : array (free,)
            Free coordinates.

        Returns
        -------
        array (columns,)
            theta = theta_0 + Z z.
        """
        return self.origin + self.directions @ z


@dataclass(frozen=True, eq=False)
class Directions:
    """Independent rows of one constraint, the strongest first: V x = c, V orthonormal, x = scale theta."""

    constraint: Constraint
    rows: Float[np.ndarray, "seen columns"]
    target: Float[np.ndarray, " seen"]

    def first(self, count: int) -> Float[np.ndarray, "count columns_plus_one"]:
        """[V | c] of the strongest."""
        return np.column_stack([self.rows[:count], self.target[:count]])


def directions_of(constraint: Constraint, scale: Float[np.ndarray, " columns"]) -> Directions:
    """The directions of a constraint, by the SVD of its rows with columns scaled."""
    u, s, vt = np.linalg.svd(constraint.rows / scale, full_matrices=False)
    seen = int(np.sum(s > SEEN * s[0])) if s.size and s[0] > 0 else 0
    return Directions(constraint, vt[:seen], u.T[:seen] @ constraint.target / s[:seen])


def meet(parts: Sequence[Directions], counts: Sequence[int], scale: Float[np.ndarray, " columns"]) -> Subspace:
    """What `counts` directions of each constraint leave free; redundant ones that agree count once.

    `scale` are the norms of the columns of the problem: x = scale theta is what "shortest" and "orthonormal" refer to.
    Raises InputError if nothing is left to fit.
    """
    names = tuple(part.constraint.name for part in parts)
    origin, normal = _solve([part.first(n) for part, n in zip(parts, counts, strict=True)], scale)
    columns, held = len(scale), normal.shape[1]
    if held == columns:
        raise InputError(
            f"the constraints {' and '.join(names)} are {held} independent conditions on {columns} functions, so nothing is left "
            "to fit; constrain less, or use more functions"
        )
    rest = np.linalg.qr(normal, mode="complete")[0][:, held:] if held else np.eye(columns)
    return Subspace(origin, rest / scale[:, None], names)


def check_agreement(parts: Sequence[Directions], scale: Float[np.ndarray, " columns"]) -> None:
    """Raises InputError, naming them, for constraints that these functions cannot meet, or not together."""

    def misses(chosen: Sequence[int]) -> dict[int, float]:
        theta = _solve([parts[k].first(len(parts[k].target)) for k in chosen], scale)[0]
        found = {k: parts[k].constraint.miss(theta) for k in chosen}
        return {k: miss for k, miss in found.items() if miss > parts[k].constraint.allowed}

    chosen = list(range(len(parts)))
    if not misses(chosen):
        return
    for place, part in enumerate(parts):
        c = part.constraint
        if miss := misses([place]).get(place):
            raise InputError(
                f"constraint {c.name} cannot be met by these {len(scale)} functions: they leave {miss:.2g} of its labels "
                f"(root mean square, field units) where {c.allowed:.2g} is allowed; give it a tolerance, like "
                f"{{'{c.name}': {1.5 * miss:.1g}}}, or a weight instead, or use more functions"
            )
    for k in list(chosen):  # leave out whom the contradiction does not need
        fewer = [j for j in chosen if j != k]
        if len(fewer) > 1 and misses(fewer):
            chosen = fewer
    told = ", ".join(f"{parts[k].constraint.name} by {miss:.2g}" for k, miss in misses(chosen).items())
    raise InputError(
        f"the constraints {' and '.join(parts[k].constraint.name for k in chosen)} contradict each other: together they are "
        f"missed ({told}, root mean square, field units), though each alone can be met; leave one out, or give it a tolerance "
        "or a weight"
    )


def _solve(parts: Sequence[np.ndarray], scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shortest theta that meets the stacked rows in the sense of least squares, and an orthonormal basis of their span in x."""
    stacked = np.concatenate(parts)
    if not len(stacked):
        return np.zeros(len(scale)), np.zeros((len(scale), 0))
    q, r, order = qr(stacked[:, :-1].T, mode="economic", pivoting=True)  # pyright: ignore[reportAssignmentType]
    pivots = np.abs(np.diag(r))
    rank = int(np.sum(pivots > SEEN * pivots[0]))
    normal = q[:, :rank]  # x = normal w with R[:rank]' w = c of every row, redundant rows included
    w = np.linalg.lstsq(r[:rank].T, stacked[order, -1], rcond=None)[0]
    return normal @ w / scale, normal
