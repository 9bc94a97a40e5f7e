"""The files of a fit to a data set: model, errors, settings, figures and one page."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from ..campaign.files import guarded, utf8, write_whole
from ..dataset import LabelledSnapshots
from ..errors import LabelErrors
from ..plot.picture import Picture
from ..plot.style import RC
from ..plot.typeset import MINUS, number
from ..study.own_labels import Outcome, dump
from ..study.page import Cell, PageTable
from . import html
from .write import draw

COLOURS = {"training": "#0072B2", "test": "#D55E00"}
"""Of the parts, from the palette of all figures."""

KINDS = {"E": ("energy", "eV/atom"), "F": ("forces", "eV/Å"), "S": ("stress", "GPa")}
"""What is drawn, with its unit; V is S times a volume."""

MANY = 3000
"""Rows of a part from which a parity plot shows densities instead of points."""

FILES = ("model.json", "errors.csv", "fit.toml", "report.html")


def write_fit(outcome: Outcome, folder: Path, versions: dict[str, str], command: str) -> Path:
    """Write model.json, errors.csv, fit.toml, figures (SVG, PNG, PDF and their data as CSV) and report.html.

    Returns the path of the page. Raises StorageError if the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    outcome.fit.model.save(folder / "model.json")
    write_whole(folder / "errors.csv", utf8(outcome.errors.table().map(guarded).to_csv(index=False)))
    text = dump(outcome.settings, versions)
    write_whole(folder / "fit.toml", utf8(text))
    with rc_context(RC):
        pictures = [parity(outcome.errors), distributions(outcome.errors)]
        images = {picture.name: draw(picture, folder / "figures") for picture in pictures}
    write_whole(folder / "report.html", utf8(_page(outcome, pictures, images, text, command)))
    return folder / "report.html"


# ------ Figures


def parity(errors: LabelErrors) -> Picture:
    """Predictions against labels, and below them the errors, for every kind."""
    splits, kinds = _splits(errors), _kinds(errors)
    figure = Figure(figsize=(3.1 * len(kinds), 4.6), layout=ConstrainedLayoutEngine(w_pad=0.06, wspace=0.05))
    axes = figure.subplots(2, len(kinds), squeeze=False, height_ratios=(1.5, 1.0), sharex="col")
    rows = []
    for column, kind in enumerate(kinds):
        above, below = axes[:, column]
        name, unit = KINDS[kind]
        pairs = {split: errors.pairs(kind, split) for split in splits}
        every = np.concatenate([label for label, _ in pairs.values()])
        low, high = float(every.min()), float(every.max())
        above.plot([low, high], [low, high], color="#777777", lw=0.8, zorder=1)
        below.axhline(0.0, color="#777777", lw=0.8, zorder=1)
        for split, (label, predicted) in pairs.items():
            _points(above, label, predicted, split)
            _points(below, label, predicted - label, split)
            rows += [(kind, split, a, b) for a, b in zip(label.tolist(), predicted.tolist(), strict=True)]
        worst = float(np.abs(np.concatenate([p - q for q, p in pairs.values()])).max()) or 1.0
        below.set_ylim(-1.1 * worst, 1.1 * worst)
        above.set_title(name)
        above.set_ylabel(f"predicted ({unit})")
        below.set_ylabel(f"error ({unit})")
        below.set_xlabel(f"label ({unit})")
        for each in (above, below):
            each.grid(True)
    if len(splits) > 1:
        axes[0, 0].legend(loc="upper left", handletextpad=0.2)
    figure.draw_without_rendering()  # the style belongs to this figure, and a layout reads it
    data = pd.DataFrame(rows, columns=["kind", "split", "label", "predicted"])
    caption = "Every label against its prediction (above) and the error (below)."
    return Picture("parity", "Predictions against labels", caption, figure, data)


