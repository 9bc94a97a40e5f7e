"""Fits of losses of single residuals: one by itself, or many on the same rows, which share a factor and their steps."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .._typing import Float
from ..training.blocks import Block, Blocks
from ..training.compress import join
from .problem import Problem
from .residual import NORMAL, Residual
from .reweighting import STEPS, Descent, Rowwise
from .shared import share
from .solvers import QR
from .weights import FitWarning

REWEIGHTINGS = 300
"""Largest number of fits where rows leave coefficients open."""
SETTLED = 1e-10
"""Relative change of the objective at which those end."""
SQUARED = Residual("squared", 1.0)
TINY = 1e-14
"""Least scale: rows that are met exactly have no outliers."""

# ------ One loss: the weights with which least squares minimises it


@dataclass(frozen=True, eq=False)
class Reweighted:
    """Factors that the rows of every block have at the end."""

    factors: list[np.ndarray | None]
    """Of the residuals of each block; None: one everywhere."""
    details: dict[str, float]
    """Steps, the last relative change of the objective, the objective over that of the fit by least squares."""


def reweighted(
    problem: Problem,
    raw: Sequence[np.ndarray],
    forms: Sequence[Residual | None],
    names: Sequence[str],
    max_steps: int = STEPS,
) -> Reweighted:
    """Weights of single rows that make least squares minimise the losses of their residuals.

    Parameters
    ----------
    problem : Problem
        With the weights of the loss and constraints; blocks whose rows have a form are kept rows.
    raw : sequence of array (rows, columns + 1)
        Rows [A | y] of every block in field units.
    forms : sequence of Residual or None
        Of every block; None for squares.
    names : sequence of str
        Kind of every block: kinds share a scale.
    max_steps : int
        Largest number of steps of one minimisation.

    Returns
    -------
    Reweighted

    Warns
    -----
    FitWarning
        If the objective still changes after the last step.
    """
    live = [k for k, m in enumerate(problem.multipliers) if m > 0]
    own = {k: form for k in live if (form := forms[k]) is not None}
    stacked = dict(zip(live, problem.weighted(), strict=True))
    fixed = [stacked[k] for k in live if k not in own]
    if (prior := problem.prior_rows()) is not None:
        fixed.append(prior)
    rest, rows = [join(fixed, problem.columns)] if fixed else [], np.concatenate([stacked[k] for k in own])
    sizes = [problem.multipliers[k] * carried(problem.blocks.items[k]) for k in own]
    centres = np.concatenate(sizes)
    relative, centres = (centres > 0).astype(float), np.where(centres > 0, centres, 1.0)
    kinds, whole = [names[k] for k in own], list(own.values())
    counts = [len(m) for m in sizes]
    shared = share(rest, np.ones(len(rest)), rows)
    least = _least(rest, rows, np.ones(len(rows))) if shared is None else shared.centre
    theta = problem.lift(least)
    scales = scales_of([raw[k][:, :-1] @ theta - raw[k][:, -1] for k in own], kinds, whole)
    loss = Rowwise(np.ones(len(rest)), relative, centres * np.repeat(scales, counts), placed(whole, counts))
    descent = None if shared is None else Descent(shared)
    found = None if descent is None else descent.minimum(loss, max_steps)
    if descent is None or found is None:
        r, steps, change, settled, gain = _open(loss, rest, rows, least)
    else:
        first = descent.value(loss, np.zeros(problem.columns))
        r, steps, change, settled = descent.residuals(found.x), found.steps, found.change, found.settled
        gain = found.value / first if first else 1.0
    if not settled:
        warnings.warn(
            f"the objective of the residual losses still changes by {change:.1g} in a step after {steps} steps",
            FitWarning,
            stacklevel=4,
        )
    factors: list[np.ndarray | None] = [None] * len(problem.blocks.items)
    weights = replace(loss, relative=np.ones(len(relative))).each("weight", r)
    for k, w in zip(own, np.split(weights, np.cumsum(counts)[:-1]), strict=True):
        factors[k] = np.sqrt(w)
    return Reweighted(
        factors, {"reweightings": float(steps), "objective change": float(change), "objective over squares": float(gain)}
    )


def carried(block: Block) -> Float[np.ndarray, " rows"]:
    """The weight of every row that is in the factor of a block already."""
    if block.plain is None:
        return np.ones(len(block.factor))
    norm = np.linalg.norm(block.plain, axis=1)
    return np.divide(np.linalg.norm(block.factor, axis=1), norm, out=np.ones(len(norm)), where=norm > 0)


def scales_of(residuals: Sequence[np.ndarray], names: Sequence[str], forms: Sequence[Residual]) -> Float[np.ndarray, " parts"]:
    """The scale of every part: 1 for absolute thresholds, else the robust standard deviation of all residuals of its kind."""
    by_kind: dict[str, list[np.ndarray]] = {}
    for name, r in zip(names, residuals, strict=True):
        by_kind.setdefault(name, []).append(np.abs(r))
    median = {name: NORMAL * float(np.median(np.concatenate(r))) for name, r in by_kind.items()}
    return np.array([1.0 if f.absolute else max(median[n], TINY) for n, f in zip(names, forms, strict=True)])


def placed(forms: Sequence[Residual], counts: Sequence[int]) -> tuple[tuple[slice, Residual], ...]:
    """Forms with their rows; neighbours with one form are joined."""
    found: list[tuple[slice, Residual]] = []
    at = 0
    for form, count in zip(forms, counts, strict=True):
        start = at
        if found and found[-1][1] == form:
            start = found.pop()[0].start
        found.append((slice(start, at + count), form))
        at += count
    return tuple(found)


def _open(
    loss: Rowwise, rest: list[np.ndarray], rows: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, int, float, bool, float]:
    """Residuals, steps, last change, whether settled, and the gain where rows leave coefficients open: every step is a QR."""

    def objective(use: Rowwise, x: np.ndarray) -> tuple[np.ndarray, float]:
        r = rows[:, :-1] @ x - rows[:, -1]
        fixed = sum(float(np.sum((f[:, :-1] @ x - f[:, -1]) ** 2)) for f in rest)
        return r, fixed + use.total(r)

    x, steps, change = start, 0, np.inf
    r, first = objective(loss, x)
    for use in loss.stages():
        r, before = objective(use, x)
        for _ in range(REWEIGHTINGS):
            x = _least(rest, rows, use.each("weight", r))
            r, after = objective(use, x)
            steps += 1
            change, before = abs(before - after) / max(abs(before), float(np.finfo(float).tiny)), after
            if change < SETTLED:
                break
    last = objective(loss, x)[1]
    return r, steps, change, change < SETTLED, last / first if first else 1.0


def _least(rest: Sequence[np.ndarray], rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The shortest least-squares solution with squared weights of the rows."""
    columns = rows.shape[1] - 1
    whole = join([*rest, np.sqrt(weights)[:, None] * rows], columns)
    block = Block("F", "", 0, 1.0, len(whole), whole)
    return QR().solve(Problem(Blocks(None, (block,)), np.ones(1), np.zeros(columns))).coefficients


