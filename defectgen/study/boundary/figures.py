"""What the boundary of the simulation cell costs: errors against its radius, and the decay of the strain around the defect."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ...plot.axes import curve, finish, panels
from ...plot.picture import Picture, stem
from ...plot.slopes import predicted, slope_in_window
from ...plot.style import Mark, marks
from ...plot.triangles import Slope

_STUDY = "boundary"
_CONDITIONS = ("periodic", "corrected", "clamped", "dipole", "quadrupole")
_ERRORS = {
    "geometry": ("geometry_error", "geometry error  $\\Vert D(u_R-u)\\Vert_{\\ell^2}$  (Å)"),
    "energy": ("energy_error", "energy error  $|E_R-E|$  (eV)"),
}
_STRAINS = {
    "strain": ("strain", "strain  $|Du|$  (Å)"),
    "strain gradient": ("strain_gradient", "strain gradient  $|D^2u|$  (Å)"),
}


def boundary_pictures(errors: pd.DataFrame | None, decay: pd.DataFrame | None, rates: pd.DataFrame) -> Iterator[Picture]:
    """Two figures a case: errors of the boundary conditions, and the decay of the strain; none if the run has no such study."""
    if errors is None or decay is None or errors.empty:
        return
    for (material, defect), rows in errors.groupby(["material", "defect"], sort=False):
        ours = rates[(rates["study"] == _STUDY) & (rates["material"] == material) & (rates["defect"] == defect)]
        yield _convergence(str(material), str(defect), rows, ours)
        own = decay[(decay["material"] == material) & (decay["defect"] == defect)]
        if len(own) > 1:
            yield _decay(str(material), str(defect), own, ours)


def _look(conditions: pd.Series) -> dict[str, Mark]:
    """Marks in the order of the conditions; the same as those of the page, where the reference has one too."""
    all_marks = marks([*conditions, "reference"])
    return {name: all_marks[name] for name in _CONDITIONS if name in set(conditions)}


def _convergence(material: str, defect: str, rows: pd.DataFrame, rates: pd.DataFrame) -> Picture:
    """Geometry and energy error against the radius of the cell, one curve a condition."""
    look = _look(rows["condition"])
    figure, axes = panels(2)
    hollow, wanted = False, []
    for panel, (quantity, (column, label)) in zip(axes, _ERRORS.items(), strict=True):
        shown = rows[np.isfinite(rows[column]) & (rows[column] > 0)]
        slopes = []
        for name, mark in look.items():
            own = shown[shown["condition"] == name]
            x, y = own["radius"].to_numpy(dtype=float), own[column].to_numpy(dtype=float)
            solid = own["converged"].to_numpy(dtype=bool)
            curve(panel, x, y, solid, mark)
            slopes += _slope(x[solid], y[solid], rates, name, quantity, mark)
            hollow |= not own["converged"].all()
        finish(panel, shown["radius"].to_numpy(dtype=float), shown[column].to_numpy(dtype=float), ticks_at_values=False)
        panel.set_xlabel("radius of the cell $R$  (nearest-neighbour spacings)")
        panel.set_ylabel(label)
        wanted.append((panel, slopes))
    explained = predicted(figure, wanted, look, hollow=bool(hollow))
    caption = (
        f"{material} {defect}: error made by the boundary of the simulation cell, {rows['atoms'].min():.0f} to "
        f"{rows['atoms'].max():.0f} atoms, against the far field of highest order in a ball of radius "
        f"{rows['truth_radius'].iloc[0]:.3g} spacings. Periodic: radius of the largest ball that does not meet its images; "
        "corrected: its energy without the elastic interaction of the images. Clamped: outer atoms on lattice sites; dipole, "
        "quadrupole: where the multipoles of the relaxed interior put them. With inversion symmetry the quadrupole vanishes and "
        "the last two curves coincide."
    )
    name = f"{material} {defect}: the boundary of the cell"
    return Picture(stem(_STUDY, material, defect), name, caption + explained, figure, rows)


def _decay(material: str, defect: str, rows: pd.DataFrame, rates: pd.DataFrame) -> Picture:
    """Strain and strain gradient against the distance from the defect, averaged over shells."""
    colours = {"strain": Mark("#0072B2", "o"), "strain gradient": Mark("#D55E00", "s")}
    figure, (panel,) = panels(1)
    slopes = []
    for quantity, (column, _) in _STRAINS.items():
        x, y = rows["radius"].to_numpy(dtype=float), rows[column].to_numpy(dtype=float)
        curve(panel, x, y, np.ones(len(x), dtype=bool), colours[quantity])
        slopes += _slope(x, y, rates, "reference", quantity, colours[quantity])
    heights = rows[[column for column, _ in _STRAINS.values()]].to_numpy(dtype=float)
    finish(panel, rows["radius"].to_numpy(dtype=float), heights, ticks_at_values=False)
    panel.set_xlabel("distance $r$  (nearest-neighbour spacings)")
    panel.set_ylabel("root mean square over shells  (Å)")
    look = {label: colours[quantity] for quantity, (_, label) in _STRAINS.items()}
    explained = predicted(figure, [(panel, slopes)], look, hollow=False)
    caption = (
        f"{material} {defect}: differences of the relaxed displacement along the primitive vectors, first and second, averaged "
        "over shells around the defect." + explained
    )
    return Picture(stem(_STUDY, "decay", material, defect), f"{material} {defect}: decay of the strain", caption, figure, rows)


def _slope(x: np.ndarray, y: np.ndarray, rates: pd.DataFrame, name: str, quantity: str, mark: Mark) -> list[Slope]:
    """The predicted slope of one curve, if it has one."""
    own = rates[(rates["observations"] == name) & (rates["quantity"] == quantity)].to_dict("records")
    slope = slope_in_window(x, y, own[0], mark.colour) if own else None
    return [] if slope is None else [slope]
