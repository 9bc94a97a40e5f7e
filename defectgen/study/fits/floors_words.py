"""The page of floors: sentences with numbers, a figure and a table per case."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ...plot.style import in_reading_order
from ...plot.typeset import number
from ..page import Cell, Page, PageTable, Part, Section
from .figures import floors_picture
from .names import RATTLED, RELAXED, WAYS

LEVEL = 2.0
"""Errors within this factor of that of the largest basis count as level with it."""
_LEAD = (
    "Potentials with growing bases are fitted to one training cell: to the relaxed defect alone, or to rattled copies as well. "
    "The force error is that on further rattled copies, which are not fitted. The defect is then relaxed with the fit in a "
    "larger cell and compared with the reference."
)


def floors_page(rows: pd.DataFrame) -> Page:
    """Sentences, a figure and a table per case."""
    findings, pictures, parts = [], [], []
    for (material, defect), own in rows.groupby(["material", "defect"], sort=False):
        case = f"{material} {defect}"
        findings += [f"{case}{text}" for text in _findings(own)]
        pictures.append(floors_picture(str(material), str(defect), own))
        parts.append(Part(case, tables=(_table(own),)))
    section = Section("fit-floors", "Errors against the number of functions", tuple(parts))
    return Page((_LEAD,), (*_answer(rows), *findings), tuple(pictures), (section,))


def _answer(rows: pd.DataFrame) -> Iterator[str]:
    """By what the largest basis is better than the smallest that keeps the defect, over cases and sets: the first sentence."""
    parts = []
    for study, words in WAYS.items():
        good = rows[(rows["study"] == study) & rows["converged"] & rows["same_basin"]].sort_values("basis_functions")
        ends = [own.iloc[[0, -1]] for _, own in good.groupby(["material", "defect", "observations"]) if len(own) > 1]
        if ends:
            gains = [float(own["geometry_error"].iloc[0] / own["geometry_error"].iloc[1]) for own in ends]
            low, high = number(min(gains)), number(max(gains))
            parts.append(f"by {low if low == high else f'{low} to {high}'} ({words})")
    if parts:
        yield f"From the smallest to the largest basis the geometry error is divided {' and '.join(parts)}."


def _findings(rows: pd.DataFrame) -> Iterator[str]:
    """From the smallest to the largest basis that kept the defect, for both ways to train; then their comparison."""
    radius = float(rows["training_radius"].max())
    for each in in_reading_order(rows["observations"]):
        ends = {}
        for study, words in WAYS.items():
            own = rows[(rows["study"] == study) & (rows["observations"] == each)].sort_values("basis_functions")
            good = own[own["converged"] & own["same_basin"]]
            if good.empty:
                yield f", {each}, {words}: no fit keeps the defect."
                continue
            first, end = good.iloc[0], good.iloc[-1]
            ends[study] = end
            lost = f"; {len(own) - len(good)} of {len(own)} bases lost the defect" if len(good) < len(own) else ""
            yield (
                f", {each}, {words} (L = {radius:.3g}), {first['basis_functions']:.0f} to "
                f"{end['basis_functions']:.0f} functions: held-out force "
                f"error {number(first['held_out_forces'])} to {number(end['held_out_forces'])} eV/Å, geometry "
                f"error {number(first['geometry_error'])} to {number(end['geometry_error'])} Å, energy error "
                f"{number(first['energy_error'])} to {number(end['energy_error'])} eV{_level(good)}{_ratio(good, study)}{lost}."
            )
        if len(ends) == len(WAYS):
            yield f", {each}, largest basis: {_compared(ends)}."


def _level(good: pd.DataFrame) -> str:
    """From how many functions on the geometry error no longer falls."""
    errors = good["geometry_error"].to_numpy(float)
    level = (errors <= LEVEL * errors[-1]) & (errors >= errors[-1] / LEVEL)
    start = len(level) - int(np.argmin(level[::-1])) if not level.all() else 0
    if len(level) - start < 2:
        return ""
    return f" (the geometry error is level from {good['basis_functions'].iloc[start]:.0f} functions on)"


def _ratio(good: pd.DataFrame, study: str) -> str:
    """The geometry error over the force error, where a floor is proportional to it."""
    if study != RATTLED:
        return ""
    ratio = good["geometry_error"] / good["held_out_forces"]
    return f"; geometry error over force error {number(float(ratio.min()))} to {number(float(ratio.max()))} Å²/eV"


def _compared(ends: dict[str, pd.Series]) -> str:
    """Which way to train has the smaller error."""
    parts = []
    for column, words in (("geometry_error", "geometry"), ("energy_error", "energy")):
        ratio = float(ends[RELAXED][column] / ends[RATTLED][column])
        fewer, more = ("rattled copies", ratio) if ratio > 1 else ("the relaxed cell alone", 1 / ratio)
        parts.append(f"the {words} error is {number(more)} times smaller with {fewer}")
    return " and ".join(parts)


def _table(rows: pd.DataFrame) -> PageTable:
    header = [Cell("trained on"), Cell("observed")]
    numbers = ("functions", "RMSE F (eV/Å)", "held-out F (eV/Å)", "geometry (Å)", "energy (eV)")
    header += [Cell(text, "number") for text in numbers]
    lines = []
    for row in rows.sort_values(["study", "observations", "basis_functions"]).to_dict("records"):
        kept = row["converged"] and row["same_basin"]
        errors = (number(row[name]) if kept else "lost" for name in ("geometry_error", "energy_error"))
        texts = (f"{row['basis_functions']:.0f}", number(row["rmse_forces"]), number(row["held_out_forces"]), *errors)
        lines.append((Cell(WAYS[row["study"]]), Cell(row["observations"], "set"), *(Cell(text, "number") for text in texts)))
    return PageTable(tuple(header), tuple(lines))
