"""Figures of an audit: relative differences, phonons, force constants, strained crystals, defects, terms of the bound."""

from collections.abc import Iterator, Mapping
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from ...plot.axes import ticks
from ...plot.picture import Picture, stem
from .steps import NAME
from .words import TERMS

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#777777"
"""Reference, model, and what belongs to neither; from the palette of all figures."""
SMALL = 1e-6
"""Terms of the bound below this part of the largest are not drawn."""
DASHES = (0, (4, 1.6))


def pictures(frames: Mapping[str, pd.DataFrame], material: str, reference: str, model: str) -> Iterator[Picture]:
    """The figures of one material, of the tables that are there."""
    names = (f"{reference} (reference)", f"{model} (model)")
    if len(frames.get(NAME, ())):
        if (picture := _relative(frames[NAME], material, names)) is not None:
            yield picture
    if len(frames.get(f"{NAME}_bands", ())):
        yield _phonons(frames, material, names)
    if len(frames.get(f"{NAME}_constants", ())):
        yield _constants(frames[f"{NAME}_constants"], material, names)
    if len(frames.get(f"{NAME}_strains", ())):
        yield _strains(frames[f"{NAME}_strains"], material, names)
    for defect, rows in frames.get(f"{NAME}_cells", pd.DataFrame({"defect": []})).groupby("defect", sort=False):
        if len(rows) > 1:
            yield _cells(rows, material, str(defect), names)
    for defect, rows in frames.get(f"{NAME}_terms", pd.DataFrame({"defect": []})).groupby("defect", sort=False):
        if (rows["joint_response"].fillna(0.0) > 0).any():
            yield _terms(rows, material, str(defect), names)


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.05, wspace=0.05))


def _legend(figure: Figure, names: tuple[str, str], marker: str | None = None) -> None:
    """Both potentials, above the panels; one below the other if they are long."""
    lines = [
        Line2D([], [], color=BLUE, lw=1.5, marker=marker, label=names[0]),
        Line2D([], [], color=ORANGE, lw=1.5, ls=DASHES, marker=marker, label=names[1]),
    ]
    wide = sum(map(len, names)) > 12 * figure.get_figwidth()
    figure.legend(handles=lines, loc="outside upper left", ncols=1 if wide else 2, handlelength=2.4)


def _relative(table: pd.DataFrame, material: str, names: tuple[str, str]) -> Picture | None:
    """Relative differences of the quantities that both potentials have."""
    rows = table[table["relative"].notna() & (table["relative"].abs() > 0)]
    rows = rows[~((rows["group"] == "crystal") & (rows["quantity"] == "energy"))]
    rows = rows[(rows["group"] != "defects") | rows["quantity"].str.endswith("each on its own lattice")]
    rows = rows[rows["group"].isin(["crystal", "elasticity", "phonons", "defects", "barrier"])]
    last = rows["case"].where(rows["group"] == "defects", "").str.rpartition(", ")[0]
    keep = ~((rows["group"] == "defects") & last.duplicated(keep="last"))
    rows = rows[keep]
    if rows.empty:
        return None
    figure = _figure(6.6, 0.75 + 0.24 * len(rows))
    axes = figure.subplots()
    values = rows["relative"].to_numpy(dtype=float) * 100
    places = np.arange(len(rows))[::-1]
    axes.barh(places, values, height=0.62, color=ORANGE)
    axes.axvline(0.0, color="#444444", lw=0.8)
    labels = [_called(row) for _, row in rows.iterrows()]
    axes.set_yticks(places, labels, fontsize=8)
    axes.tick_params(axis="y", length=0)
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    room = 0.22 * max(high - low, 1e-12)
    axes.set_xlim(low - room, high + room)
    for place, value in zip(places, values, strict=True):
        side = "left" if value >= 0 else "right"
        axes.annotate(
            f"{value:+.2g} %".replace("-", "\N{MINUS SIGN}"),
            (value, place),
            xytext=(3 if value >= 0 else -3, 0),
            textcoords="offset points",
            ha=side,
            va="center",
            fontsize=7.5,
            color="#333333",
        )
    axes.set_xlabel("model minus reference, relative to the reference (%)")
    axes.grid(True, axis="x")
    axes.set_ylim(-0.6, len(rows) - 0.4)
    caption = f"{material}: relative differences of {names[1]} from {names[0]}, defects in their largest cells."
    return Picture(stem(NAME, material, "relative"), f"{material}: relative differences", caption, figure, rows)


