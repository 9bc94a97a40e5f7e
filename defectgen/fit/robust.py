"""Fits that take several solves: constraints that are held, and losses other than squares.

Losses of single rows are in `residual`; they need every row kept. Losses of blocks (`robust`) do without: the unit that may be an
outlier is a block, with `subdivide` one shell of one configuration, one range of force constants, one strain, one energy. With
u_b the root mean square residual of block b, s_k the median of u over the blocks of its kind in the fit by least squares, and c
the threshold, minimised is

    sum_b m_b^2 rows_b 2 s_k^2 huber(u_b / s_k),   huber(t) = t^2 / 2 for t <= c, else c t - c^2 / 2,

convex in the coefficients; by iterative reweighting with w_b^2 = min(1, c s_k / u_b) (Holland and Welsch,
Commun. Stat. A 6, 813 (1977)).
A single outlying row inside a block is down-weighted with its block: single rows would all have to be kept.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from .._input import InputError
from .._typing import Float
from ..training.blocks import Blocks
from ..training.compress import residual_sum
from .constraint import Constraint
from .loss import Loss, multiplied
from .prior import as_prior
from .problem import Problem, pose
from .residual_fits import reweighted
from .shared import share
from .solvers import QR
from .subspace import check_agreement, directions_of, meet
from .weights import FitWarning

# ------ Hold constraints: the same least squares in the coordinates that they leave free (theory: fit/constraints)

ROUNDS = 20
"""Largest number of rounds over constraints with a tolerance, whose counts bear on each other; two or three are usual."""


def with_constraints(problem: Problem, constraints: Sequence[Constraint]) -> Problem:
    """The problem under constraints. Of those with a tolerance as few directions are held as keep its solution within it.

    Raises InputError for constraints that contradict each other or the functions, and if nothing is left to fit.
    """
    if not constraints:
        return problem
    squares = sum((np.sum(f[:, :-1] ** 2, axis=0) for f in problem.weighted()), problem.gamma**2)
    scale = np.where(squares > 0, np.sqrt(squares), 1.0)
    parts = [directions_of(c, scale) for c in constraints]
    check_agreement(parts, scale)
    counts = [len(part.target) if part.constraint.tolerance is None else 0 for part in parts]

    def held(counts: Sequence[int]) -> Problem:
        return replace(problem, subspace=meet(parts, counts, scale))

    def short(counts: Sequence[int]) -> list[int]:
        chosen = held(counts)
        theta = chosen.lift(QR().solve(chosen).coefficients)
        return [k for k, part in enumerate(parts) if part.constraint.miss(theta) > part.constraint.allowed]

    for _ in range(ROUNDS):
        open_ = [k for k in short(counts) if counts[k] < len(parts[k].target)]
        if not open_:
            break
        for k in open_:  # the fewest directions of this one, the others as they are
            low, high = counts[k], len(parts[k].target)
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if k in short([*counts[:k], middle, *counts[k + 1 :]]) else (low, middle)
            counts[k] = high
    return held(counts)


# ------ Huber's loss on blocks: an outlying configuration, shell or strain pulls with its distance, not with the square of it

STEPS, CLOSE = 200, 1e-7
"""Largest number of reweightings; relative change of the weights at which they end."""


def huber(blocks: Blocks, multipliers: Float[np.ndarray, " blocks"], loss: Loss) -> Float[np.ndarray, " blocks"]:
    """By what every block's multiplier is to be multiplied: 1 inside the threshold, less for outliers. Warns if not settled."""
    assert loss.robust is not None
    live = np.flatnonzero(multipliers > 0)
    factors = [blocks.items[b].factor for b in live]
    rows = np.array([blocks.items[b].rows for b in live])
    kinds = np.array([blocks.items[b].kind for b in live])
    solve = _solver(replace(blocks, items=tuple(blocks.items[b] for b in live)), blocks, multipliers[live], loss)

    def residuals(theta: np.ndarray) -> np.ndarray:
        return np.sqrt(np.array([residual_sum(f, theta) for f in factors]) / rows)

    size = residuals(solve(np.ones(len(live))))
    scale = np.array([np.median(size[kinds == kind]) for kind in kinds])
    factor, change = np.ones(len(live)), np.inf
    for _ in range(STEPS):
        new = np.sqrt(np.minimum(1.0, loss.robust * scale / np.maximum(size, np.finfo(float).tiny)))
        change, factor = float(np.abs(new - factor).max()), new
        if change < CLOSE:
            break
        size = residuals(solve(factor))
    else:
        warnings.warn(f"the robust weights still change by {change:.1g} after {STEPS} reweightings", FitWarning, stacklevel=3)
    found = np.ones(len(multipliers))
    found[live] = factor
    return found


def single_residuals(
    labelled: Blocks, posed: Blocks, multipliers: Float[np.ndarray, " blocks"], loss: Loss
) -> tuple[Blocks, dict[str, float]]:
    """The blocks whose factors carry the weights with which least squares minimises the losses of single residuals.

    Raises InputError for a kind whose rows were not kept.
    """
    forms = loss.residuals
    own = [forms.get(b.kind) if m > 0 and b.rows else None for b, m in zip(posed.items, multipliers, strict=True)]
    for block, form in zip(posed.items, own, strict=True):
        if form is not None and not block.kept and block.rows > 1:
            raise InputError(
                f"the loss {form} of the residuals of {block.kind} needs every row; label the cells with subdivide='rows', or "
                "take robust=..., which weighs whole parts"
            )
    if not any(form is not None for form in own):
        raise InputError(
            f"residual losses are given for {', '.join(forms)}, and none of these kinds has rows with a weight; give those of "
            f"{loss.observations}"
        )
    problem = with_constraints(pose(posed, multipliers, as_prior(loss.prior)), loss.exact(labelled))
    raw = [b.factor if b.plain is None else b.plain for b in posed.items]
    found = reweighted(problem, raw, own, [b.kind for b in posed.items])
    items = tuple(b if f is None else multiplied(b, f) for b, f in zip(posed.items, found.factors, strict=True))
    return replace(posed, items=items, held=()), found.details


def _solver(blocks: Blocks, labelled: Blocks, multipliers: np.ndarray, loss: Loss) -> Callable[[np.ndarray], np.ndarray]:
    """Coefficients for factors of the multipliers: through one shared factor where that is good enough, else by QR."""
    prior, constraints = as_prior(loss.prior), loss.exact(labelled)
    problem = with_constraints(pose(blocks, multipliers, prior), constraints)
    stacked = list(problem.weighted())
    if (gamma := problem.prior_rows()) is not None:
        stacked.append(gamma)
    shared = share(stacked, np.ones(len(stacked)))

    def solve(factor: np.ndarray) -> np.ndarray:
        if shared is not None:
            found = shared.solve(np.append(factor**2, np.ones(len(stacked) - len(factor))))
            if found is not None:
                return problem.lift(found)
        varied = replace(problem, multipliers=multipliers * factor)
        return varied.lift(QR().solve(varied).coefficients)

    return solve
