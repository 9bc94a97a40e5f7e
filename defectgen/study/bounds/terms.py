"""The bound term by term as tables and as one sentence a case; made of bounds.csv, nothing is computed but ratios."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from defectgen.plot.style import in_reading_order
from defectgen.plot.typeset import NONE, number, slope

WORDS = {
    "E": "energy of the defect, the far field's left out",
    "F": "forces within the training radius",
    "K": "forces beyond it that still reach the defect",
    "C2": "elastic constants",
    "G2": "dispersion of the force constants",
    "C3": "third-order elastic constants",
    "G3": "anharmonic strain gradients",
    "C4": "fourth-order elastic constants",
    "R": "relaxation in the model (geometry squared)",
}
GEOMETRY = ("F", "K", "C2", "G2", "C3", "G3", "C4")
ENERGY = ("E", "C2", "G2", "C3", "G3", "C4", "R")
_VALUE = "geometry_error"  # any column that the page sets as a number

Table = dict[str, Any]


def bound_cases(bounds: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """(material defect, its rows) of the bounds or their slopes; what is in two studies once, variants of a design not at all."""
    bounds = bounds[~bounds["study"].str.contains(":") | bounds["study"].str.endswith("as designed")]
    keys = bounds.columns.intersection(["material", "defect", "observations", "training_radius", "degree", "term"]).tolist()
    for (material, defect), rows in bounds.drop_duplicates(keys).groupby(["material", "defect"], sort=False):
        yield f"{material} {defect}", rows


def at_largest(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the largest training radius and, there, of the largest basis."""
    rows = rows[rows["training_radius"] == rows["training_radius"].max()]
    return rows[rows["degree"] == rows["degree"].max()]


def bound_tables(bounds: pd.DataFrame | None) -> list[dict[str, Any]]:
    """For each case its heading and tables: geometry and energy at the largest radius, coefficients, all radii and degrees."""
    if bounds is None or bounds.empty:
        return []
    found = []
    for case, rows in bound_cases(bounds):
        largest = at_largest(rows)
        found.append(
            {
                "case": case,
                "radius": f"{largest['training_radius'].iloc[0]:.3g}",
                "geometry": _terms(largest, GEOMETRY, "geometry", "geometry_response"),
                "energy": _terms(largest, ENERGY, "energy", "energy_contribution"),
                "coefficients": _coefficients(largest),
                "all": _all(rows),
            }
        )
    return found


def _terms(rows: pd.DataFrame, terms: tuple[str, ...], quantity: str, column: str) -> Table:
    """A line per term and a column per observation set, then the estimate, the true error and the bound."""
    sets = in_reading_order(rows["observations"])
    values = rows.pivot_table(index="term", columns="observations", values=column, aggfunc="first", dropna=False)
    power = rows.drop_duplicates("term").set_index("term")["power" if quantity == "geometry" else "energy_power"]
    first = rows.drop_duplicates("observations").set_index("observations")
    lines = [
        [
            ("term", term),
            ("what", WORDS[term]),
            ("power", slope(float(power[term]))),
            *((_VALUE, _starred(values, term, name)) for name in sets),
        ]
        for term in terms
        if term in values.index
    ]
    error, bound = first[f"{quantity}_error"], first[f"{quantity}_bound"]
    for label, series in (
        ("all together, to first order", first[f"{quantity}_estimate"]),
        ("true error", error),
        ("guaranteed bound", bound),
        ("bound / error", bound / error),
    ):
        lines.append([("term", ""), ("what", label), ("power", ""), *((_VALUE, _text(series.get(n, np.nan))) for n in sets)])
    unit = "Å" if quantity == "geometry" else "eV"
    header = [("term", "term"), (f"{quantity} error ({unit})", "what"), ("power of L", "power")]
    return {"header": [*header, *((name, _VALUE) for name in sets)], "rows": lines}


def _starred(values: pd.DataFrame, term: str, name: str) -> str:
    """The number, with a star on the largest one of its observation set."""
    if name not in values.columns:
        return NONE
    value, largest = values.loc[term, name], values[name].max()
    return f"★ {_text(value)}" if value == largest and value > 0 else _text(value)


