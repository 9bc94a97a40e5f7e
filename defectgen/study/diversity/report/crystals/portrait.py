"""A defect in a strained crystal, coloured by grade, and whether the grade knows where the forces are wrong."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from defectgen.plot.axes import ticks
from defectgen.plot.picture import Picture, stem
from defectgen.report.domain_figure import INSIDE, OUTSIDE, coloured

THRESHOLD = 1.0
"""The largest grade of the active set."""


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
        f"times the error on new configurations of seen structures ({limit} eV/Å)."
    )
    return Picture(stem("diversity-portrait", source), f"{source}: does the domain see it?", caption, figure, rows)
