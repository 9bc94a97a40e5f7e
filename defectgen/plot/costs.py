"""Figures of errors against what their labels cost, with the front that nothing cheaper beats."""

import numpy as np
import pandas as pd

from .axes import curve, finish, legend, nothing_to_show, panels
from .convergence import span
from .picture import Picture, stem
from .style import marks

_PANELS = {
    "geometry": ("geometry_error", "geometry error  $\\Vert Du_{\\mathrm{fit}}-Du\\Vert_{\\ell^2}$  (Å)"),
    "energy": ("energy_error", "energy error  $|\\Delta E_f|$  (eV)"),
}


def cost_picture(case: str, rows: pd.DataFrame) -> Picture:
    """Both errors against the hours of the labels, a curve per observation set, one point per training size.

    Parameters
    ----------
    case : str
        Material and defect.
    rows : DataFrame
        Lines of costs.csv: observations, hours, training_radius, geometry_error, energy_error, trusted, and for both quantities
        whether a point is on the front.

    Returns
    -------
    Picture
        Hollow points are fits that lost the defect; a grey staircase is the front of the others.
    """
    look, trusted = marks(rows["observations"]), rows["trusted"].astype(bool)
    figure, axes = panels(2)
    for panel, (quantity, (column, label)) in zip(axes, _PANELS.items(), strict=True):
        shown = rows[rows[column].abs() > 0]
        if not (shown["trusted"].astype(bool)).any():
            nothing_to_show(panel)
            continue
        good = shown[shown["trusted"].astype(bool)]
        shown = shown[shown[column].abs() <= 10 * good[column].abs().max()]
        for name, mark in look.items():
            own = shown[shown["observations"] == name]
            curve(panel, own["hours"].to_numpy(float), own[column].abs().to_numpy(), own["trusted"].to_numpy(bool), mark)
        finish(panel, shown["hours"].to_numpy(float), shown[column].abs().to_numpy(), ticks_at_values=False)
        best = good[good[f"{quantity}_front"].astype(bool)].sort_values("hours")
        x = np.append(best["hours"].to_numpy(float), panel.get_xlim()[1])
        y = best[column].abs().to_numpy(float)
        panel.step(x, np.append(y, y[-1:]), where="post", color="#BBBBBB", lw=4, zorder=1, solid_capstyle="butt")
        panel.set_xlabel("cost of the labels  (hours)")
        panel.set_ylabel(label)
    legend(figure, look, hollow=bool((~trusted).any()))
    caption = (
        f"{case}: error against the cost of the labels, for training structures of radius "
        f"{span(rows['training_radius'])} spacings; "
        "grey: the front of fits that no cheaper one beats. A calculation costs 10⁻⁶ h times "
        "the cube of its atoms, a tenth more with a stress; the relaxation before the defect is labelled is not counted."
    )
    lost = int((~trusted).sum())
    if lost:
        caption += f" Hollow, or left out far above the others: {lost} of {len(rows)} fits that lost the defect."
    return Picture(stem("costs", case), f"{case}: error against the cost of labels", caption, figure, rows)
