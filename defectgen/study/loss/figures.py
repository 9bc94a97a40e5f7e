"""Losses as points between three errors, with the Pareto front, and the response of every error to every weight."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from ...plot.axes import finish, nothing_to_show, panels
from ...plot.picture import Picture, stem
from ...plot.style import Mark, in_reading_order, marks
from ...plot.typeset import MINUS
from .words import QUANTITIES, front, loss_cases, trusted

_AXES = {
    "geometry_error": "geometry error  (Å)",
    "energy_error": "energy error  (eV)",
    "rmse_forces": "force error of the fit, RMSE  (eV/Å)",
}
_PANELS = (("geometry_error", "energy_error"), ("geometry_error", "rmse_forces"))
_COLUMNS = {
    "geometry_error": "geometry",
    "energy_error": "energy",
    "rmse_energy": "E",
    "rmse_forces": "F",
    "rmse_force_constants": "FC",
    "rmse_virial": "V",
    "rmse_elastic_constants": "C",
    "rmse_formation_energy": "E_f",
}
_STEEP = 2.0
"""A slope at which the colour is full: an error like the square of one over the weight."""


def loss_pictures(losses: pd.DataFrame | None, slopes: pd.DataFrame | None) -> Iterator[Picture]:
    """For each case the front of losses, then the responses of its designs."""
    for (material, defect), rows in loss_cases(losses):
        yield _front_picture(material, defect, rows)
    for (material, defect), rows in loss_cases(slopes):
        yield _slope_picture(material, defect, rows)


def _front_picture(material: str, defect: str, rows: pd.DataFrame) -> Picture:
    good, look = rows[trusted(rows)], marks(rows["observations"])
    figure, axes = panels(2, height=3.7)
    for panel, (across, up) in zip(axes, _PANELS, strict=True):
        _scatter(panel, good, look, across, up, numbered=up == "energy_error")
    _legend(figure, look)
    best = front(good)
    numbered = "; ".join(f"{n} {name}" for n, name in enumerate(best["loss"], start=1))
    lost = len(rows) - len(good)
    caption = (
        f"{material} {defect}: {len(good)} losses on the same labels, each fitted and its model relaxed in a cell of "
        f"{rows['simulation_atoms'].iloc[0]:.0f} atoms. Ringed: losses that no other one beats in both errors of the defect, "
        f"numbered from the smallest geometry error: {numbered}."
    )
    caption += f" Not drawn: {lost} whose models lost the defect." if lost else ""
    return Picture(stem("loss", material, defect), f"{material} {defect}: what each loss gives", caption, figure, rows)


def _scatter(panel: Axes, rows: pd.DataFrame, look: dict[str, Mark], across: str, up: str, numbered: bool) -> None:
    """Every loss by observation set; exact rows with a dark edge, the front ringed and numbered, the default as a star."""
    rows = rows[(rows[across] > 0) & (rows[up] > 0)]
    if rows.empty:
        nothing_to_show(panel)
        return
    for name, mark in look.items():
        own = rows[rows["observations"] == name]
        for held, edge in ((False, "white"), (True, "#222222")):
            some = own[_held(own) == held]
            style = {"color": mark.colour, "marker": mark.marker, "ms": 5, "mec": edge, "mew": 0.7, "alpha": 0.85}
            panel.plot(some[across], some[up], ls="none", **style)
    default = rows[rows["default"].astype(bool)]
    panel.plot(default[across], default[up], ls="none", marker="*", ms=13, color="#FFD700", mec="#222222", mew=0.8, zorder=4)
    best = front(rows)
    panel.plot(best[across], best[up], ls="none", marker="o", ms=11, mfc="none", mec="#222222", mew=0.9, zorder=3)
    finish(panel, rows[across].to_numpy(float), rows[up].to_numpy(float), ticks_at_values=False)
    if numbered:
        _number(panel, best[across].to_numpy(float), best[up].to_numpy(float))
    panel.set_xlabel(_AXES[across])
    panel.set_ylabel(_AXES[up])


def _number(panel: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """1, 2, ... next to the points, on the side where the neighbours are farther."""
    (left, right), (low, high) = np.log(panel.get_xlim()), np.log(panel.get_ylim())
    place = np.column_stack([(np.log(x) - left) / (right - left), (np.log(y) - low) / (high - low)])
    sides = {(8, 5): (0.05, 0.04), (-8, 5): (-0.05, 0.04), (8, -11): (0.05, -0.05), (-8, -11): (-0.05, -0.05)}
    taken: list[np.ndarray] = list(place)
    for n, (here, px, py) in enumerate(zip(place, x, y, strict=True), start=1):
        others = [t for t in taken if not np.array_equal(t, here)] or [here + 1]
        room = {side: min(np.linalg.norm(here + shift - t) for t in others) for side, shift in sides.items()}
        room = {side: far for side, far in room.items() if 0.03 < (here + np.array(sides[side]))[0] < 0.97} or room
        side = max(room, key=room.__getitem__)
        taken.append(here + np.array(sides[side]))
        align = "left" if side[0] > 0 else "right"
        panel.annotate(str(n), (px, py), side, textcoords="offset points", fontsize=7, ha=align, color="#222222", zorder=5)


def _held(rows: pd.DataFrame) -> pd.Series:
    return rows["constraints"].fillna("").astype(str) != ""


def _legend(figure: Figure, look: dict[str, Mark]) -> None:
    handles = [Line2D([], [], ls="none", color=m.colour, marker=m.marker, mec="white", label=name) for name, m in look.items()]
    handles += [
        Line2D([], [], ls="none", color="#BBBBBB", marker="o", mec="#222222", mew=0.7, label="with constraints"),
        Line2D([], [], ls="none", marker="*", ms=11, color="#FFD700", mec="#222222", label="default"),
        Line2D([], [], ls="none", marker="o", ms=10, mfc="none", mec="#222222", label="beaten by none in both"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 4), handletextpad=0.3, columnspacing=1.2)


def _slope_picture(material: str, defect: str, rows: pd.DataFrame) -> Picture:
    """One map for each observation set: knobs down, errors across, the slope in every field."""
    sets = in_reading_order(rows["observations"])
    knobs = list(dict.fromkeys(knob for name in reversed(sets) for knob in rows[rows["observations"] == name]["knob"]))
    columns = [name for name in _COLUMNS if name in set(rows["quantity"])]
    across, down = min(len(sets), 2), (len(sets) + 1) // 2
    size = (1.2 + (0.4 + 0.42 * len(columns)) * across, (1.0 + 0.25 * len(knobs)) * down)
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.04, wspace=0.02))
    axes = figure.subplots(down, across, squeeze=False, sharey=True).ravel()
    for spare in axes[len(sets) :]:
        spare.set_axis_off()
    for panel, name in zip(axes, sets, strict=False):
        own = rows[rows["observations"] == name].pivot_table(index="knob", columns="quantity", values="slope", aggfunc="first")
        own = own.reindex(index=knobs, columns=columns)
        _map(panel, own, name)
    caption = (
        f"{material} {defect}: d log error / d log weight at the design, for each observation set; for the two powers "
        "d log error / d power. Blue: more weight makes this error smaller. Errors of the defect (geometry, energy) and of the "
        "fit (RMSE of E, F, FC, V, of the elastic constants C and of the formation energy of the training cell). Empty: weights "
        "that a set does not have, and models that lost the defect. Exact derivatives, by the normal equations and one solve "
        "with the Hessian of the model; no differences were taken."
    )
    return Picture(
        stem("loss-sensitivity", material, defect), f"{material} {defect}: which weight matters", caption, figure, rows
    )


def _map(panel: Axes, table: pd.DataFrame, name: str) -> None:
    values = table.to_numpy(float)
    panel.imshow(np.ma.masked_invalid(values), cmap="RdBu_r", norm=TwoSlopeNorm(0.0, -_STEEP, _STEEP), aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            text = f"{value:.2f}".replace("-", MINUS) if abs(value) >= 0.005 else "0"
            shade = "white" if abs(value) > 0.65 * _STEEP else "#222222" if text != "0" else "#999999"
            panel.text(j, i, text, ha="center", va="center", fontsize=6, color=shade)
    panel.set_xticks(
        range(table.shape[1]), ["$E_f$" if c == "rmse_formation_energy" else _COLUMNS[str(c)] for c in table.columns]
    )
    panel.set_yticks(range(len(table)), [str(knob) for knob in table.index])
    panel.tick_params(axis="x", labelrotation=60, labelsize=7, length=0)
    panel.tick_params(axis="y", labelsize=7.5, length=0)
    panel.set_title(name, fontsize=9)
    for side in panel.spines.values():
        side.set_visible(False)
    two = sum(c in QUANTITIES for c in table.columns if c != "rmse_forces")
    panel.axvline(two - 0.5, color="white", lw=3)
