"""Losses of single residuals: squared, Huber, L1, log-cosh and Tukey's biweight, by iteratively reweighted least squares.

With r the residual of a row in field units, m its weight and s the scale of its kind, minimised is

    sum_rows m^2 2 s^2 rho(r / s),    rho(t) = t^2 / 2 (1 + O(t)) about zero,

so that all of them agree with least squares for small residuals. The stationarity condition is that of least squares with the
squared weights m^2 rho'(t) / t (Holland and Welsch, Commun. Stat. A 6, 813 (1977)); it is solved by repeating that fit. Each step
lowers the objective where rho'(t) / t does not grow with |t|, as here. A step with the curvatures rho''(t) in place of the
weights (Newton's) is tried first and taken where it lowers the objective; near the minimum it needs far fewer steps. Tukey's
biweight is not convex and starts from Huber's loss.
"""

import ast
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.linalg.blas import dsyrk  # pyright: ignore[reportAttributeAccessIssue]

from .._input import InputError, did_you_mean, real
from .._typing import Float
from ..training.blocks import Block, Blocks
from ..training.compress import join
from ..training.observations import PARTS
from .problem import Problem, rounding
from .solvers import QR
from .weights import FitWarning

STEPS = 300
"""Largest number of reweightings."""
LEAST = 0.02
"""Of the weight of a row: the least curvature in Newton's step, so that rows beyond the threshold leave no direction open."""
CLOSE = 1e-10
"""Relative change of the objective in one step at which the iteration ends."""
CORNER = 1e-3
"""Of the scale: |r| is rounded to (r^2 + (CORNER s)^2)^(1/2) at zero, so that L1 has weights; each row's part of the objective is
off by at most this times s."""
NORMAL = 1.482602218505602
"""Standard deviation over the median absolute value of a normal distribution."""

Curve = Callable[[Float[np.ndarray, " rows"], float], Float[np.ndarray, " rows"]]


@dataclass(frozen=True)
class Residual:
    """What is summed over the residuals of a kind."""

    name: str
    """One of `FORMS`."""
    threshold: float
    """Where it departs from the square: a multiple of the scale of the kind, or a residual in field units."""
    absolute: bool = False
    """Whether the threshold is in field units (eV/atom, eV/A, eV/A^2)."""

    def __str__(self) -> str:
        if self.name in ("squared", "l1"):
            return self.name
        return f"{self.name}({str(self.threshold).removesuffix('.0')}{', absolute=True' if self.absolute else ''})"

    def weight(self, t: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " rows"]:
        """rho'(t) / t, at most 1 where rho is smooth at zero.

        Parameters
        ----------
        t : array (rows,)
            Residuals over their scale.

        Returns
        -------
        array (rows,)
        """
        return FORMS[self.name][1](t, self.threshold)

    def value(self, t: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " rows"]:
        """rho(t).

        Parameters
        ----------
        t : array (rows,)
            Residuals over their scale.

        Returns
        -------
        array (rows,)
        """
        return FORMS[self.name][0](t, self.threshold)

    def curvature(self, t: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " rows"]:
        """rho''(t), at least zero.

        Parameters
        ----------
        t : array (rows,)
            Residuals over their scale.

        Returns
        -------
        array (rows,)
        """
        return FORMS[self.name][2](t, self.threshold)


def _huber(t: np.ndarray, c: float) -> np.ndarray:
    return np.where(np.abs(t) <= c, t**2 / 2, c * np.abs(t) - c**2 / 2)


def _log_cosh(t: np.ndarray, c: float) -> np.ndarray:
    x = np.abs(t / c)
    return c**2 * (x + np.log1p(np.exp(-2 * x)) - np.log(2.0))


def _tanh(t: np.ndarray, c: float) -> np.ndarray:
    x = np.abs(t / c)
    return np.where(x > 1e-4, np.tanh(x) / np.maximum(x, 1e-4), 1 - x**2 / 3)


