"""The contributions of all terms of the bound, observation set by observation set, next to the true error."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ...plot.axes import legend, nothing_to_show, panels
from ...plot.picture import Picture, stem
from ...plot.style import Mark, marks
from .terms import ENERGY, GEOMETRY, at_largest, bound_cases

_PANELS = {
    "geometry": (GEOMETRY, "geometry_response", "contribution to the geometry error  (Å)"),
    "energy": (ENERGY, "energy_contribution", "contribution to the energy error  (eV)"),
}
_DECADES = 6
"""Shown below the largest number: what is smaller explains nothing."""


def bound_pictures(bounds: pd.DataFrame | None) -> Iterator[Picture]:
    """One figure per case, at its largest training radius."""
    if bounds is None or bounds.empty:
        return
    for case, rows in bound_cases(bounds):
        yield bound_picture(case, at_largest(rows))


def bound_picture(case: str, rows: pd.DataFrame) -> Picture:
    """Every term's contribution, then the true error and the bound, as marks on a logarithmic axis."""
    look = marks(rows["observations"])
    figure, axes = panels(2)
    for panel, quantity in zip(axes, _PANELS, strict=True):
        _panel(panel, rows, quantity, look)
    legend(figure, look)
    caption = (
        f"{case}: what each term of the bound contributes at training radius {rows['training_radius'].iloc[0]:.3g}: to the "
        "geometry, the perfect crystal's response to this part of the force error; to the energy, this part of the energy. The "
        "floor is the highest term, unless terms cancel (see the table). At the right the true error, which the terms together "
        "make up, and the guaranteed bound."
    )
    return Picture(stem("bound", *case.split(" ")), f"{case}: the bound, term by term", caption, figure, rows)


def _panel(axes: Axes, rows: pd.DataFrame, quantity: str, look: dict[str, Mark]) -> None:
    """Terms along x, one mark per observation set side by side."""
    terms, column, label = _PANELS[quantity]
    places = {name: place for place, name in enumerate((*terms, "error", "bound"))}
    shift = (np.arange(len(look)) - (len(look) - 1) / 2) * min(0.17, 0.7 / len(look))
    heights: list[float] = []
    for (name, mark), aside in zip(look.items(), shift, strict=True):
        own = rows[rows["observations"] == name]
        values = own.set_index("term")[column].astype(float)
        y = [*(float(values.get(term, np.nan)) for term in terms)]
        y += [float(own[f"{quantity}_{what}"].iloc[0]) for what in ("error", "bound")]
        x, y = np.arange(len(y)) + aside, np.array(y)
        shown = np.isfinite(y) & (y > 0)
        heights += y[shown].tolist()
        axes.plot(x[shown], y[shown], ls="none", color=mark.colour, marker=mark.marker, mec="white", mew=0.6, zorder=3)
    if not heights:
        nothing_to_show(axes)
        return
    axes.set_yscale("log")
    axes.set_ylim(max(min(heights) / 2, max(heights) * 10.0**-_DECADES), max(heights) * 2)
    axes.set_xticks(list(places.values()), [*terms, "error", "bound"])
    axes.tick_params(axis="x", labelsize=7)
    axes.set_xlim(-0.6, len(places) - 0.4)
    axes.axvline(len(terms) - 0.5, color="#AAAAAA", lw=0.8)
    for place in range(1, len(places)):
        axes.axvline(place - 0.5, color="#EEEEEE", lw=0.6, zorder=0)
    axes.grid(True, axis="y", which="major")
    axes.set_ylabel(label)
