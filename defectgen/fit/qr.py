"""QR: scale the columns, factor with pivoting, solve the triangle; a rank-deficient problem gets its shortest solution."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr, solve_triangular

from .problem import Problem, rounding
from .solver import Solution, Solver


@dataclass(frozen=True)
class QR(Solver):
    """Column-pivoted QR of the equilibrated matrix; backward stable, the condition number is not squared.

    Pivots below `rtol` times the first count as zero (default: rounding, columns * eps). Then the solution shortest in scaled
    coefficients is returned, by a second QR of the remaining rows (complete orthogonal decomposition).
    """

    rtol: float | None = None

    def solve(self, problem: Problem) -> Solution:
        scale = problem.column_scale
        matrix, target = problem.factor[:, :-1] / scale, problem.factor[:, -1]
        q, r, order = qr(matrix, mode="economic", pivoting=True, check_finite=False)  # pyright: ignore[reportAssignmentType]
        pivots = np.abs(np.diag(r))
        cut = rounding(problem.columns) if self.rtol is None else self.rtol
        rank = int(np.sum(pivots > cut * pivots[0])) if pivots[0] > 0 else 0
        head = (target @ q)[:rank]
        if rank == problem.columns:
            x = solve_triangular(r, head)
        else:  # R[:rank] = U' Z' with Z orthonormal: the shortest solution is Z U'^-1 head
            z, upper = np.linalg.qr(r[:rank].T)
            x = z @ solve_triangular(upper, head, trans=1) if rank else np.zeros(problem.columns)
        coefficients = np.empty(problem.columns)
        coefficients[order] = x
        return Solution(coefficients / scale, rank)
