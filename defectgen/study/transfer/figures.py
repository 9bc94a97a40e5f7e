"""Matrices of errors: training defects down, test defects across, one panel an observation set."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle

from ...plot.axes import nothing_to_show
from ...plot.convergence import span
from ...plot.picture import Picture, stem
from ...plot.style import in_reading_order
from ...plot.typeset import number
from .tables import HELD, LOST, STRAYED, UNSTABLE
from .words import QUANTITIES, transfer_cases

_SCALE = {"geometry": (1e3, "mÅ"), "energy": (1e3, "meV")}
_COLOURS = "YlGnBu"
_GREY = "#D9D9D9"
_SHORT = {UNSTABLE: "unstable", STRAYED: "other\nbasin", LOST: "not\nrelaxed"}
_CELL = 0.62
"""Inch: width and height of a cell, room for two lines of seven digits."""


def transfer_pictures(table: pd.DataFrame) -> Iterator[Picture]:
    """Two figures per matrix: errors of geometry and of energy."""
    for (material, variant), rows in transfer_cases(table):
        for quantity in QUANTITIES:
            yield _picture(material, variant, quantity, rows)


def _picture(material: str, variant: str, quantity: str, rows: pd.DataFrame) -> Picture:
    column, (scale, unit) = QUANTITIES[quantity][0], _SCALE[quantity]
    sets, defects = in_reading_order(rows["observations"]), list(dict.fromkeys(rows["defect"]))
    across, down = min(len(sets), 2), (len(sets) + 1) // 2
    side = _CELL * len(defects)
    size = (0.9 + (side + 0.1) * across, 1.6 + (side + 0.25) * down)
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.06))
    axes = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).ravel()
    good = rows.loc[(rows["state"] == HELD) & (rows[column] > 0), column] * scale
    for spare in axes[len(sets) :]:
        spare.set_axis_off()
    if good.empty:
        nothing_to_show(axes[0])
    else:
        low, high = float(good.min()), float(good.max())
        norm = LogNorm(low / 1.2, max(high, 10 * low) * 1.2)
        for panel, name in zip(axes, sets, strict=False):
            _matrix(panel, rows[rows["observations"] == name], quantity, defects, norm)
            panel.set_title(name, fontsize=9)
        for panel in axes[::across]:
            panel.set_ylabel("trained on")
        for panel in axes[-across:]:
            panel.set_xlabel("tested on")
        bar = figure.colorbar(ScalarMappable(norm, _COLOURS), ax=list(axes), shrink=0.6, aspect=30, location="bottom")
        bar.set_label(f"{quantity} error ({unit})")
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    lost = int((rows["state"] != HELD).sum())
    caption = (
        f"{material}, {variant}: {quantity} error ({unit}) of the defect of each column, relaxed in a cell of "
        f"{span(rows['simulation_atoms'])} atoms with a fit trained on the defect of each row (training radius "
        f"{rows['training_radius'].iloc[0]:.3g} spacings). Below each error: its ratio to that of the fit trained on the "
        f"column's defect itself (framed). Grey: {lost} of {len(rows)} fits without an error, as the defect or the crystal is "
        "unstable, the relaxation did not converge, or it ended in another basin."
    )
    heading = f"{material}, {variant}: {quantity} error, training defect against test defect"
    return Picture(stem("transfer", material, variant, quantity), heading, caption, figure, rows)


def _matrix(panel: Axes, rows: pd.DataFrame, quantity: str, defects: list[str], norm: LogNorm) -> None:
    """One panel: colour and number of every error, the ratio below it, the outcome of the others in words."""
    column, scale = QUANTITIES[quantity][0], _SCALE[quantity][0]
    count = len(defects)
    values = np.full((count, count), np.nan)
    for _, row in rows.iterrows():
        place = defects.index(row["trained_on"]), defects.index(row["defect"])
        if row["state"] != HELD:
            panel.text(place[1], place[0], _SHORT[row["state"]], ha="center", va="center", fontsize=6, color="#555555")
            continue
        error, ratio = float(row[column]) * scale, float(row[f"{quantity}_ratio"])
        values[place] = error
        shade = "white" if norm(error) > 0.55 else "#222222"
        own = place[0] == place[1]
        text = _tight(error)
        panel.text(place[1], place[0] - (0 if own else 0.13), text, ha="center", va="center", fontsize=7.5, color=shade)
        if not own and np.isfinite(ratio):
            panel.text(place[1], place[0] + 0.22, f"{_tight(ratio)}×", ha="center", va="center", fontsize=6, color=shade)
    panel.set_facecolor(_GREY)
    panel.imshow(np.ma.masked_invalid(values), cmap=_COLOURS, norm=norm, aspect="equal")
    for k in range(count):
        panel.add_patch(Rectangle((k - 0.5, k - 0.5), 1, 1, fill=False, ec="#222222", lw=1.1))
    names = [name.replace("(", "\n(") for name in defects]
    panel.set_xticks(range(count), names, rotation=40, ha="right", rotation_mode="anchor", fontsize=7)
    panel.set_yticks(range(count), names, fontsize=7)
    panel.tick_params(length=0)
    for edge in panel.spines.values():
        edge.set_visible(False)


def _tight(value: float) -> str:
    """A number without spaces, for a small cell."""
    return number(value).replace("\N{NO-BREAK SPACE}", "")