def distributions(errors: LabelErrors) -> Picture:
    """The share of labels that are missed by more than a number, for every kind and part."""
    splits, kinds = _splits(errors), _kinds(errors)
    figure = Figure(figsize=(3.1 * len(kinds), 3.0), layout=ConstrainedLayoutEngine(w_pad=0.06, wspace=0.05))
    axes = figure.subplots(1, len(kinds), squeeze=False, sharey=True)[0]
    rows = []
    for axis, kind in zip(axes, kinds, strict=True):
        name, unit = KINDS[kind]
        for split in splits:
            label, predicted = errors.pairs(kind, split)
            size = np.sort(np.abs(predicted - label))
            size = size[size > 0]
            if not len(size):
                continue
            share = 1.0 - np.arange(len(size)) / len(size)
            kept = np.unique(np.round(np.geomspace(1, len(size), 300)).astype(int)) - 1
            kept = np.unique(np.concatenate([len(size) - 1 - kept, kept]))
            axis.step(size[kept], share[kept], color=COLOURS.get(split, "#000000"), lw=1.4, where="post", label=split)
            rms = float(np.sqrt(np.mean(size**2)))
            axis.axvline(rms, color=COLOURS.get(split, "#000000"), lw=0.8, ls=(0, (4, 2)))
            rows += [(kind, split, a, b) for a, b in zip(size[kept].tolist(), share[kept].tolist(), strict=True)]
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_title(name)
        axis.set_xlabel(f"size of the error ({unit})")
        axis.grid(True)
    axes[0].set_ylabel("share of labels with a larger error")
    if len(splits) > 1:
        axes[0].legend(loc="lower left")
    figure.draw_without_rendering()
    data = pd.DataFrame(rows, columns=["kind", "split", "error", "share"])
    caption = "Share of the labels whose error is larger than the value on the axis. Dashed: root mean square."
    return Picture("errors", "Distribution of the errors", caption, figure, data)


def _points(axes: Axes, x: np.ndarray, y: np.ndarray, split: str) -> None:
    """Points of a part; where there are many, their density."""
    colour, front = COLOURS.get(split, "#000000"), 3 if split == "test" else 2
    if len(x) <= MANY:
        axes.plot(x, y, ".", ms=3.0 if len(x) > 300 else 4.5, color=colour, mew=0, alpha=0.7, zorder=front, label=split)
        return
    fading = LinearSegmentedColormap.from_list(split, [(*_rgb(colour), 0.25), (*_rgb(colour), 1.0)])
    axes.hist2d(x, y, bins=80, norm=LogNorm(), cmap=fading, cmin=1, zorder=front, rasterized=True)
    axes.plot([], [], "s", ms=5, color=colour, label=split)


