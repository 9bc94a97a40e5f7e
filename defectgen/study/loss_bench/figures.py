"""Figures of the bench: every loss between the two held-out errors, and every single ratio to the default."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import NullLocator

from ...plot.axes import nothing_to_show, panels, ticks
from ...plot.picture import Picture
from .settings import DEFAULT
from .tables import CHOSEN, ratios

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A6D00", "#5B3A8C", "#7F7F7F", "#000000")
_LABELS = {"geometry": "geometry error / default", "energy": "energy error / default"}


def bench_pictures(table: pd.DataFrame, ranking: pd.DataFrame) -> Iterator[Picture]:
    """The losses as points with intervals; the ratios of every loss on every held-out defect."""
    colours = {name: _COLOURS[k % len(_COLOURS)] for k, name in enumerate(ranking["loss"])}
    yield _front(ranking, colours)
    yield _spread(table, ranking, colours)


def _front(ranking: pd.DataFrame, colours: dict[str, str]) -> Picture:
    figure = Figure(figsize=(6.4, 4.4), layout=ConstrainedLayoutEngine())
    axes = figure.subplots()
    shown = ranking[ranking["score"].notna()]
    points = shown[["geometry_ratio", "energy_ratio"]].to_numpy(float)
    for (_, row), (x, y) in zip(shown.iterrows(), points, strict=True):
        name = str(row["loss"])
        beaten = any((other <= (x, y)).all() and (other < (x, y)).any() for other in points)
        if name != DEFAULT:
            ends = {q: (float(row[f"{q}_low"]), float(row[f"{q}_high"])) for q in ("geometry", "energy")}
            for quantity, bar in ends.items():
                if bar[0] > 0 and np.isfinite(bar[1]):
                    across = quantity == "geometry"
                    axes.plot(bar if across else (x, x), (y, y) if across else bar, color=colours[name], lw=1, alpha=0.6)
        style = {"ms": 13, "marker": "*"} if name == DEFAULT else {"ms": 7, "marker": "D" if name == CHOSEN else "o"}
        edge = "white" if beaten else "#222222"
        axes.plot([x], [y], ls="none", color=colours[name], mec=edge, mew=1.2, label=name, zorder=3, **style)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for line in (axes.axvline, axes.axhline):
        line(1, color="#999999", lw=0.8, zorder=0)
    _few_ticks(axes)
    ticks(axes.yaxis)
    axes.set_xlabel(_LABELS["geometry"])
    axes.set_ylabel(_LABELS["energy"])
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    caption = (
        "Errors of held-out defects over those with the default loss: geometric means over training sets, bases and defects. "
        "Bars: 95 % intervals over defects. Dark edges: losses that no other one beats in both. Left of and below the lines a "
        "loss is better than the default."
    )
    return Picture("loss-bench", "Losses judged on defects that they were not tuned on", caption, figure, ranking)


def _few_ticks(axes: Axes) -> None:
    """Numbers on an axis that spans less than a decade; geometry errors of losses are near each other."""
    low, high = axes.get_xlim()
    shown = [t for t in (0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.5, 2.0, 3.0, 5.0) if low < t < high]
    if high / low > 10 or len(shown) < 2:
        ticks(axes.xaxis)
        return
    axes.set_xticks(shown, [f"{t:g}" for t in shown])
    axes.xaxis.set_minor_locator(NullLocator())


def _spread(table: pd.DataFrame, ranking: pd.DataFrame, colours: dict[str, str]) -> Picture:
    pairs = ratios(table)
    names = [str(name) for name in ranking["loss"] if name != DEFAULT]
    figure, axes = panels(2, height=1.2 + 0.34 * len(names))
    for panel, quantity in zip(axes, _LABELS, strict=True):
        _ratios(panel, pairs, names, quantity, colours)
    axes[1].tick_params(labelleft=False)
    lost = int(pairs["lost"].sum())
    caption = (
        "Every held-out defect: error with the loss over error with the default, on the same training set and basis. Bars: "
        "medians. Right of the line the loss is worse."
    )
    caption += f" Not drawn: {lost} models that lost the defect." if lost else ""
    return Picture("loss-bench-spread", "How far a loss helps or harms", caption, figure, pairs)


def _ratios(panel: Axes, pairs: pd.DataFrame, names: list[str], quantity: str, colours: dict[str, str]) -> None:
    rng, drawn = np.random.default_rng(0), False
    for place, name in enumerate(names):
        x = pairs.loc[pairs["loss"] == name, f"{quantity}_ratio"].to_numpy(float)
        x = x[np.isfinite(x) & (x > 0)]
        if not len(x):
            continue
        drawn = True
        y = place + rng.uniform(-0.22, 0.22, size=len(x))
        panel.plot(x, y, ls="none", marker="o", ms=2.5, color=colours[name], alpha=0.6)
        panel.plot([np.median(x)] * 2, [place - 0.32, place + 0.32], color="#222222", lw=1.6)
    if not drawn:
        nothing_to_show(panel)
        return
    panel.set_xscale("log")
    panel.axvline(1, color="#999999", lw=0.8, zorder=0)
    ticks(panel.xaxis)
    panel.set_yticks(range(len(names)), names)
    panel.yaxis.set_minor_locator(NullLocator())
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.set_xlabel(_LABELS[quantity])
