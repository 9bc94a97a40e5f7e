"""Losses of single residuals: squared, Huber, L1, log-cosh and Tukey's biweight.

With r the residual of a row in field units, m its weight and s the scale of its kind, minimised is

    sum_rows m^2 2 s^2 rho(r / s),    rho(t) = t^2 / 2 (1 + O(t)) about zero,

so that all of them agree with least squares for small residuals. The stationarity condition is that of least squares with the
squared weights m^2 rho'(t) / t (P. W. Holland, R. E. Welsch, Commun. Stat. A 6, 813 (1977)). How they are minimised:
`reweighting`.
"""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._input import InputError, did_you_mean, real
from .._typing import Float
from ..training.observations import PARTS

LARGEST = 1e50
"""Largest threshold: none beyond makes a difference, and its square is a number."""
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
        """rho''(t).

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
    near = np.log1p(2 * np.sinh(np.minimum(x, 1.0) / 2) ** 2)  # no cancellation
    return c**2 * np.where(x < 1, near, x + np.log1p(np.exp(-2 * x)) - np.log(2.0))


def _tanh(t: np.ndarray, c: float) -> np.ndarray:
    x = np.abs(t / c)
    return np.where(x > 1e-4, np.tanh(x) / np.maximum(x, 1e-4), 1 - x**2 / 3)


def _tukey(t: np.ndarray, c: float) -> np.ndarray:
    s = np.minimum(np.abs(t / c), 1.0) ** 2
    return c**2 / 2 * s * (1 - s + s**2 / 3)  # c^2 / 6 (1 - (1 - s)^3), without cancellation


FORMS: dict[str, tuple[Curve, Curve, Curve, float]] = {
    "squared": (lambda t, c: t**2 / 2, lambda t, c: np.ones_like(t), lambda t, c: np.ones_like(t), 1.0),
    "huber": (
        _huber,
        lambda t, c: np.minimum(1.0, c / np.maximum(np.abs(t), 1e-300)),
        lambda t, c: (np.abs(t) <= c).astype(float),
        1.345,
    ),
    "l1": (
        lambda t, c: t**2 / (np.sqrt(t**2 + c**2) + c),
        lambda t, c: 1 / np.sqrt(t**2 + c**2),
        lambda t, c: c**2 / (t**2 + c**2) ** 1.5,
        CORNER,
    ),
    "log_cosh": (_log_cosh, _tanh, lambda t, c: 1 / np.cosh(np.minimum(np.abs(t / c), 300.0)) ** 2, 1.205),
    "tukey": (
        _tukey,
        lambda t, c: (1 - np.minimum(np.abs(t / c), 1.0) ** 2) ** 2,
        lambda t, c: (1 - np.minimum(np.abs(t / c), 1.0) ** 2) * (1 - 5 * np.minimum(np.abs(t / c), 1.0) ** 2),
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
    threshold = real(given[0], f"the threshold of {name}", 0.0, LARGEST, above=True) if given else FORMS[name][3]
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
