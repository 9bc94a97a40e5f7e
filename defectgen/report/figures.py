"""The figures of a run: each a picture, the data it shows, and a caption that says what was run."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from defectgen.plot.axes import curve, finish, legend, nothing_to_show, panels
from defectgen.plot.picture import Picture, stem
from defectgen.plot.slopes import predicted, slope_in_window
from defectgen.plot.style import Mark, marks
from defectgen.plot.triangles import Slope

_PANELS = {
    "geometry": ("geometry_error", "geometry error  $\\Vert Du_{\\mathrm{fit}}-Du\\Vert_{\\ell^2}$  (Å)"),
    "energy": ("energy_error", "energy error  $|\\Delta E_f|$  (eV)"),
}
_RADIUS = "training radius $L$  (nearest-neighbour spacings)"
_FIT_ACCURACY = "fit-accuracy"
_SURROGATES = {  # the box and the energy that a study of surrogates is about
    "surrogates": ("a periodic cell", "The energy error"),
    "dislocations": ("a clamped cylinder", "The energy error, per period of the line,"),
    "barriers": ("a periodic cell", "Geometry of the saddle point; the error of the barrier"),
}
_CHOICE = "choices: "


def pictures(results: pd.DataFrame, rates: pd.DataFrame) -> Iterator[Picture]:
    """All figures of a run, in the order of its tables: convergence in the training radius first, then accuracy of the fit."""
    accuracy = results["study"] == _FIT_ACCURACY
    for case, rows in _cases(results[~accuracy]):
        if rows["training_radius"].nunique() > 1:
            yield convergence(case, rows, _select(rates, case))
    for case, rows in _cases(results[accuracy]):
        where = f"at fixed training radius {_span(rows['training_radius'])} spacings"
        yield accuracy_picture(case, rows, "basis_functions", "number of basis functions", "error against basis size", where)
        yield accuracy_picture(
            case, rows, "rmse_forces", "force error of the fit, RMSE  (eV/Å)", "error against fit accuracy", where
        )


def convergence(case: tuple[str, str, str], rows: pd.DataFrame, rates: pd.DataFrame) -> Picture:
    """Geometry and energy error against the training radius, with triangles of the predicted slopes."""
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
    if study in _SURROGATES:
        box, energy = _SURROGATES[study]
        caption = (
            f"{material} {defect}: error made by a surrogate whose forces are the reference's up to the radius L and carry one "
            f"perturbation beyond, which leaves the named observations exact; in {box} of "
            f"{_span(rows['simulation_atoms'])} atoms. {energy} is a sum of absolute contributions."
        )
        caption += f" Curves: geometric mean of {repeats} perturbations (faint marks)." if repeats > 1 else ""
    else:
        caption = _fitted_caption(material, defect, rows)
    caption += explained
    heading = f"{material} {defect}: convergence in the {'radius of exact forces' if study in _SURROGATES else 'training radius'}"
    heading += f", {study.removeprefix(_CHOICE)}" if study.startswith(_CHOICE) else ""
    return Picture(stem(study, material, defect), heading, caption + _lost(drawn), figure, rows)


def _fitted_caption(material: str, defect: str, rows: pd.DataFrame) -> str:
    return (
        f"{material} {defect}: error of the relaxed defect with the fit against that with the reference, in the same cell of "
        f"{_span(rows['simulation_atoms'])} atoms, for training structures of radius {_span(rows['training_radius'])} spacings "
        f"({_span(rows['training_atoms'])} atoms) and {_span(rows['basis_functions'])} basis functions."
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
        f"{material} {defect}: {what}, {where}; {_span(rows['basis_functions'])} basis functions, "
        f"simulation cell of {_span(rows['simulation_atoms'])} atoms."
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


def _span(values: pd.Series) -> str:
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
