"""Where constraints leave a fit free: theta = origin + directions @ z meets them for every z (theory: fit/constraints)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr

from .._input import InputError
from .._typing import Float
from .constraint import TOLERANCE, Constraint

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
        """Rows [A | y] for the free coordinates: [A Z | y - A theta_0]."""
        a = factor[:, :-1]
        return np.column_stack([a @ self.directions, factor[:, -1] - a @ self.origin])

    def lift(self, z: Float[np.ndarray, " free"]) -> Float[np.ndarray, " columns"]:
        """theta of free coordinates."""
        return self.origin + self.directions @ z


def meet(constraints: Sequence[Constraint], scale: Float[np.ndarray, " columns"]) -> Subspace:
    """The subspace of several constraints; redundant ones that agree count once.

    `scale` are the norms of the columns of the problem: x = scale theta is what "shortest" and "orthonormal" refer to.
    Raises InputError, naming them, for constraints that contradict each other or the functions, and if nothing is left to fit.
    """
    names = tuple(c.name for c in constraints)
    parts = [_independent(c, scale) for c in constraints]
    origin, normal = _solve(parts, scale)
    if any(c.miss(origin) > _allowed(c) for c in constraints):
        raise InputError(_contradiction(constraints, parts, scale))
    columns = len(scale)
    held = normal.shape[1]
    if held == columns:
        raise InputError(
            f"the constraints {' and '.join(names)} are {held} independent conditions on {columns} functions, so nothing is left "
            "to fit; constrain less, or use more functions"
        )
    rest = np.linalg.qr(normal, mode="complete")[0][:, held:] if held else np.eye(columns)
    return Subspace(origin, rest / scale[:, None], names)


def _independent(constraint: Constraint, scale: np.ndarray) -> np.ndarray:
    """[V | c]: orthonormal rows V, V x = c being the least-squares solutions of the constraint without its redundant rows."""
    u, s, vt = np.linalg.svd(constraint.rows / scale, full_matrices=False)
    seen = int(np.sum(s > SEEN * s[0])) if s.size and s[0] > 0 else 0
    return np.column_stack([vt[:seen], u[:, :seen].T @ constraint.target / s[:seen]])


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


def _allowed(constraint: Constraint) -> float:
    return TOLERANCE if constraint.tolerance is None else max(constraint.tolerance, 1e-12) * (1 + 1e-6)


def _contradiction(constraints: Sequence[Constraint], parts: Sequence[np.ndarray], scale: np.ndarray) -> str:
    """One sentence about what is missed: a constraint that these functions cannot meet, or several that contradict together."""

    def misses(chosen: list[int]) -> dict[int, float]:
        theta = _solve([parts[k] for k in chosen], scale)[0]
        return {k: m for k in chosen if (m := constraints[k].miss(theta)) > _allowed(constraints[k])}

    for place, c in enumerate(constraints):
        if miss := misses([place]).get(place):
            return (
                f"constraint {c.name} cannot be met by these {len(scale)} functions: they leave {miss:.2g} of its labels "
                f"(root mean square, field units) where {_allowed(c):.2g} is allowed; give it a tolerance, like "
                f"{{'{c.name}': {1.5 * miss:.1g}}}, or a weight instead, or use more functions"
            )
    chosen = list(range(len(constraints)))
    for k in range(len(constraints)):  # leave out whom the contradiction does not need
        fewer = [j for j in chosen if j != k]
        if len(fewer) > 1 and misses(fewer):
            chosen = fewer
    told = ", ".join(f"{constraints[k].name} by {m:.2g}" for k, m in misses(chosen).items())
    return (
        f"the constraints {' and '.join(constraints[k].name for k in chosen)} contradict each other: together they are missed "
        f"({told}, root mean square, field units), though each alone can be met; leave one out or give it a tolerance or a weight"
    )