def _rgb(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    return red, green, blue


def _splits(errors: LabelErrors) -> list[str]:
    return list(dict.fromkeys(p.split for p in errors.predictions))


def _kinds(errors: LabelErrors) -> list[str]:
    return [kind for kind in KINDS if any(kind in p.label for p in errors.predictions)]


# ------ The page


def _page(outcome: Outcome, pictures: list[Picture], images: dict[str, dict[str, bytes]], settings: str, command: str) -> str:
    headings = {"findings": "The fit", "figures": "Figures", "errors": "Errors", "data": "Data", "run": "Command and files"}
    return html.page(
        "labelled_fit.html.j2",
        title="Fit to a data set",
        kind="fit",
        answer=_lead(outcome),
        contents=list(headings.items()),
        findings=_findings(outcome),
        notes=outcome.notes,
        figures=[html.figure(picture, images[picture.name]) for picture in pictures],
        errors=_error_table(outcome.errors),
        worst=_worst(outcome.errors),
        data=_data_table(outcome.data),
        command=command,
        settings=settings,
        tables=[name for name in FILES if name != "report.html"],
        colours={},
    )


def _lead(outcome: Outcome) -> str:
    """The errors of the fit in one sentence."""
    split = _splits(outcome.errors)[-1]
    count = len(outcome.split.test) if split == "test" else len(outcome.data)
    parts = []
    for kind, (factor, unit) in {"E": (1e3, "meV/atom"), "F": (1.0, "eV/Å"), "S": (1.0, "GPa")}.items():
        if any(kind in p.label for p in outcome.errors.predictions if p.split == split):
            parts.append(f"{KINDS[kind][0]} by {number(factor * outcome.errors.rmse(kind, split))} {unit}")
    of = "that were not fitted" if split == "test" else "that were fitted (there is no test part)"
    listed = parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
    text = f"On {count} configurations {of} the potential misses {listed} (root mean square)."
    return text


def _findings(outcome: Outcome) -> list[str]:
    fit, settings = outcome.fit, outcome.settings
    rank = "" if fit.rank is None else f", of which the rows and the prior determine {fit.rank}"
    found = [
        f"{len(fit.coefficients)} basis functions for {', '.join(outcome.data.species)} (order {settings.basis.order}, degree "
        f"{settings.basis.degree:g}, cutoff {settings.basis.cutoff:g} Å){rank}; {fit.rows} rows of {fit.observations}."
    ]
    how = fit.model.provenance.get("prior_chosen_by")
    if fit.prior is not None:
        prior = re.sub(r"\d+\.\d{5,}(?:e[+-]?\d+)?", lambda number: f"{float(number[0]):.4g}", str(fit.prior))
        found.append(f"Prior: {prior}" + (f", its strength chosen by the {how}." if how else "."))
    if fit.model.repulsion is not None:
        outer = np.asarray(fit.model.repulsion.radius())
        radii = f"{outer.min():.2f}" if np.ptp(outer) < 5e-3 else f"{outer.min():.2f} to {outer.max():.2f}"
        found.append(f"The model contains the repulsion of Ziegler, Biersack and Littmark, which ends at {radii} Å.")
    energies = ", ".join(
        f"{s} {e:.4f} eV".replace("-", MINUS)
        for s, e in zip(fit.model.species, np.asarray(fit.model.one_body).tolist(), strict=True)
    )
    if settings.weight is not None:
        found.append(f"Weights of rows: {settings.weight}.")
    if settings.residual is not None:
        own = settings.residual
        named = ", ".join(f"{kind} {form}" for kind, form in own.items()) if isinstance(own, dict) else own
        gain = fit.details.get("objective over squares")
        found.append(f"Losses of residuals: {named}" + ("." if gain is None else f"; {gain:.3g} times that of least squares."))
    found.append(f"One-body energies ({'table' if isinstance(settings.one_body, dict) else settings.one_body}): {energies}.")
    for split in _splits(outcome.errors):
        for p in outcome.errors.worst(1, split):
            found.append(
                f"The largest energy error in the {split} part is that of {p.snapshot.source} (group {p.snapshot.group or '-'}, "
                f"{len(p.snapshot.cell)} atoms): by {abs(p.energy_error):.3g} eV for the whole cell."
            )
    return found


def _error_table(errors: LabelErrors) -> PageTable:
    shown = {"E": ("energy", 1e3, "meV/atom"), "F": ("forces", 1.0, "eV/Å"), "S": ("stress", 1.0, "GPa")}
    rows = []
    for r in errors.rows:
        kind, _, species = r["kind"].partition(":")
        if kind in shown:
            name, factor, unit = shown[kind]
            numbers = [Cell(number(factor * r[key]), "number") for key in ("rmse", "mae", "max")]
            label = f"{name} on {species}" if species else name
            rows.append(
                (Cell(r["split"]), Cell(r["group"] or "-"), Cell(label), Cell(str(r["rows"]), "number"), *numbers, Cell(unit))
            )
    heads = ["rows", "rmse", "mean absolute", "largest"]
    return PageTable((Cell("part"), Cell("group"), Cell("of"), *(Cell(h, "number") for h in heads), Cell("unit")), tuple(rows))


def _worst(errors: LabelErrors) -> PageTable:
    rows = tuple(
        (
            Cell(p.split),
            Cell(p.snapshot.source),
            Cell(p.snapshot.group or "-"),
            Cell(str(len(p.snapshot.cell)), "number"),
            Cell(f"{p.energy_error:+.3g}", "number"),
            Cell(f"{1e3 * p.energy_error / len(p.snapshot.cell):+.3g}", "number"),
        )
        for p in errors.worst(10)
    )
    heads = ("atoms", "energy error (eV)", "per atom (meV)")
    return PageTable((Cell("part"), Cell("configuration"), Cell("group"), *(Cell(h, "number") for h in heads)), rows)


def _data_table(data: LabelledSnapshots) -> PageTable:
    table = data.table()
    rows = []
    for group in data.groups:
        own = table[table["group"] == group]
        energies, pressures = own["energy_per_atom"].dropna(), own["pressure"].dropna()
        cells = [
            str(len(own)),
            _span(own["atoms"], "d"),
            str(len(energies)),
            str(int(own["largest_force"].notna().sum())),
            str(len(pressures)),
        ]
        cells += [
            _span(energies, ".4f"),
            "" if own["largest_force"].isna().all() else f"{own['largest_force'].max():.3g}",
            _span(pressures, ".3g"),
        ]
        rows.append((Cell(group or "-"), *(Cell(c, "number") for c in cells)))
    heads = (
        "configurations",
        "atoms",
        "energies",
        "forces",
        "stresses",
        "energy (eV/atom)",
        "largest force (eV/Å)",
        "pressure (GPa)",
    )
    return PageTable((Cell("group"), *(Cell(h, "number") for h in heads)), tuple(rows))


def _span(values: pd.Series, form: str) -> str:
    if values.empty:
        return ""
    low, high = format(values.min(), form), format(values.max(), form)
    return low if low == high else f"{low} to {high}"
