"""Claims: the rates that the theory predicts, as data, and the verdict of a measurement on them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .._input import InputError, takes
from ..training.observations import parse_observations
from .rates import Rate

TOLERANCE = 0.6
"""A slope this near is a confirmation: in d = 3 V and FC+V settle only beyond L = 10 (theory: when a rate can be seen)."""

SHARP = 1.0
"""Width of an interval that can carry a confirmation by nearness alone: the smallest gap between rates of one dimension."""

BLUNT = 2.0
"""Width of an interval that decides nothing: the gap between neighbouring rows of the table in two dimensions."""


@dataclass(frozen=True)
class Claim:
    """error <~ L^slope, slope = per_dimension * d + constant: the slowest term of the bound that the set leaves wrong."""

    id: str
    observations: str
    quantity: str
    formula: str
    per_dimension: float
    constant: float
    """0 without virials; with them strain-gradient errors remain, two powers of L weaker."""
    theory: str
    """The page that derives it."""
    status: str = "derived here"

    def slope(self, dimension: int, inversion: bool = True) -> float:
        """The exponent; without inversion symmetry of the sites only one of the two extra powers is proved."""
        return self.per_dimension * dimension + (self.constant if inversion else self.constant / 2)


def _claims(quantity: str, powers: dict[str, tuple[str, float, float]]) -> tuple[Claim, ...]:
    return tuple(Claim(f"rate-{quantity}", set_, quantity, *rest, f"theory/bounds/{quantity}") for set_, rest in powers.items())


CLAIMS = (
    *_claims(
        "geometry",
        {
            "E+F": ("-d/2", -0.5, 0.0),
            "E+F+V": ("-(d/2+2)", -0.5, -2.0),
            "E+F+FC": ("-3d/2", -1.5, 0.0),
            "E+F+FC+V": ("-(3d/2+2)", -1.5, -2.0),
        },
    ),
    *_claims(
        "energy",
        {
            "E+F": ("-d", -1.0, 0.0),
            "E+F+V": ("-(d+2)", -1.0, -2.0),
            "E+F+FC": ("-2d", -2.0, 0.0),
            "E+F+FC+V": ("-(2d+2)", -2.0, -2.0),
        },
    ),
)


def claim(observations: str | Iterable[str], quantity: str = "geometry") -> Claim:
    """The claim about one observation set. Raises InputError for a set or quantity without one."""
    spelled = "+".join(parse_observations(observations))
    for entry in CLAIMS:
        if (entry.observations, entry.quantity) == (spelled, quantity):
            return entry
    known = ", ".join(dict.fromkeys(c.observations for c in CLAIMS))
    raise InputError(f"rates of geometry and energy are predicted for {known}; got {quantity!r} of {spelled}")


def predicted_rate(
    observations: str | Iterable[str], dimension: int = 3, quantity: str = "geometry", inversion: bool = True
) -> float:
    """Slope of log error against log training radius in dimension 2 or 3, e.g. -4.5 for the geometry of "E+F+FC" in 3.

    `inversion=False` for crystals whose sites are no centres of inversion (diamond and other multilattices): there virials
    buy one proved power of L instead of two. theory: bounds/geometry, bounds/energy.
    Raises InputError for a set, quantity or dimension without a prediction.
    """
    if dimension not in (2, 3):
        raise InputError(f"rates are predicted in dimension 2 and 3; got {dimension!r}")
    return claim(observations, quantity).slope(dimension, inversion)


@takes(rate=(Rate, "the result of dg.estimate_rate"))
def verdict(rate: Rate, predicted: float | int, tolerance: float | int = TOLERANCE) -> str:
    """What a measured rate says about a predicted one: "confirmed", "steeper", "shallower" or "inconclusive".

    Inconclusive: fewer than three points, or an interval wider than 2. Confirmed: the prediction lies in the 95 % interval, or
    within `tolerance` of the slope while the interval is narrower than 1. Otherwise steeper or shallower by the sign of the
    difference (a steeper decay does not contradict a prediction, which is an upper bound on the error).
    Raises InputError for a prediction or a tolerance that is no number.
    """
    if not (np.isfinite(predicted) and tolerance >= 0):
        raise InputError(
            f"a verdict is about a finite slope, with a tolerance of at least 0; got {predicted!r} and {tolerance!r}"
        )
    width = rate.high - rate.low
    if len(rate.points) < 3 or not np.isfinite(rate.slope) or not width <= BLUNT:
        return "inconclusive"
    near = abs(rate.slope - predicted) <= tolerance and width < SHARP
    if rate.low <= predicted <= rate.high or near:
        return "confirmed"
    return "steeper" if rate.slope < predicted else "shallower"


def rejects(rate: Rate, exponent: float | int) -> bool:
    """Whether the measured rate excludes an exponent: outside the interval, and farther than half a power of the size."""
    return verdict(rate, exponent, tolerance=0.5) in ("steeper", "shallower")
