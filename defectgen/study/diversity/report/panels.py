"""What the figures of both kinds of study share: a grid of panels, whiskers, ticks at the values that were run, one legend."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator

WIDE = 3
"""Panels in a row."""


def grid(names: Sequence[str], height: float, margin: float) -> tuple[Figure, dict[str, Axes]]:
    """A figure with a panel for each name; height of a row of panels and of what is beside them, inches."""
    lines, columns = -(-len(names) // WIDE), min(len(names), WIDE)
    size = (2.75 * columns + 0.4, height * lines + margin)
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.05))
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for spare in axes[len(names) :]:
        spare.set_axis_off()
    return figure, dict(zip(names, axes, strict=False))


def whiskers(rows: pd.DataFrame, pull: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Errors and the ends of their intervals, cut where they leave the error by more than the factor `pull`."""
    y = rows["error"].to_numpy(float)
    low = np.maximum(rows["error_low"].to_numpy(float), y / pull)
    return y, low, np.minimum(rows["error_high"].to_numpy(float), y * pull)


def label_at(panel: Axes, values: np.ndarray, labels: list[str]) -> None:
    """Ticks at these values of x and nowhere else."""
    panel.xaxis.set_major_locator(FixedLocator(values.tolist()))
    panel.xaxis.set_major_formatter(FixedFormatter(labels))
    panel.xaxis.set_minor_locator(FixedLocator([]))


def outer(figure: Figure, x: str, y: str = "") -> None:
    """One label for all panels, below and at the left."""
    figure.supxlabel(x, fontsize=9)
    if y:
        figure.supylabel(y, fontsize=9)


def handle(label: str, colour: str, marker: str) -> Line2D:
    """An entry of a legend."""
    return Line2D([], [], color=colour, marker=marker, mec="white", mew=0.5, label=label)
