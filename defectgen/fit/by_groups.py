"""The strength of a prior by held-out groups: each group of configurations is predicted by the fit to all others.

Cross validation row by row, and the evidence, take rows for independent; the misfit of a small basis is not noise but the same
from one configuration to the next, so both choose almost no prior, and energies of other groups fall through the holes of the
fit. A group that is left out is another kind of configuration, which is what a potential meets in use.
"""

from dataclasses import dataclass

import numpy as np

from .._display import brief
from .._typing import Float
from ..training.compress import join
from .penalty import Penalty
from .problem import Problem, rounding

FEWEST = 2
"""Groups with energies or forces from which each can be left out."""

STRENGTHS = np.logspace(-10, 4, 57)
"""Tried strengths, relative to the one at which penalty and rows are equal in norm: four in a decade."""


@dataclass(frozen=True, eq=False)
class GroupErrors:
    """Errors on every group left out, for every strength."""

    groups: tuple[str, ...]
    strengths: Float[np.ndarray, " strengths"]
    errors: Float[np.ndarray, "groups strengths"]
    """Root mean square of the weighted residuals of the group, predicted by the fit to the others."""

    __repr__ = brief

    @property
    def score(self) -> Float[np.ndarray, " strengths"]:
        """Geometric mean over the groups: all have the same weight."""
        return np.exp(np.mean(np.log(np.maximum(self.errors, np.finfo(float).tiny)), axis=0))

    @property
    def best(self) -> float:
        """The strength of least score; the largest of equal ones."""
        score = self.score
        return float(self.strengths[np.flatnonzero(score <= score.min() * (1 + 1e-9))[-1]])


def group_errors(problem: Problem, gamma: Float[np.ndarray, " columns"]) -> GroupErrors | None:
    """Errors on groups that are left out in turn, with the penalty strength ||Gamma theta||; None with fewer than two groups.

    Groups are left out with all their rows. `gamma` penalises every coefficient.
    """
    groups = tuple(
        dict.fromkeys(
            b.group for b, m in zip(problem.blocks.items, problem.multipliers, strict=True) if m > 0 and b.kind in ("E", "F")
        )
    )
    if len(groups) < FEWEST:
        return None
    unit = float(np.linalg.norm(problem.data_factor[:, :-1]) / np.linalg.norm(gamma))
    strengths = unit * STRENGTHS
    weighted = dict(zip([n for n, m in enumerate(problem.multipliers) if m > 0], problem.weighted(), strict=True))
    own = {n: problem.blocks.items[n].group for n in weighted}
    errors = np.zeros((len(groups), len(strengths)))
    for place, group in enumerate(groups):
        rest = join((f for n, f in weighted.items() if own[n] != group), problem.columns)
        left_out = join((f for n, f in weighted.items() if own[n] == group), problem.columns)
        rows = sum(problem.blocks.items[n].rows for n in weighted if own[n] == group)
        coefficients = penalised(problem, rest, gamma, strengths)
        residual = left_out[:, :-1] @ coefficients - left_out[:, -1:]
        errors[place] = np.linalg.norm(residual, axis=0) / np.sqrt(rows)
    return GroupErrors(groups, strengths, errors)


def penalised(
    problem: Problem,
    factor: Float[np.ndarray, "k columns_plus_one"],
    gamma: Float[np.ndarray, " coefficients"],
    strengths: Float[np.ndarray, " strengths"],
) -> Float[np.ndarray, "columns strengths"]:
    """The unknowns of least squares with rows [A | y] and the penalty strength ||Gamma theta||, for every strength.

    One SVD in the coordinates of the penalty serves all strengths.
    """
    penalty = Penalty.of(problem, gamma)
    scaled, target = penalty.scaled(factor)
    u, s, vt = np.linalg.svd(scaled, full_matrices=False)
    live = s > rounding(problem.columns) * s[0]
    s, seen = s[live], u[:, live].T @ target
    return penalty.unknowns(vt[live].T @ (seen[:, None] * (s[:, None] / (s[:, None] ** 2 + strengths**2))))
