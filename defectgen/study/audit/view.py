"""The page of an audit, composed of its tables."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from ...plot.picture import Picture
from ...plot.typeset import MINUS, NONE, number
from ..page import Cell, Frames, Page, PageTable, Part, Section
from .steps import NAME
from .words import findings, percent

HEADINGS = {
    "crystal": "Perfect crystal at zero stress",
    "elasticity": "Elastic constants, internal coordinates relaxed",
    "phonons": "Phonons, each on its own lattice",
    "force constants": "Force constants",
    "strain": "Stress of strained crystals, atoms following the strain",
    "defects": "Defects",
    "barrier": "Barrier of a hop into the vacancy",
    "bound": "Terms of the bound",
}

ABOUT = {
    "crystal": (
        "Energies of a crystal are in the zero of each potential; the cohesive energy is that of the isolated atoms minus it, "
        "with the same potential."
    ),
    "phonons": (
        "Differences are taken at the same reduced wave vector and the same place in the order of frequencies, over the path of "
        "the figure and a mesh of the Brillouin zone."
    ),
    "force constants": (
        "The largest difference over all waves bounds the change of the energy of any displacement v: |⟨ΔΦ v, v⟩| is at most "
        "this number times the sum of the squares of the differences of v over nearest-neighbour bonds."
    ),
    "defects": (
        "On the own lattices each potential is at zero stress, as in tables of formation energies. On the reference's lattice "
        "both are in one cell, and the model is under pressure. Geometry: root of the sum of squares of the differences of all "
        "bonds."
    ),
    "bound": (
        "At the reference's equilibrium, on its lattice, the forces of the model differ by parts that add up. The response is "
        "the displacement with which the perfect crystal answers each part; the bounds divide by the stability constant of the "
        "model and add up."
    ),
}

LEAD = (
    "The crystal of each potential is brought to zero stress; the same defects are made in both and relaxed; every "
    "difference is model "
    "minus reference."
)


def audit_page(frames: Frames) -> Page:
    """Lead, findings, figures and the scorecard."""
    table, about = frames[NAME], frames[f"{NAME}_about"]
    table = table.assign(case=table["case"].fillna("").astype(str))
    from .figures import pictures

    said = [str(text) for text in about["answer"]]
    sections = [Section(f"scorecard{k or ''}", _heading(about, line), tuple(_parts(table, line))) for k, line in _lines(about)]
    return Page(
        lead=(LEAD,),
        findings=(*said, *(sentence for _, line in _lines(about) for sentence in findings(table, line))),
        figures=tuple(picture for _, line in _lines(about) for picture in _pictures(pictures, frames, line)),
        sections=tuple(sections),
    )


def _lines(about: pd.DataFrame) -> Iterator[tuple[int, pd.Series]]:
    yield from ((k, line) for k, (_, line) in enumerate(about.iterrows()))


def _heading(about: pd.DataFrame, line: pd.Series) -> str:
    return "Scorecard" if len(about) == 1 else f"Scorecard of {line['material']}"


def _pictures(draw: Any, frames: Frames, line: pd.Series) -> Iterator[Picture]:
    own = {name: frame[frame["material"] == line["material"]] for name, frame in frames.items() if "material" in frame}
    yield from draw(own, str(line["material"]), str(line["reference"]), str(line["model"]))


def _parts(table: pd.DataFrame, line: pd.Series) -> Iterator[Part]:
    """A table for every group of quantities."""
    rows = table[table["material"] == line["material"]]
    yield Part(about=f"Reference: {line['reference']}. Model: {line['model']}.")
    for group, heading in HEADINGS.items():
        own = rows[rows["group"] == group]
        if len(own):
            yield Part(heading, ABOUT.get(group, ""), tables=(_table(own),), folded=group in ("bound",))


def _table(rows: pd.DataFrame) -> PageTable:
    cased, paired = rows["case"].str.len().any(), rows["reference"].notna().any()
    head = [Cell("quantity"), *([Cell("case")] if cased else []), Cell("unit")]
    head += [Cell(name, "number") for name in (("reference", "model") if paired else ())]
    head += [Cell("difference", "number"), *([Cell("relative", "number")] if paired else [])]
    lines = []
    for _, row in rows.iterrows():
        cells = [Cell(str(row["quantity"])), *([Cell(str(row["case"]))] if cased else []), Cell(_unit(str(row["unit"])))]
        cells += [Cell(value_text(row[name]), "number") for name in (("reference", "model") if paired else ())]
        cells.append(Cell(_difference(row), "number"))
        if paired:
            cells.append(Cell("" if pd.isna(row["relative"]) else percent(float(row["relative"])), "number"))
        lines.append(tuple(cells))
    return PageTable(tuple(head), tuple(lines))


def _difference(row: pd.Series) -> str:
    """Two digits; with a sign where it is the difference of two values that are shown."""
    value = row["difference"]
    if pd.isna(value):
        return NONE
    text = number(abs(float(value)))
    signs = not pd.isna(row["reference"])
    return (MINUS if value < 0 else "+" if signs and value > 0 else "") + text


def value_text(value: Any) -> str:
    """Five significant digits."""
    return "" if pd.isna(value) else f"{float(value):.5g}".replace("-", MINUS)


def _unit(unit: str) -> str:
    return unit.replace("A^3", "Å³").replace("A^2", "Å²").replace("A", "Å") if "A" in unit and unit != "GPa" else unit
