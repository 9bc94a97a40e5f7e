"""What chosen training data are worth: the errors of every choice over that of the median random choice of the same cost."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from defectgen.plot.axes import legend, nothing_to_show, panels, ticks
from defectgen.plot.picture import Picture
from defectgen.plot.style import Mark
from defectgen.plot.typeset import number

_QUANTITIES = {"geometry": "geometry error", "energy": "energy error"}
_RANDOM, _USUAL = "random", "largest defect cells"
_MARKS = {
    _RANDOM: Mark("#B0B0B0", "o"),
    _USUAL: Mark("#000000", "X"),
    "D": Mark("#CC79A7", "^"),
    "A": Mark("#0072B2", "s"),
    "G": Mark("#D55E00", "D"),
    "M": Mark("#009E73", "P"),
}
"""What is listed last is drawn on top."""
_KINDS = ("defect cell", "strained defect cell", "rattled crystal", "strained crystal", "force constants", "surface")
AT_MOST = 3.0
"""How far beyond the trusted points a fit is drawn that lost the defect: its error has no meaning."""


def design_data_pictures(table: pd.DataFrame | None) -> Iterator[Picture]:
    """One picture: a line for every defect, defect chosen for, and budget."""
    if table is None or table.empty:
        return
    places = list(table.groupby(["material", "defect", "chosen_for", "budget"], sort=False))
    look = {name: mark for name, mark in _MARKS.items() if name in set(table["choice"])}
    figure, axes = panels(2, height=1.4 + 0.24 * len(places))
    for panel, quantity in zip(axes, _QUANTITIES, strict=True):
        _panel(panel, [rows for _, rows in places], quantity, look)
        panel.set_yticks(range(len(places)), [_place(*key) for key, _ in places])  # pyright: ignore[reportCallIssue]
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


def _place(material: str, defect: str, chosen_for: str, budget: float) -> str:
    own = f"{material} {defect}"
    return f"{own}, {budget:g}" if defect == chosen_for else f"{own}, data for {chosen_for}, {budget:g}"


def _panel(axes: Axes, places: list[pd.DataFrame], quantity: str, look: dict[str, Mark]) -> None:
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
            style = {"marker": mark.marker, "color": mark.colour, "ls": "none", "ms": 3.5 if name == _RANDOM else 6}
            axes.plot(ratio[good], np.full(good.sum(), height), mec="white", mew=0.5, zorder=3, **style)
            axes.plot(np.full((~good).sum(), edge), np.full((~good).sum(), height), mfc="white", mew=1.2, zorder=4, **style)
    axes.axvline(1.0, color="#777777", lw=0.9, zorder=1)
    axes.set_xscale("log")
    axes.set_xlim(min(known.min(), 0.5) / 1.3, edge * 1.2)
    ticks(axes.xaxis)
    axes.set_ylim(len(places) - 0.4, -0.6)
    axes.grid(True, which="major")
    axes.set_xlabel(f"{_QUANTITIES[quantity]} /\nmedian of random choices")


def design_data_findings(table: pd.DataFrame | None) -> Iterator[str]:
    """For every way to choose: how often and by how much better than chance; what G buys; whether the promises are kept."""
    if table is None or table.empty:
        return
    own = table["defect"] == table["chosen_for"]
    for name in [name for name in reversed(_MARKS) if name != _RANDOM]:
        for what, rows in (("the defect they were chosen for", table[own]), ("another defect of the crystal", table[~own])):
            rows = rows[rows["choice"] == name]
            if len(rows):
                yield f"Data {_how(name)}, on {what}: {_compared(rows)}."
    yield from _against_usual(table[own])
    chance = table[own & (table["choice"] == _RANDOM)]
    if len(chance):
        lost = int((~chance["trusted"].astype(bool)).sum())
        spread = [_spread(chance, quantity) for quantity in _QUANTITIES]
        yield (
            f"Random data of the same cost: {lost} of {len(chance)} fits lost the defect; half of the others lie within "
            f"{spread[0]} of the median in the geometry and {spread[1]} in the energy."
        )
    for name in ("M", "G"):
        best = table[own & (table["choice"] == name)]
        if len(best):
            counts = {kind: best[kind.replace(" ", "_")].mean() for kind in _KINDS}
            yield f"On average {name} buys " + ", ".join(f"{mean:.1f} of {kind}" for kind, mean in counts.items() if mean) + "."
    yield from _promises(table[own])


def _against_usual(rows: pd.DataFrame) -> Iterator[str]:
    """What M and G gain over common practice."""
    keys = ["material", "defect", "budget"]
    good = rows[rows["trusted"].astype(bool)]
    for name in ("M", "G"):
        both = good[good["choice"] == name].merge(good[good["choice"] == _USUAL], on=keys, suffixes=("", "_usual"))
        if both.empty:
            continue
        gains = {q: both[f"{q}_error_usual"] / both[f"{q}_error"] for q in _QUANTITIES}
        told = [
            f"{q} error {number(g.min())} to {number(g.max())} times smaller (median {number(g.median())}; five times or more in "
            f"{int((g >= 5).sum())} of {len(g)}, larger in {int((g < 1).sum())})"
            for q, g in gains.items()
        ]
        yield f"Against as much spent on the largest defect cells alone, {name} makes the {' and the '.join(told)}."


def _how(name: str) -> str:
    return "made of the largest defect cells" if name == _USUAL else f"chosen by {name}"


def _compared(rows: pd.DataFrame) -> str:
    good = rows[rows["trusted"].astype(bool)]
    parts = []
    for quantity in _QUANTITIES:
        ratio = good[f"{quantity}_error_ratio"].dropna()
        if len(ratio):
            worse = int((ratio > 1).sum())
            parts.append(
                f"{quantity} error {number(ratio.min())} to {number(ratio.max())} times that of the median random choice "
                f"(median {number(ratio.median())}), larger in {worse} of {len(ratio)}"
            )
    lost = len(rows) - len(good)
    return "; ".join([*parts, *([f"{lost} of {len(rows)} lost the defect"] if lost else [])])


def _spread(rows: pd.DataFrame, quantity: str) -> str:
    ratio = rows[f"{quantity}_error_ratio"].dropna()
    low, high = (ratio.quantile(part) for part in (0.25, 0.75)) if len(ratio) else (np.nan, np.nan)
    return f"{number(low)} to {number(high)} times that"


def _promises(rows: pd.DataFrame) -> Iterator[str]:
    """What choices led one to expect, beside what was measured."""
    good = rows[rows["trusted"].astype(bool)]
    for name, what in (("spread", "expected from independent errors (G)"), ("expected", "expected from misfit (M)")):
        told = []
        for quantity in _QUANTITIES:
            both = good[[f"{quantity}_{name}_ratio", f"{quantity}_error_ratio"]].dropna()
            if len(both) > 2 and both.nunique().min() > 1:
                told.append(f"{both.rank().corr().iloc[0, 1]:.2f} in the {quantity}")
        if told:
            rank = " and ".join(told)
            yield f"Errors {what} and measured ones, over those of the median random choice, have a rank correlation of {rank}."
