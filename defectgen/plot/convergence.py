"""Figures of convergence: geometry and energy error against the training radius, or against the accuracy of the fit."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from .axes import curve, finish, legend, nothing_to_show, panels
from .picture import Picture, stem
from .slopes import predicted, slope_in_window
from .style import Mark, marks
from .triangles import Slope

_PANELS = {
    "geometry": ("geometry_error", "geometry error  $\\Vert Du_{\\mathrm{fit}}-Du\\Vert_{\\ell^2}$  (Å)"),
    "energy": ("energy_error", "energy error  $|\\Delta E_f|$  (eV)"),
}
_RADIUS = "training radius $L$  (nearest-neighbour spacings)"

Caption = Callable[[str, str, pd.DataFrame], str]
"""What was run, in words, of (material, defect, rows)."""


def convergence_pictures(results: pd.DataFrame, rates: pd.DataFrame, caption: Caption, radius: str) -> Iterator[Picture]:
    """A figure per study and case whose rows have more than one radius; `radius` names it in the heading."""
    for case, rows in _cases(results):
        if rows["training_radius"].nunique() > 1:
            yield convergence(case, rows, _select(rates, case), caption(case[1], case[2], rows), radius)


def convergence(case: tuple[str, str, str], rows: pd.DataFrame, rates: pd.DataFrame, caption: str, radius: str) -> Picture:
    """Geometry and energy error against the training radius, with triangles of the predicted slopes.

    Errors of several repeats at one radius are faint marks, and the curve is their geometric mean.
    """
    study, material, defect = case
    look = marks(rows["observations"])
    figure, axes = panels(2)
    drawn = [_panel(panel, rows, "training_radius", quantity, look) for panel, quantity in zip(axes, _PANELS, strict=True)]
    wanted = []
    for panel, quantity, shown in zip(axes, _PANELS, drawn, strict=True):
        panel.set_xlabel(_RADIUS)
        if not shown.empty:
            heights = np.array(shown.attrs.get("heights", shown["y"]))
            finish(panel, shown["x"].to_numpy(), heights, ticks_at_values=True)
            wanted.append((panel, list(_slopes(shown, rates[rates["quantity"] == quantity], look))))
    explained = predicted(figure, wanted, look, hollow=_any_hollow(drawn))
    repeats = int(rows.groupby(["observations", "training_radius"]).size().max())
    caption += f" Curves: geometric mean of {repeats} perturbations (faint marks)." if repeats > 1 else ""
    _, variant, name = study.partition(": ")
    heading = f"{material} {defect}: convergence in the {radius}" + (f", {name}" if variant else "")
    return Picture(stem(study, material, defect), heading, caption + explained + _lost(drawn), figure, rows)


def accuracy_pictures(results: pd.DataFrame) -> Iterator[Picture]:
    """Two figures per case: errors against the number of functions, and against the force error of the fit."""
    for case, rows in _cases(results):
        where = f"at fixed training radius {span(rows['training_radius'])} spacings"
        yield accuracy_picture(case, rows, "basis_functions", "number of basis functions", "error against basis size", where)
        yield accuracy_picture(
            case, rows, "rmse_forces", "force error of the fit, RMSE  (eV/Å)", "error against fit accuracy", where
        )


def accuracy_picture(case: tuple[str, str, str], rows: pd.DataFrame, column: str, label: str, what: str, where: str) -> Picture:
    """Geometry and energy error against a measure of how well the fit could do."""
    study, material, defect = case
    look = marks(rows["observations"])
    figure, axes = panels(2)
    drawn = [_panel(panel, rows, column, quantity, look) for panel, quantity in zip(axes, _PANELS, strict=True)]
    for panel, shown in zip(axes, drawn, strict=True):
        panel.set_xlabel(label)
        if not shown.empty:
            finish(panel, shown["x"].to_numpy(), shown["y"].to_numpy(), ticks_at_values=column == "basis_functions")
    legend(figure, look, hollow=_any_hollow(drawn), dashed=False)
    caption = (
        f"{material} {defect}: {what}, {where}; {span(rows['basis_functions'])} basis functions, "
        f"simulation cell of {span(rows['simulation_atoms'])} atoms."
    )
    name = stem(study, material, defect, column.replace("_", "-"))
    return Picture(name, f"{material} {defect}: {what}", caption + _lost(drawn), figure, rows)


def _panel(axes: Axes, rows: pd.DataFrame, column: str, quantity: str, look: dict[str, Mark]) -> pd.DataFrame:
    """Draw one error against ``column``; the points drawn (observations, x, y, solid), ``attrs['lost']`` counting the others."""
    error, label = _PANELS[quantity]
    points = pd.DataFrame(
        {
            "observations": rows["observations"],
            "x": rows[column],
            "y": rows[error].abs(),
            "solid": rows["converged"] & rows["same_basin"],
        }
    )
    shown = points[np.isfinite(points["x"]) & np.isfinite(points["y"]) & (points["x"] > 0) & (points["y"] > 0)]
    shown.attrs["lost"] = len(points) - len(shown)
    axes.set_ylabel(label)
    shown = _mean_of_repeats(axes, shown, look)
    for name, mark in look.items():
        own = shown[shown["observations"] == name]
        curve(axes, own["x"].to_numpy(), own["y"].to_numpy(), own["solid"].to_numpy(dtype=bool), mark)
    if shown.empty:
        nothing_to_show(axes)
    return shown


def _mean_of_repeats(axes: Axes, shown: pd.DataFrame, look: dict[str, Mark]) -> pd.DataFrame:
    """Where a size occurs more than once, its errors as faint marks and their geometric mean in their stead."""
    if not shown.duplicated(["observations", "x"]).any():
        return shown
    for name, mark in look.items():
        own = shown[shown["observations"] == name]
        axes.plot(own["x"], own["y"], linestyle="none", marker=mark.marker, markersize=3, color=mark.colour, alpha=0.4)
    groups = shown.assign(y=np.log(shown["y"])).groupby(["observations", "x"], as_index=False, sort=False)
    mean = groups.agg({"y": "mean", "solid": "all"})
    mean["y"] = np.exp(mean["y"])
    mean.attrs.update(shown.attrs, heights=shown["y"].tolist())
    return mean


def _slopes(shown: pd.DataFrame, rates: pd.DataFrame, look: dict[str, Mark]) -> Iterator[Slope]:
    """The predicted slope of each set that has one, with the points in the window of its rate."""
    for rate in rates[rates["observations"].isin(list(look))].to_dict("records"):
        own = shown[(shown["observations"] == rate["observations"]) & shown["solid"]]
        slope = slope_in_window(own["x"].to_numpy(), own["y"].to_numpy(), rate, look[rate["observations"]].colour)
        if slope is not None:
            yield slope


def _cases(results: pd.DataFrame) -> Iterator[tuple[tuple[str, str, str], pd.DataFrame]]:
    for case, rows in results.groupby(["study", "material", "defect"], sort=False):
        study, material, defect = (str(part) for part in case)
        yield (study, material, defect), rows


def _select(rates: pd.DataFrame, case: tuple[str, str, str]) -> pd.DataFrame:
    study, material, defect = case
    ours = (rates["material"] == material) & (rates["defect"] == defect)
    return rates[ours & ((rates["study"] == study) | (rates["study"] == ""))]


def span(values: pd.Series) -> str:
    """``a to b``, or the one value; '?' for none."""
    numbers = values.dropna()
    if numbers.empty:
        return "?"
    low, high = f"{numbers.min():.6g}" if numbers.min() >= 100 else f"{numbers.min():.3g}", f"{numbers.max():.6g}"
    high = high if numbers.max() >= 100 else f"{numbers.max():.3g}"
    return low if low == high else f"{low} to {high}"


def _any_hollow(drawn: list[pd.DataFrame]) -> bool:
    return any((~shown["solid"].astype(bool)).any() for shown in drawn)


def _lost(drawn: list[pd.DataFrame]) -> str:
    lost = max(shown.attrs["lost"] for shown in drawn)
    if not lost:
        return ""
    return f" {lost} {'point is' if lost == 1 else 'points are'} missing: no finite, positive error (see the table)."
