"""Logarithmic axes that a reader can read: ticks at the values that were run, labels that do not collide."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, LogFormatterSciNotation, LogLocator, NullFormatter

from .style import Mark

_CORNERS = [(-1.0, 0.7), (1.0, -0.7), (-1.0, -0.7), (-1.0, 0.7)]  # of the triangle in a legend


def panels(count: int, height: float = 3.3) -> tuple[Figure, list[Axes]]:
    """A row of ``count`` panels, 3.75 inch each, with room for a legend above."""
    figure = Figure(figsize=(3.75 * count, height), layout=ConstrainedLayoutEngine(w_pad=0.06, wspace=0.05))
    axes = figure.subplots(1, count, squeeze=False)[0]
    return figure, list(axes)


def fix_layout(figure: Figure) -> None:
    """Lay the figure out, and for good: whoever draws it later, at whatever resolution, finds its panels where they are now."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")


@contextmanager
def fixed_layout(figure: Figure) -> Iterator[None]:
    """Within the block, the layout of a figure is that of its first drawing; `savefig` would compute it again each time."""
    engine = figure.get_layout_engine()
    fix_layout(figure)
    try:
        yield
    finally:
        if engine is not None:
            figure.set_layout_engine(engine)


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
    ticks(axes.yaxis)
    if ticks_at_values:
        _ticks_at(axes, np.unique(x))
    else:
        ticks(axes.xaxis)


def ticks(axis: Axis) -> None:
    """Powers of ten, and 2 and 5 between them where fewer than two powers are in view."""
    low, high = np.log10(axis.get_view_interval())
    few = np.floor(high) - np.ceil(low) < 1
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12) if few else LogLocator(numticks=8))
    if few and low > -3:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    elif few:
        axis.set_major_formatter(LogFormatterSciNotation(labelOnlyBase=False, minor_thresholds=(np.inf, np.inf)))
    axis.set_minor_formatter(NullFormatter())


def nothing_to_show(axes: Axes) -> None:
    """Say so, instead of an empty frame."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, "no point to draw", ha="center", va="center", transform=axes.transAxes, color="#777777")


def legend(
    figure: Figure,
    marks: dict[str, Mark],
    *,
    hollow: bool = False,
    dashed: bool = False,
    triangles: bool = False,
    lines: bool = True,
) -> None:
    """One legend for all panels, above them, in the stead of an earlier one; `lines`: points are joined."""
    for earlier in list(figure.legends):
        earlier.remove()
    handles = [
        Line2D(
            [],
            [],
            color=mark.colour,
            marker=mark.marker,
            ls="-" if lines else "none",
            mec=mark.colour if mark.marker == "x" else "white",  # a cross is all edge
            mew=1.2 if mark.marker == "x" else 0.6,
            label=name,
        )
        for name, mark in marks.items()
    ]
    if hollow:
        handles.append(
            Line2D(
                [],
                [],
                color="#555555",
                marker="o",
                mfc="white",
                mew=1.2,
                ls="none",
                label="unconverged, unstable or in another basin",
            )
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