def _called(row: pd.Series) -> str:
    """A quantity in a few words."""
    if row["group"] == "defects":
        return f"{row['case'].rpartition(', ')[0]}: {row['quantity'].partition(',')[0]}"
    if row["group"] == "barrier":
        return f"{row['case'].rpartition(', ')[0]}: migration barrier"
    return f"{row['quantity']} of phonons" if row["group"] == "phonons" else str(row["quantity"])


def _phonons(frames: Mapping[str, pd.DataFrame], material: str, names: tuple[str, str]) -> Picture:
    """Bands along the path, and densities of states at the same frequencies."""
    bands, states, corners = (frames[f"{NAME}_{name}"] for name in ("bands", "states", "corners"))
    figure = _figure(7.4, 3.7)
    left, right = figure.subplots(1, 2, width_ratios=(3.2, 1.0), sharey=True)
    for column, colour, style, order in (("reference", BLUE, "-", 2), ("model", ORANGE, DASHES, 3)):
        for _, rows in bands.groupby("band"):
            left.plot(rows["path"], rows[column], color=colour, ls=style, lw=1.1, zorder=order)
        right.plot(states[column], states["frequency"], color=colour, ls=style, lw=1.1, zorder=order)
    _corners(left, corners)
    left.set_ylabel("frequency (THz)")
    left.set_xlim(bands["path"].min(), bands["path"].max())
    low = min(0.0, 1.05 * float(bands[["reference", "model"]].to_numpy().min()))
    left.set_ylim(low if low < -0.05 else 0.0, 1.05 * float(bands[["reference", "model"]].to_numpy().max()))
    left.grid(True, axis="y")
    right.set_xlim(0.0, None)
    right.xaxis.set_major_locator(MaxNLocator(3))
    right.set_xlabel("states (1/THz/atom)")
    right.grid(True)
    _legend(figure, names)
    caption = (
        f"{material}: phonon bands and density of states, each potential at its own zero stress, at the same reduced wave "
        f"vectors. "
        "Imaginary frequencies are drawn as negative ones."
    )
    return Picture(stem(NAME, material, "phonons"), f"{material}: phonons", caption, figure, bands)


def _corners(axes: Axes, corners: pd.DataFrame) -> None:
    """Names of the corners of the path, and lines through them."""
    places: dict[float, list[str]] = {}
    for _, row in corners.iterrows():
        names = places.setdefault(round(float(row["place"]), 6), [])
        label = str(row["label"]).replace("G", "Γ")
        if label not in names:
            names.append(label)
    axes.set_xticks(list(places), [",".join(names) for names in places.values()])
    for place in places:
        axes.axvline(place, color="#BBBBBB", lw=0.6, zorder=1)
    axes.tick_params(axis="x", length=0)