def _tukey(t: np.ndarray, c: float) -> np.ndarray:
    inside = 1 - np.minimum(np.abs(t / c), 1.0) ** 2
    return c**2 / 6 * (1 - inside**3)


FORMS: dict[str, tuple[Curve, Curve, Curve, float]] = {
    "squared": (lambda t, c: t**2 / 2, lambda t, c: np.ones_like(t), lambda t, c: np.ones_like(t), 1.0),
    "huber": (
        _huber,
        lambda t, c: np.minimum(1.0, c / np.maximum(np.abs(t), 1e-300)),
        lambda t, c: (np.abs(t) <= c).astype(float),
        1.345,
    ),
    "l1": (
        lambda t, c: np.sqrt(t**2 + c**2) - c,
        lambda t, c: 1 / np.sqrt(t**2 + c**2),
        lambda t, c: c**2 / (t**2 + c**2) ** 1.5,
        CORNER,
    ),
    "log_cosh": (_log_cosh, _tanh, lambda t, c: 1 / np.cosh(np.minimum(np.abs(t / c), 300.0)) ** 2, 1.205),
    "tukey": (
        _tukey,
        lambda t, c: (1 - np.minimum(np.abs(t / c), 1.0) ** 2) ** 2,
        lambda t, c: np.maximum((1 - np.minimum(np.abs(t / c), 1.0) ** 2) * (1 - 5 * np.minimum(np.abs(t / c), 1.0) ** 2), 0.0),
        4.685,
    ),
}
"""rho, rho'(t) / t, rho''(t) and the usual threshold: 95 % efficiency for normal errors (Holland and Welsch 1977)."""


def residual_of(text: Any) -> Residual:
    """A form from its text: "huber", "huber(1)", "huber(0.01, absolute=True)".

    Parameters
    ----------
    text : str or Residual
        A name of squared, huber, l1, log_cosh or tukey, with its threshold.

    Returns
    -------
    Residual

    Raises
    ------
    InputError
        For anything else.
    """
    if isinstance(text, Residual):
        return text
    known = ", ".join(FORMS)
    if not isinstance(text, str):
        raise InputError(f"a residual loss is one of {known}, like 'huber(1.345)'; got {text!r}")
    head, bracket, rest = text.strip().partition("(")
    name = head.replace("-", "_")
    if name not in FORMS:
        raise InputError(f"a residual loss is one of {known}; got {text!r}{did_you_mean(name, FORMS)}")
    try:
        call = ast.parse(f"f({rest}" if bracket else "f()", mode="eval").body
        assert (
            isinstance(call, ast.Call)
            and max(len(call.args), len(call.keywords)) <= 1
            and all(k.arg == "absolute" for k in call.keywords)
        )
        given = [ast.literal_eval(each) for each in call.args]
        absolute = [ast.literal_eval(k.value) for k in call.keywords]
        assert all(isinstance(each, bool) for each in absolute)
    except (SyntaxError, ValueError, AssertionError):
        raise InputError(
            f"a residual loss is written like 'huber(1.345)' or 'huber(0.01, absolute=True)'; got {text!r}"
        ) from None
    if name in ("squared", "l1") and (given or absolute):
        raise InputError(f"the residual loss {name!r} has no threshold; got {text!r}")
    threshold = real(given[0], f"the threshold of {name}", 0.0, above=True) if given else FORMS[name][3]
    return Residual(name, threshold, bool(absolute and absolute[0]))


def residuals_of(given: Any) -> dict[str, Residual]:
    """The form of every kind that has one other than the square: of one text for all kinds, or of a mapping by kind.

    Raises InputError for unknown kinds and forms.
    """
    if given is None:
        return {}
    if isinstance(given, Mapping):
        for kind in given:
            if kind not in PARTS:
                raise InputError(
                    f"residual losses are given by the kinds {', '.join(PARTS)}; got {kind!r}{did_you_mean(kind, PARTS)}"
                )
        found = {kind: residual_of(text) for kind, text in given.items()}
    else:
        found = dict.fromkeys(PARTS, residual_of(given))
    return {kind: form for kind, form in found.items() if form.name != "squared"}


