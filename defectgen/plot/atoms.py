"""Atoms of a cell, coloured by a number that has a threshold."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure

STEPS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Colours change at these multiples of the threshold: grades span decades, and which side of 1 an atom is on must be visible."""
INSIDE, OUTSIDE = "#0072B2", "#D55E00"


def coloured(figure: Figure, axes: Axes, x: np.ndarray, depth: np.ndarray, ratio: np.ndarray, outside: np.ndarray) -> None:
    """Atoms at x (atoms, 2), A, coloured by grade over threshold, those outside ringed; the nearest to the viewer on top."""
    order = np.lexsort((depth, outside))  # those outside last, so that none is hidden
    points = axes.scatter(
        *x[order].T,
        c=ratio[order],
        cmap="RdYlBu_r",
        norm=BoundaryNorm(STEPS, 256, extend="both"),
        s=float(np.clip(9000 / len(x), 8, 90)),
        edgecolors=np.where(outside[order], "black", "#999999").tolist(),
        linewidths=np.where(outside[order], 1.3, 0.4).tolist(),
    )
    axes.set_aspect("equal")
    axes.set_xlabel("Å")
    axes.set_ylabel("Å")
    figure.colorbar(points, ax=axes, label="grade / threshold", ticks=STEPS, format="%g")
