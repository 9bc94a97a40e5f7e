"""The page of the ablation: the curves of every variant, a table, sentences with numbers. Only ratios are computed here."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ...errors import core_cap
from ...plot.style import in_reading_order
from ...plot.typeset import decimal, number, slope
from ..page import Cell, Page, PageTable, Part, Section
from .figures import choices_picture
from .names import DESIGNED, variant_name

QUANTITIES = {"geometry": ("geometry_error", "Å"), "energy": ("energy_error", "eV")}
SIMILAR = 2.0
"""Errors that differ by less than this factor are called similar."""
_LEAD = (
    "Pure fits: one potential, fitted to a training cell of radius L and used everywhere. Each variant changes one choice of the "
    "design; everything else stays. Errors are compared at the largest radius."
)


def choices_page(rows: pd.DataFrame, rates: pd.DataFrame) -> Page:
    """A figure, a table and sentences per case."""
    findings, pictures, parts = [], [], []
    for (material, defect), own in rows.groupby(["material", "defect"], sort=False):
        case = f"{material} {defect}"
        slopes = rates[(rates["material"] == material) & (rates["defect"] == defect)]
        findings += [f"{case}, {text}" for text in _findings(own, slopes)]
        pictures.append(choices_picture(str(material), str(defect), own))
        parts.append(Part(case, tables=(_table(own, slopes),)))
    about = (
        "Slopes with half the width of their 95 % interval, where there are enough radii. Predicted slopes are those of one "
        "fitted potential; one relaxed configuration caps them (theory: bounds/core)."
    )
    section = Section("fit-choices", "Each choice changed alone: slopes and errors", (Part(about=about), *parts))
    return Page((_LEAD,), (*_answer(rows), *findings), tuple(pictures), (section,))


def _answer(rows: pd.DataFrame) -> Iterator[str]:
    """The choices that matter most: the answer."""
    found: dict[str, list[tuple[float, str, str]]] = {quantity: [] for quantity in QUANTITIES}
    for (material, defect), own in rows.groupby(["material", "defect"], sort=False):
        end = last(own)
        for quantity, (column, _) in QUANTITIES.items():
            for name, observations in end.index:
                if name != DESIGNED and (DESIGNED, observations) in end.index:
                    base = float(end.loc[(DESIGNED, observations), column])  # type: ignore[arg-type]
                    ratio = float(end.loc[(name, observations), column]) / base  # type: ignore[arg-type]
                    found[quantity].append((ratio, name, f"{observations}, {material} {defect}"))
    for quantity, ratios in found.items():
        if ratios:
            worst, best = max(ratios), min(ratios)
            yield (
                f"The {quantity} error is raised most by the variant {worst[1]!r} ({number(worst[0])} times, {worst[2]}) "
                f"and lowered most by {best[1]!r} ({number(best[0])} times, {best[2]})."
            )


def last(rows: pd.DataFrame) -> pd.DataFrame:
    """The lines of the largest radius that converged in the right state, by variant and observation set."""
    good = rows[(rows["training_radius"] == rows["training_radius"].max()) & rows["converged"] & rows["same_basin"]]
    return good.assign(variant=good["study"].map(variant_name)).set_index(["variant", "observations"])


def _findings(rows: pd.DataFrame, rates: pd.DataFrame) -> Iterator[str]:
    """The design, then what every variant does to it."""
    end, radius = last(rows), float(rows["training_radius"].max())
    names = list(dict.fromkeys(rows["study"].map(variant_name)))
    sets = in_reading_order(rows["observations"])
    for name in names:
        found, lost = {q: [] for q in QUANTITIES}, [each for each in sets if (name, each) not in end.index]
        for each in (each for each in sets if each not in lost):
            for quantity, (column, unit) in QUANTITIES.items():
                error = float(end.loc[(name, each), column])  # type: ignore[arg-type]
                text = f"{number(error)} {unit} with {each}"
                if name != DESIGNED and (DESIGNED, each) in end.index:
                    text = f"{_times(error / float(end.loc[(DESIGNED, each), column]))} with {each}"  # type: ignore[arg-type]
                found[quantity].append(text + _sloped(rates, name, each, quantity))
        parts = [f"{quantity} error {', '.join(texts)}" for quantity, texts in found.items() if texts]
        if lost:
            which = "any set" if len(lost) == len(sets) else " and ".join(lost)
            parts.append(f"with {which} the defect or the crystal is not stable")
        where = f"at L = {radius:.3g}: " if name == DESIGNED else "over the design: "
        yield f"{name}, {where}{'; '.join(parts)}."


def _times(ratio: float) -> str:
    """A ratio; similar errors are called so."""
    return f"{number(ratio)} times" if not 1 / SIMILAR < ratio < SIMILAR else f"similar ({number(ratio)} times)"


def _sloped(rates: pd.DataFrame, name: str, observations: str, quantity: str) -> str:
    """The slope of a curve in brackets."""
    own = _rate(rates, name, observations, quantity)
    return "" if own is None or not np.isfinite(own["slope"]) else f" (L^{decimal(own['slope'])})"


def _rate(rates: pd.DataFrame, name: str, observations: str, quantity: str) -> dict | None:
    own = rates[
        (rates["study"].map(variant_name) == name) & (rates["observations"] == observations) & (rates["quantity"] == quantity)
    ].to_dict("records")
    return own[0] if own else None


def _table(rows: pd.DataFrame, rates: pd.DataFrame) -> PageTable:
    """A line per variant and set: slopes, errors at the largest radius, ratios to the design, force error of the fit."""
    header = [Cell(text) for text in ("variant", "observed")]
    for text in ("geometry slope", "energy slope", "geometry (Å)", "/ design", "energy (eV)", "/ design", "RMSE F (eV/Å)"):
        header.append(Cell(text, "number"))
    end, lines = last(rows), []
    for name in dict.fromkeys(rows["study"].map(variant_name)):
        for each in in_reading_order(rows["observations"]):
            slopes = [_slope_cell(_rate(rates, name, each, quantity)) for quantity in QUANTITIES]
            errors: list[str] = []
            for column, _ in QUANTITIES.values():
                errors += _error_cells(end, name, each, column)
            forces = number(float(end.loc[(name, each), "rmse_forces"])) if (name, each) in end.index else "lost"  # type: ignore[arg-type]
            numbers = (Cell(text, "number") for text in (*slopes, *errors, forces))
            lines.append((Cell(name), Cell(each, "set"), *numbers))
    return PageTable(tuple(header), tuple(lines))


def _error_cells(end: pd.DataFrame, name: str, observations: str, column: str) -> list[str]:
    if (name, observations) not in end.index:
        return ["lost", "–"]
    error = float(end.loc[(name, observations), column])  # type: ignore[arg-type]
    base = float(end.loc[(DESIGNED, observations), column]) if (DESIGNED, observations) in end.index else np.nan  # type: ignore[arg-type]
    return [number(error), number(error / base) if base else "–"]


def _slope_cell(rate: dict | None) -> str:
    if rate is None or not np.isfinite(rate["slope"]):
        return "–"
    half = (rate["high"] - rate["low"]) / 2
    expected = rate["predicted"]
    cap = core_cap(int(rate["dimension"]), rate["quantity"])
    known = f" ({slope(max(expected, cap))})" if np.isfinite(expected) else ""
    return f"{decimal(rate['slope'])}{f' ± {half:.2f}' if np.isfinite(half) else ''}{known}"
