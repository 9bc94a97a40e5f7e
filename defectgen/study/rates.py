"""Rates of a run: one per curve of error against training radius, with the verdict on the prediction."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from .._input import InputError
from ..crystal.lattice import Lattice
from ..errors import Judgement, Rate, estimate_rate, judge, predicted_rate, rejects
from ..errors.verdicts import TOLERANCE
from .materials import build_lattice, centrosymmetric
from .results import trusted
from .spec import RunSpec
from .windows import first_radius

QUANTITIES = {"geometry": "geometry_error", "energy": "energy_error"}
CURVE = ("study", "material", "defect", "dimension", "observations")
REPEAT = "perturbation"
"""The column of results.csv that tells independent repeats of one curve apart."""
BENT = 5
"""Sizes from which the law with a shifted size is fitted too: it has three parameters."""
RESOLUTION = 0.5
"""Nearest-neighbour spacings: a radius may be counted from the centre of a defect or from its rim."""
LAWS = {"power": "power law", "shifted": "finite-size law"}
"""What a verdict is of, as the column `judged_by` writes it, by the model of the rate."""


def rates_of_fits(results: list[dict], spec: RunSpec, law: str = "power", tolerance: float = TOLERANCE) -> list[dict]:
    """Lines of rates.csv of studies of point defects in the crystals of a run's cases, with what the theory predicts.

    The window begins at the core radius plus two cutoffs, where the reference has a cutoff.
    """
    lattices = {case.material.name: build_lattice(case.material) for case in spec.cases}
    begins = {(case.material.name, case.defect): first_radius(case) for case in spec.cases}

    def predicted(row: dict, quantity: str, radii: list[float]) -> float | None:
        return _prediction(row, quantity, lattices[row["material"]])

    def begin(row: dict) -> float | None:
        return begins.get((row["material"], row["defect"]))

    return rates(results, predicted, begin, law, tolerance)


def rates(
    results: list[dict],
    predicted: Callable[[dict, str, list[float]], float | None],
    begin: Callable[[dict], float | None] = lambda row: None,
    law: str = "power",
    tolerance: float = TOLERANCE,
    resolution: Callable[[dict], float] = lambda row: RESOLUTION,
) -> list[dict]:
    """Lines of rates.csv.

    Parameters
    ----------
    results : list of dict
        Lines of results.csv. Lines of one curve with the same value of REPEAT are one repeat; other differences (the strength of
        a perturbation) are averaged within it, as they are no independent experiments.
    predicted : callable
        `predicted(row, quantity, radii)`, the slope that the theory gives for the curve of a row, or None.
    begin : callable
        `begin(row)`, the radius at which the window of the curve begins, known before its errors are, or None for all radii.
    law : {"power", "shifted"}
        Which law the verdict is of: declared by the study, before its errors are known.
    tolerance : float
        Exponents that differ by this much are distinguished.
    resolution : callable
        `resolution(row)`, the shift of the radius that the interval of the curve allows for (nearest-neighbour spacings).

    Returns
    -------
    list of dict
        A line for each curve and quantity.
    """
    curves = defaultdict(list)
    for row in results:
        curves[tuple(row[name] for name in CURVE)].append(row)
    found = []
    for curve, rows in curves.items():
        lost = {row["training_radius"]: "the fit is unstable" for row in rows if row.get("stable") is False}
        for quantity, column in QUANTITIES.items():
            radii, errors, good, repeats = _means(rows, column)
            slope = predicted(rows[0], quantity, list(dict.fromkeys(radii)))
            about = {**dict(zip(CURVE, curve, strict=True)), "quantity": quantity}
            row = measured(radii, errors, good, slope, lost, repeats, begin(rows[0]), law, tolerance, resolution(rows[0]))
            found.append({**about, **row})
    return found


def measured(
    radii: Sequence[float],
    errors: Sequence[float],
    trusted: Sequence[bool],
    predicted: float | None,
    reasons: dict[float, str] | None = None,
    repeats: Sequence[Hashable] | None = None,
    begin: float | None = None,
    law: str = "power",
    tolerance: float = TOLERANCE,
    resolution: float = RESOLUTION,
) -> dict:
    """Slope, window, interval, verdict and what was dropped of one curve: the columns of rates.csv from "slope" on.

    Parameters
    ----------
    radii, errors, trusted : sequence (n,)
        Points of the curve: radius (nearest-neighbour spacings), error, and whether it belongs in a rate.
    predicted : float or None
        The predicted slope.
    reasons : dict, optional
        Why a radius is not trusted, where that is not a lack of convergence.
    repeats : sequence (n,), optional
        The repeat of each point; without it there is one.
    begin : float, optional
        The radius at which the window begins. With fewer than three radii from there on, the slope is that of all radii, and
        the verdict is inconclusive.
    law : {"power", "shifted"}
        Which law the verdict is of.
    tolerance, resolution : float
        As in `dg.verdict` and `dg.estimate_rate`.

    Returns
    -------
    dict
        Values by column.
    """
    usable = np.asarray(trusted, dtype=bool)

    def fitted(model: str, window: tuple[float, float] | None) -> Rate:
        return estimate_rate(radii, errors, None, window, usable, model, repeats, resolution)

    window = None if begin is None else (begin, np.inf)
    rate, whole = fitted("power", window), fitted("power", None)
    early = len(_sizes(rate)) < 3 <= len(_sizes(whole))
    if early:
        window, rate = None, replace(whole, rule="too few in the window")
    bent = fitted("shifted", window) if len(_sizes(rate)) >= BENT else None
    judged = rate if law == "power" else bent
    return {
        "slope": rate.slope,
        "low": rate.low,
        "high": rate.high,
        "window": "" if not rate.points else f"{rate.window[0]:.3g}-{rate.window[1]:.3g}",
        "predicted": predicted,
        **_judged(judged, predicted, tolerance, begin if early else None),
        "judged_by": LAWS[law],
        "rejects_off_by_one": None if predicted is None else _rejects_off_by_one(judged, predicted, early),
        "shifted_slope": None if bent is None else bent.slope,
        "shifted_low": None if bent is None else bent.low,
        "shifted_high": None if bent is None else bent.high,
        "shift": None if bent is None else bent.shift,
        "local_slopes": " ".join(f"{radius:.3g}:{slope:.2f}" for radius, slope in rate.local_slopes),
        "dropped": "; ".join(f"{size:.3g}: {(reasons or {}).get(size, reason)}" for size, reason in rate.dropped),
        "repeats": rate.repeats,
        "interval_of": rate.interval,
        "window_rule": rate.rule if begin is None or early else f"from {begin:.3g}",
        "size_resolution": resolution,
    }


def _judged(rate: Rate | None, predicted: float | None, tolerance: float, late: float | None) -> dict:
    """The verdict with its simulated error rates; `late` is where the window begins that has too few radii."""
    if predicted is None:
        return {"verdict": "no prediction", "tolerance": None, "false_confirmation": None, "power": None, "remark": ""}
    if rate is None:
        found = Judgement("inconclusive", None, None, f"the finite-size law takes {BENT} radii")
    elif late is not None:
        few = f"too few radii in the window, which begins at {late:.3g}; the slope is that of all radii"
        found = Judgement("inconclusive", None, None, few)
    else:
        found = judge(rate, predicted, tolerance)
    return {
        "verdict": found.verdict,
        "tolerance": tolerance,
        "false_confirmation": found.false_confirmation,
        "power": found.power,
        "remark": found.remark,
    }


def _rejects_off_by_one(rate: Rate | None, predicted: float, early: bool) -> bool:
    return rate is not None and not early and rejects(rate, predicted - 1) and rejects(rate, predicted + 1)


def _sizes(rate: Rate) -> set[float]:
    return {size for size, _ in rate.points}


def _means(rows: list[dict], column: str) -> tuple[list[float], list[float], list[bool], list[Hashable]]:
    """Radii, errors, whether they can be trusted, and repeats; the geometric mean of what is no repeat."""
    points = defaultdict(list)
    for row in rows:
        points[row.get(REPEAT), row["training_radius"]].append(row)
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = [float(np.exp(np.mean(np.log([row[column] for row in group])))) for group in points.values()]
    good = [all(trusted(row) for row in group) for group in points.values()]
    return [radius for _, radius in points], errors, good, [repeat for repeat, _ in points]


def _prediction(row: dict, quantity: str, lattice: Lattice) -> float | None:
    """The predicted slope of the curve of a row, whose virials may come without the shifts of the sublattices."""
    return prediction(row["observations"], quantity, lattice, shifts=bool(row.get("shifts", True)))


def prediction(
    observations: str | Iterable[str], quantity: str, lattice: Lattice, of: str = "surrogate", shifts: bool = True
) -> float | None:
    """The slope predicted for point defects of a lattice; None for sets without a prediction, such as F alone."""
    known = shifts or lattice.sublattices == 1
    try:
        return predicted_rate(observations, lattice.dimension, quantity, centrosymmetric(lattice), of, known)
    except InputError:
        return None
