"""The displacement of a relaxed defect against the distance from it, and the decay of its strain."""

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import NullLocator

from .._input import InputError
from ..errors import strain_decay
from ..plot.shown_figure import ShownFigure
from ..plot.style import RC
from ..relax import Equilibrium

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
MARKS = ("o", "s", "^", "D")


def displacement_figure(*equilibria: Equilibrium, names: tuple[str, ...] = ()) -> Figure:
    """A figure of the displacement of every atom against its distance from the defect, and of the decay of the strain.

    Parameters
    ----------
    *equilibria : Equilibrium
        One defect by one or several codes: from `relax`, or from `dg.equilibrium`.
    names : tuple of str
        What the legend calls them.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        For what is no equilibrium, for cells that are too small, and if no atom is displaced.
    """
    decays = [strain_decay(each) for each in equilibria]
    if not any((decay.strain > 0).any() for decay in decays):
        raise InputError("no atom is displaced, so there is nothing to draw; give a relaxed defect")
    labels = [*names, *(f"{k + 1}" for k in range(len(names), len(decays)))]
    with rc_context(RC):
        figure = ShownFigure(figsize=(7.5, 3.3), layout=ConstrainedLayoutEngine(w_pad=0.06, wspace=0.05))
        left, right = figure.subplots(1, 2)
        for k, (found, decay, label) in enumerate(zip(equilibria, decays, labels, strict=True)):
            look = {"color": COLOURS[k % 4], "marker": MARKS[k % 4], "mec": "white", "mew": 0.4}
            distance = found.cell.distance_to_defect() / found.cell.lattice.nearest_neighbour
            left.plot(distance, np.linalg.norm(found.displacement, axis=1), ls="none", ms=4 + 1.5 * (k == 0), label=label, **look)
            drawn = decay.strain > 0
            right.plot(decay.radius[drawn], decay.strain[drawn], ls="-", ms=5, label=label, **look)
        first = decays[0]
        if len(first.radius) > 1 and first.strain[0] > 0:
            d = first.dimension
            line = first.strain[0] * (first.radius / first.radius[0]) ** -d
            right.plot(first.radius, line, color="#555555", lw=0.9, ls=(0, (4, 2)), label=f"$r^{{-{d}}}$")
        left.set_xlabel("distance $r$ from the defect  (nearest-neighbour spacings)")
        left.set_ylabel("displacement $|u|$  (Å)")
        left.set_ylim(bottom=0)
        right.set_xscale("log")
        right.set_yscale("log")
        right.set_xticks(first.radius, [f"{r:.2g}" for r in first.radius])
        right.xaxis.set_minor_locator(NullLocator())
        right.set_xlabel("distance $r$  (nearest-neighbour spacings)")
        right.set_ylabel("root mean square of bond differences  (Å)")
        for axes in (left, right):
            axes.grid(True, which="major")
        right.legend()
        figure.draw_without_rendering()  # the style belongs to this figure only, and a layout reads it
    return figure
