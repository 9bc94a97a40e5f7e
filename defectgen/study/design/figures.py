"""Designed losses beside the default: how many times smaller each makes the errors of every defect."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from defectgen.plot.axes import legend, nothing_to_show, panels, ticks
from defectgen.plot.picture import Picture
from defectgen.plot.style import Mark
from defectgen.plot.typeset import NONE, number

KINSHIP = {
    "own": Mark("#0072B2", "D"),
    "another defect": Mark("#56B4E9", "o"),
    "another material": Mark("#E69F00", "s"),
    "other": Mark("#7F7F7F", "x"),
}
WORDS = {
    "own": "designed for this defect",
    "another defect": "for another defect of the crystal",
    "another material": "for another material",
    "other": "not designed",
}
_DEFAULT = "default 30:1:1"


def design_pictures(designs: pd.DataFrame | None) -> Iterator[Picture]:
    """One figure for the whole study."""
    if designs is None or designs.empty:
        return
    rows = designs[designs["loss"] != _DEFAULT]
    cases = list(dict.fromkeys(_case(line) for line in rows.to_dict("records")))
    figure, axes = panels(2, height=1.6 + 0.33 * len(cases))
    for panel, quantity in zip(axes, ("geometry", "energy"), strict=True):
        _panel(panel, rows, quantity, cases)
    axes[1].set_yticklabels([])
    look = {WORDS[name]: mark for name, mark in KINSHIP.items() if (rows["designed_for"] == name).any()}
    legend(figure, look, lines=False)
    lost = int((~rows["trusted"].astype(bool)).sum())
    caption = (
        "How many times smaller the errors of a relaxed defect are than with the default loss (E : F : FC : V = 30 : 1 : 1 : 1): "
        "right of the line a loss is better. One row a defect and set of observations."
    )
    if lost:
        caption += f" {lost} {'fit that lost the defect is' if lost == 1 else 'fits that lost the defect are'} not shown."
    yield Picture("design", "Designed losses against the default", caption, figure, designs)


def _case(line: dict[str, Any]) -> str:
    return f"{line['material']} {line['defect']}\n{line['observations']}"


def _panel(axes: Axes, rows: pd.DataFrame, quantity: str, cases: list[str]) -> None:
    drawn = False
    for name, mark in KINSHIP.items():
        own = rows[(rows["designed_for"] == name) & rows["trusted"].astype(bool)]
        x = own[f"{quantity}_gain"].to_numpy(dtype=float)
        y = np.array([cases.index(_case(line)) for line in own.to_dict("records")], dtype=float)
        shown = np.isfinite(x) & (x > 0)
        drawn = drawn or bool(shown.any())
        axes.plot(x[shown], y[shown], ls="none", color=mark.colour, marker=mark.marker, ms=6 if name == "own" else 4.5, zorder=3)
    if not drawn:
        nothing_to_show(axes)
        return
    axes.set_xscale("log")
    axes.axvline(1.0, color="#555555", lw=0.9, zorder=1)
    axes.set_yticks(range(len(cases)), cases)
    axes.set_ylim(len(cases) - 0.5, -0.5)
    axes.grid(True, axis="both", which="major")
    ticks(axes.xaxis)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(f"{quantity} error: default / this loss")


def design_findings(designs: pd.DataFrame | None) -> Iterator[str]:
    """What a design gains on its own defect and on others, and how often it loses."""
    if designs is None or designs.empty:
        return
    others = designs[designs["loss"] != _DEFAULT]
    for name, words in WORDS.items():
        own = others[others["designed_for"] == name]
        if name == "other":  # losses that somebody wrote down are each a choice of its own
            for loss, each in own.groupby("loss", sort=False):
                yield from _gains(f"Loss {loss}", each)
        else:
            yield from _gains(f"Losses {words}", own)


def _gains(about: str, rows: pd.DataFrame) -> Iterator[str]:
    """What some losses gain over the default, and how often they lose; nothing if none held its defect."""
    good = rows[rows["trusted"].astype(bool)]
    if good.empty:
        return
    parts = []
    for quantity in ("geometry", "energy"):
        gain = good[f"{quantity}_gain"].astype(float)
        span = f"{number(gain.min())} to {number(gain.max())}; worse than the default in {int((gain < 1).sum())} of {len(gain)}"
        parts.append(f"{number(gain.median())} in the median for the {quantity} ({span})")
    lost = f"; {len(rows) - len(good)} more lost the defect" if len(good) < len(rows) else ""
    yield f"{about}, error of the default over theirs: {' and '.join(parts)}{lost}."


def design_table(designs: pd.DataFrame | None) -> dict[str, Any] | None:
    """Every loss on every defect as a table of text; None if there is none."""
    if designs is None or designs.empty:
        return None
    header = ["material", "defect", "observed", "loss", "geometry error (Å)", "energy error (eV)", "geometry gain", "energy gain"]

    def text(value: Any) -> str:
        return NONE if value is None or not np.isfinite(float(value)) else number(float(value))

    rows = [
        [
            *((name, str(line[name])) for name in ("material", "defect", "observations", "loss")),
            *((name, text(line[name])) for name in ("geometry_error", "energy_error", "geometry_gain", "energy_gain")),
        ]
        for line in designs.to_dict("records")
    ]
    columns = ["material", "defect", "observations", "loss", "geometry_error", "energy_error", "geometry_gain", "energy_gain"]
    return {"header": list(zip(header, columns, strict=True)), "rows": rows}
