"""Figures of designs: gains of designed losses over the default, and errors of chosen data over those of random data."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from ...plot.axes import legend, nothing_to_show, panels, ticks
from ...plot.picture import Picture
from ...plot.style import Mark
from .choice import RANDOM, USUAL
from .loss import DEFAULT
from .words import QUANTITIES, WORDS

KINSHIP = {
    "own": Mark("#0072B2", "D"),
    "another defect": Mark("#56B4E9", "o"),
    "another material": Mark("#E69F00", "s"),
    "other": Mark("#7F7F7F", "x"),
}


def design_pictures(designs: pd.DataFrame | None) -> Iterator[Picture]:
    """One figure for the whole study."""
    if designs is None or designs.empty:
        return
    rows = designs[designs["loss"] != DEFAULT]
    cases = list(dict.fromkeys(_case(line) for line in rows.to_dict("records")))
    figure, axes = panels(2, height=1.6 + 0.33 * len(cases))
    for panel, quantity in zip(axes, ("geometry", "energy"), strict=True):
        _panel(panel, rows, quantity, cases)
    axes[1].tick_params(labelleft=False)
    look = {WORDS[name]: mark for name, mark in KINSHIP.items() if (rows["designed_for"] == name).any()}
    legend(figure, look, lines=False)
    lost = int((~rows["trusted"].astype(bool)).sum())
    caption = (
        "How many times smaller the errors of a relaxed defect are than with the default loss (E : F : FC : V = 30 : 1 : 1 : 1): "
        "right of the line a loss is better. One row a defect and set of observations."
    )
    if rows["stopped"].astype(bool).any():
        caption += " Hollow: designs of smallest estimate; filled: stopped where the errors of held-out defects are smallest."
    if lost:
        caption += f" {lost} {'fit that lost the defect is' if lost == 1 else 'fits that lost the defect are'} not shown."
    yield Picture("design", "Designed losses against the default", caption, figure, designs)


def _case(line: dict[str, Any]) -> str:
    return f"{line['material']} {line['defect']}\n{line['observations']}"


def _panel(axes: Axes, rows: pd.DataFrame, quantity: str, cases: list[str]) -> None:
    drawn = False
    early = rows["stopped"].astype(bool)
    for (name, mark), stopped in product(KINSHIP.items(), (False, True)):
        own = rows[(rows["designed_for"] == name) & rows["trusted"].astype(bool) & (early == stopped)]
        hollow = early.any() and not stopped and name != "other"
        x = own[f"{quantity}_gain"].to_numpy(dtype=float)
        y = np.array([cases.index(_case(line)) for line in own.to_dict("records")], dtype=float)
        shown = np.isfinite(x) & (x > 0)
        drawn = drawn or bool(shown.any())
        size, face = 6 if name == "own" else 4.5, "none" if hollow else mark.colour
        axes.plot(x[shown], y[shown], ls="none", color=mark.colour, mfc=face, marker=mark.marker, ms=size, zorder=3)
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


_MARKS = {
    RANDOM: Mark("#B0B0B0", "o"),
    USUAL: Mark("#000000", "X"),
    "D": Mark("#CC79A7", "^"),
    "A": Mark("#0072B2", "s"),
    "G": Mark("#D55E00", "D"),
    "M": Mark("#009E73", "P"),
}
"""What is listed last is drawn on top."""
AT_MOST = 3.0
"""How far beyond the trusted points a fit is drawn that lost the defect: its error has no meaning."""


def design_data_pictures(table: pd.DataFrame | None) -> Iterator[Picture]:
    """One picture: a line for every defect, defect chosen for, and budget."""
    if table is None or table.empty:
        return
    places = list(table.groupby(["material", "defect", "chosen_for", "budget"], sort=False))
    look = {name: mark for name, mark in _MARKS.items() if name in set(table["choice"])}
    figure, axes = panels(2, height=1.4 + 0.24 * len(places))
    for panel, quantity in zip(axes, QUANTITIES, strict=True):
        _data_panel(panel, [rows for _, rows in places], quantity, look)
        panel.set_yticks(range(len(places)), [_data_place(*key) for key, _ in places])  # pyright: ignore[reportCallIssue]
    axes[1].tick_params(labelleft=False)
    lost = ~table["trusted"].astype(bool)
    legend(figure, look, hollow=bool(lost.any()), lines=False)
    caption = (
        "Errors of fits to data chosen from one pool within one budget, as multiples of that of the median random choice; left "
        "of 1 a choice is better than chance. G, A and D are optimal designs, M counts the misfit of the basis too; none "
        "of them sees a label of the pool. Budgets are in calculations of the largest defect cell."
    )
    if lost.any():
        caption += " Hollow points at the right edge lost the defect."
    yield Picture("design-data", "Training data chosen before labelling", caption, figure, table)


def _data_place(material: str, defect: str, chosen_for: str, budget: float) -> str:
    own = f"{material} {defect}"
    return f"{own}, {budget:g}" if defect == chosen_for else f"{own}, data for {chosen_for}, {budget:g}"


def _data_panel(axes: Axes, places: list[pd.DataFrame], quantity: str, look: dict[str, Mark]) -> None:
    column = f"{quantity}_error_ratio"
    every = pd.concat(places)
    known = every[column].to_numpy(dtype=float)
    known = known[np.isfinite(known) & (known > 0)]
    if not len(known):
        nothing_to_show(axes)
        return
    edge = AT_MOST * known.max()
    for name, mark in look.items():
        for height, rows in enumerate(places):
            ratio = rows.loc[rows["choice"] == name, column].to_numpy(dtype=float)
            good = np.isfinite(ratio) & (ratio > 0)
            style = {"marker": mark.marker, "color": mark.colour, "ls": "none", "ms": 3.5 if name == RANDOM else 6}
            axes.plot(ratio[good], np.full(good.sum(), height), mec="white", mew=0.5, zorder=3, **style)
            axes.plot(np.full((~good).sum(), edge), np.full((~good).sum(), height), mfc="white", mew=1.2, zorder=4, **style)
    axes.axvline(1.0, color="#777777", lw=0.9, zorder=1)
    axes.set_xscale("log")
    axes.set_xlim(min(known.min(), 0.5) / 1.3, edge * 1.2)
    ticks(axes.xaxis)
    axes.set_ylim(len(places) - 0.4, -0.6)
    axes.grid(True, which="major")
    axes.set_xlabel(f"{QUANTITIES[quantity]} /\nmedian of random choices")
