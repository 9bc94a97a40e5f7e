"""Claims about straight dislocations, whose strain falls like 1/r: every power of the radius that is lost or kept."""

from collections.abc import Iterable, Sequence

import numpy as np

from .._input import InputError
from ..training.observations import parse_observations

POWERS = {"E+F": 0, "E+F+FC": 1, "E+F+V": 2, "E+F+FC+V": 3}
"""k of an error that falls like L^-k, for geometry and energy alike; 0 is a logarithm. theory: bounds/dislocations."""


def dislocation_rate(
    observations: str | Iterable[str],
    quantity: str = "geometry",
    radii: Sequence[float] | None = None,
    outer: float | None = None,
) -> float:
    """Slope of log error against log radius L around a straight dislocation, -k in an unbounded crystal.

    With `radii` and `outer` R, in one unit, the slope that the same sums over the annulus from L to R show over these radii: of
    (L^-2k - R^-2k)^(1/2) for the geometry and L^-k - R^-k for the energy; for k = 0, where nothing but energies and forces is
    matched and the error does not fall, of (log R/L)^(1/2) and log R/L. theory: bounds/dislocations.
    Raises InputError for a set or quantity without a prediction.
    """
    spelled = "+".join(parse_observations(observations))
    if spelled not in POWERS or quantity not in ("geometry", "energy"):
        raise InputError(f"rates of geometry and energy are predicted for {', '.join(POWERS)}; got {quantity!r} of {spelled}")
    power = POWERS[spelled]
    if radii is None or outer is None or len(set(radii)) < 2:
        return -float(power)
    size, square = np.asarray(radii, dtype=float), 2 if quantity == "geometry" else 1
    tail = np.log(outer / size) if power == 0 else size ** (-power * square) - float(outer) ** (-power * square)
    return float(np.polyfit(np.log(size), np.log(tail) / square, 1)[0])
