"""LSMR: an iterative solver for very many basis functions; it multiplies by the blocks' factors and never joins them."""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import LinearOperator, lsmr

from .._input import InputError
from .problem import Problem
from .solver import Solution, Solver
from .weights import FitWarning


@dataclass(frozen=True)
class LSMR(Solver):
    """Fong and Saunders' LSMR (SIAM J. Sci. Comput. 33, 2950 (2011)) on the equilibrated problem.

    Stops at relative tolerance `tolerance` or after `iterations` (default 10 per column), with a FitWarning in the second case.
    """

    tolerance: float = 1e-13
    iterations: int | None = None

    def solve(self, problem: Problem) -> Solution:
        if problem.subspace is not None:
            raise InputError("solver 'lsmr' knows no constraints; use solver 'qr', 'tsvd' or 'bayes' with them")
        factors = list(problem.weighted())
        matrices = [f[:, :-1] for f in factors]
        squares = sum((np.sum(a**2, axis=0) for a in matrices), problem.gamma**2)
        scale = np.where(squares > 0, np.sqrt(squares), 1.0)
        starts = np.cumsum([len(a) for a in matrices])
        rows, columns = int(starts[-1]) + problem.columns, problem.columns

        def forward(x):
            theta = np.ravel(x) / scale
            return np.concatenate([*(a @ theta for a in matrices), problem.gamma * theta])

        def backward(r):
            parts = np.split(np.ravel(r), starts)
            return (sum(a.T @ part for a, part in zip(matrices, parts, strict=False)) + problem.gamma * parts[-1]) / scale

        operator = LinearOperator((rows, columns), matvec=forward, rmatvec=backward, dtype=float)  # pyright: ignore[reportCallIssue]
        target = np.concatenate([*(f[:, -1] for f in factors), np.zeros(columns)])
        limit = 10 * columns + 10 if self.iterations is None else self.iterations
        x, stop, count, *_ = lsmr(operator, target, atol=self.tolerance, btol=self.tolerance, conlim=0.0, maxiter=limit)
        if stop == 7:
            sentence = (
                f"lsmr stopped after {count} iterations short of its tolerance {self.tolerance:g}; use solver 'qr' or a prior"
            )
            warnings.warn(sentence, FitWarning, stacklevel=2)
        return Solution(np.asarray(x) / scale, None, details={"iterations": float(count)})
