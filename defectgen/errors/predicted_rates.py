"""Predicted rates: what the theory says about the slope of an error, for every kind of defect and boundary condition."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .._input import InputError, did_you_mean
from ..training.observations import ELASTIC, NOTHING, parse_observations

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
    proved_without_inversion: float
    """The constant where sites are no centres of inversion: one of the two powers with virials, none with elastic constants."""
    theory: str
    """The page that derives it."""
    status: str = "derived here"

    def slope(self, dimension: int, inversion: bool = True) -> float:
        """The exponent in a crystal of this dimension, whose sites are centres of inversion or not."""
        return self.per_dimension * dimension + (self.constant if inversion else self.proved_without_inversion)


def _claims(quantity: str, powers: dict[str, tuple[str, float, float, float]]) -> tuple[Claim, ...]:
    return tuple(Claim(f"rate-{quantity}", set_, quantity, *rest, f"theory/bounds/{quantity}") for set_, rest in powers.items())


CLAIMS = (
    *_claims(
        "geometry",
        {
            NOTHING: ("-d/2", -0.5, 0.0, 0.0),
            "E+F": ("-d/2", -0.5, 0.0, 0.0),
            "E+F+C": ("-(d/2+2)", -0.5, -2.0, 0.0),
            "E+F+V": ("-(d/2+2)", -0.5, -2.0, -1.0),
            "E+F+FC": ("-3d/2", -1.5, 0.0, 0.0),
            "E+F+FC+V": ("-(3d/2+2)", -1.5, -2.0, -1.0),
        },
    ),
    *_claims(
        "energy",
        {
            NOTHING: ("-d", -1.0, 0.0, 0.0),
            "E+F": ("-d", -1.0, 0.0, 0.0),
            "E+F+C": ("-(d+2)", -1.0, -2.0, 0.0),
            "E+F+V": ("-(d+2)", -1.0, -2.0, -1.0),
            "E+F+FC": ("-2d", -2.0, 0.0, 0.0),
            "E+F+FC+V": ("-(2d+2)", -2.0, -2.0, -1.0),
        },
    ),
)
"""Of a model that is exact within L and wrong beyond. Elastic constants alone remove epsC2; then epsG2 leads in two and in three
dimensions, as with virials. Where sites are no centres of inversion they leave the internal strain open, a part of epsC2."""


def claim(observations: str | Iterable[str], quantity: str = "geometry") -> Claim:
    """The claim about one observation set, or "none". Raises InputError for a set or quantity without one."""
    spelled = _spelled(observations)
    for entry in CLAIMS:
        if (entry.observations, entry.quantity) == (spelled, quantity):
            return entry
    known = ", ".join(dict.fromkeys(c.observations for c in CLAIMS))
    raise InputError(f"rates of geometry and energy are predicted for {known}; got {quantity!r} of {spelled}")


def _spelled(observations: str | Iterable[str], shifts: bool = True) -> str:
    """The set without what adds nothing to its rate: force constants and virials each contain the elastic constants."""
    if isinstance(observations, str) and observations.strip().lower() == NOTHING:
        return NOTHING
    kinds = [kind for kind in parse_observations(observations) if shifts or kind != "V"]
    return "+".join(kind for kind in kinds if kind != ELASTIC or not {"FC", "V"} & set(kinds))


MODELS = ("surrogate", "fit")
"""What a rate is predicted of: a model that is exact within L and wrong beyond, or one fitted potential everywhere."""


def predicted_rate(
    observations: str | Iterable[str],
    dimension: int = 3,
    quantity: str = "geometry",
    inversion: bool = True,
    of: str = "surrogate",
    shifts: bool = True,
) -> float:
    """Predicted slope of log error against log training radius around a point defect.

    Parameters
    ----------
    observations : str or iterable of str
        The matched observations, such as "E+F+FC"; "E+F+C" holds the elastic constants exactly, "none" matches nothing but the
        lattice constant.
    dimension : int
        2 or 3.
    quantity : {"geometry", "energy"}
        Which error.
    inversion : bool
        False for crystals whose sites are no centres of inversion (diamond and other multilattices): there virials gain one
        proved power of L instead of two, elastic constants none.
    of : {"surrogate", "fit"}
        "surrogate": a model whose forces are exact within the radius and wrong beyond it: a controlled surrogate, or a fit used
        beyond L with the reference within. "fit": one fitted potential on both sides, trained on one relaxed configuration whose
        forces it meets.
    shifts : bool
        False for a multilattice whose virials come without the forces on its sublattices: such virials do not count (theory:
        bounds/multilattice).

    Returns
    -------
    float
        The slope, such as -4.5 for the geometry of "E+F+FC" in three dimensions.

    Raises
    ------
    InputError
        For a set, quantity, dimension or model without a prediction.

    Notes
    -----
    Of a surrogate: slope = a d + b with the numbers of CLAIMS (theory: bounds/rates, bounds/geometry, bounds/energy).

    Of a fit the far terms of the geometry are no larger than the force error of the training cell, so what remains is the strain
    that this cell lacks, -d for every set; the energy keeps the rate of the surrogate (theory: bounds/one-potential). For the
    energy of "E+F+FC+V" that rate is steeper than what one relaxed configuration allows, `core_cap`.

    Examples
    --------
    >>> predicted_rate("E+F", 3), predicted_rate("E+F", 3, of="fit"), predicted_rate("E+F", 3, "energy", of="fit")
    (-1.5, -3.0, -3.0)
    """
    if dimension not in (2, 3):
        raise InputError(f"rates are predicted in dimension 2 and 3; got {dimension!r}")
    if of not in MODELS:
        raise InputError(f'rates are predicted of a "surrogate" or of a "fit"; got {of!r}{did_you_mean(of, MODELS)}')
    entry = claim(_spelled(observations, shifts), quantity)
    if of == "surrogate":
        return entry.slope(dimension, inversion)
    if entry.observations == NOTHING:
        raise InputError("a fit to nothing has no rate, as its forces are wrong in the training cell itself; take E+F at least")
    return core_cap(dimension) if quantity == "geometry" else entry.slope(dimension, inversion)


def core_cap(dimension: int = 3, quantity: str = "geometry", hessian: bool = False) -> float:
    """The steepest slope of a fit whose only defect structure is one relaxed configuration, whatever else it was fitted to.

    Parameters
    ----------
    dimension : int
        2 or 3.
    quantity : {"geometry", "energy"}
        Which error.
    hessian : bool
        Whether the Hessian of this configuration is exact as well.

    Returns
    -------
    float
        -d and -2d of geometry and energy, with an exact Hessian -2d and -3d.

    Raises
    ------
    InputError
        For another dimension or quantity.

    Notes
    -----
    The core of the training cell is strained by L^-d, what the cell lacks of the far field. theory: bounds/core.
    """
    powers = {"geometry": 1, "energy": 2}
    if dimension not in (2, 3) or quantity not in powers:
        raise InputError(
            "the cap of one configuration is known for geometry and energy in dimension 2 and 3; "
            f"got {quantity!r} in {dimension!r}"
        )
    return -float(dimension * (powers[quantity] + hessian))


# ------ straight dislocations, whose strain falls like 1/r: every power of the radius that is lost or kept

DISLOCATION_POWERS = {"E+F": 0, "E+F+C": 1, "E+F+FC": 1, "E+F+V": 2, "E+F+FC+V": 3}
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
    spelled = _spelled(observations)
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
