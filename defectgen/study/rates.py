"""Rates of a run: one per curve of error against training radius, with what it says about the prediction."""

from collections import defaultdict
from collections.abc import Callable, Iterable

import numpy as np

from .._input import InputError
from ..crystal.lattice import Lattice
from ..errors import Rate, estimate_rate, predicted_rate, rejects, verdict
from ..training.observations import parse_observations
from .materials import build_lattice, centrosymmetric
from .results import trusted
from .spec import RunSpec

QUANTITIES = {"geometry": "geometry_error", "energy": "energy_error"}
CURVE = ("study", "material", "defect", "dimension", "observations")
BENT = 5
"""Sizes from which the law with a shifted size is fitted too: it has three parameters."""


def rates_of_fits(results: list[dict], spec: RunSpec) -> list[dict]:
    """Lines of rates.csv of studies of point defects in the crystals of a run's cases, with what the theory predicts."""
    lattices = {case.material.name: build_lattice(case.material) for case in spec.cases}

    def predicted(row: dict, quantity: str, radii: list[float]) -> float | None:
        return _prediction(row, quantity, lattices[row["material"]])

    return rates(results, predicted)


def rates(results: list[dict], predicted: Callable[[dict, str, list[float]], float | None]) -> list[dict]:
    """Lines of rates.csv; `predicted(row, quantity, radii)` is the slope that the theory gives for the curve of a row."""
    curves = defaultdict(list)
    for row in results:
        curves[tuple(row[name] for name in CURVE)].append(row)
    found = []
    for curve, rows in curves.items():
        lost = {row["training_radius"]: "the fit is unstable" for row in rows if row.get("stable") is False}
        for quantity, column in QUANTITIES.items():
            radii, errors, trusted = _means(rows, column)
            slope = predicted(rows[0], quantity, radii)
            about = {**dict(zip(CURVE, curve, strict=True)), "quantity": quantity}
            found.append({**about, **measured(radii, errors, trusted, slope, lost)})
    return found


def measured(
    radii: list[float],
    errors: list[float],
    trusted: list[bool],
    predicted: float | None,
    reasons: dict[float, str] | None = None,
) -> dict:
    """Slope, window, interval, verdict and what was dropped of one curve: the columns of rates.csv from "slope" on.

    `reasons` say of a radius why it is not trusted, where that is not a lack of convergence.

    The verdict is the power law's, or that of the finite-size law C (L + delta)^p where only this one confirms the prediction.
    """
    rate = estimate_rate(radii, errors, converged=trusted)
    bent = estimate_rate(radii, errors, converged=trusted, model="shifted") if len(set(rate.points)) >= BENT else None
    judge = rate
    if bent is not None and predicted is not None and verdict(rate, predicted) != "confirmed":
        judge = bent if verdict(bent, predicted) == "confirmed" else rate
    return {
        "slope": rate.slope,
        "low": rate.low,
        "high": rate.high,
        "window": "" if not rate.points else f"{rate.window[0]:.3g}-{rate.window[1]:.3g}",
        "predicted": predicted,
        "verdict": "no prediction" if predicted is None else verdict(judge, predicted),
        "judged_by": "finite-size law" if judge is bent else _power_law(rate, predicted),
        "rejects_off_by_one": None if predicted is None else rejects(judge, predicted - 1) and rejects(judge, predicted + 1),
        "shifted_slope": None if bent is None else bent.slope,
        "shifted_low": None if bent is None else bent.low,
        "shifted_high": None if bent is None else bent.high,
        "shift": None if bent is None else bent.shift,
        "local_slopes": " ".join(f"{radius:.3g}:{slope:.2f}" for radius, slope in rate.local_slopes),
        "dropped": "; ".join(f"{size:.3g}: {(reasons or {}).get(size, reason)}" for size, reason in rate.dropped),
    }


def _power_law(rate: Rate, predicted: float | None) -> str:
    """Says so where a prediction lies outside the interval, even if near enough to be confirmed."""
    if predicted is None or not np.isfinite(rate.slope) or rate.low <= predicted <= rate.high:
        return "power law"
    return f"power law ({abs(rate.slope - predicted):.2f} {'shallower' if rate.slope > predicted else 'steeper'})"


def _means(rows: list[dict], column: str) -> tuple[list[float], list[float], list[bool]]:
    """Radii, errors and whether they can be trusted; errors of several perturbations at one radius by their geometric mean."""
    by_radius = defaultdict(list)
    for row in rows:
        by_radius[row["training_radius"]].append(row)
    errors = [float(np.exp(np.mean(np.log([row[column] for row in group])))) for group in by_radius.values()]
    usable = [all(trusted(row) for row in group) for group in by_radius.values()]
    return list(by_radius), errors, usable


def _prediction(row: dict, quantity: str, lattice: Lattice) -> float | None:
    """The predicted slope; None for sets that the theory says nothing about, such as F alone.

    Virials of a multilattice that do not come with its shifts are none (theory: bounds/multilattice).
    """
    kinds = parse_observations(row["observations"])
    if not row.get("shifts", True) and lattice.sublattices > 1:
        kinds = tuple(kind for kind in kinds if kind != "V")
    return prediction(kinds, quantity, lattice)


def prediction(observations: str | Iterable[str], quantity: str, lattice: Lattice) -> float | None:
    """The slope predicted for point defects of a lattice; None for sets without a prediction."""
    try:
        return predicted_rate(observations, lattice.dimension, quantity, centrosymmetric(lattice))
    except InputError:
        return None
