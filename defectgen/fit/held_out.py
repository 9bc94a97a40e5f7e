"""The force error of a fit on configurations that it has not seen: each is left out in turn, by algebra (theory: fit/defaults).

Without the rows A_c theta = y_c of a configuration, of residual e = y_c - A_c theta and leverage H = U U', U = A_c R^-1, least
squares moves to theta - R^-1 U' (1 - H)^-1 e: exact for given weights, prior and rank, and as cheap as one more solve.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.linalg import qr, solve_triangular

from .._typing import Float
from ..training.blocks import HELD, Block, Blocks, evenly
from ..training.observations import PERFECT
from .problem import Problem, rounding
from .regularised import Bayes, Tikhonov
from .solvers import LSMR, Solver
from .weights import Weights

DETERMINED = 1e-9
"""One minus the leverage below which a direction of the coefficients is known from the configuration alone."""

Part = tuple[Block, float]
"""Rows of one configuration and what they are multiplied by in the fit."""


@dataclass(frozen=True)
class HeldOut:
    """Force errors of configurations, each predicted by the fit without it."""

    forces: float
    """Root mean square, eV/A; infinite where the other rows do not determine the fit."""
    by_group: dict[str, float] = field(repr=False)
    """The same by configuration group."""
    configurations: int
    """How many were left out, one at a time."""

    def __str__(self) -> str:
        count = f"{self.configurations} configuration{'s' * (self.configurations > 1)}"
        if not np.isfinite(self.forces):
            return f"held-out forces: not determined without one of {count}; add configurations or give a prior"
        return f"held-out forces {self.forces:.3e} eV/A rmse ({count}, each left out in turn)"


def held_out(
    problem: Problem,
    coefficients: Float[np.ndarray, " columns"],
    rank: int | None,
    solver: Solver,
    details: Mapping[str, float],
    blocks: Blocks,
    weights: Weights,
) -> HeldOut | None:
    """The held-out force error of a fit; None if its blocks hold no configuration apart, or its solver may stop early.

    Parameters
    ----------
    problem : Problem
        The weighted problem.
    coefficients : array (columns,)
        Its solution theta.
    rank : int or None
        Independent directions used of theta, those that constraints hold included; None if the solver cannot tell.
    solver : Solver
        What found the solution.
    details : mapping
        What the solver chose.
    blocks : Blocks
        Everything labelled, fitted or not.
    weights : dict
        ``weights[kind][group]`` used.

    Notes
    -----
    theory: fit/defaults. The arguments are fields of a `Fit`, whose property `Fit.held_out` calls this function.
    """
    found = _configurations(problem, blocks, weights)
    if not found or isinstance(solver, LSMR):
        return None
    reduced = _Reduced(problem, coefficients, rank, solver, details)
    squares: dict[str, float] = {}
    rows: dict[str, int] = {}
    for parts in found:
        theta = reduced.without(parts)
        for block, _ in parts:
            if block.kind == "F":
                error = np.inf if theta is None else block.squared_error(theta)
                squares[block.group] = squares.get(block.group, 0.0) + error
                rows[block.group] = rows.get(block.group, 0) + block.rows
    by_group = {group: float(np.sqrt(squares[group] / rows[group])) for group in squares}
    return HeldOut(float(np.sqrt(sum(squares.values()) / sum(rows.values()))), by_group, len(found))


def _configurations(problem: Problem, blocks: Blocks, weights: Weights) -> list[list[Part]]:
    """The rows of every configuration that is left out, with their weights."""
    apart: dict[str, list[Part]] = {}
    for block, multiplier in zip(problem.blocks.items, problem.multipliers, strict=True):
        if block.part.isdigit():
            apart.setdefault(block.part, []).append((block, float(multiplier)))
    kinds = {part: {block.kind for block, _ in rows} for part, rows in apart.items()}
    moved = [rows for part, rows in apart.items() if "F" in kinds[part] and PERFECT not in kinds[part]]
    if moved:
        return [moved[k] for k in evenly(len(moved), HELD)]
    return [[(b, weights.get(b.kind, {}).get(b.group, 0.0) * b.scale) for b in parts] for parts in blocks.held]


class _Reduced:
    """The triangle of the weighted problem, from which rows are taken away."""

    def __init__(
        self,
        problem: Problem,
        theta: Float[np.ndarray, " columns"],
        rank_of_fit: int | None,
        solver: Solver,
        details: Mapping[str, float],
    ):
        self.theta, self.problem = theta, problem
        matrix = _regularised(problem, solver, details)[:, :-1]
        norm = np.linalg.norm(matrix, axis=0)
        self.scale = np.where(norm > 0, norm, 1.0)
        _, r, order = qr(matrix / self.scale, mode="economic", pivoting=True, check_finite=False)  # pyright: ignore[reportAssignmentType]
        pivots = np.abs(np.diag(r))
        rank = int(np.sum(pivots > rounding(self.problem.columns) * pivots[0])) if pivots.size and pivots[0] > 0 else 0
        if rank_of_fit is not None:
            rank = min(rank, rank_of_fit - problem.held)
        self.order, self.triangle = order[:rank], r[:rank, :rank]

    def without(self, parts: list[Part]) -> Float[np.ndarray, " columns"] | None:
        """The coefficients of the fit without these rows; None if the other rows do not determine them."""
        live = [multiplier * block.factor for block, multiplier in parts if multiplier > 0]
        if not live or not len(self.order):
            return self.theta
        stacked = np.concatenate(live)
        residual = stacked[:, -1] - stacked[:, :-1] @ self.theta
        slopes = (self.problem.slopes(stacked[:, :-1]) / self.scale)[:, self.order]
        whitened = solve_triangular(self.triangle, slopes.T, trans=1)
        left, size, right = np.linalg.svd(whitened, full_matrices=False)
        spare = 1.0 - size**2
        if spare.min() < DETERMINED:
            return None
        step = np.zeros(self.problem.columns)
        step[self.order] = solve_triangular(self.triangle, left @ (size / spare * (right @ residual)))
        step /= self.scale
        return self.theta - (step if self.problem.subspace is None else self.problem.subspace.directions @ step)


def _regularised(problem: Problem, solver: Solver, details: Mapping[str, float]) -> Float[np.ndarray, "k columns_plus_one"]:
    """The factor with the penalty that the solver chose."""
    if isinstance(solver, Tikhonov):
        norm = np.linalg.norm(problem.data_factor[:, :-1], axis=0)
        gamma = problem.gamma if problem.gamma.any() else np.where(norm > 0, norm, 1.0)
        return replace(problem, gamma=details["strength"] * gamma).factor
    if isinstance(solver, Bayes):
        return replace(problem, gamma=details["strength"] * problem.gamma).factor
    return problem.factor
