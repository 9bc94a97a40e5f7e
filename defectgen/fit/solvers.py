"""Solvers: pure functions from a problem to coefficients, by pivoted QR, truncated SVD, or iterations."""

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import qr, solve_triangular
from scipy.sparse.linalg import LinearOperator, lsmr

from .._display import brief
from .._input import InputError
from .._typing import Float
from .problem import Problem, rounding
from .weights import FitWarning

# ------ The posterior of a Bayesian linear fit: a Gaussian over coefficients, held as a triangular factor of its precision


@dataclass(frozen=True, eq=False)
class Posterior:
    """theta ~ N(mean, noise^2 (R'R)^-1); under constraints only along what they leave free, with no variance across it."""

    mean: Float[np.ndarray, " columns"]
    factor: Float[np.ndarray, "free free"]
    """R, upper triangular, of the weighted rows with the prior; in the free coordinates if there are constraints."""
    noise: float
    """Standard deviation of a weighted residual."""
    directions: Float[np.ndarray, "columns free"] | None = None
    """Along which constraints leave coefficients free to vary; None: all."""

    __repr__ = brief

    @property
    def covariance(self) -> Float[np.ndarray, "columns columns"]:
        """noise^2 (R'R)^-1."""
        root = self._lifted(solve_triangular(self.factor, np.eye(len(self.factor)))) * self.noise
        return root @ root.T

    def deviation(self, functional: Float[np.ndarray, "n columns"]) -> Float[np.ndarray, " n"]:
        """Standard deviations of linear quantities.

        Parameters
        ----------
        functional : array (n, columns)
            A row g for each quantity g . theta.

        Returns
        -------
        array (n,)
            sqrt(g . covariance . g), in the unit of the quantity.
        """
        slopes = functional if self.directions is None else functional @ self.directions
        return self.noise * np.linalg.norm(solve_triangular(self.factor, slopes.T, trans=1), axis=0)

    def sample(self, count: int, seed: int | np.random.Generator) -> Float[np.ndarray, "count columns"]:
        """Draws of the coefficients.

        Parameters
        ----------
        count : int
            How many.
        seed : int or numpy Generator
            Equal seeds give equal draws.

        Returns
        -------
        array (count, columns)
        """
        normal = np.random.default_rng(seed).normal(size=(len(self.factor), count))
        return self.mean + self.noise * self._lifted(solve_triangular(self.factor, normal)).T

    def _lifted(self, free: np.ndarray) -> np.ndarray:
        return free if self.directions is None else self.directions @ free


# ------ What a solver is: a pure function from a problem to coefficients, with what it learnt on the way


@dataclass(frozen=True, eq=False)
class Solution:
    """Coefficients and how they came about."""

    coefficients: Float[np.ndarray, " columns"]
    rank: int | None
    """Number of independent directions kept; None if the solver cannot tell."""
    posterior: Posterior | None = None
    details: dict[str, float] = field(default_factory=dict)
    """Numbers chosen or reached by the solver: truncation, strength, noise, iterations."""

    __repr__ = brief


class Solver(ABC):
    """An algorithm for weighted linear least squares with a diagonal prior."""

    @abstractmethod
    def solve(self, problem: Problem) -> Solution:
        """Minimise ||W (A theta - y)||^2 + ||Gamma theta||^2.

        Parameters
        ----------
        problem : Problem
            Weighted rows and prior.

        Returns
        -------
        Solution
            Coefficients, rank, and what the solver chose.
        """


# ------ QR: scale the columns, factor with pivoting, solve the triangle; a rank-deficient problem gets its shortest solution


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


# ------ Truncated SVD: leave out the directions that the rows hardly see


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


# ------ LSMR: an iterative solver for very many basis functions; it multiplies by the blocks' factors and never joins them


@dataclass(frozen=True)
class LSMR(Solver):
    """Fong and Saunders' LSMR (SIAM J. Sci. Comput. 33, 2950 (2011)) on the equilibrated problem.

    Stops at relative tolerance `tolerance` or after `iterations` (default 10 per column), with a FitWarning in the second case.
    """

    tolerance: float = 1e-13
    iterations: int | None = None

    def solve(self, problem: Problem) -> Solution:
        if problem.subspace is not None:
            raise InputError("solver 'lsmr' takes no constraints; use solver 'qr', 'tsvd' or 'bayes' with them")
        factors = list(problem.weighted())
        matrices = [f[:, :-1] for f in factors]
        squares = sum((np.sum(a**2, axis=0) for a in matrices), problem.gamma**2)
        scale = np.where(squares > 0, np.sqrt(squares), 1.0)
        starts = np.cumsum([len(a) for a in matrices])
        rows, columns = int(starts[-1]) + problem.columns, problem.columns

        def forward(x: np.ndarray) -> np.ndarray:
            theta = np.ravel(x) / scale
            return np.concatenate([*(a @ theta for a in matrices), problem.gamma * theta])

        def backward(r: np.ndarray) -> np.ndarray:
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
