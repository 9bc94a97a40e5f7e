"""What the study of certificates found, in sentences and as a table of the page; made of certificate_quality.csv."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from ...plot.typeset import number
from ..page import Cell, PageTable
from .tables import ALL, SHARES

Line = Mapping[Any, Any]


def _share(line: Line, name: str) -> str:
    """A share in per cent, with its interval where the run has one."""
    text = f"{100 * line[name]:.0f} %"
    low, high = line.get(f"{name}_low"), line.get(f"{name}_high")
    if low is None or high is None or not low <= high or (low, high) == (0, 1):
        return text
    return f"{text} ({100 * low:.0f} to {100 * high:.0f})"


def _defects(line: Line) -> str:
    """Of how many defects the fits are."""
    count = int(line.get("defects", 0))
    return f" of {count} defects" if count > 1 else " of one defect, so without intervals" if count else ""


def certificate_findings(quality: pd.DataFrame) -> Iterator[str]:
    """One sentence a material and quantity, from certificate_quality.csv."""
    for line in quality.to_dict("records"):
        where = "all materials" if line["material"] == ALL else line["material"]
        bound, estimate = number(line["bound_median"]), number(line["estimate_median"])
        ranks = [f"{line[f'{name}_rank_correlation']:.2f}" for name in ("estimate", "spread")]
        yield (
            f"Certificate, {where}, {line['quantity']} error of {line['fits']} fits{_defects(line)}: the bound holds for "
            f"{_share(line, 'bound_holds')} (median {bound} times the error), the estimate is within a factor of three for "
            f"{_share(line, 'estimate_near')} (median ratio {estimate}, rank correlation {ranks[0]}), the spread, which needs no "
            f"richer fit, for {_share(line, 'spread_near')} ({ranks[1]}). Intervals of 95 % from the posterior cover "
            f"{_share(line, 'posterior_covers_95')}, from the spread {_share(line, 'spread_covers_95')}."
        )


def certificate_table(quality: pd.DataFrame) -> PageTable:
    """How good bound and estimates are, as a table of the page."""
    columns = {
        "material": "material",
        "quantity": "error of",
        "fits": "fits",
        "refused": "no minimum",
        "bound_holds": "bound holds",
        "bound_median": "bound / error, median",
        "estimate_near": "estimate within 3",
        "estimate_median": "estimate / error, median",
        "estimate_rank_correlation": "rank correlation",
        "spread_near": "spread within 3",
        "spread_rank_correlation": "rank correlation",
        "posterior_covers_95": "posterior 95 % covers",
        "spread_covers_95": "spread 95 % covers",
    }

    def text(column: str, line: Line) -> str:
        if column in SHARES:
            return _share(line, column)
        value = line[column]
        return number(float(value)) if isinstance(value, float) else str(value)

    rows = ([Cell(text(column, line)) for column in columns] for line in quality.to_dict("records"))
    return PageTable(tuple(Cell(title) for title in columns.values()), tuple(tuple(row) for row in rows))