def _constants(rows: pd.DataFrame, material: str, names: tuple[str, str]) -> Picture:
    """Norms of the force constants by distance."""
    figure = _figure(6.0, 3.4)
    axes = figure.subplots()
    x = rows["distance"].to_numpy(dtype=float)
    for column, colour, style, marker in (
        ("reference", BLUE, "-", "o"),
        ("model", ORANGE, DASHES, "s"),
        ("difference", GREY, (0, (1, 1.5)), "x"),
    ):
        y = rows[column].to_numpy(dtype=float)
        shown = y > 1e-7 * rows[["reference", "model"]].to_numpy(dtype=float).max()
        axes.plot(x[shown], y[shown], color=colour, ls=style, marker=marker, ms=4.5, lw=1.0, mew=1.1 if marker == "x" else 0.0)
    axes.set_yscale("log")
    ticks(axes.yaxis)
    axes.grid(True)
    axes.set_xlabel("distance of the pair (nearest-neighbour spacings)")
    axes.set_ylabel("norm of the force constants (eV/Å²)")
    lines = [
        Line2D([], [], color=BLUE, marker="o", ms=4.5, mew=0, lw=1.0, label=names[0]),
        Line2D([], [], color=ORANGE, marker="s", ms=4.5, mew=0, ls=DASHES, lw=1.0, label=names[1]),
        Line2D([], [], color=GREY, marker="x", ms=4.5, ls=(0, (1, 1.5)), lw=1.0, label="their difference"),
    ]
    figure.legend(handles=lines, loc="outside upper left", ncols=1, handlelength=2.4)
    caption = (
        f"{material}: root of the sum of squares of the force constants between atoms at each distance, of one primitive "
        f"cell; pairs of "
        "the two crystals correspond to each other by their lattice vectors. Values below 1e-7 of the largest are left out."
    )
    return Picture(stem(NAME, material, "constants"), f"{material}: force constants by range", caption, figure, rows)


AXES = {
    "volume": ("change of all lengths (%)", "normal stress (GPa)"),
    "uniaxial": ("strain xx (%)", "stress xx (GPa)"),
    "shear": ("shear strain xy (%)", "stress xy (GPa)"),
}


def _term(row: pd.Series) -> str:
    """A term in a few words."""
    words = TERMS.get(str(row["term"]), "").partition(",")[0].replace(" L", f" {float(row['radius']):g} spacings")
    return fill(f"{words} ({row['symbol']})", 36)


def _strains(rows: pd.DataFrame, material: str, names: tuple[str, str]) -> Picture:
    """Stress against strain; energy where a potential has no stress."""
    figure = _figure(7.8, 3.1)
    panels = figure.subplots(1, len(AXES))
    stressed = rows[["reference_stress", "model_stress"]].notna().all().all()
    for panel, (mode, (label, stress)) in zip(panels, AXES.items(), strict=True):
        own = rows[rows["mode"] == mode].sort_values("strain")
        what = "stress" if stressed else "energy"
        x = own["strain"].to_numpy(dtype=float) * 100
        panel.plot(x, own[f"reference_{what}"], color=BLUE, marker="o", ms=3.2, mew=0)
        panel.plot(x, own[f"model_{what}"], color=ORANGE, ls=DASHES, marker="s", ms=3.2, mew=0)
        panel.axhline(0.0, color="#BBBBBB", lw=0.7, zorder=1)
        panel.set_xlabel(label)
        panel.set_ylabel(stress if stressed else "energy (eV/atom)")
        panel.grid(True)
    _legend(figure, names)
    caption = (
        f"{material}: {'Cauchy stress, tensile positive,' if stressed else 'energy'} of the strained crystal, from each "
        f"potential's own "
        "zero stress. Atoms follow the strain; sublattices are not relaxed."
    )
    return Picture(stem(NAME, material, "strain"), f"{material}: finite strains", caption, figure, rows)


