"""What the pages of studies of fits share: the sentence about what was done, and figures of convergence."""

from collections.abc import Collection

import pandas as pd

from .page import Page
from .run import Run

LEAD = (
    "A potential is fitted to chosen observations on finite crystal cells; the defect is relaxed with the reference and with the "
    "fit; the difference is the error shown here. The training radius is that of the largest ball in the training cell, in "
    "nearest-neighbour spacings."
)


def convergence_page(run: Run, rows: pd.DataFrame, compared: Collection[str] | None = None) -> Page:
    """A figure per study and case: both errors against the training radius.

    `compared` are the values of the column `study` whose errors are compared side by side; all of the rows if None.
    """
    if rows.empty:
        return Page()
    from ..plot.convergence import convergence_pictures

    names = frozenset(rows["study"]) if compared is None else frozenset(compared)
    return Page((LEAD,), figures=tuple(convergence_pictures(rows, run.rates, _caption, "training radius")), compared=names)


def _caption(material: str, defect: str, rows: pd.DataFrame) -> str:
    from ..plot.convergence import span

    return (
        f"{material} {defect}: error of the relaxed defect with the fit against that with the reference, in the same cell of "
        f"{span(rows['simulation_atoms'])} atoms, for training structures of radius {span(rows['training_radius'])} spacings "
        f"({span(rows['training_atoms'])} atoms) and {span(rows['basis_functions'])} basis functions."
    )
