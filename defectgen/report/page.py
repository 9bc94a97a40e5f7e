"""The page: one self-contained HTML file, filled from a template."""

import base64
from datetime import datetime
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, StrictUndefined

from defectgen.plot.picture import Picture
from defectgen.plot.style import in_reading_order, marks
from defectgen.plot.typeset import NONE, decimal, duration, number
from defectgen.report.bound_rates import fall_table
from defectgen.report.bound_table import bound_tables
from defectgen.report.certificate_figure import certificate_findings, certificate_table
from defectgen.report.choices_figure import choices_findings
from defectgen.report.design_data_figure import design_data_findings
from defectgen.report.design_figure import design_findings, design_table
from defectgen.report.findings import Comparison, comparisons, findings
from defectgen.report.lead import lead
from defectgen.report.loss_table import loss_findings, loss_tables
from defectgen.study.columns import RATES, RESULTS, Column
from defectgen.study.page import Page, PageTable
from defectgen.study.run import Run

_INTERVAL = Column("interval", "95 % interval", "both ends of the 95 % interval", format="text")
_RESULTS = [
    RESULTS[name]
    for name in (
        *("study", "material", "defect", "observations", "perturbation", "training_radius", "training_atoms", "basis_functions"),
        *("geometry_error", "energy_error", "rmse_energy", "rmse_forces", "rmse_force_constants", "rmse_virial"),
        *("converged", "same_basin", "seconds"),
    )
]
_RATES = [
    *(RATES[name] for name in ("study", "material", "defect", "observations", "quantity", "slope")),
    _INTERVAL,
    *(RATES[name] for name in ("predicted", "window", "dropped", "local_slopes", "verdict", "judged_by")),
    *(RATES[name] for name in ("shifted_slope", "shift", "rejects_off_by_one")),
]


def render(run: Run, page: Page, images: list[tuple[Picture, bytes]]) -> str:
    """The page's text.

    Args:
        run: the tables and facts.
        page: what the studies say about them.
        images: each picture with its SVG.
    """
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    source = files("defectgen.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    apart = page.pictures[len(page.figures) :]
    sets = [*run.results["observations"], *run.rates["observations"]]
    return template.from_string(source).render(
        run=run,
        style=files("defectgen.report").joinpath("page.css").read_text(encoding="utf-8"),
        started=_date(run.started),
        duration=duration(run.seconds),
        lead=[*lead(run), *page.lead],
        findings=[
            *page.findings,
            *loss_findings(run.others.get("losses"), run.others.get("loss_sensitivity")),
            *findings(run),
            *certificate_findings(run.others.get("certificate_quality")),
            *design_findings(run.others.get("design")),
            *design_data_findings(run.others.get("design_data")),
            *choices_findings(run.others.get("choices")),
        ],
        apart=run.results.empty and bool(page.sections),
        losses=loss_tables(run.others.get("losses")),
        largest=_largest(comparisons(run.results)),
        figures=[_figure(picture, svg) for picture, svg in images if not _of_bound(picture) and picture not in apart],
        sections=page.sections,
        drawn={picture.name: _figure(picture, svg) for picture, svg in images},
        bounds=[
            {**each, "falls": fall_table(run.others.get("bound_rates"), each["case"])}
            for each in bound_tables(run.others.get("bounds"))
        ],
        certificates=certificate_table(run.others.get("certificate_quality")),
        designs=design_table(run.others.get("design")),
        bound_figures=[_figure(picture, svg) for picture, svg in images if _of_bound(picture)],
        rates=PageTable.of(_shown(run.rates.assign(interval=_intervals(run.rates))), _RATES),
        results=PageTable.of(_shown(run.results), _RESULTS),
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


def _shown(frame: pd.DataFrame) -> pd.DataFrame:
    """Without a study column that says one thing."""
    return frame.drop(columns="study") if frame["study"].nunique() == 1 else frame


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


def _intervals(rates: pd.DataFrame) -> list[str]:
    pairs = zip(rates["low"], rates["high"], strict=True)
    return [f"{decimal(low)} to {decimal(high)}" if np.isfinite(low + high) else NONE for low, high in pairs]


def _date(stamp: str) -> str:
    try:
        return f"{datetime.fromisoformat(stamp):%d %B %Y, %H:%M UTC}".lstrip("0")
    except ValueError:
        return ""
