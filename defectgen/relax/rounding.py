"""How well a potential's forces are resolved in double precision: what no relaxation can go below."""

import numpy as np

from .._typing import Float
from .counted import Counted

TRIALS = 3
"""Evaluations that a noise level is taken from."""

FACTOR = 8.0
"""A residual within this factor of the noise has reached it: steps add the noise of the forces that they are made of."""

LARGEST = 1e-7
"""eV/A: noise above it is no rounding of double precision, and no tolerance is forgiven for it."""


def rounding_level(counted: Counted, x: Float[np.ndarray, "atoms 3"], force: Float[np.ndarray, "atoms 3"]) -> float:
    """Residual (eV/A) that the rounding of the forces at positions x (A) allows; 0 where their noise is more than rounding.

    Positions are changed in their last digit. Exact forces change by 1e-14 eV/A then; what they change beyond it is rounding.
    """
    random = np.random.default_rng(0)
    step = np.spacing(max(1.0, float(np.abs(x).max(initial=0.0))))
    if not np.array_equal(counted.trial(x)[1], force):  # noise of another kind: not even repeatable
        return 0.0
    changes = [counted.trial(x + step * random.choice([-1.0, 1.0], size=x.shape)) for _ in range(TRIALS)]
    if not all(np.isfinite(energy) for energy, _ in changes):
        return 0.0
    noise = max(float(np.abs(other - force).max(initial=0.0)) for _, other in changes)
    return FACTOR * noise if noise <= LARGEST else 0.0