def _cells(rows: pd.DataFrame, material: str, defect: str, names: tuple[str, str]) -> Picture:
    """Energies and their differences against the size of the cell."""
    rows = rows.sort_values("atoms")
    defined = bool(rows["reference"].notna().all())
    figure = _figure(7.2 if defined else 4.2, 3.3)
    panels = list(np.atleast_1d(figure.subplots(1, 2 if defined else 1)))
    x = rows["atoms"].to_numpy(dtype=float)
    if defined:
        axes = panels[0]
        axes.plot(x, rows["reference"], color=BLUE, marker="o", ms=4.5, mew=0)
        axes.plot(x, rows["model_own_lattice"], color=ORANGE, ls=DASHES, marker="s", ms=4.5, mew=0)
        axes.plot(x, rows["model_reference_lattice"], color=ORANGE, ls=(0, (1, 1.5)), marker="s", ms=4.5, mfc="white")
        axes.set_ylabel("formation energy (eV)")
    axes = panels[-1]
    axes.plot(x, rows["difference_own_lattice"], color="#222222", ls=DASHES, marker="s", ms=4.5, mew=0)
    axes.plot(x, rows["difference_reference_lattice"], color="#222222", ls=(0, (1, 1.5)), marker="s", ms=4.5, mfc="white")
    axes.axhline(0.0, color="#BBBBBB", lw=0.7, zorder=1)
    axes.set_ylabel("energy, model minus reference (eV)")
    for panel in panels:
        panel.set_xlabel("atoms of the cell")
        if len(x) > 1 and x.max() > 3 * x.min():
            panel.set_xscale("log")
        panel.set_xticks(x, [f"{n:.0f}" for n in x])
        panel.minorticks_off()
        panel.grid(True)
    lines = [
        Line2D([], [], color=BLUE, marker="o", ms=4.5, mew=0, label=names[0]),
        Line2D([], [], color=ORANGE, ls=DASHES, marker="s", ms=4.5, mew=0, label=f"{names[1]}, on its own lattice"),
        Line2D([], [], color=ORANGE, ls=(0, (1, 1.5)), marker="s", ms=4.5, mfc="white", label="model on the reference's lattice"),
    ]
    figure.legend(handles=lines, loc="outside upper left", ncols=1, handlelength=2.6)
    caption = (
        f"{material} {defect}: energy in periodic cells of growing size. Dashed: each potential on its own lattice "
        f"constant. Dotted: both "
        "on the lattice of the reference, where the model is under pressure."
    )
    return Picture(
        stem(NAME, material, defect), f"{material} {defect}: energy against the size of the cell", caption, figure, rows
    )


def _terms(rows: pd.DataFrame, material: str, defect: str, names: tuple[str, str]) -> Picture:
    """What every term of the bound does to the geometry and to the energy."""
    sizes = rows[["geometry_response", "energy_contribution"]].fillna(0.0)
    rows = rows[(sizes > SMALL * sizes.max()).any(axis=1)]
    figure = _figure(7.8, 0.8 + 0.36 * len(rows))
    panels = figure.subplots(1, 2, sharey=True)
    places = np.arange(len(rows))[::-1]
    for panel, column, label in (
        (panels[0], "geometry_response", "response of the geometry (Å)"),
        (panels[1], "energy_contribution", "energy (eV)"),
    ):
        values = rows[column].to_numpy(dtype=float)
        shown = np.isfinite(values) & (values > 0)
        panel.barh(places[shown], values[shown], height=0.6, color=GREY)
        panel.set_xscale("log")
        if shown.any():
            low, high = values[shown].min(), values[shown].max()
            panel.set_xlim(max(min(low / 3, high / 30), SMALL * high), high * 2)
            panel.xaxis.set_major_locator(LogLocator(numticks=5))
            panel.xaxis.set_minor_locator(NullLocator())
        panel.set_xlabel(label)
        panel.grid(True, axis="x")
    panels[0].set_yticks(places, [_term(row) for _, row in rows.iterrows()], fontsize=8)
    panels[0].tick_params(axis="y", length=0)
    caption = (
        f"{material} {defect}: terms of the bound of {names[1]} against {names[0]}, at the reference's equilibrium; forces "
        f"within "
        f"{float(rows['radius'].iloc[0]):g} spacings of the defect are epsFw."
    )
    return Picture(stem(NAME, material, defect, "bound"), f"{material} {defect}: terms of the bound", caption, figure, rows)
