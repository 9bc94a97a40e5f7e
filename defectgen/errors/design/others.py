"""Errors of defects for which a loss was not designed: they decide when a design ends, and what harm it does."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..._input import InputError, InputWarning
from ...fit import Fit
from ...relax import Equilibrium, relax
from ..certificate import certify
from ..compare import compare

LOST = 20.0
"""Logarithm of an error, above all others, that a defect which a model loses counts with."""


@dataclass(frozen=True)
class Trial:
    """One set of parameters that lowered the errors of the design defects."""

    parameters: tuple[float, ...]
    design: float
    """Mean logarithm of the errors of the design defects."""
    held_out: float
    """The same of the held-out defects."""
    ratios: tuple[tuple[float, float], ...]
    """Geometry and energy error of every held-out defect over those at the start; infinite where it is lost now, NaN where it
    was lost at the start."""


def errors_of(fitted: Fit, exact: Equilibrium, by: str = "errors") -> tuple[float, float]:
    """Geometry (A) and energy error (eV) of a defect, or their estimates; NaN if the model loses it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        try:
            rest = relax(
                exact.cell,
                fitted.model,
                start=exact.positions,
                eigenvalue=False,
                chemical_potentials=exact.chemical_potentials,
            )
            if not rest.settled:
                return np.nan, np.nan
            if by == "certificate":
                found = certify(fitted, rest)
                return float(found.geometry.estimate), float(found.energy.estimate)
            error = compare(exact, rest)
        except InputError:
            return np.nan, np.nan
    return (float(error.geometry), float(error.energy)) if error.same_basin else (np.nan, np.nan)


def score_of(errors: Sequence[tuple[float, float]], share: float) -> float:
    """Mean of the weighted logarithms; a lost defect counts LOST."""
    logs = [
        LOST if not np.isfinite(g + e) else (1 - share) * np.log(max(g, 1e-12)) + share * np.log(max(e, 1e-12)) for g, e in errors
    ]
    return float(np.mean(logs))


def ratios_of(now: Sequence[tuple[float, float]], start: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Errors over those at the start; infinite for a defect that is lost now, NaN for one that was lost before."""

    def ratio(one: float, other: float) -> float:
        return np.nan if not np.isfinite(other) else np.inf if not np.isfinite(one) else one / other

    return tuple((ratio(g, g0), ratio(e, e0)) for (g, e), (g0, e0) in zip(now, start, strict=True))


def largest(ratios: Sequence[tuple[float, float]]) -> float:
    """The largest ratio; zero where every defect was lost before."""
    return float(np.nanmax(np.array(ratios), initial=0.0))
