"""Derivatives of a fit with respect to its weights: d theta / d log w, exactly, from the normal equations.

At the minimum N theta = sum_b m_b^2 A_b'y_b with N = sum_b m_b^2 A_b'A_b + Gamma^2, so
d theta / d log m_b = -2 m_b^2 N^-1 A_b'(A_b theta - y_b), and for the strength of the prior -2 N^-1 Gamma^2 theta; under
constraints all of it in the free coordinates. Chain rule for a power of the distance: d log m_b / d a = log(1 + l_b).
theory: fit/weight-response.
"""

from dataclasses import dataclass

import numpy as np

from .._display import shown
from .._input import takes
from .._typing import Float
from ..training.blocks import Block
from .problem import rounding
from .result import Fit

PRIOR = "prior"
DISTANCE, RANGE = "(1+|l|) power of F", "|ρ| power of FC"


@dataclass(frozen=True, eq=False)
class Response:
    """Derivatives of a fit with respect to what a designer can turn."""

    names: tuple[str, ...]
    """Kinds ("E"), where a kind has several groups also "kind:group", "prior", and two powers where rows know their distance."""
    coefficients: Float[np.ndarray, "columns knobs"]
    """d theta / d log weight; for the powers d theta / d power."""
    rmse: dict[str, Float[np.ndarray, " knobs"]]
    """d log rmse / d log weight of every kind; zero where an error is zero."""

    def __repr__(self) -> str:
        return shown(self, f"{len(self.coefficients):,} coefficients", f"weights {', '.join(self.names)}")

    def of(self, gradient: Float[np.ndarray, " columns"]) -> Float[np.ndarray, " knobs"]:
        """The response of any quantity q of the model.

        Parameters
        ----------
        gradient : array (columns,)
            dq / d theta.

        Returns
        -------
        array (knobs,)
            d q / d log weight.
        """
        return gradient @ self.coefficients


@takes(fit=(Fit, "the result of dg.fit"))
def weight_response(fit: Fit) -> Response:
    """How the coefficients and training errors of a fit change with its weights, its prior and its distance powers.

    Parameters
    ----------
    fit : Fit
        Solved as posed; after `ridge`, `tsvd` or a robust loss the response is that of their last weights.

    Returns
    -------
    Response
        d theta / d log w for every weight (columns, weights), and the same of the logarithms of the training errors.

    Notes
    -----
    From the normal equations in the factor that the fit has, without difference quotients. theory: fit/weight-response.
    """
    problem, theta = fit.problem, fit.coefficients
    scale = problem.column_scale
    _, s, vt = np.linalg.svd(problem.factor[:, :-1] / scale, full_matrices=False)
    kept = s > rounding(problem.columns) * s[0]
    root = vt[kept].T / s[kept] / scale[:, None]  # N^+ = root root'
    pulls = {
        id(b): -2 * m**2 * (b.factor[:, :-1].T @ (b.factor[:, :-1] @ theta - b.factor[:, -1]))
        for b, m in zip(problem.blocks.items, problem.multipliers, strict=True)
        if m > 0
    }
    knobs: dict[str, np.ndarray] = {}
    for kind in problem.blocks.kinds:
        own = [b for b in problem.blocks.items if b.kind == kind and id(b) in pulls]
        if own:
            knobs[kind] = sum((pulls[id(b)] for b in own), np.zeros(len(theta)))
        groups = dict.fromkeys(b.group for b in own)
        for group in groups if len(groups) > 1 else ():
            knobs[f"{kind}:{group}"] = sum((pulls[id(b)] for b in own if b.group == group), np.zeros(len(theta)))
    if problem.gamma.any():
        knobs[PRIOR] = -2 * problem.gamma**2 * theta
    for name, kind in ((DISTANCE, "F"), (RANGE, "FC")):
        far = [b for b in problem.blocks.items if b.kind == kind and b.distance is not None and id(b) in pulls]
        if far:
            knobs[name] = sum((_slope(b) * pulls[id(b)] for b in far), np.zeros(len(theta)))
    slopes = problem.slopes(np.array(list(knobs.values())))
    free = root @ (root.T @ slopes.T)
    change = free if problem.subspace is None else problem.subspace.directions @ free
    return Response(tuple(knobs), change, _errors(fit, change))


def _slope(block: Block) -> float:
    """d log multiplier / d power."""
    assert block.distance is not None
    return float(np.log(1 + block.distance) if block.kind == "F" else np.log(block.distance))


def _errors(fit: Fit, change: np.ndarray) -> dict[str, np.ndarray]:
    """d log rmse = <A theta - y, A d theta> / |A theta - y|^2, kind by kind."""
    found = {}
    for kind in fit.rmse:
        square, slope = 0.0, np.zeros(change.shape[1])
        for block in (b for b in fit.blocks.items if b.kind == kind and b.rows):
            factor = block.factor if block.plain is None else block.plain
            left = factor[:, :-1] @ fit.coefficients - factor[:, -1]
            square += float(left @ left)
            slope += (left @ factor[:, :-1]) @ change
        found[kind] = slope / square if square > 0 else np.zeros_like(slope)
    return found
