"""The page: one self-contained HTML file, filled from a template. It names no study: each says what it has to say."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import numpy as np
import pandas as pd

from ..errors import VERDICTS
from ..errors.verdicts import ALLOWED, FLOOR, SAMPLES, WANTED
from ..plot.style import in_reading_order, marks
from ..plot.typeset import NONE, decimal, duration, number
from ..study import Run
from ..study.columns import LATER, RATES, RESULTS, Column
from ..study.page import Cell, Page, PageTable
from ..study.rates import LAWS
from ..study.remarks import gathered
from ..training.observations import NOTHING
from . import html
from .findings import Comparison, comparisons, ranked
from .html import figure

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


def render(run: Run, page: Page, images: Mapping[str, Mapping[str, bytes]]) -> str:
    """The page's text.

    Parameters
    ----------
    run : Run
        The tables and facts.
    page : Page
        What the studies say about them.
    images : mapping
        The SVG of every figure, by the name of the figure: "wide", and "narrow" where that differs.
    """
    compared = comparisons(run.results, page.compared)
    sets = [*run.results["observations"], *run.rates["observations"]]
    drawn = {picture.name: figure(picture, images[picture.name]) for picture in page.pictures}
    (answer, *first), more = ranked(run, page, compared)
    lead = [*page.lead, *([] if run.results.empty else [_MEASURES]), *_observations(sets)]
    figures = [drawn[picture.name] for picture in page.figures]
    largest, rates, results, failures = _largest(compared), _rates(run.rates), _results(run.results), _failures(run.failures)
    contents = {
        "findings": ("Findings", first),
        "figures": ("Figures", figures),
        "more": ("Further findings" if more else "Errors at the largest training radius", more or largest),
        "method": ("Method", lead),
        **{section.name: (section.heading, section.parts) for section in page.sections},
        "rates": ("Rates", rates),
        "results": ("Results", results),
        "failures": ("Failures and warnings", failures),
        "run": ("Command and files", True),
    }
    return html.page(
        "page.html.j2",
        title=f"{run.title} (incomplete)" if run.unfinished else run.title,
        notice=run.unfinished,
        kind=run.name,
        answer=answer,
        contents=[(anchor, heading) for anchor, (heading, there) in contents.items() if there],
        run=run,
        told=_told(run),
        lead=lead,
        findings=first,
        more=more,
        largest=largest,
        figures=figures,
        sections=page.sections,
        drawn=drawn,
        rates=rates,
        results=results,
        verdicts=VERDICTS,
        rules=_rules(run.rates),
        failures=failures,
        old=PageTable((Cell("task", "prose"), Cell("record", "prose")), tuple((Cell(a), Cell(b)) for a, b in run.old)),
        tables=_files(run),
        colours={name: mark.colour for name, mark in marks(sets).items()},
    )


def _observations(sets: Iterable[str]) -> list[str]:
    """What the letters of the observation sets mean, in one sentence; none without sets."""
    used = {part for name in sets for part in str(name).split("+") if part}
    more = (", C elastic constants, held exactly" if "C" in used else "") + (
        f", {NOTHING} the lattice constant alone" if NOTHING in used else ""
    )
    told = (
        "Observations: E energies and F forces of training cells that contain the defect, FC force constants of the perfect "
        f"crystal, V virials of the strained crystal{more}."
    )
    return [told] if used else []


def _files(run: Run) -> list[str]:
    """Files of the run that the page links to."""
    names = [f"{name}.csv" for name in ("results", "rates", "failures", *run.others)]
    return [*(name for name in names if (run.directory / name).is_file()), "spec.toml"]


def _told(run: Run) -> str:
    """How much was computed and when, in sentences; nothing about what is not known."""
    parts = []
    if run.tasks:
        found = f", {run.reused} of them found finished from an earlier call" if run.reused else ""
        parts.append(f"{run.tasks} {'task' if run.tasks == 1 else 'tasks'}{found}{'' if len(run.failures) else ', none failed'}.")
    if started := _date(run.started):
        took = duration(run.seconds)
        parts.append(f"Started {started}{f', wall time {took}' if took else ''}.")
    return " ".join(parts)


def _rates(rates: pd.DataFrame) -> PageTable:
    """The slopes with what was predicted; how each was judged is shown where all columns are asked for."""
    main = ("slope", "interval", "predicted")
    shown = ("study", "material", "defect", "observations", "quantity", *main, "verdict")
    frame = rates.assign(interval=_intervals(rates))
    return PageTable.of(_shown(frame), _RATES, main, [c.name for c in _RATES if c.name not in shown])


def _results(results: pd.DataFrame) -> PageTable:
    """Errors by training radius and set; none where no result has a radius."""
    if not results["training_radius"].notna().any():
        return PageTable((), ())
    main = ("training_radius", "geometry_error", "energy_error")
    shown = ("study", "material", "defect", "observations", "basis_functions", *main, "converged", "same_basin")
    return PageTable.of(_shown(results), _RESULTS, main, [c.name for c in _RESULTS if c.name not in shown])


def _failures(failures: pd.DataFrame) -> PageTable:
    """Failures, and warnings that are alike as one line."""
    lines = gathered(failures.to_dict("records"))
    rows = tuple((Cell(line["label"], "prose"), Cell(line["reason"], "prose")) for line in lines)
    return PageTable((Cell("case", "prose"), Cell("reason", "prose")), rows)


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
