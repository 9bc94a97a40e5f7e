"""Crystals: errors against the number of structures for every set of observations, relaxed defects, fixed sets, a portrait."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from ....plot.atoms import INSIDE, OUTSIDE, coloured
from ....plot.axes import ticks
from ....plot.picture import Picture, stem
from ....plot.style import Mark, marks
from ..figures import grid, handle, label_at, outer, whiskers

FORCES = "forces_rmse"
RELAXED = "relaxed "
QUANTITIES = {
    "geometry": "geometry error\n$\\Vert D(u_\\mathrm{fit}-u)\\Vert_{\\ell^2}$  (Å)",
    "formation_energy": "error of the\nformation energy  (eV)",
}
HIDDEN = ("conformational", "conformational, own structures")
"""Tests that are in the tables only: one structure, and another one for every split."""
PULL = 2.5
"""Whiskers are cut where they leave the points by more than this factor."""
THRESHOLD = 1.0
"""The largest grade of the active set."""


def crystal_pictures(others: Mapping[str, pd.DataFrame]) -> Iterator[Picture]:
    """Three figures a material, then a portrait of each."""
    if "diversity_gaps" in others:
        yield from split_pictures(others["diversity_gaps"], others.get("diversity_outcomes"))
    yield from portrait_pictures(others.get("diversity_portrait"))


def split_pictures(errors: pd.DataFrame, outcomes: pd.DataFrame | None) -> Iterator[Picture]:
    """Three figures a material. errors, outcomes: the tables diversity_gaps and diversity_outcomes."""
    for source, rows in errors.groupby("source", sort=False):
        forces = rows[(rows["quantity"] == FORCES) & ~rows["test"].isin(HIDDEN)]
        budget = forces[forces["experiment"] == "fixed budget"]
        if len(budget):
            yield _budgets(str(source), budget)
        relaxed = rows[(rows["experiment"] == "fixed budget") & rows["test"].str.startswith(RELAXED)]
        if len(relaxed):
            failed = None if outcomes is None else outcomes[outcomes["source"] == source]
            yield _defects(str(source), relaxed, failed)
        fixed = forces[forces["experiment"] == "fixed set"]
        if fixed["conformations"].nunique() > 1:
            yield _fixed(str(source), fixed)


def _budgets(source: str, rows: pd.DataFrame) -> Picture:
    """One panel a test; the largest budget in colour, smaller ones as thin lines above it."""
    figure, axes = grid(list(dict.fromkeys(rows["test"])), 2.2, 0.7)
    look, largest = marks(rows["observations"]), rows["budget"].max()
    for test, panel in axes.items():
        drawn = rows[rows["test"] == test]
        for k, (name, mark) in enumerate(look.items()):
            own = drawn[drawn["observations"] == name]
            for budget in sorted(own["budget"].unique()):
                part = own[own["budget"] == budget]
                if budget == largest:
                    _curve(panel, part, "structures", mark, (k - (len(look) - 1) / 2) * 0.03)
                else:
                    _thin(panel, part, "structures", mark)
        _finish(panel, drawn, "structures")
        panel.set_title(_named(test))
    smaller = sorted(set(rows["budget"]) - {largest})
    _label(figure, "structures $S$,  $C=N/S$ configurations of each", "root mean square force error  (eV/Å)", look)
    thin = f" Thin lines: N = {', '.join(f'{n:.0f}' for n in smaller)}." if smaller else ""
    caption = (
        f"{source}: {largest:.0f} labels spent on S structures with {largest:.0f}/S configurations each, for every set of "
        f"observations. Points: geometric mean over the repetitions with its 95 % interval.{thin} Titles with a temperature, a "
        "strain or a rattle are wider laws, on structures of the pool, whether trained on or not."
    )
    return Picture(stem("diversity-crystals", source), f"{source}: how to split a budget", caption, figure, rows)


def _defects(source: str, rows: pd.DataFrame, outcomes: pd.DataFrame | None) -> Picture:
    """One column a defect, geometry above and formation energy below; failures are written where they happened."""
    names = [test for test in dict.fromkeys(rows["test"])]
    figure = Figure(figsize=(3.0 * len(names) + 0.6, 5.0), layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06))
    panels = figure.subplots(len(QUANTITIES), len(names), squeeze=False)
    look = marks(rows["observations"])
    for line, (quantity, label) in enumerate(QUANTITIES.items()):
        for column, test in enumerate(names):
            panel, drawn = panels[line, column], rows[(rows["test"] == test) & (rows["quantity"] == quantity)]
            for k, (name, mark) in enumerate(look.items()):
                own = drawn[drawn["observations"] == name]
                _curve(panel, own, "structures", mark, (k - (len(look) - 1) / 2) * 0.03)
            _finish(panel, drawn, "structures")
            if line == 0:
                panel.set_title(test.removeprefix(RELAXED))
            if column == 0:
                panel.set_ylabel(label)
            _say_failures(panel, test, outcomes)
    _label(figure, "structures $S$,  $C=N/S$ configurations of each", "", look)
    atoms = "" if outcomes is None or outcomes.empty else " Red numbers: relaxations that failed, of all sets together."
    caption = (
        f"{source}, {rows['budget'].max():.0f} labels: defects relaxed by the fit, from the reference's equilibrium. "
        f"Fits that left the basin are kept, with the numbers of where they stopped.{atoms}"
    )
    return Picture(stem("diversity-defects", source), f"{source}: relaxed defects", caption, figure, rows)


def _say_failures(panel: Axes, test: str, outcomes: pd.DataFrame | None) -> None:
    """How many relaxations went wrong, below the splits at which any did."""
    if outcomes is None:
        return
    own = outcomes[outcomes["test"] == test].groupby("structures")[["failed", "seeds"]].sum()
    for structures, line in own[own["failed"] > 0].iterrows():
        said = f"{line['failed']:.0f}/{line['seeds']:.0f}"
        place = {"xytext": (0, 3), "textcoords": "offset points", "xycoords": ("data", "axes fraction")}
        panel.annotate(said, (float(str(structures)), 0.0), ha="center", fontsize=7, color="#B00000", **place)


def _fixed(source: str, rows: pd.DataFrame) -> Picture:
    """One panel a test, error against configurations of each of the same structures."""
    figure, axes = grid(list(dict.fromkeys(rows["test"])), 2.2, 0.7)
    look = marks(rows["observations"])
    for test, panel in axes.items():
        drawn = rows[rows["test"] == test]
        for k, (name, mark) in enumerate(look.items()):
            own = drawn[drawn["observations"] == name]
            _curve(panel, own, "conformations", mark, (k - (len(look) - 1) / 2) * 0.03)
        _finish(panel, drawn, "conformations")
        panel.set_title(_named(test))
    _label(figure, "configurations of each structure $C$", "root mean square force error  (eV/Å)", look)
    caption = (
        f"{source}: {rows['structures'].max():.0f} structures fixed, and C configurations of each. Points: geometric mean over "
        "the repetitions with its 95 % interval."
    )
    return Picture(stem("diversity-crystals-fixed", source), f"{source}: a fixed set of structures", caption, figure, rows)


def _named(test: str) -> str:
    """A test as a title: laws by what they are, lengths with their proper sign."""
    return test.removeprefix("wider law: ").replace(" A,", " Å,")


def _curve(panel: Axes, own: pd.DataFrame, x: str, mark: Mark, aside: float) -> None:
    """Points with whiskers, joined; moved a little to the side, so that whiskers of several sets do not overlap."""
    own = own.sort_values(x)
    y, low, high = whiskers(own, PULL)
    place = own[x].to_numpy(float) * (1 + aside)
    style = {"color": mark.colour, "marker": mark.marker, "mec": "white", "mew": 0.5, "ms": 5}
    panel.errorbar(place, y, [y - low, high - y], elinewidth=0.8, capsize=1.5, zorder=3, lw=1.2, **style)


def _thin(panel: Axes, own: pd.DataFrame, x: str, mark: Mark) -> None:
    own = own.sort_values(x)
    panel.plot(own[x], own["error"], color=mark.colour, lw=0.8, ls=(0, (3, 2)), alpha=0.8, zorder=2)


def _finish(panel: Axes, rows: pd.DataFrame, x: str) -> None:
    """Logarithmic axes, labels at the values that were run."""
    panel.set_xscale("log")
    panel.set_yscale("log")
    values = np.unique(rows[x].to_numpy(float))
    panel.set_xlim(values.min() / 1.25, values.max() * 1.25)
    _, lows, highs = whiskers(rows, PULL)
    low, high = lows.min(), highs.max()
    spare = max(1.08, (2.0 * low / high) ** 0.5)
    panel.set_ylim(low / spare, high * spare)
    panel.grid(True, which="major")
    ticks(panel.yaxis)
    label_at(panel, values, [f"{value:g}" for value in values])


def _label(figure: Figure, x: str, y: str, look: dict[str, Mark]) -> None:
    outer(figure, x, y)
    handles = [handle(name, mark.colour, mark.marker) for name, mark in look.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))


def portrait_pictures(atoms: pd.DataFrame | None) -> Iterator[Picture]:
    """One figure a material of the table diversity_portrait; none without it."""
    if atoms is None or atoms.empty:
        return
    for source, rows in atoms.groupby("source", sort=False):
        yield _portrait(str(source), rows)


def _portrait(source: str, rows: pd.DataFrame) -> Picture:
    about = rows.iloc[0]
    grade, error = rows["grade"].to_numpy(float), rows["error"].to_numpy(float)
    figure = Figure(figsize=(7.6, 3.5), layout=ConstrainedLayoutEngine(w_pad=0.06, wspace=0.05))
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1.0))
    coloured(figure, left, rows[["x", "y"]].to_numpy(float), rows["z"].to_numpy(float), grade / THRESHOLD, grade > THRESHOLD)
    left.set_title(f"{about['structure']}, {about['law'].split(',')[0]}: {int((grade > THRESHOLD).sum())} of {len(rows)} outside")
    bad = error > about["limit"]
    for kept, colour, name in ((~bad, INSIDE, "below the limit"), (bad, OUTSIDE, "above")):
        right.plot(grade[kept], error[kept], "o", ms=4, color=colour, mec="white", mew=0.4, label=name)
    right.axvline(THRESHOLD, color="#555555", lw=0.9, ls=(0, (4, 2)))
    right.axhline(about["limit"], color="#555555", lw=0.9, ls=(0, (1, 1.5)))
    right.set_xscale("log")
    right.set_yscale("log")
    right.grid(True, which="major")
    ticks(right.xaxis)
    ticks(right.yaxis)
    right.set_xlabel("extrapolation grade")
    right.set_ylabel("force error of the atom  (eV/Å)")
    right.legend(title=f"{int(bad.sum())} of {len(rows)} atoms above", fontsize=8, title_fontsize=8)
    limit = np.format_float_positional(about["limit"], 2, fractional=False)
    design = f"{about['structures_trained']:.0f} structures with {about['conformations']:.0f} configurations each"
    caption = (
        f"{source}: a cell of the test “{about['test']}”, its atoms coloured by the extrapolation grade of a fit to "
        f"{about['observations']} of {design}. Right: the force errors of the same atoms; dashed: a grade of one, dotted: three "
        f"times the error on new configurations of training structures ({limit} eV/Å)."
    )
    return Picture(stem("diversity-portrait", source), f"{source}: does the domain detect the errors?", caption, figure, rows)
