"""The effect of each choice of a design: the errors of every variant divided by those of the design."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ...plot.axes import legend, nothing_to_show, panels
from ...plot.picture import Picture, stem
from ...plot.style import Mark, marks
from ...plot.typeset import number

_PANELS = {"geometry": "geometry error", "energy": "energy error"}
_DESIGNED = "as designed"
AT_MOST = 5.0
"""How far beyond the trusted points an untrusted one is drawn: the error of a model that fell apart has no meaning."""


def choices_pictures(choices: pd.DataFrame | None) -> Iterator[Picture]:
    """One figure per case."""
    for (material, defect), rows in _cases(choices):
        look = marks(rows["observations"])
        names = list(dict.fromkeys(rows["choice"]))
        figure, axes = panels(2, height=1.3 + 0.36 * len(names))
        for panel, quantity in zip(axes, _PANELS, strict=True):
            _panel(panel, rows, quantity, look, names)
        axes[1].tick_params(labelleft=False)
        legend(figure, look, hollow=bool((~_trusted(rows)).any()), dashed=False)
        radius = rows["training_radius"].max()
        caption = (
            f"{material} {defect}: every variant changes one choice of the design; its errors are shown as multiples of the "
            f"design's, at training radius {radius:.3g} spacings. Right of 1 the design's choice is the better one."
        )
        if not _trusted(rows).all():
            caption += f" Hollow points farther than {AT_MOST:g} times beyond the others stand there."
        yield Picture(stem("choices", material, defect), f"{material} {defect}: what each choice is worth", caption, figure, rows)


def choices_findings(choices: pd.DataFrame | None) -> Iterator[str]:
    """One sentence per variant: by what factors it changes the errors."""
    for (material, defect), rows in _cases(choices):
        for name, own in rows[rows["choice"] != _DESIGNED].groupby("choice", sort=False):
            good = own[_trusted(own)]
            parts = [f"the {q} error by {_span(good[f'{q}_ratio'])}" for q in _PANELS] if len(good) else []
            lost = len(own) - len(good)
            strayed = f"{lost} of {len(own)} observation sets no longer reach the defect" if lost else ""
            told = " and ".join(parts)
            yield f"{material} {defect}, {name}: {f'multiplies {told}' if told else ''}{'; ' if told and lost else ''}{strayed}."


def _cases(choices: pd.DataFrame | None) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    if choices is None or choices.empty:
        return
    for (material, defect), rows in choices.groupby(["material", "defect"], sort=False):
        yield (str(material), str(defect)), rows


def _trusted(rows: pd.DataFrame) -> pd.Series:
    return rows["converged"].astype(bool) & rows["same_basin"].astype(bool)


def _span(ratios: pd.Series) -> str:
    low, high = number(float(ratios.min())), number(float(ratios.max()))
    return low if low == high else f"{low} to {high}"


def _panel(axes: Axes, rows: pd.DataFrame, quantity: str, look: dict[str, Mark], names: list[str]) -> None:
    """Variants along y, multiples of the design's error along x; hollow, and not far beyond, where the model lost the defect."""
    trusted = rows.loc[_trusted(rows) & (rows[f"{quantity}_ratio"] > 0), f"{quantity}_ratio"]
    edges = (trusted.min() / AT_MOST, trusted.max() * AT_MOST) if len(trusted) else (0.0, np.inf)
    aside = (np.arange(len(look)) - (len(look) - 1) / 2) * 0.16
    drawn = 0
    for (name, mark), shift in zip(look.items(), aside, strict=True):
        own = rows[(rows["observations"] == name) & (rows[f"{quantity}_ratio"] > 0)]
        y = np.array([names.index(choice) for choice in own["choice"]]) + shift
        x, good = own[f"{quantity}_ratio"].clip(*edges).to_numpy(float), _trusted(own).to_numpy()
        drawn += len(x)
        axes.plot(x[good], y[good], ls="none", color=mark.colour, marker=mark.marker, mec="white", mew=0.6, zorder=3)
        axes.plot(x[~good], y[~good], ls="none", color=mark.colour, marker=mark.marker, mfc="white", mew=1.2, zorder=3)
    if not drawn:
        nothing_to_show(axes)
        return
    axes.set_xscale("log")
    axes.axvline(1.0, color="#888888", lw=0.9, zorder=1)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    for place in range(1, len(names)):
        axes.axhline(place - 0.5, color="#EEEEEE", lw=0.6, zorder=0)
    axes.grid(True, axis="x", which="major")
    axes.set_xlabel(f"{_PANELS[quantity]} / that of the design")
