"""Errors against the radius, log-log: predicted slopes as triangles, measured ones with their intervals at the right."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ...errors import core_cap
from ...plot.axes import curve, finish, panels
from ...plot.picture import Picture, stem
from ...plot.slopes import beside, predicted, slope_in_window
from ...plot.style import Mark, marks
from ...plot.triangles import Slope
from ...plot.typeset import MINUS, decimal, slope
from .tables import BEYOND, PURE

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
