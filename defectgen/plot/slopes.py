"""Predicted slopes in a log-log panel: a triangle each, where it finds room, else a dashed guide."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from . import typeset
from .axes import legend, ticks
from .style import Mark
from .triangles import LABEL_GAP, LABEL_SIZE, Drawn, Panel, Slope, Triangle, arrange

_RIGHT_LABEL = 36.0  # room that the label of a guide takes at the right of a panel, points
_TRIANGLES = " Triangles: slopes predicted by the theory; they are no fits."
_DASHED = " Dashed, its value at the right: such a slope where no triangle finds room."


def predicted(figure: Figure, wanted: Sequence[tuple[Axes, Sequence[Slope]]], look: dict[str, Mark], *, hollow: bool) -> str:
    """Legend and slope triangles of a figure; the sentences that explain them in its caption, beginning with a space."""
    some = any(slopes for _, slopes in wanted)
    legend(figure, look, hollow=hollow, dashed=False, triangles=some)
    if not some:
        return ""
    if not slope_triangles(figure, wanted):
        return _TRIANGLES
    legend(figure, look, hollow=hollow, dashed=True, triangles=some)
    return _TRIANGLES + _DASHED


def slope_in_window(x: np.ndarray, y: np.ndarray, rate: dict[str, Any], colour: str) -> Slope | None:
    """The predicted slope of a row of rates.csv, with the trusted points (x, y) in its window.

    Where the window holds fewer than two points, all are taken; None with fewer than two points, or without a prediction.
    """
    order = np.argsort(x, kind="stable")
    x, y = np.asarray(x, dtype=float)[order], np.asarray(y, dtype=float)[order]
    ends = [float(number) for number in re.findall(r"[0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?", str(rate["window"]))]
    if len(ends) >= 2:
        inside = (x >= ends[0] * (1 - 5e-3)) & (x <= ends[1] * (1 + 5e-3))  # windows are rounded to three digits in print
        x, y = (x[inside], y[inside]) if inside.sum() > 1 else (x, y)
    value = float(rate["predicted"])
    return Slope(x, y, value, typeset.slope(value), colour) if len(x) > 1 and x[0] < x[-1] and np.isfinite(value) else None


@dataclass(frozen=True)
class Guide:
    """A straight line of a predicted slope in a log-log panel, between two points (x, y)."""

    start: tuple[float, float]
    end: tuple[float, float]
    label: str
    colour: str


def slope_triangles(figure: Figure, wanted: Sequence[tuple[Axes, Sequence[Slope]]]) -> bool:
    """A triangle for every predicted slope, once all else is drawn; a dashed guide where no free place is left.

    Where neither a guide nor other limits change what lies around the panels, the layout that was needed here stays for good.

    Returns
    -------
    bool
        Whether a guide was drawn: legend and caption have to explain it.
    """
    engine = figure.get_layout_engine()
    assert engine is not None  # see `panels`
    engine.execute(figure)  # from here on the sizes of the panels are known
    dashed = changed = False
    for axes, slopes in wanted:
        lines: list[Guide] = []
        while True:
            panel, found = arrange(_measured(axes, lines), slopes, _drawn(axes, lines))
            pairs = list(zip(slopes, found, strict=True))
            if None not in found:
                break
            lines += [_guide(slope, floor=panel.y[0]) for slope, triangle in pairs if triangle is None]
            slopes = [slope for slope, triangle in pairs if triangle is not None]
        if panel.y != axes.get_ylim():
            changed = True
            axes.set_ylim(*panel.y)
            ticks(axes.yaxis)
        for slope, triangle in pairs:
            if triangle is not None:
                _triangle(axes, slope, triangle)
        guides(axes, lines)
        dashed |= bool(lines)
    if not (dashed or changed):
        figure.set_layout_engine("none")
    return dashed


def _triangle(axes: Axes, slope: Slope, triangle: Triangle) -> None:
    """Outline, light fill, and the slope next to the vertical side."""
    tint = tuple(1 - 0.16 * (1 - part) for part in to_rgb(slope.colour))
    style = {"facecolor": tint, "edgecolor": slope.colour, "linewidth": 0.9, "joinstyle": "round", "zorder": 2.5}
    axes.add_patch(Polygon(triangle.corners, closed=True, **style))
    (_, start), (_, end), (x, _) = triangle.corners
    side, align = (-1, "right") if triangle.label_left else (1, "left")
    axes.annotate(
        slope.label,
        (x, float(np.sqrt(start * end))),
        (side * LABEL_GAP, 0),
        textcoords="offset points",
        color=slope.colour,
        fontsize=LABEL_SIZE,
        ha=align,
        va="center",
    )


def _measured(axes: Axes, lines: Sequence[Guide]) -> Panel:
    """The panel as it will be with these guides: limits that hold them, room at the right for their labels."""
    area = axes.get_window_extent()
    inches = area.transformed(axes.figure.dpi_scale_trans.inverted())
    low, high = axes.get_ylim()
    y = min([low, *(line.end[1] / 1.2 for line in lines)]), max([high, *(line.end[1] * 1.2 for line in lines)])
    return Panel(axes.get_xlim(), y, 72 * inches.width - (_RIGHT_LABEL if lines else 0), 72 * inches.height)


def _drawn(axes: Axes, lines: Sequence[Guide]) -> list[Drawn]:
    """All lines and marks of the panel, and the guides it will have."""
    found = [Drawn(*np.transpose([line.start, line.end]), radius=0.5, joined=True) for line in lines]
    for line in axes.lines:
        x, y = (np.asarray(data, dtype=float) for data in line.get_data())
        marked = line.get_marker() not in ("", "None", None)
        radius = (line.get_markersize() + line.get_markeredgewidth()) / 2 if marked else 0.0
        found.append(Drawn(x, y, radius, joined=line.get_linestyle() != "None"))
    return found


def _guide(slope: Slope, floor: float) -> Guide:
    """From a little below the first point to the end of the window, or down to half the ``floor`` of the panel."""
    x, y, last = float(slope.x[0]), float(slope.y[0]) / 1.6, float(slope.x[-1])
    if slope.value < 0 and floor / 2 < y:
        last = min(last, x * (floor / 2 / y) ** (1 / slope.value))
    return Guide((x, y), (last, y * (last / x) ** slope.value), slope.label, slope.colour)


def guides(axes: Axes, lines: Sequence[Guide]) -> None:
    """Dashed guide lines, each labelled at the right edge of the panel; labels are pushed apart where they would overlap."""
    low, high = np.log(axes.get_ylim())
    places = _apart([(np.log(guide.end[1]) - low) / (high - low) for guide in lines], gap=0.062)
    for guide, place in zip(lines, places, strict=True):
        axes.plot(*zip(guide.start, guide.end, strict=True), color=guide.colour, ls=(0, (4, 2)), lw=0.9, zorder=2)
        style = {"color": guide.colour, "fontsize": 8.5, "va": "center", "ha": "left"}
        axes.annotate(guide.label, (1.02, place), xycoords="axes fraction", **style)


def beside(axes: Axes, texts: Sequence[tuple[float, str, str]]) -> None:
    """Texts at the right of a panel, each (height in data units, text, colour), pushed apart where they would overlap."""
    low, high = np.log(axes.get_ylim())
    places = _apart([(np.log(height) - low) / (high - low) for height, _, _ in texts], gap=0.062)
    for (_, text, colour), place in zip(texts, places, strict=True):
        style = {"color": colour, "fontsize": LABEL_SIZE, "va": "center", "ha": "left"}
        axes.annotate(text, (1.02, place), xycoords="axes fraction", **style)


def _apart(places: Sequence[float], gap: float) -> list[float]:
    """The places moved as little as it takes to be ``gap`` apart and inside the panel, in the same order."""
    order = np.argsort(places)
    spread = np.clip(np.asarray(places, dtype=float)[order], 0.02, 0.98)
    for _ in range(100):
        for i in range(len(spread) - 1):
            overlap = gap - (spread[i + 1] - spread[i])
            if overlap > 1e-9:
                spread[i] -= overlap / 2
                spread[i + 1] += overlap / 2
        spread = np.clip(spread, 0.02, 0.98)
    result = np.empty(len(spread))
    result[order] = spread
    return result.tolist()
