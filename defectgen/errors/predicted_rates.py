"""Predicted rates: what the theory says about the slope of an error, for every kind of defect and boundary condition."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .._input import InputError
from ..training.observations import parse_observations

# ------ point defects: the bounds as data


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
    """Predicted slope of log error against log training radius around a point defect.

    Parameters
    ----------
    observations : str or iterable of str
        The matched observations, such as "E+F+FC".
    dimension : int
        2 or 3.
    quantity : {"geometry", "energy"}
        Which error.
    inversion : bool
        False for crystals whose sites are no centres of inversion (diamond and other multilattices): there virials gain one
        proved power of L instead of two.

    Returns
    -------
    float
        The slope, such as -4.5 for the geometry of "E+F+FC" in three dimensions.

    Raises
    ------
    InputError
        For a set, quantity or dimension without a prediction.

    Notes
    -----
    slope = a d + b with the numbers of CLAIMS. theory: bounds/rates, bounds/geometry, bounds/energy.
    """
    if dimension not in (2, 3):
        raise InputError(f"rates are predicted in dimension 2 and 3; got {dimension!r}")
    return claim(observations, quantity).slope(dimension, inversion)


# ------ straight dislocations, whose strain falls like 1/r: every power of the radius that is lost or kept

DISLOCATION_POWERS = {"E+F": 0, "E+F+FC": 1, "E+F+V": 2, "E+F+FC+V": 3}
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
    if spelled not in DISLOCATION_POWERS or quantity not in ("geometry", "energy"):
        raise InputError(
            f"rates of geometry and energy are predicted for {', '.join(DISLOCATION_POWERS)}; got {quantity!r} of {spelled}"
        )
    power = DISLOCATION_POWERS[spelled]
    if radii is None or outer is None or len(set(radii)) < 2:
        return -float(power)
    size, square = np.asarray(radii, dtype=float), 2 if quantity == "geometry" else 1
    tail = np.log(outer / size) if power == 0 else size ** (-power * square) - float(outer) ** (-power * square)
    return float(np.polyfit(np.log(size), np.log(tail) / square, 1)[0])


# ------ boundary conditions: the error of the simulation cell, of radius R, and the decay of the strain


def boundary_rate(condition: str, quantity: str, dimension: int, symmetric: bool) -> float:
    """Slope of log error against log radius of the cell. theory: setting/boundary-conditions.

    Parameters
    ----------
    condition : str
        "periodic", "clamped", "dipole" or "quadrupole" (far fields), "corrected" (energy of a periodic cell less its images), or
        "reference": then the slope is that of the strain or of its gradient against the distance from the defect.
    quantity : str
        "geometry" or "energy"; of "reference" "strain" or "strain gradient".
    dimension : int
        2 or 3.
    symmetric : bool
        Whether the defect has a centre of inversion, so that its quadrupole vanishes.

    Returns
    -------
    float
        The slope, negative.
    """
    d = dimension
    if condition == "reference":
        return -float(d) if quantity == "strain" else -float(d + 1)
    if condition == "corrected":
        return -float(min(d + 2, 2 * d))
    order = {"periodic": 0, "clamped": 0, "dipole": 2 if symmetric else 1, "quadrupole": 2}[condition]
    geometry = -min(d / 2 + order, 3 * d / 2)
    return geometry if quantity == "geometry" else 2 * geometry
