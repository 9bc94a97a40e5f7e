"""The front of a search for plans: error of the defect against the cost of the labels."""

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ...plot.axes import finish, nothing_to_show, panels
from ...plot.picture import Picture, stem
from ...plot.style import RC, Mark, marks

_PANELS = {
    "energy": "energy error  $|\\Delta E_f|$  (eV)",
    "geometry": "geometry error  $\\Vert Du_{\\mathrm{fit}}-Du\\Vert_{\\ell^2}$  (Å)",
}
_FRONT = "#333333"


def plan_picture(plans: pd.DataFrame, material: str, defect: str, targets: dict[str, float], by: str) -> Picture:
    """Every plan as a point, the front as stairs, targets dashed, the chosen plan ringed.

    `plans`: columns observations, hours, energy_error, geometry_error, energy_front, geometry_front, chosen. Plans without a
    finite error are counted in the caption.
    """
    with rc_context(RC):
        figure, axes = panels(len(_PANELS), height=3.5)
        look = marks(plans["observations"])
        for panel, quantity in zip(axes, _PANELS, strict=True):
            _panel(panel, plans, quantity, look, targets.get(quantity))
        handles = [Line2D([], [], ls="none", color=m.colour, marker=m.marker, label=name) for name, m in look.items()]
        handles.append(Line2D([], [], color=_FRONT, lw=1.2, label="front"))
        handles.append(Line2D([], [], color="#555555", lw=0.9, ls=(0, (4, 2)), label="target"))
        if plans["chosen"].any():
            handles.append(Line2D([], [], ls="none", marker="o", ms=11, mfc="none", mec="black", mew=1.3, label="chosen"))
        figure.legend(
            handles=handles, loc="outside upper center", ncols=min(len(handles), 7), handletextpad=0.4, columnspacing=1.1
        )
        figure.draw_without_rendering()  # the style belongs to this figure only, and a layout reads it
    lost = int((~np.isfinite(plans["energy_error"])).sum())
    how = "against the cheap reference in the simulation cell" if by == "measured" else "as its certificate estimates it"
    caption = (
        f"{material} {defect}: error of the fit of every plan {how}, against what its labels cost. The error is the largest of "
        "the plan's own and those of the same plan with more configurations."
    )
    caption += f" {lost} of {len(plans)} plans have no usable fit and are not drawn." if lost else ""
    return Picture(
        stem("plan", material, defect), f"{material} {defect}: error against cost of the labels", caption, figure, plans
    )


def _panel(axes: Axes, plans: pd.DataFrame, quantity: str, look: dict[str, Mark], target: float | None) -> None:
    error = plans[f"{quantity}_error"].to_numpy(dtype=float)
    good = np.isfinite(error) & (error > 0)
    shown = plans[good]
    axes.set_xlabel("cost of the labels  (hours)")
    axes.set_ylabel(_PANELS[quantity])
    if shown.empty:
        nothing_to_show(axes)
        return
    x, y = shown["hours"].to_numpy(dtype=float), error[good]
    for name, mark in look.items():
        own = (shown["observations"] == name).to_numpy()
        axes.plot(x[own], y[own], ls="none", color=mark.colour, marker=mark.marker, mec="white", mew=0.5, alpha=0.8, zorder=3)
    heights = y if target is None else np.append(y, target)
    finish(axes, x, heights, ticks_at_values=False)
    front = shown[shown[f"{quantity}_front"].to_numpy(dtype=bool)].sort_values("hours")
    steps = np.append(front["hours"].to_numpy(dtype=float), axes.get_xlim()[1])
    levels = np.append(front[f"{quantity}_error"].to_numpy(dtype=float), front[f"{quantity}_error"].min())
    axes.step(steps, levels, where="post", color=_FRONT, lw=1.2, zorder=2)
    if target is not None:
        axes.axhline(target, color="#555555", lw=0.9, ls=(0, (4, 2)), zorder=1)
    chosen = shown["chosen"].to_numpy(dtype=bool)
    axes.plot(x[chosen], y[chosen], ls="none", marker="o", ms=11, mfc="none", mec="black", mew=1.3, zorder=4)
