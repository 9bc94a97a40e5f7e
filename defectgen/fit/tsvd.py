"""Truncated SVD: leave out the directions that the rows hardly see."""

from dataclasses import dataclass

import numpy as np

from .problem import Problem
from .solver import Solution, Solver


@dataclass(frozen=True)
class TruncatedSVD(Solver):
    """Singular values of the equilibrated matrix below `rtol` times the largest are dropped.

    The default keeps ten digits: rows and labels carry about that many after cancellation in energies.
    """

    rtol: float | int = 1e-10

    def solve(self, problem: Problem) -> Solution:
        scale = problem.column_scale
        u, s, vt = np.linalg.svd(problem.factor[:, :-1] / scale, full_matrices=False)
        kept = s > self.rtol * s[0]
        x = vt[kept].T @ (u[:, kept].T @ problem.factor[:, -1] / s[kept])
        smallest = float(s[kept][-1] / s[0]) if kept.any() else 0.0
        return Solution(x / scale, int(kept.sum()), details={"smallest_kept": smallest})
