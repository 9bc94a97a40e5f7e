"""The bound term by term: tables of the page and one sentence a case; made of bounds.csv, nothing is computed but ratios."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ...plot.style import in_reading_order
from ...plot.typeset import NONE, number, slope
from ..page import Cell, PageTable

WORDS = {
    "E": "energy of the defect and of anharmonic strain gradients",
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
ENERGY = ("E", "C2", "G2", "C3", "C4", "R")
"""Without G3, whose energy depends on how a model shares it among the sites."""


@dataclass(frozen=True, eq=False)
class BoundTables:
    """The tables of one case."""

    case: str
    radius: str
    geometry: PageTable
    energy: PageTable
    coefficients: PageTable
    all: PageTable


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


def bound_tables(bounds: pd.DataFrame | None) -> list[BoundTables]:
    """For each case its heading and tables: geometry and energy at the largest radius, coefficients, all radii and degrees."""
    if bounds is None or bounds.empty:
        return []
    found = []
    for case, rows in bound_cases(bounds):
        largest = at_largest(rows)
        found.append(
            BoundTables(
                case=case,
                radius=f"{largest['training_radius'].iloc[0]:.3g}",
                geometry=_terms(largest, GEOMETRY, "geometry", "geometry_response"),
                energy=_terms(largest, ENERGY, "energy", "energy_contribution"),
                coefficients=_coefficients(largest),
                all=_all(rows),
            )
        )
    return found


def _terms(rows: pd.DataFrame, terms: tuple[str, ...], quantity: str, column: str) -> PageTable:
    """A line per term and a column per observation set, then the estimate, the true error and the bound."""
    sets = in_reading_order(rows["observations"])
    values = rows.pivot_table(index="term", columns="observations", values=column, aggfunc="first", dropna=False)
    power = rows.drop_duplicates("term").set_index("term")["power" if quantity == "geometry" else "energy_power"]
    first = rows.drop_duplicates("observations").set_index("observations")
    flagged = rows[rows["dominates" if quantity == "geometry" else "dominates_energy"].astype(bool)]
    floor = set(zip(flagged["term"], flagged["observations"], strict=True))
    lines = [
        [
            Cell(term),
            Cell(WORDS[term]),
            Cell(slope(float(power[term]))),
            *(Cell(_starred(values, term, name, floor), "number") for name in sets),
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
        numbers = (Cell(_text(series.get(name, np.nan)), "number") for name in sets)
        lines.append([Cell(""), Cell(label), Cell(""), *numbers])
    unit = "Å" if quantity == "geometry" else "eV"
    header = [Cell("term"), Cell(f"{quantity} error ({unit})"), Cell("power of L")]
    return _table([*header, *(Cell(name, "number") for name in sets)], lines)


def _starred(values: pd.DataFrame, term: str, name: str, floor: set[tuple[str, str]]) -> str:
    """The number, with a star on the floor of its observation set."""
    if name not in values.columns:
        return NONE
    return f"★ {_text(values.loc[term, name])}" if (term, name) in floor else _text(values.loc[term, name])


def _coefficients(rows: pd.DataFrame) -> PageTable:
    """The coefficients of each set, and the norms of the exact displacement beyond the radius that multiply them."""
    sets = in_reading_order(rows["observations"])
    values = rows.pivot_table(index="term", columns="observations", values="value", aggfunc="first", dropna=False)
    first = rows.drop_duplicates("term").set_index("term")
    lines = [
        [
            Cell(str(first["symbol"][term])),
            Cell(WORDS[term]),
            Cell(str(first["unit"][term])),
            Cell(_text(first["tail"][term]), "number"),
            *(Cell(_text(values.loc[term, name]) if name in values.columns else NONE, "number") for name in sets),
        ]
        for term in WORDS
        if term in values.index and values.loc[term].notna().any()
    ]
    header = [Cell("symbol"), Cell("what is wrong"), Cell("unit"), Cell("tail norm", "number")]
    return _table([*header, *(Cell(name, "number") for name in sets)], lines)


def _all(rows: pd.DataFrame) -> PageTable:
    """A line per fit: radius, degree, set; errors, estimates, bounds and the floors."""
    lines = []
    order = {name: place for place, name in enumerate(in_reading_order(rows["observations"]))}
    fits = rows.assign(order=rows["observations"].map(order)).sort_values(["training_radius", "degree", "order"], kind="stable")
    for _, fit in fits.groupby(["training_radius", "degree", "order"], sort=False):
        first = fit.iloc[0]
        lines.append(
            [
                Cell(f"{first['training_radius']:.3g}", "number"),
                Cell(f"{first['degree']:g}"),
                Cell(str(first["observations"]), "set"),
                *(Cell(_text(first[name]), "number") for name in ("geometry_error", "geometry_estimate", "geometry_bound")),
                Cell(_worded(_floor(fit, "dominates"))),
                *(Cell(_text(first[name]), "number") for name in ("energy_error", "energy_estimate", "energy_bound")),
                Cell(_worded(_floor(fit, "dominates_energy"))),
            ]
        )
    header = [Cell("training radius", "number"), Cell("degree"), Cell("observed")]
    for quantity, unit in (("geometry", "Å"), ("energy", "eV")):
        header += [Cell(name, "number") for name in (f"{quantity} error ({unit})", f"estimate ({unit})", f"bound ({unit})")]
        header.append(Cell("floor"))
    return _table(header, lines)


def _table(header: Iterable[Cell], rows: Iterable[Iterable[Cell]]) -> PageTable:
    return PageTable(tuple(header), tuple(tuple(row) for row in rows))


def _floor(fit: pd.DataFrame, flag: str) -> tuple[str, ...]:
    """Names of the terms that dominate: one, or several that cancel."""
    return tuple(str(term) for term in fit.loc[fit[flag].astype(bool), "term"])


def _worded(terms: tuple[str, ...]) -> str:
    """The terms in words."""
    return " and ".join(WORDS[term] for term in terms)


def cancellations(fit: pd.DataFrame) -> Iterator[str]:
    """Of one fit, the terms that cancel in the geometry: what each does alone and what they leave."""
    if "group" not in fit:  # written before terms were grouped
        return
    for _, own in fit[fit["group"].astype(str).str.contains("+", regex=False)].groupby("group", sort=False):
        alone = " and ".join(f"{number(float(row['geometry_response']))} ({row['term']})" for _, row in own.iterrows())
        yield f"{alone} Å leave {number(float(own['joint_response'].iloc[0]))} Å together"


def _text(value: Any) -> str:
    return NONE if value is None or pd.isna(value) else number(float(value))


def floors(bounds: pd.DataFrame | None) -> Iterator[str]:
    """Which term is the floor under each observation set at the largest radius, and how sharp estimate and bound are there."""
    if bounds is None or bounds.empty:
        return
    for case, rows in bound_cases(bounds[bounds["trusted"].astype(bool)]):
        largest = at_largest(rows)
        under: dict[tuple[str, ...], list[str]] = {}
        cancel = []
        for name in in_reading_order(largest["observations"]):
            own = largest[largest["observations"] == name]
            under.setdefault(_floor(own, "dominates"), []).append(name)
            cancel += [f"for {name} {words}" for words in cancellations(own)]
        named = "; ".join(
            f"{' together with '.join(f'{WORDS[term]} ({term})' for term in terms)} for {', '.join(sets)}"
            for terms, sets in under.items()
        )
        apart = f"Some terms cancel, and are judged by what they leave: {'; '.join(cancel)}. " if cancel else ""
        fits = rows.drop_duplicates(["observations", "training_radius", "degree"])
        sharp, safe = (fits[f"geometry_{name}"] / fits["geometry_error"] for name in ("estimate", "bound"))
        yield (
            f"{case}, training radius {largest['training_radius'].iloc[0]:.3g}: the floor under the geometry error is "
            f"{named}. {apart}Over all its fits the terms together estimate the error to {number(sharp.min())} to "
            f"{number(sharp.max())} of what it is, and the guaranteed bound is {number(safe.min())} to {number(safe.max())} "
            "times the error."
        )