# ------ Iteratively reweighted least squares


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
        Largest number of reweightings.

    Returns
    -------
    Reweighted

    Warns
    -----
    FitWarning
        If the objective still changes after the last step.
    """
    live = [k for k, m in enumerate(problem.multipliers) if m > 0]
    robust = [k for k in live if forms[k] is not None]
    whole = [form for k in robust if (form := forms[k]) is not None]
    sizes = [_weights_of_rows(problem, k, raw[k]) for k in robust]
    rows = _Rows(problem, live, robust)
    least = problem.lift(rows.theta(rows.start))
    scales = _scales([raw[k][:, :-1] @ least - raw[k][:, -1] for k in robust], [names[k] for k in robust], whole)
    unit = np.concatenate([m * s for m, s in zip(sizes, scales, strict=True)])
    ends = np.cumsum([len(m) for m in sizes])[:-1]

    def each(use: Sequence[Residual], of: str, x: np.ndarray) -> np.ndarray:
        t = np.divide(rows.residuals(x), unit, out=np.zeros(len(unit)), where=unit > 0)
        return np.concatenate([getattr(f, of)(part) for f, part in zip(use, np.split(t, ends), strict=True)])

    def objective(use: Sequence[Residual], x: np.ndarray) -> float:
        return rows.fixed_square(x) + float(np.sum(2 * unit**2 * each(use, "value", x)))

    stages = [whole]
    if any(form.name == "tukey" for form in whole):
        stages.insert(0, [replace(f, name="huber", threshold=f.threshold * 0.287) if f.name == "tukey" else f for f in whole])
    x, steps, change, first = rows.start, 0, np.inf, objective(whole, rows.start)
    for use in stages:
        before = objective(use, x)
        for _ in range(max_steps):
            weights = each(use, "weight", x)
            new = rows.newton(x, weights, np.maximum(each(use, "curvature", x), LEAST * weights))
            after = np.inf if new is None else objective(use, new)
            if new is None or not after < before:
                new = rows.reweighted(weights)
                after = objective(use, new)
            steps += 1
            change = abs(before - after) / max(abs(before), float(np.finfo(float).tiny))
            x, before = new, after
            if change < CLOSE:
                break
    if not change < CLOSE:
        warnings.warn(
            f"the objective of the residual losses still changes by {change:.1g} in a step after {steps} reweightings",
            FitWarning,
            stacklevel=4,
        )
    factors: list[np.ndarray | None] = [None] * len(problem.blocks.items)
    for k, w in zip(robust, np.split(each(whole, "weight", x), ends), strict=True):
        factors[k] = np.sqrt(w)
    gain = objective(whole, x) / first if first else 1.0
    return Reweighted(
        factors, {"reweightings": float(steps), "objective change": float(change), "objective over squares": float(gain)}
    )


def _weights_of_rows(problem: Problem, k: int, raw: np.ndarray) -> np.ndarray:
    """m of every row: multiplier times what its factor carries."""
    norm = np.linalg.norm(raw, axis=1)
    carried = np.linalg.norm(problem.blocks.items[k].factor, axis=1)
    return problem.multipliers[k] * np.divide(carried, norm, out=np.ones(len(raw)), where=norm > 0)


def _scales(residuals: Sequence[np.ndarray], names: Sequence[str], forms: Sequence[Residual]) -> list[float]:
    """The scale of every block: 1 for absolute thresholds, else the robust standard deviation of all residuals of its kind."""
    by_kind: dict[str, list[np.ndarray]] = {}
    for name, r in zip(names, residuals, strict=True):
        by_kind.setdefault(name, []).append(np.abs(r))
    median = {name: NORMAL * float(np.median(np.concatenate(r))) for name, r in by_kind.items()}
    tiny = 1e-14  # rows that are met exactly have no outliers
    return [1.0 if f.absolute else max(median[n], tiny) for n, f in zip(names, forms, strict=True)]


class _Rows:
    """The fixed part of the problem and the rows to be reweighted, in the coordinates x of the factor of all of them.

    Where rows leave coefficients open, x are the unknowns themselves and every step is a QR.
    """

    def __init__(self, problem: Problem, live: Sequence[int], robust: Sequence[int]):
        n = problem.columns
        stacked = dict(zip(live, problem.weighted(), strict=True))
        fixed = [stacked[k] for k in live if k not in robust]
        if (prior := problem.prior_rows()) is not None:
            fixed.append(prior)
        rest, rows = join(fixed, n), np.concatenate([stacked[k] for k in robust])
        upper = join([rest, rows], n)
        square, scale = upper[:n, :-1], np.linalg.norm(upper[:n, :-1], axis=0)
        good = len(upper) >= n and scale.all() and np.linalg.cond(square / scale, 1) * rounding(n) < 1
        self.upper = square if good else None
        self.centre = solve_triangular(square, upper[:n, -1]) if good else np.zeros(n)
        self.rest, self.rows = self._through(rest), self._through(rows)
        self.gram = self.rest[:, :-1].T @ self.rest[:, :-1]
        self.side = self.rest[:, :-1].T @ self.rest[:, -1]
        self.start = np.zeros(n) if good else self.reweighted(np.ones(len(rows)))

    def _through(self, rows: np.ndarray) -> np.ndarray:
        """[A R_0^-1 | y - A theta_0]."""
        if self.upper is None:
            return rows
        a = solve_triangular(self.upper, rows[:, :-1].T, trans=1).T
        return np.asfortranarray(np.column_stack([a, rows[:, -1] - rows[:, :-1] @ self.centre]))

    def theta(self, x: Float[np.ndarray, " columns"]) -> Float[np.ndarray, " columns"]:
        """The unknowns of the problem."""
        return x if self.upper is None else self.centre + solve_triangular(self.upper, x)

    def residuals(self, x: Float[np.ndarray, " columns"]) -> Float[np.ndarray, " rows"]:
        """Weighted residuals of the rows that are reweighted."""
        return self.rows[:, :-1] @ x - self.rows[:, -1]

    def fixed_square(self, x: Float[np.ndarray, " columns"]) -> float:
        """Sum of the squares of all other rows and the prior."""
        return float(np.sum((self.rest[:, :-1] @ x - self.rest[:, -1]) ** 2))

    def reweighted(self, weights: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " columns"]:
        """Least squares with squared weights of the rows."""
        if self.upper is not None and (factor := self._factor(weights)) is not None:
            return cho_solve(factor, self.side + self.rows[:, :-1].T @ (weights * self.rows[:, -1]))
        whole = join([self.rest, np.sqrt(weights)[:, None] * self.rows], len(self.side))
        block = Block("F", "", 0, 1.0, len(whole), whole)
        return QR().solve(Problem(Blocks(None, (block,)), np.ones(1), np.zeros(len(self.side)))).coefficients

    def newton(
        self, x: Float[np.ndarray, " columns"], weights: Float[np.ndarray, " rows"], curvature: Float[np.ndarray, " rows"]
    ) -> Float[np.ndarray, " columns"] | None:
        """Newton's step from x; None where it has none."""
        if self.upper is None or (factor := self._factor(curvature)) is None:
            return None
        slope = self.gram @ x - self.side + self.rows[:, :-1].T @ (weights * self.residuals(x))
        return x - cho_solve(factor, slope)

    def _factor(self, weights: Float[np.ndarray, " rows"]):
        """The Cholesky factor of the normal matrix; None if it is singular."""
        root = np.asfortranarray(np.sqrt(weights)[:, None] * self.rows[:, :-1])
        gram = dsyrk(1.0, root, beta=1.0, c=np.asfortranarray(self.gram), trans=1, lower=1)
        try:
            return cho_factor(gram, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return None
