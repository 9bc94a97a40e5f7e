"""A figure for a narrow screen: the same panels at the same size, one under the other."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.transforms import Bbox

WIDTH = 310.0
"""Points; shown at 370 pixels, letters of 9 points are 11 pixels high."""
_GAP = 8.0
_LEAST = 130.0
"""Points that a panel keeps at least when it is too wide."""


@dataclass(frozen=True)
class _Block:
    """Panels that stay together: a column of a grid."""

    axes: tuple[Axes, ...]
    box: Bbox
    """With ticks and labels, in points."""


@contextmanager
def narrowed(figure: Figure) -> Iterator[bool]:
    """Within the block, the columns of panels of a figure are placed one under the other, as many in a line as find room.

    The layout of the figure must be fixed (`fixed_layout`). Panels keep their size, so that what was placed in them by points
    stays free of overlaps; only a panel that is wider than `WIDTH` becomes narrower. Gives False for a figure that is narrow
    already.
    """
    if 72 * figure.get_figwidth() <= 1.1 * WIDTH:
        yield False
        return
    size, places = (
        (figure.get_figwidth(), figure.get_figheight()),
        {axes: axes.get_position(original=True) for axes in figure.axes},
    )
    labels = {axes: (axes.get_ylabel(), _labelled(axes)) for axes in figure.axes}
    legends = list(figure.legends)
    dpi = figure.dpi
    figure.set_dpi(72)  # a pixel is a point
    try:
        _stack(figure)
        yield True
    finally:
        figure.set_size_inches(size)
        for legend in list(figure.legends):
            legend.remove()
        figure.legends.extend(legends)
        for axes, (text, shown) in labels.items():
            axes.set_ylabel(text)
            axes.tick_params(labelleft=shown)
            axes.set_position(places[axes])
        figure.set_dpi(dpi)


def _stack(figure: Figure) -> None:
    bars = {axes: info["parents"] for axes in figure.axes if (info := getattr(axes, "_colorbar_info", None))}
    panels = [axes for axes in figure.axes if axes.get_visible() and axes not in bars]
    for axes in panels:
        _show_labels(axes, panels)
    columns: dict[Any, list[Axes]] = {}
    for axes in panels:
        spec = axes.get_subplotspec()
        columns.setdefault(spec.colspan.start if spec is not None else axes, []).append(axes)
    for axes, parents in bars.items():
        if len(parents) == 1:  # next to its panel
            next(own for own in columns.values() if parents[0] in own).append(axes)
        else:
            columns[axes] = [axes]
    blocks = [_block(tuple(own)) for own in columns.values()]
    blocks = [_squeezed(block, figure) if block.box.width > WIDTH else block for block in blocks]
    lines = _lines(blocks)
    width = max(sum(b.box.width for b in line) + _GAP * (len(line) - 1) for line in lines) + 4
    head = _legend(figure, max(width, WIDTH))
    width = max(width, head[0])
    heights = [max(b.box.height for b in line) for line in lines]
    height = head[1] + sum(heights) + _GAP * len(lines)
    offsets = {}
    top = height - head[1]
    for line, own in zip(lines, heights, strict=True):
        left = 2.0
        for block in line:
            for axes in block.axes:
                offsets[axes] = axes.get_window_extent().translated(left - block.box.x0, top - block.box.y1)
            left += block.box.width + _GAP
        top -= own + _GAP
    figure.set_size_inches(width / 72, height / 72)
    for axes, box in offsets.items():
        axes.set_position((box.x0 / width, box.y0 / height, box.width / width, box.height / height))
    for legend in figure.legends:
        legend.set_loc("upper center")
        legend.set_bbox_to_anchor((0.5, 1.0), transform=figure.transFigure)


def _labelled(axes: Axes) -> bool:
    """Whether ticks of the vertical axis have their labels."""
    return bool(axes.yaxis.get_tick_params().get("labelleft", True))


def _show_labels(axes: Axes, panels: list[Axes]) -> None:
    """Ticks and the name of a vertical axis that were left out next to a panel with the same one."""
    siblings = [other for other in panels if other is not axes and other.get_ylim() == axes.get_ylim()]
    if not siblings or _labelled(axes) or not axes.axison:
        return
    axes.tick_params(labelleft=True)
    if not axes.get_ylabel():
        axes.set_ylabel(next((each.get_ylabel() for each in siblings if each.get_ylabel()), ""))


def _block(axes: tuple[Axes, ...]) -> _Block:
    boxes = [box for each in axes if (box := each.get_tightbbox()) is not None]
    return _Block(axes, Bbox.union(boxes))


def _squeezed(block: _Block, figure: Figure) -> _Block:
    """The block with narrower panels, so that it fits the width where its labels let it."""
    over = block.box.width - WIDTH
    for axes in block.axes:
        box, wide = axes.get_position(original=False), figure.bbox.width
        axes.set_position((box.x0, box.y0, max(box.width * wide - over, min(_LEAST, box.width * wide)) / wide, box.height))
    return replace(block, box=_block(block.axes).box)


def _lines(blocks: list[_Block]) -> list[list[_Block]]:
    """Blocks in lines, filled from the left."""
    lines: list[list[_Block]] = []
    for block in blocks:
        used = sum(b.box.width + _GAP for b in lines[-1]) if lines else np.inf
        if used + block.box.width <= WIDTH:
            lines[-1].append(block)
        else:
            lines.append([block])
    return lines


def _legend(figure: Figure, width: float) -> tuple[float, float]:
    """Legends of the figure with so many columns as find room; their width and height in points."""
    size = (0.0, 2.0)
    for earlier in list(figure.legends):
        figure.legends.remove(earlier)  # kept by the caller, as it is
        columns = len(earlier.get_texts())
        made = _again(figure, earlier, columns)
        while made.get_window_extent().width > width and columns > 1:
            made.remove()
            columns -= 1
            made = _again(figure, earlier, columns)
        box = made.get_window_extent()
        size = (max(size[0], box.width), size[1] + box.height + _GAP / 2)
    return size


def _again(figure: Figure, earlier: Legend, columns: int) -> Legend:
    style = {name: getattr(earlier, name) for name in ("handlelength", "handletextpad", "columnspacing")}
    names = [text.get_text() for text in earlier.get_texts()]
    return figure.legend(handles=earlier.legend_handles, labels=names, ncols=columns, loc="upper center", **style)
