"""The page: one self-contained HTML file, filled from a template."""

import base64
from datetime import datetime
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, StrictUndefined

from defectgen.report.bound_rates import fall_table
from defectgen.report.bound_table import bound_tables
from defectgen.report.certificate_figure import certificate_findings, certificate_table
from defectgen.report.choices_figure import choices_findings
from defectgen.report.design_data_figure import design_data_findings
from defectgen.report.design_figure import design_findings, design_table
from defectgen.report.diversity import diversity_findings, diversity_tables
from defectgen.report.figures import Picture
from defectgen.report.findings import Comparison, comparisons, findings
from defectgen.report.gather import Run
from defectgen.report.lead import lead
from defectgen.report.loss_table import loss_findings, loss_tables
from defectgen.report.style import in_reading_order, marks
from defectgen.report.typeset import NONE, decimal, duration, local_slopes, number, slope

_RESULTS = {
    "study": "study",
    "material": "material",
    "defect": "defect",
    "observations": "observed",
    "perturbation": "perturbation",
    "training_radius": "training radius",
    "training_atoms": "training atoms",
    "basis_functions": "basis functions",
    "geometry_error": "geometry error (Å)",
    "energy_error": "energy error (eV)",
    "rmse_energy": "RMSE E (eV/atom)",
    "rmse_forces": "RMSE F (eV/Å)",
    "rmse_force_constants": "RMSE FC (eV/Å²)",
    "rmse_virial": "RMSE V (eV/atom)",
    "converged": "converged",
    "same_basin": "same basin",
    "seconds": "time (s)",
    "held_out_forces": "held-out F (eV/Å)",
}
_COUNTS = {"training_atoms", "basis_functions"}
_RATES = {
    "study": "study",
    "material": "material",
    "defect": "defect",
    "observations": "observations",
    "quantity": "error of",
    "slope": "slope",
    "interval": "95 % interval",
    "predicted": "predicted",
    "window": "radii used",
    "dropped": "dropped",
    "local_slopes": "local slopes (at radius)",
    "verdict": "verdict",
    "judged_by": "judged by",
    "shifted_slope": "slope of C(L + δ)^p",
    "shift": "δ (spacings)",
    "rejects_off_by_one": "rejects predicted ± 1",
}


def render(run: Run, images: list[tuple[Picture, bytes]]) -> str:
    """The page's text.

    Args:
        run: the tables and facts.
        images: each picture with its SVG.
    """
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    source = files("defectgen.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    sets = [*run.results["observations"], *run.rates["observations"]]
    return template.from_string(source).render(
        run=run,
        style=files("defectgen.report").joinpath("page.css").read_text(encoding="utf-8"),
        started=_date(run.started),
        duration=duration(run.seconds),
        lead=lead(run),
        findings=[
            *diversity_findings(run.others),
            *loss_findings(run.others.get("losses"), run.others.get("loss_sensitivity")),
            *findings(run),
            *certificate_findings(run.others.get("certificate_quality")),
            *design_findings(run.others.get("design")),
            *design_data_findings(run.others.get("design_data")),
            *choices_findings(run.others.get("choices")),
        ],
        diversity=diversity_tables(run.others),
        losses=loss_tables(run.others.get("losses")),
        largest=_largest(comparisons(run.results)),
        figures=[_figure(picture, svg) for picture, svg in images if not _of_bound(picture)],
        bounds=[
            {**each, "falls": fall_table(run.others.get("bound_rates"), each["case"])}
            for each in bound_tables(run.others.get("bounds"))
        ],
        certificates=certificate_table(run.others.get("certificate_quality")),
        designs=design_table(run.others.get("design")),
        bound_figures=[_figure(picture, svg) for picture, svg in images if _of_bound(picture)],
        rates=_table(run.rates.assign(interval=_intervals(run.rates)), _RATES),
        results=_table(run.results, _RESULTS),
        failures=run.failures.to_dict("records"),
        colours={name: mark.colour for name, mark in marks(sets).items()},
    )


def _of_bound(picture: Picture) -> bool:
    return picture.name.startswith("bound-")


def _figure(picture: Picture, svg: bytes) -> dict[str, str]:
    return {
        "name": picture.name,
        "heading": picture.heading,
        "caption": picture.caption,
        "source": "data:image/svg+xml;base64," + base64.b64encode(svg).decode(),
    }


def _table(frame: pd.DataFrame, columns: dict[str, str]) -> dict[str, Any]:
    """Header and rows of text; a column with nothing in it is left out, so is a study column that says one thing."""
    shown = [column for column in columns if column in frame and not frame[column].isin(["", np.nan]).all()]
    if "study" in shown and frame["study"].nunique() == 1:
        shown.remove("study")
    rows = [[(column, _cell(column, row[column])) for column in shown] for row in frame.to_dict("records")]
    return {"header": [(columns[column], column) for column in shown], "rows": rows}


def _largest(compared: list[Comparison]) -> dict[str, Any]:
    """The errors of all observation sets at the largest radius, side by side."""
    sets = in_reading_order(name for each in compared for name in each.errors)
    rows = [
        [
            ("case", each.case),
            ("quantity", f"{each.quantity} ({each.unit})"),
            ("training_radius", f"{each.radius:.3g}"),
            *(("geometry_error", number(each.errors.get(name, np.nan))) for name in sets),
        ]
        for each in compared
    ]
    header = [("case", "case"), ("error of", "quantity"), ("training radius (spacings)", "training_radius")]
    return {"header": [*header, *((name, "geometry_error") for name in sets)], "rows": rows}


def _cell(column: str, value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if column == "local_slopes":
        return local_slopes(str(value))
    if column == "window":
        return str(value).replace("-", " to ")
    if not isinstance(value, float):
        return str(value)
    if not np.isfinite(value):
        return NONE
    if column in _COUNTS or column == "perturbation":
        return f"{value:.0f}"
    if column == "predicted":
        return slope(value)
    if column in ("slope", "shifted_slope", "shift"):
        return decimal(value)
    if column in ("training_radius", "seconds"):
        return f"{value:.3g}"
    return number(value)


def _intervals(rates: pd.DataFrame) -> list[str]:
    pairs = zip(rates["low"], rates["high"], strict=True)
    return [f"{decimal(low)} to {decimal(high)}" if np.isfinite(low + high) else NONE for low, high in pairs]


def _date(stamp: str) -> str:
    try:
        return f"{datetime.fromisoformat(stamp):%d %B %Y, %H:%M UTC}".lstrip("0")
    except ValueError:
        return ""
