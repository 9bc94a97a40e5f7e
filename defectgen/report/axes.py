"""Logarithmic axes that a reader can read: ticks at the values that were run, labels that do not collide."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, LogFormatterSciNotation, LogLocator, NullFormatter

from defectgen.report.style import Mark
from defectgen.report.triangles import LABEL_GAP, LABEL_SIZE, Drawn, Panel, Slope, Triangle, arrange

_CORNERS = [(-1.0, 0.7), (1.0, -0.7), (-1.0, -0.7), (-1.0, 0.7)]  # of the triangle in a legend
_RIGHT_LABEL = 36.0  # room that the label of a guide takes at the right of a panel, points


def panels(count: int, height: float = 3.3) -> tuple[Figure, list[Axes]]:
    """A row of ``count`` panels, 3.75 inch each, with room for a legend above."""
    figure = Figure(figsize=(3.75 * count, height), layout=ConstrainedLayoutEngine(w_pad=0.06, wspace=0.05))
    axes = figure.subplots(1, count, squeeze=False)[0]
    return figure, list(axes)


def curve(axes: Axes, x: np.ndarray, y: np.ndarray, solid: np.ndarray, mark: Mark) -> None:
    """Points joined in order of x; hollow where ``solid`` is False, and only solid ones are joined."""
    order = np.argsort(x, kind="stable")
    x, y, solid = x[order], y[order], solid[order]
    axes.plot(x[solid], y[solid], color=mark.colour, marker=mark.marker, markeredgecolor="white", markeredgewidth=0.6, zorder=3)
    axes.plot(x[~solid], y[~solid], color=mark.colour, marker=mark.marker, mfc="white", mew=1.2, ls="none", zorder=4)


def finish(axes: Axes, x: np.ndarray, y: np.ndarray, *, ticks_at_values: bool) -> None:
    """Logarithmic scales, limits around ``x`` and ``y`` with a margin, ticks."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(*_margins(x, 0.06, least=1.15))
    axes.set_ylim(*_margins(y, 0.08, least=3.0))
    axes.grid(True, which="major")
    _ticks(axes.yaxis)
    if ticks_at_values:
        _ticks_at(axes, np.unique(x))
    else:
        _ticks(axes.xaxis)


def nothing_to_show(axes: Axes) -> None:
    """Say so, instead of an empty frame."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, "no point to draw", ha="center", va="center", transform=axes.transAxes, color="#777777")


@dataclass(frozen=True)
class Guide:
    """A straight line of a predicted slope in a log-log panel, between two points (x, y)."""

    start: tuple[float, float]
    end: tuple[float, float]
    label: str
    colour: str


def slope_triangles(figure: Figure, wanted: Sequence[tuple[Axes, Sequence[Slope]]]) -> bool:
    """A triangle for every predicted slope, once all else is drawn; a dashed guide where no free place is left.

    Returns:
        Whether a guide was drawn: legend and caption have to explain it.
    """
    figure.draw_without_rendering()  # lays the panels out: from here on their sizes are known
    dashed = False
    for axes, slopes in wanted:
        lines: list[Guide] = []
        while True:
            panel, found = arrange(_measured(axes, lines), slopes, _drawn(axes, lines))
            pairs = list(zip(slopes, found, strict=True))
            if None not in found:
                break
            lines += [_guide(slope, floor=panel.y[0]) for slope, triangle in pairs if triangle is None]
            slopes = [slope for slope, triangle in pairs if triangle is not None]
        axes.set_ylim(*panel.y)
        _ticks(axes.yaxis)
        for slope, triangle in pairs:
            if triangle is not None:
                _triangle(axes, slope, triangle)
        guides(axes, lines)
        dashed |= bool(lines)
    return dashed


def _triangle(axes: Axes, slope: Slope, triangle: Triangle) -> None:
    """Outline, light fill, and the slope beside the vertical side."""
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


def legend(figure: Figure, marks: dict[str, Mark], *, hollow: bool, dashed: bool, triangles: bool = False) -> None:
    """One legend for all panels, above them, in the stead of an earlier one."""
    for earlier in list(figure.legends):
        earlier.remove()
    handles = [
        Line2D([], [], color=mark.colour, marker=mark.marker, markeredgecolor="white", markeredgewidth=0.6, label=name)
        for name, mark in marks.items()
    ]
    if hollow:
        handles.append(
            Line2D([], [], color="#555555", marker="o", mfc="white", mew=1.2, ls="none", label="unconverged / other basin")
        )
    if dashed or triangles:
        style = {"marker": _CORNERS, "markersize": 9, "mfc": "#E8E8E8", "mew": 0.9} if triangles else {}
        style |= {"color": "#555555", "ls": (0, (4, 2)) if dashed else "none", "lw": 0.9}
        handles.append(Line2D([], [], label="predicted slope", **style))
    for columns in range(min(len(handles), 6), 0, -1):
        placed = figure.legend(
            handles=handles,
            loc="outside upper center",
            ncols=columns,
            handlelength=1.8,
            handletextpad=0.5,
            columnspacing=1.2,
        )
        if placed.get_window_extent().width <= figure.bbox.width or columns == 1:
            break
        placed.remove()


def _margins(values: np.ndarray, share: float, least: float) -> tuple[float, float]:
    """Limits around positive ``values`` on a log axis, spanning at least the factor ``least``."""
    low, high = np.log(values.min()), np.log(values.max())
    spare = max(share * (high - low), (np.log(least) - (high - low)) / 2)
    return float(np.exp(low - spare)), float(np.exp(high + spare))


def _ticks(axis: Axis) -> None:
    """Powers of ten, and 2 and 5 between them where fewer than two powers are in view."""
    low, high = np.log10(axis.get_view_interval())
    few = np.floor(high) - np.ceil(low) < 1
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12) if few else LogLocator(numticks=8))
    if few and low > -3:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    elif few:
        axis.set_major_formatter(LogFormatterSciNotation(labelOnlyBase=False, minor_thresholds=(np.inf, np.inf)))
    axis.set_minor_formatter(NullFormatter())


def _ticks_at(axes: Axes, values: np.ndarray) -> None:
    """Ticks at the values that were run; labels only where they are far enough from the last one (a twelfth of the axis)."""
    low, high = np.log(axes.get_xlim())
    labels, last = [], -np.inf
    for value in values:
        place = (np.log(value) - low) / (high - low)
        far = place - last >= 1 / 12
        labels.append(f"{value:.3g}" if far else "")
        last = place if far else last
    axes.xaxis.set_major_locator(FixedLocator(values.tolist()))
    axes.xaxis.set_major_formatter(FixedFormatter(labels))
    axes.xaxis.set_minor_locator(FixedLocator([]))


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
