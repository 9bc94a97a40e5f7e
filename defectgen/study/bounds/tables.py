"""The tables of the study of the bound: bounds.csv, a line per fit and term, and bound_rates.csv, how the far terms fall."""

from collections import defaultdict

import numpy as np

from ..results import trusted
from .steps import Measured

NAME = "bounds"
RATES = "bound_rates"
LEAST = 3
"""Training radii from which a term has a slope."""

TERM = ("term", "symbol", "value", "unit", "power", "tail", "geometry_contribution", "energy_contribution")
"""Columns of one term; results of the whole bound stand after them."""


def lines(found: Measured, result: dict) -> list[dict]:
    """The lines of bounds.csv of one bound; `result` is the line of its trial in results.csv."""
    common = {name: result[name] for name in ("study", "material", "defect", "observations", "training_size", "training_radius")}
    return [
        {
            **common,
            "degree": result["degree"],
            **{name: getattr(term, name) for name in TERM},
            "geometry_bound": found.geometry_bound,
            "geometry_error": result["geometry_error"],
            "energy_bound": found.energy_bound,
            "energy_error": result["energy_error"],
            "dominates": term.term in found.floor.split("+"),
            "dominates_energy": term.term in found.energy_floor.split("+"),
            "geometry_response": term.geometry_response,
            "geometry_norms": term.geometry_norms,
            "geometry_estimate": found.geometry_estimate,
            "energy_estimate": found.energy_estimate,
            "energy_power": term.energy_power,
            "trusted": trusted(result),
            "group": term.group,
            "joint_response": term.joint_response,
            "energy_group": term.energy_group,
            "joint_energy": term.joint_energy,
        }
        for term in found.terms
    ]


def rates(rows: list[dict]) -> list[dict]:
    """Lines of bound_rates.csv: how every far term of the bound falls with L, and its coefficient and tail apart.

    The theory predicts the tails. The coefficient of a fit falls too if larger training cells determine it better, and then
    the error is steeper than its rate. If the term cancels with the same other terms at all radii, `joint_slope` is the slope
    of their sum. theory: bounds/visibility, bounds/one-potential.
    """
    curves = defaultdict(list)
    for row in rows:
        if row["trusted"] and row["power"] is not None:
            curves[tuple(row[name] for name in ("study", "material", "defect", "observations", "degree", "term"))].append(row)
    found = []
    for curve, own in curves.items():
        if len({row["training_radius"] for row in own}) < LEAST:
            continue
        slopes = {
            f"{what}_slope": _slope(own, column)
            for what, column in (
                ("coefficient", "value"),
                ("tail", "tail"),
                ("geometry", "geometry_response"),
                ("energy", "energy_contribution"),
            )
        }
        radii = sorted(row["training_radius"] for row in own)
        groups = {row.get("group", row["term"]) for row in own}
        found.append(
            {
                **dict(zip(("study", "material", "defect", "observations", "degree", "term"), curve, strict=True)),
                "window": f"{radii[0]:.3g}-{radii[-1]:.3g}",
                **slopes,
                "geometry_predicted": own[0]["power"],
                "energy_predicted": own[0]["energy_power"],
                "group": groups.pop() if len(groups) == 1 else "",
                "joint_slope": _slope(own, "joint_response") if not groups and "joint_response" in own[0] else None,
            }
        )
    return found


def _slope(rows: list[dict], column: str) -> float | None:
    """Slope of log value against log training radius; None where the values have no logarithm."""
    values = np.array([np.nan if row[column] is None else row[column] for row in rows], dtype=float)
    if not np.all(values > 0):
        return None
    return float(np.polyfit(np.log([row["training_radius"] for row in rows]), np.log(values), 1)[0])
