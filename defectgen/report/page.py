"""The page: one self-contained HTML file, filled from a template. It names no study: each says what it has to say."""

import base64
from collections.abc import Mapping
from datetime import datetime
from importlib.resources import files

import numpy as np
import pandas as pd
from jinja2 import Environment, StrictUndefined

from ..errors import VERDICTS
from ..errors.verdicts import ALLOWED, FLOOR, SAMPLES, WANTED
from ..plot.picture import Picture
from ..plot.style import in_reading_order, marks
from ..plot.typeset import NONE, decimal, duration, number
from ..study import Run
from ..study.columns import LATER, RATES, RESULTS, Column
from ..study.page import Cell, Page, PageTable
from ..study.rates import LAWS
from ..study.remarks import gathered
from ..training.observations import NOTHING
from .findings import Comparison, comparisons, findings

_MEASURES = (
    "The geometry error sums the differences of all bonds (root of the sum of squares, Å); the energy error is that of the "
    "formation energy (eV)."
)
_INTERVAL = Column("interval", "95 % interval", "both ends of the 95 % interval", format="text")
_RESULTS = [
    RESULTS[name]
    for name in (
        *("study", "material", "defect", "observations", "perturbation", "training_radius", "training_atoms", "basis_functions"),
        *("geometry_error", "energy_error", "rmse_energy", "rmse_forces", "rmse_force_constants", "rmse_virial"),
        *("converged", "same_basin", "seconds"),
    )
] + list(LATER.values())
_RATES = [
    *(RATES[name] for name in ("study", "material", "defect", "observations", "quantity", "slope")),
    _INTERVAL,
    *(RATES[name] for name in ("predicted", "verdict", "false_confirmation", "power", "remark", "judged_by")),
    *(RATES[name] for name in ("repeats", "interval_of", "window", "window_rule", "dropped", "local_slopes")),
    *(RATES[name] for name in ("shifted_slope", "shift", "rejects_off_by_one")),
]


def render(run: Run, page: Page, images: Mapping[str, bytes]) -> str:
    """The page's text.

    Parameters
    ----------
    run : Run
        The tables and facts.
    page : Page
        What the studies say about them.
    images : mapping
        The SVG of every figure, by the name of the figure.
    """
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    source = files("defectgen.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    compared = comparisons(run.results, page.compared)
    sets = [*run.results["observations"], *run.rates["observations"]]
    drawn = {picture.name: _figure(picture, images[picture.name]) for picture in page.pictures}
    return template.from_string(source).render(
        run=run,
        observed={part for name in sets for part in str(name).split("+")},
        nothing=NOTHING,
        style=files("defectgen.report").joinpath("page.css").read_text(encoding="utf-8"),
        started=_date(run.started),
        duration=duration(run.seconds),
        lead=[*page.lead, *([] if run.results.empty else [_MEASURES])],
        findings=[*page.findings, *findings(run, compared)],
        largest=_largest(compared),
        figures=[drawn[picture.name] for picture in page.figures],
        apart=bool(page.sections) and run.rates.empty and not run.results["training_radius"].notna().any(),
        sections=page.sections,
        drawn=drawn,
        rates=PageTable.of(_shown(run.rates.assign(interval=_intervals(run.rates))), _RATES),
        results=PageTable.of(_shown(run.results), _RESULTS)
        if run.results["training_radius"].notna().any()
        else PageTable((), ()),
        verdicts=VERDICTS,
        rules=_rules(run.rates),
        failures=gathered(run.failures.to_dict("records")),
        colours={name: mark.colour for name, mark in marks(sets).items()},
    )


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


def _largest(compared: list[Comparison]) -> PageTable:
    """The errors of all observation sets at the largest radius, side by side."""
    sets = in_reading_order(name for each in compared for name in each.errors)
    rows = (
        (
            Cell(each.case),
            Cell(f"{each.quantity} ({each.unit})"),
            Cell(f"{each.radius:.3g}", "number"),
            *(Cell(number(each.errors.get(name, np.nan)), "number") for name in sets),
        )
        for each in compared
    )
    header = (Cell("case"), Cell("error of"), Cell("training radius (spacings)", "number"))
    return PageTable((*header, *(Cell(name, "number") for name in sets)), tuple(rows))


def _rules(rates: pd.DataFrame) -> list[str]:
    """How intervals, windows and verdicts of the table were reached, in sentences."""
    if "repeats" not in rates or rates.empty:
        return []
    tolerance, shift = _span(rates["tolerance"]), _span(rates["size_resolution"])
    found = [
        "An interval adds what differs between the repeats and what their mean deviates from the law (Student's t), and covers "
        f"every shift of the radii by up to {shift} spacings that the curvature does not exclude. The radii used were fixed "
        "before the errors were known."
    ]
    if tolerance:
        share, allowed, wanted = (f"{value * 100:.0f} %" for value in (FLOOR, ALLOWED, WANTED))
        found.append(
            f"The tolerance is {tolerance}. False confirmations and power are shares of {SAMPLES} simulated curves with the "
            "radii, repeats and scatter of each line: false confirmations with an exponent off by the tolerance, the largest "
            "share of curves without a nuisance, with sizes shifted by as much as is allowed, and with a floor of "
            f"{share} of the smallest error; power with the predicted exponent. A confirmation stands if at most {allowed} are "
            f"false; a power below {wanted} is remarked on."
        )
    lines = int(((rates["interval_of"] == "line") & rates["verdict"].isin(["confirmed", "within tolerance"])).sum())
    if lines:
        found.append(
            f"{lines} of these verdicts rest{'s' if lines == 1 else ''} on the deviations from one line, which cannot show how a "
            "slope differs from repeat to repeat."
        )
    return found


def _span(values: pd.Series) -> str:
    """One number, or the smallest and the largest."""
    known = pd.to_numeric(values, errors="coerce").dropna()
    if known.empty:
        return ""
    low, high = known.min(), known.max()
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _intervals(rates: pd.DataFrame) -> list[str]:
    """Intervals of the law that each verdict is of."""
    own = [("low", "high")] * len(rates)
    if "judged_by" in rates:
        own = [("shifted_low", "shifted_high") if law == LAWS["shifted"] else ("low", "high") for law in rates["judged_by"]]
    pairs = [(row[low], row[high]) for row, (low, high) in zip(rates.to_dict("records"), own, strict=True)]
    return [f"{decimal(low)} to {decimal(high)}" if np.isfinite(low + high) else NONE for low, high in pairs]


def _date(stamp: str) -> str:
    try:
        return f"{datetime.fromisoformat(stamp):%d %B %Y, %H:%M UTC}".lstrip("0")
    except ValueError:
        return ""