# ------ Many losses on the same rows


class ResidualGroup:
    """Losses with the same rows, prior and constraints: one factor, and steps that start from those of the losses before."""

    def __init__(
        self,
        problem: Problem,
        apart: Sequence[int],
        parts: Sequence[np.ndarray],
        centres: Sequence[np.ndarray],
    ):
        """The problem at central weights.

        Parameters
        ----------
        problem : Problem
            Its blocks carry the central weights of their rows.
        apart : sequence of int
            Blocks, by their number in the problem, whose rows are weighted one by one.
        parts : sequence of array (rows, columns + 1)
            The weighted factors of all other rows and the prior.
        centres : sequence of array (rows,)
            The central weight of every row of the blocks `apart`, in field units; positive.
        """
        items = problem.blocks.items
        stacked = list(problem.weighted())
        rows = np.concatenate([stacked[k] for k in apart])
        self._problem = problem
        self._kinds = [items[k].kind for k in apart]
        self._counts = [len(c) for c in centres]
        self._plain = [b.factor if (b := items[k]).plain is None else b.plain for k in apart]
        self._centres = np.concatenate(centres)
        shared = share(parts, np.ones(len(parts)), rows)
        self._descent = None if shared is None else Descent(shared)
        self._squared: Descent | None = None
        self._scales: dict[bytes, list[np.ndarray]] = {}

    def solve(
        self,
        squares: Float[np.ndarray, " parts"],
        relative: Float[np.ndarray, " rows"],
        forms: Sequence[Residual | None],
    ) -> Float[np.ndarray, " columns"] | None:
        """Coefficients of one loss; None if it needs a fit of its own.

        Parameters
        ----------
        squares : array (parts,)
            Of the multipliers of the parts relative to the centre.
        relative : array (rows,)
            The same of every row that is weighted by itself.
        forms : sequence of Residual or None
            Of every block whose rows are.
        """
        if self._descent is None:
            return None
        whole = [SQUARED if form is None else form for form in forms]
        scales = np.ones(len(whole))
        if any(form is not None and not form.absolute for form in forms):
            left = self._residuals_of_squares(squares, relative)
            if left is None:
                return None
            robust = [k for k, form in enumerate(forms) if form is not None]
            scales[robust] = scales_of([left[k] for k in robust], [self._kinds[k] for k in robust], [whole[k] for k in robust])
        length = self._centres * np.repeat(scales, self._counts)
        found = self._descent.minimum(Rowwise(squares, relative, length, placed(whole, self._counts)))
        return None if found is None or not found.settled else self._theta(found.x)

    def _theta(self, x: np.ndarray) -> np.ndarray:
        assert self._descent is not None
        shared = self._descent.shared
        return self._problem.lift(shared.centre + shared.through @ x)

    def _residuals_of_squares(self, squares: np.ndarray, relative: np.ndarray) -> list[np.ndarray] | None:
        """Residuals of the fit by least squares with the same weights, in field units."""
        key = squares.tobytes() + relative.tobytes()
        if key not in self._scales:
            assert self._descent is not None
            self._squared = self._squared or Descent(self._descent.shared)
            loss = Rowwise(squares, relative, self._centres, ((slice(0, len(relative)), SQUARED),))
            found = self._squared.minimum(loss)
            if found is None:
                return None
            theta = self._theta(found.x)
            self._scales = {key: [a[:, :-1] @ theta - a[:, -1] for a in self._plain]}
        return self._scales[key]
