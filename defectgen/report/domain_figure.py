"""A cell coloured by how far its atoms are from the training data, and the same numbers against the distance to the defect."""

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from .._input import InputError
from ..errors import Check
from ..plot.atoms import INSIDE, OUTSIDE, coloured
from ..plot.shown_figure import ShownFigure
from ..plot.style import RC


def domain_figure(check: Check) -> Figure:
    """A cell coloured by the grades of its atoms, and the grades against the distance to the defect.

    Parameters
    ----------
    check : Check
        From ``domain.check(structure)``.

    Returns
    -------
    matplotlib.figure.Figure
        Left: the counted atoms seen along the third box vector, coloured by grade over threshold; atoms outside have a ring.
        Right: the grade of each atom against its distance to the defect, or to the middle of the cell if there is none.

    Raises
    ------
    InputError
        If no grade is finite and positive.
    """
    grades, cell = check.grades[check.counted], check.cell
    shown = np.isfinite(grades) & (grades > 0)
    if not shown.any():
        raise InputError("no atom of this cell has a grade that can be drawn: all are infinite or zero")
    top = float(grades[shown].max())
    ratio = np.where(np.isfinite(grades), grades, top) / check.threshold
    outside = grades > check.threshold
    with rc_context(RC):
        figure = ShownFigure(figsize=(7.5, 3.5), layout=ConstrainedLayoutEngine(w_pad=0.06, wspace=0.05))
        left, right = figure.subplots(1, 2, width_ratios=(1.15, 1.0))
        x, depth = _seen(check.positions[check.counted], cell.vectors)
        coloured(figure, left, x, depth, ratio, outside)
        left.set_title(f"{cell.lattice.name} {cell.defect}".strip() + f": {int(outside.sum())} of {len(x)} atoms outside")
        distance = cell.distance_from_centre(check.positions)[check.counted]
        for kept, colour, name in ((~outside, INSIDE, "inside"), (outside, OUTSIDE, "outside")):
            right.plot(distance[kept], ratio[kept] * check.threshold, "o", ms=4, color=colour, mec="white", mew=0.4, label=name)
        right.axhline(check.threshold, color="#555555", lw=0.9, ls=(0, (4, 2)), label="threshold")
        right.set_yscale("log")
        right.grid(True, which="major")
        right.set_xlabel("distance to the defect (Å)" if cell.defect else "distance to the middle (Å)")
        right.set_ylabel(f"{check.measure}".replace("_", " ") + (f" ({check.unit.replace('A', 'Å')})" if check.unit else ""))
        right.legend()
        figure.draw_without_rendering()  # the style belongs to this figure only, and a layout reads it
    return figure


def _seen(positions: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions in the plane across the third box vector, the first vector to the right, and how near they are to the viewer."""
    towards = vectors[2] / np.linalg.norm(vectors[2])
    right = vectors[0] - (vectors[0] @ towards) * towards
    right /= np.linalg.norm(right)
    return positions @ np.column_stack([right, np.cross(towards, right)]), positions @ towards
