"""Figures of fits around dislocations: beyond a radius, a panel per training set; alone, against the radius of the cylinder."""

import numpy as np
import pandas as pd

from ...plot.axes import curve, finish, legend, nothing_to_show, panels
from ...plot.convergence import span
from ...plot.picture import Picture, stem
from ...plot.slopes import predicted, slope_in_window
from ...plot.style import Mark, in_reading_order, marks

_GEOMETRY = "geometry error  $\\Vert Du_{\\mathrm{fit}}-Du\\Vert_{\\ell^2}$  (Å)"
_ENERGY = "energy error  (eV per period)"


def beyond_picture(case: str, rows: pd.DataFrame, rates: pd.DataFrame) -> Picture:
    """The geometry error against L, with triangles of the slopes predicted for the window and the cylinder.

    Parameters
    ----------
    case : str
        Material and dislocation.
    rows, rates : DataFrame
        Lines of results.csv and rates.csv of this case; each value of `trained_on` has a panel.

    Returns
    -------
    Picture
        One panel for each training set.
    """
    trained, look = list(dict.fromkeys(rows["trained_on"])), marks(rows["observations"])
    figure, axes = panels(len(trained))
    wanted = []
    for panel, name in zip(axes, trained, strict=True):
        own = rows[(rows["trained_on"] == name) & (rows["geometry_error"] > 0)]
        panel.set_title(
            "trained on the crystal alone" if name == "crystal" else f"trained on the crystal and a {name}", fontsize=9
        )
        panel.set_xlabel("radius $L$  (nearest-neighbour spacings)")
        panel.set_ylabel(_GEOMETRY)
        if own.empty:
            nothing_to_show(panel)
            continue
        slopes = []
        for kinds, mark in look.items():
            mine = own[own["observations"] == kinds]
            x, y = mine["training_radius"].to_numpy(float), mine["geometry_error"].to_numpy(float)
            good = mine["converged"].to_numpy(bool)
            curve(panel, x, y, good, mark)
            line = rates[(rates["study"].str.endswith(f", {name}")) & (rates["observations"] == kinds)]
            found = slope_in_window(x[good], y[good], line.iloc[0].to_dict(), mark.colour) if len(line) else None
            slopes += [] if found is None else [found]
        finish(panel, own["training_radius"].to_numpy(float), own["geometry_error"].to_numpy(float), ticks_at_values=True)
        wanted.append((panel, slopes))
    explained = predicted(figure, wanted, look, hollow=bool((~rows["converged"].astype(bool)).any()))
    caption = (
        f"{case} dislocation: geometry error with the reference's forces up to the radius L around the line and those of a fit "
        f"beyond, in a clamped cylinder of {span(rows['simulation_atoms'])} atoms."
    )
    return Picture(stem("fits-beyond", case), f"{case} dislocation: fits used beyond L", caption + explained, figure, rows)


def pure_picture(case: str, rows: pd.DataFrame) -> Picture:
    """Both errors of dislocations relaxed with the fits alone, against the radius of the cylinder."""
    sets = [f"{kinds} of the {name}" for name, kinds in zip(rows["trained_on"], rows["observations"], strict=True)]
    rows = rows.assign(what=sets)
    known, trained = marks(rows["observations"]), list(dict.fromkeys(rows["trained_on"]))
    look = {
        f"{kinds} of the {name}": Mark(known[kinds].colour, "osD^v"[k % 5])
        for k, name in enumerate(trained)
        for kinds in in_reading_order(rows.loc[rows["trained_on"] == name, "observations"])
    }
    figure, axes = panels(2, height=3.6)
    good = rows["same_basin"].astype(bool)
    for panel, column, title in zip(axes, ("geometry_error", "energy_error"), (_GEOMETRY, _ENERGY), strict=True):
        shown = rows[good & (rows[column] > 0)]
        panel.set_xlabel("radius $R$ of the cylinder  (spacings)")
        panel.set_ylabel(title)
        if shown.empty:
            nothing_to_show(panel)
            continue
        for name, mark in look.items():
            mine = shown[shown["what"] == name]
            x, y = mine["simulation_radius"].to_numpy(float), mine[column].to_numpy(float)
            curve(panel, x, y, np.ones(len(x), dtype=bool), mark)
        finish(panel, shown["simulation_radius"].to_numpy(float), shown[column].to_numpy(float), ticks_at_values=True)
    legend(figure, look)
    lost = int((~good).sum())
    caption = (
        f"{case} dislocation relaxed with fits alone, in cylinders of {span(rows['simulation_atoms'])} atoms that are clamped to "
        "the elastic field of the reference. A fit whose elastic constants are wrong by one factor has an energy error that "
        "grows like log R."
    )
    caption += f" {lost} of {len(rows)} fits lose the dislocation and are not drawn." if lost else ""
    return Picture(stem("fits-alone", case), f"{case} dislocation: fits alone", caption, figure, rows.drop(columns="what"))
