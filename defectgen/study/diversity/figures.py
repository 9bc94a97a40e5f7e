"""How a budget of labels is best split: error against the number of structures for every budget, and learning curves."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, LogLocator, NullFormatter

from ...plot.picture import Picture, stem

WIDE = 3
"""Panels in a row."""
LABELS = {
    "forces": "force error, MAE  (eV/Å)",
    "energy": "energy error, MAE  (eV/atom)",
    "shape": "error of relative energies, MAE  (eV/atom)",
    "offset": "energy offset of a structure, MAE  (eV/atom)",
    "geometry_error": "geometry error of the defect  (Å)",
    "formation_energy_error": "error of the formation energy  (eV)",
}
"""Axis labels of quantities; those that a source adds are shown by their names."""
HIDDEN = ("energy_rmse", "shape_rmse", "forces_rmse", "offset")
"""Quantities that are in the tables only."""
OWN = "conformational, own structures"
"""A test set that is in the tables only: every split has another one."""
BASELINE = ("kernel ridge", "energy")
"""The second model, and the one quantity that it is drawn for."""
COLOURS = ("#56B4E9", "#0072B2", "#009E73", "#E69F00", "#D55E00", "#CC79A7", "#000000", "#8A6D00")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
NOTE: dict[str, Any] = {"fontsize": 8.5, "zorder": 6, "bbox": {"fc": "white", "ec": "none", "pad": 1.0, "alpha": 0.85}}
PULL = 2.0
"""Whiskers are cut where they leave the points by more than this factor: of few repetitions they fill the page."""
KEY = ["source", "observations", "model", "quantity"]


def budget_pictures(errors: pd.DataFrame | None, best: pd.DataFrame | None, curves: pd.DataFrame | None) -> Iterator[Picture]:
    """For every model and quantity: trade-offs, best splits against the budget, learning curves of fixed sets.

    errors, best, curves: the tables diversity_gaps, diversity_tradeoff and diversity_curves.
    """
    if errors is None or errors.empty:
        return
    plain = _drawn(errors)
    for key, rows in plain.groupby(KEY, sort=False):
        budget = rows[rows["experiment"] == "fixed budget"]
        own = None if best is None else _of(_drawn(best), key)
        if budget.groupby("budget")["structures"].nunique().max() > 1:
            yield _tradeoff(key, budget, own)
    if best is not None:
        for key, rows in _drawn(best).groupby(KEY, sort=False):
            if rows["budget"].nunique() > 1 and key[2] != BASELINE[0]:
                yield _best(key, rows)
    for key, rows in plain.groupby(KEY, sort=False):
        fixed = rows[rows["experiment"] == "fixed set"]
        if fixed.groupby("structures")["conformations"].nunique().max() > 1 and key[2] != BASELINE[0]:
            yield _fixed(key, fixed, None if curves is None else _of(curves[curves["experiment"] == "fixed set"], key))


def _drawn(table: pd.DataFrame) -> pd.DataFrame:
    """Random structures, the quantities and tests that are drawn."""
    second = (table["model"] == BASELINE[0]) & (table["quantity"] != BASELINE[1])
    return table[(table["selection"] == "random") & ~table["quantity"].isin(HIDDEN) & (table["test"] != OWN) & ~second]


def _of(table: pd.DataFrame, key: Sequence) -> pd.DataFrame:
    return table[np.logical_and.reduce([table[name] == value for name, value in zip(KEY, key, strict=True)])]


def _tradeoff(key: Sequence, rows: pd.DataFrame, best: pd.DataFrame | None) -> Picture:
    """One panel a test set, one curve a budget, the best split marked."""
    figure, axes = grid(list(dict.fromkeys(rows["test"])), 2.35, 0.6)
    budgets = sorted(rows["budget"].unique())
    for test, panel in axes.items():
        drawn = rows[rows["test"] == test]
        for k, budget in enumerate(budgets):
            own = drawn[drawn["budget"] == budget].sort_values("structures")
            _curve(panel, own, "structures", k)
            if best is not None:
                for line in best[(best["test"] == test) & (best["budget"] == budget)].to_dict("records"):
                    _star(panel, line, own, k)
        _finish(panel, drawn, "structures")
        panel.set_title(test)
    outer(figure, "structures $S$,  $C=N/S$ configurations of each", _label(key[3]))
    handles = [_handle(k, f"$N$ = {budget:g}") for k, budget in enumerate(budgets)]
    handles.append(Line2D([], [], marker="*", ms=11, mfc="#BBBBBB", mec="black", ls="none", label="best split, 95 % interval"))
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 6))
    caption = (
        f"{_source(key)}: budgets of N labels spent on S structures with N/S configurations each. Points: geometric mean over "
        f"{_seeds(best)} repetitions with its 95 % interval; stars: the best split with all that the repetitions do "
        "not exclude at 95 %, at the ends of the grid where nothing inside is better."
    )
    name = f"{key[3].replace('_', ' ')}, {key[2]}"
    return Picture(stem("diversity-tradeoff", *map(str, key)), f"How to split a budget: {name}", caption, figure, rows)


def _best(key: Sequence, rows: pd.DataFrame) -> Picture:
    """Configurations of each structure in the best split, against the budget, one panel a test set."""
    figure, axes = grid(list(dict.fromkeys(rows["test"])), 2.35, 0.6)
    for test, panel in axes.items():
        own = rows[rows["test"] == test].sort_values("budget")
        x, n = own["budget"].to_numpy(float), own["budget"].to_numpy(float)
        y, low, high = (n / own[name].to_numpy(float) for name in ("best_structures", "high", "low"))
        panel.fill_between(x, n / own["tolerated_high"], n / own["tolerated_low"], color="#E3E3E3", lw=0, step=None)
        panel.errorbar(
            x, y, [y - np.minimum(low, y), np.maximum(high, y) - y], fmt="o-", color="#0072B2", capsize=2.5, mec="white"
        )
        panel.axhline(1.0, color="#888888", lw=0.9, ls=(0, (4, 2)))
        both = pd.DataFrame({"budget": np.tile(x, 4), "error": np.concatenate([y, low, high, n / own["tolerated_low"]])})
        _scales(panel, both["budget"].to_numpy(), np.append(both["error"].to_numpy(), [1.0]), least=4.0)
        _ticks(panel, x)
        panel.set_title(test)
    outer(figure, "labels $N$", "configurations of each structure, $C$")
    caption = (
        f"{_source(key)}: configurations of each structure in the best split of N labels, for the {_quantity(key[3])} on each "
        "test set, with its 95 % interval over the repetitions; grey: splits whose error is within ten per cent of the best. "
        "On the dashed line every label is another structure."
    )
    heading = f"The best split against the budget: {key[3].replace('_', ' ')}, {key[2]}"
    return Picture(stem("diversity-best", *map(str, key)), heading, caption, figure, rows)


def _fixed(key: Sequence, rows: pd.DataFrame, curves: pd.DataFrame | None) -> Picture:
    """Error against the number of configurations of each structure, one panel a test set, one curve a set."""
    figure, axes = grid(list(dict.fromkeys(rows["test"])), 2.35, 0.6)
    sets = sorted(rows["structures"].unique())
    for test, panel in axes.items():
        drawn = rows[rows["test"] == test]
        said = []
        for k, structures in enumerate(sets):
            own = drawn[drawn["structures"] == structures].sort_values("conformations")
            _curve(panel, own, "conformations", k)
            if curves is not None:
                lines = curves[(curves["test"] == test) & (curves["structures"] == structures)].to_dict("records")
                said += [(k, f"$C^{{{line['slope']:.2f}}}$".replace("-", "\N{MINUS SIGN}")) for line in lines]
        _finish(panel, drawn, "conformations")
        for row, (k, text) in enumerate(said):
            colour = COLOURS[k % len(COLOURS)]
            panel.text(0.97, 0.96 - 0.11 * row, text, color=colour, ha="right", va="top", transform=panel.transAxes, **NOTE)
        panel.set_title(test)
    outer(figure, "configurations of each structure $C$", _label(key[3]))
    handles = [_handle(k, f"$S$ = {structures:g}") for k, structures in enumerate(sets)]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 6))
    caption = (
        f"{_source(key)}: S structures fixed, and C configurations of each. Points: geometric mean over the repetitions with its "
        "95 % interval; the exponents are means of the slopes of all repetitions, their intervals are in the table below."
    )
    heading = f"A fixed set of structures: {key[3].replace('_', ' ')}, {key[2]}"
    return Picture(stem("diversity-fixed", *map(str, key)), heading, caption, figure, rows)


def _curve(panel: Axes, own: pd.DataFrame, x: str, k: int) -> None:
    """Points with whiskers, joined."""
    y, low, high = whiskers(own, PULL)
    style = {"color": COLOURS[k % len(COLOURS)], "marker": MARKERS[k % len(MARKERS)], "mec": "white", "mew": 0.5, "ms": 5}
    panel.errorbar(own[x], y, [y - low, high - y], elinewidth=0.8, capsize=1.5, zorder=3, **style)


def _star(panel: Axes, line: dict, own: pd.DataFrame, k: int) -> None:
    """The best split, at the height of the curve, and its interval."""
    x, y = np.log(own["structures"].to_numpy(float)), np.log(own["error"].to_numpy(float))
    height = float(np.exp(np.interp(np.log(line["best_structures"]), x, y)))
    colour = COLOURS[k % len(COLOURS)]
    panel.plot([line["low"], line["high"]], [height, height], color=colour, lw=3, alpha=0.35, solid_capstyle="butt", zorder=2)
    panel.plot(line["best_structures"], height, "*", ms=11, mfc=colour, mec="black", mew=0.7, zorder=5)


def _finish(panel: Axes, rows: pd.DataFrame, x: str) -> None:
    _, low, high = whiskers(rows, PULL)
    _scales(panel, rows[x].to_numpy(float), np.array([low.min(), high.max()]), least=2.0)
    _ticks(panel, np.unique(rows[x].to_numpy(float)))


def _scales(panel: Axes, x: np.ndarray, y: np.ndarray, least: float) -> None:
    panel.set_xscale("log")
    panel.set_yscale("log")
    for values, at_least, limit in ((x, 1.3, panel.set_xlim), (y, least, panel.set_ylim)):
        low, high = np.log(values.min()), np.log(values.max())
        spare = max(0.06 * (high - low), (np.log(at_least) - (high - low)) / 2)
        limit(np.exp(low - spare), np.exp(high + spare))
    panel.grid(True, which="major")
    decades = np.log10(y.max() / y.min())
    panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 1.6 else (1.0,), numticks=12))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.yaxis.set_minor_formatter(NullFormatter())


def _ticks(panel: Axes, values: np.ndarray) -> None:
    """Labels at the values that were run, where they do not collide."""
    low, high = np.log(panel.get_xlim())
    labels, last = [], -np.inf
    for value in values:
        place = (np.log(value) - low) / (high - low)
        far = place - last >= 0.13
        labels.append(f"{value:g}" if far else "")
        last = place if far else last
    label_at(panel, values, labels)


def _handle(k: int, label: str) -> Line2D:
    return handle(label, COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)])


def _label(quantity: str) -> str:
    return LABELS.get(quantity, quantity.replace("_", " "))


def _quantity(quantity: str) -> str:
    return _label(quantity).split(",")[0].split("  ")[0]


def _source(key: Sequence) -> str:
    return f"{str(key[0]).capitalize()}, {key[2]} fitted to {key[1] if key[2] != 'kernel ridge' else 'E'}"


def _seeds(best: pd.DataFrame | None) -> str:
    return "the" if best is None or best.empty else f"{best['seeds'].max():.0f}"


def grid(names: Sequence[str], height: float, margin: float) -> tuple[Figure, dict[str, Axes]]:
    """A figure with a panel for each name; height of a row of panels and of what is outside them, inches."""
    lines, columns = -(-len(names) // WIDE), min(len(names), WIDE)
    size = (2.75 * columns + 0.4, height * lines + margin)
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.05))
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for spare in axes[len(names) :]:
        spare.set_axis_off()
    return figure, dict(zip(names, axes, strict=False))


def whiskers(rows: pd.DataFrame, pull: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Errors and the ends of their intervals, cut where they leave the error by more than the factor `pull`."""
    y = rows["error"].to_numpy(float)
    low = np.maximum(rows["error_low"].to_numpy(float), y / pull)
    return y, low, np.minimum(rows["error_high"].to_numpy(float), y * pull)


def label_at(panel: Axes, values: np.ndarray, labels: list[str]) -> None:
    """Ticks at these values of x and nowhere else."""
    panel.xaxis.set_major_locator(FixedLocator(values.tolist()))
    panel.xaxis.set_major_formatter(FixedFormatter(labels))
    panel.xaxis.set_minor_locator(FixedLocator([]))


def outer(figure: Figure, x: str, y: str = "") -> None:
    """One label for all panels, below and at the left."""
    figure.supxlabel(x, fontsize=9)
    if y:
        figure.supylabel(y, fontsize=9)


def handle(label: str, colour: str, marker: str) -> Line2D:
    """An entry of a legend."""
    return Line2D([], [], color=colour, marker=marker, mec="white", mew=0.5, label=label)
