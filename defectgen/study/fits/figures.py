"""Figures of the studies of fits: errors against the radius with predicted and measured slopes, variants of a design, floors."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...errors import core_cap
from ...plot.axes import curve, finish, legend, nothing_to_show, panels
from ...plot.picture import Picture, stem
from ...plot.slopes import beside, predicted, slope_in_window
from ...plot.style import Mark, in_reading_order, marks, variants
from ...plot.triangles import Slope
from ...plot.typeset import MINUS, decimal, slope
from .names import BEYOND, DESIGNED, PURE, WAYS, variant_name

_PANELS = {
    "geometry": ("geometry_error", "geometry error  $\\Vert Du_{\\mathrm{fit}}-Du\\Vert_{\\ell^2}$  (Å)"),
    "energy": ("energy_error", "energy error  $|\\Delta E_f|$  (eV)"),
}
_LABEL = {
    False: "radius $L$ of the training cell  (spacings)",
    True: "radius $L$ beyond which the fit is used  (spacings)",
}


def fit_pictures(results: pd.DataFrame, rates: pd.DataFrame) -> Iterator[Picture]:
    """A figure for every kind of fits and case."""
    for (study, material, defect), rows in results.groupby(["study", "material", "defect"], sort=False):
        ours = (rates["study"] == study) & (rates["material"] == material) & (rates["defect"] == defect)
        yield _picture(str(study), str(material), str(defect), rows, rates[ours])


def _picture(study: str, material: str, defect: str, rows: pd.DataFrame, rates: pd.DataFrame) -> Picture:
    look, beyond = marks(rows["observations"]), study == BEYOND
    figure, axes = panels(2, height=3.5)
    figure.set_size_inches(8.8, 3.5)  # with room for the slopes at the right of each panel
    wanted = []
    for panel, (quantity, (column, label)) in zip(axes, _PANELS.items(), strict=True):
        shown = rows[rows["converged"] & rows["same_basin"] & (rows[column] > 0)]
        ours = {rate["observations"]: rate for rate in rates[rates["quantity"] == quantity].to_dict("records")}
        wanted.append((panel, _curves(panel, shown, column, ours, look)))
        panel.set_xlabel(_LABEL[beyond])
        panel.set_ylabel(label)
        finish(panel, shown["training_radius"].to_numpy(), shown[column].to_numpy(), ticks_at_values=True)
        beside(panel, list(_labels(shown, column, list(ours.values()), look)))  # before triangles: it takes room at the right
    explained = predicted(figure, wanted, look, hollow=False)
    repeats = rows.groupby(["observations", "training_radius"]).size().max()
    what = "used beyond L, the reference within" if beyond else "one fitted potential everywhere"
    caption = (
        f"{material} {defect}, {what}. Curves: geometric mean of {repeats} bases; bars: smallest and largest error. At the "
        "right: measured slope with half the width of its 95 % interval, and the predicted slope in brackets."
    )
    heading = f"{material} {defect}: {what}"
    return Picture(stem(study, material, defect), heading, caption + explained, figure, rows)


def _means(rows: pd.DataFrame, column: str, name: str) -> pd.DataFrame:
    """Geometric mean, smallest and largest error of one set at every radius."""
    own = rows[rows["observations"] == name]
    logs = np.log(own[column]).groupby(own["training_radius"])
    return pd.DataFrame({"mean": np.exp(logs.mean()), "low": np.exp(logs.min()), "high": np.exp(logs.max())}).sort_index()


def _curves(axes: Axes, rows: pd.DataFrame, column: str, rates: dict[str, dict], look: dict[str, Mark]) -> list[Slope]:
    """The curves with their bars; the predicted slopes, each once, at the lowest curve that has it."""
    found: dict[float, Slope] = {}
    for name, mark in look.items():
        table = _means(rows, column, name)
        x, y = table.index.to_numpy(dtype=float), table["mean"].to_numpy()
        if not len(x):
            continue
        bars = np.array([y - table["low"], table["high"] - y])
        axes.errorbar(x, y, bars, ls="none", color=mark.colour, elinewidth=0.9, capsize=1.8, zorder=2.8)
        curve(axes, x, y, np.ones(len(x), dtype=bool), mark)
        made = slope_in_window(x, y, rates[name], mark.colour) if name in rates else None
        if made is not None and (made.value not in found or y[-1] < found[made.value].y[-1]):
            found[made.value] = made
    return list(found.values())


def _labels(rows: pd.DataFrame, column: str, rates: list[dict], look: dict[str, Mark]) -> Iterator[tuple[float, str, str]]:
    """Height of the end of a curve, what stands there, its colour."""
    for rate in rates:
        table = _means(rows, column, rate["observations"])
        if len(table) and np.isfinite(rate["slope"]):
            text = measured(rate)
            yield float(table["mean"].iloc[-1]), text, look[rate["observations"]].colour


def cap(rate: dict) -> float | None:
    """The cap of one relaxed configuration on a pure fit, where it is shallower than the predicted slope."""
    least = core_cap(int(rate["dimension"]), rate["quantity"])
    return least if rate["study"] == PURE and rate["predicted"] < least - 1e-9 else None


def measured(rate: dict) -> str:
    """A measured slope with half the width of its interval; in brackets the predicted one, and the cap if it is shallower."""
    half, capped = (rate["high"] - rate["low"]) / 2, cap(rate)
    width = f" ± {half:.2f}" if np.isfinite(half) else ""
    more = "" if capped is None else f", cap {slope(capped)}"
    known = f" ({slope(rate['predicted'])}{more})" if np.isfinite(rate["predicted"]) else ""
    return f"{decimal(rate['slope']).replace('-', MINUS)}{width}{known}"


# -- variants of a design

_ROWS = {"geometry_error": "geometry error (Å)", "energy_error": "energy error (eV)"}


def choices_picture(material: str, defect: str, rows: pd.DataFrame) -> Picture:
    """The curves of one case."""
    sets = in_reading_order(rows["observations"])
    look = variants(dict.fromkeys(rows["study"].map(variant_name)))
    figure = Figure(figsize=(2.9 * len(sets) + 0.6, 5.6), layout="constrained")
    grid = figure.subplots(len(_ROWS), len(sets), squeeze=False, sharex=True, sharey="row")
    for line, (column, label) in zip(grid, _ROWS.items(), strict=True):
        shown = rows[rows["converged"] & rows["same_basin"] & (rows[column] > 0)]
        for panel, observations in zip(line, sets, strict=True):
            _variant_panel(panel, shown[shown["observations"] == observations], column, look)
            if not shown.empty:
                finish(panel, shown["training_radius"].to_numpy(), shown[column].to_numpy(), ticks_at_values=True)
        line[0].set_ylabel(label)
    for panel, observations in zip(grid[0], sets, strict=True):
        panel.set_title(observations)
    for panel in grid[-1]:
        panel.set_xlabel("radius $L$ of the training cell")
    legend(figure, look)
    lost = int((~(rows["converged"] & rows["same_basin"])).sum())
    caption = (
        f"{material} {defect}: pure fits to cells of growing radius (nearest-neighbour spacings), as designed (black) and with "
        "one choice changed."
    )
    if lost:
        caption += f" Left out: {lost} of {len(rows)} fits with which the defect or the crystal is not stable."
    return Picture(
        stem("fits", "choices", material, defect), f"{material} {defect}: each choice changed alone", caption, figure, rows
    )


def _variant_panel(axes: Axes, rows: pd.DataFrame, column: str, look: dict[str, Mark]) -> None:
    if rows.empty:
        nothing_to_show(axes)
    for name, mark in look.items():
        own = rows[rows["study"].map(variant_name) == name]
        x, y = own["training_radius"].to_numpy(float), own[column].to_numpy(float)
        if name == DESIGNED:
            axes.plot(np.sort(x), y[np.argsort(x)], color=mark.colour, lw=2.6, alpha=0.35, zorder=2)
        curve(axes, x, y, np.ones(len(x), dtype=bool), mark)


# -- floors

_COLUMNS = {
    "held_out_forces": "force error, held out  (eV/Å)",
    "geometry_error": "geometry error  (Å)",
    "energy_error": "energy error  (eV)",
}


def floors_picture(material: str, defect: str, rows: pd.DataFrame) -> Picture:
    """Three panels of one case."""
    sets = in_reading_order(rows["observations"])
    names = {(study, each): f"{words}, {each}" for each in sets for study, words in WAYS.items()}
    look = variants(names.values())
    figure, axes = panels(3, height=3.2)
    figure.set_size_inches(8.8, 3.2)
    for panel, (column, label) in zip(axes, _COLUMNS.items(), strict=True):
        _floor_panel(panel, rows, column, {key: look[name] for key, name in names.items()})
        panel.set_xlabel("number of basis functions")
        panel.set_ylabel(label)
    lost = ~(rows["converged"] & rows["same_basin"])
    legend(figure, look, hollow=bool(lost.any()))
    caption = (
        f"{material} {defect}: fits with growing bases at the training radius {rows['training_radius'].max():.3g} spacings, "
        f"errors in a cell of {rows['simulation_atoms'].max():.0f} atoms. Force errors are those on rattled copies that were not "
        "fitted."
    )
    if lost.any():
        caption += f" With {int(lost.sum())} of {len(rows)} fits the defect is lost: only their force errors are shown, hollow."
    return Picture(stem("fits", "floors", material, defect), f"{material} {defect}: floor against basis", caption, figure, rows)


def _floor_panel(axes: Axes, rows: pd.DataFrame, column: str, look: dict[tuple[str, str], Mark]) -> None:
    kept = rows["converged"] & rows["same_basin"]
    shown = rows[(rows[column] > 0) & (kept | (column == "held_out_forces"))]  # the error of a lost defect has no meaning
    if shown.empty:
        nothing_to_show(axes)
        return
    for (study, observations), mark in look.items():
        own = shown[(shown["study"] == study) & (shown["observations"] == observations)]
        solid = (own["converged"] & own["same_basin"]).to_numpy(bool)
        curve(axes, own["basis_functions"].to_numpy(float), own[column].to_numpy(float), solid, mark)
    finish(axes, shown["basis_functions"].to_numpy(float), shown[column].to_numpy(float), ticks_at_values=True)