def _coefficients(rows: pd.DataFrame) -> Table:
    """What each set leaves wrong, and the norm of the exact displacement that it meets beyond the radius."""
    sets = in_reading_order(rows["observations"])
    values = rows.pivot_table(index="term", columns="observations", values="value", aggfunc="first", dropna=False)
    first = rows.drop_duplicates("term").set_index("term")
    lines = [
        [
            ("term", str(first["symbol"][term])),
            ("what", WORDS[term]),
            ("unit", str(first["unit"][term])),
            (_VALUE, _text(first["tail"][term])),
            *((_VALUE, _text(values.loc[term, name]) if name in values.columns else NONE) for name in sets),
        ]
        for term in WORDS
        if term in values.index and values.loc[term].notna().any()
    ]
    header = [("symbol", "term"), ("what is wrong", "what"), ("unit", "unit"), ("tail norm", _VALUE)]
    return {"header": [*header, *((name, _VALUE) for name in sets)], "rows": lines}


def _all(rows: pd.DataFrame) -> Table:
    """A line per fit: radius, degree, set; errors, estimates, bounds and the floors."""
    lines = []
    order = {name: place for place, name in enumerate(in_reading_order(rows["observations"]))}
    fits = rows.assign(order=rows["observations"].map(order)).sort_values(["training_radius", "degree", "order"], kind="stable")
    for _, fit in fits.groupby(["training_radius", "degree", "order"], sort=False):
        first = fit.iloc[0]
        lines.append(
            [
                ("training_radius", f"{first['training_radius']:.3g}"),
                ("degree", f"{first['degree']:g}"),
                ("observations", str(first["observations"])),
                *((_VALUE, _text(first[name])) for name in ("geometry_error", "geometry_estimate", "geometry_bound")),
                ("what", WORDS[_floor(fit, "dominates")]),
                *((_VALUE, _text(first[name])) for name in ("energy_error", "energy_estimate", "energy_bound")),
                ("what", WORDS[_floor(fit, "dominates_energy")]),
            ]
        )
    names = (
        ("geometry error (Å)", "estimate (Å)", "bound (Å)", "floor"),
        ("energy error (eV)", "estimate (eV)", "bound (eV)", "floor"),
    )
    columns = (_VALUE, _VALUE, _VALUE, "what")
    header = [("training radius", "training_radius"), ("degree", "degree"), ("observed", "observations")]
    return {"header": [*header, *(pair for group in names for pair in zip(group, columns, strict=True))], "rows": lines}


def _floor(fit: pd.DataFrame, flag: str) -> str:
    """Name of the term that dominates."""
    return str(fit.loc[fit[flag].astype(bool), "term"].iloc[0])


def _text(value: Any) -> str:
    return NONE if value is None or pd.isna(value) else number(float(value))


def floors(bounds: pd.DataFrame | None) -> Iterator[str]:
    """Which term is the floor under each observation set at the largest radius, and how sharp estimate and bound are there."""
    if bounds is None or bounds.empty:
        return
    for case, rows in bound_cases(bounds[bounds["trusted"].astype(bool)]):
        largest = at_largest(rows)
        under: dict[str, list[str]] = {}
        for name in in_reading_order(largest["observations"]):
            under.setdefault(_floor(largest[largest["observations"] == name], "dominates"), []).append(name)
        named = "; ".join(f"{WORDS[term]} ({term}) for {', '.join(sets)}" for term, sets in under.items())
        fits = rows.drop_duplicates(["observations", "training_radius", "degree"])
        sharp, safe = (fits[f"geometry_{name}"] / fits["geometry_error"] for name in ("estimate", "bound"))
        yield (
            f"{case}, training radius {largest['training_radius'].iloc[0]:.3g}: the floor under the geometry error is {named}. "
            f"Over all its fits the terms together estimate the error to {number(sharp.min())} to {number(sharp.max())} of what "
            f"it is, and the guaranteed bound is {number(safe.min())} to {number(safe.max())} times the error."
        )
