"""The certificate against the true error: one point a fit."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ...plot.axes import finish, legend, nothing_to_show, panels
from ...plot.picture import Picture, stem
from ...plot.style import Mark

_UNITS = {"geometry": ("geometry", "Å"), "energy": ("energy", "eV")}
_MATERIAL_MARKS = [Mark("#0072B2", "o"), Mark("#D55E00", "s"), Mark("#009E73", "D"), Mark("#CC79A7", "^"), Mark("#000000", "v")]


def certificate_pictures(certificates: pd.DataFrame | None) -> Iterator[Picture]:
    """Estimates and bounds against true errors, for geometry and energy."""
    if certificates is None or certificates.empty:
        return
    rows = certificates[certificates["trusted"].astype(bool)]
    for name, what in (("estimate", "estimate"), ("spread", "spread"), ("bound", "bound")):
        yield _against(rows, name, what)


def _against(rows: pd.DataFrame, name: str, what: str) -> Picture:
    materials = list(dict.fromkeys(rows["material"]))
    look = dict(zip(materials, (_MATERIAL_MARKS * len(materials))[: len(materials)], strict=True))
    figure, axes = panels(2, height=3.6)
    for panel, quantity in zip(axes, _UNITS, strict=True):
        _panel(panel, rows, quantity, name, look)
    legend(figure, look, lines=False)
    explained = {
        "estimate": "what a richer fit to the same labels changes, and its own spread",
        "spread": "root mean square over all changes of the coefficients that are as large as the residual of the fit",
        "bound": "the largest value over the same changes",
    }[name]
    caption = (
        f"{what.capitalize()} of the certificate against the true error, {len(rows)} fits: {explained}. It never saw "
        "the reference in the large cell. The line is equality, the band a factor of three either way."
    )
    return Picture(stem("certificate", name), f"Certificate: {what} and true error", caption, figure, rows)


def _panel(axes: Axes, rows: pd.DataFrame, quantity: str, name: str, look: dict[str, Mark]) -> None:
    label, unit = _UNITS[quantity]
    x, y = rows[f"{quantity}_error"].to_numpy(dtype=float), rows[f"{quantity}_{name}"].to_numpy(dtype=float)
    shown = np.isfinite(x) & np.isfinite(y) & (x > 0) & (y > 0)
    if not shown.any():
        nothing_to_show(axes)
        return
    for material, mark in look.items():
        own = shown & (rows["material"] == material).to_numpy()
        axes.plot(x[own], y[own], ls="none", color=mark.colour, marker=mark.marker, ms=4, mec="white", mew=0.4, zorder=3)
    ends = np.array([min(x[shown].min(), y[shown].min()), max(x[shown].max(), y[shown].max())])
    finish(axes, ends, ends, ticks_at_values=False)
    line = np.array(axes.get_xlim())
    axes.plot(line, line, color="#555555", lw=0.9, zorder=1)
    axes.fill_between(line, line / 3, line * 3, color="#000000", alpha=0.06, lw=0, zorder=0)
    axes.set_ylim(*axes.get_xlim())
    axes.set_xlabel(f"true {label} error  ({unit})")
    axes.set_ylabel(f"{name} of the {label} error  ({unit})")
