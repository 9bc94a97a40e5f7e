"""What the study of certificates found, in sentences and as a table of the page; made of certificate_quality.csv."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from ...plot.typeset import number
from ..page import Cell, PageTable


def certificate_findings(quality: pd.DataFrame) -> Iterator[str]:
    """One sentence a material and quantity, from certificate_quality.csv."""
    for line in quality.to_dict("records"):
        yield (
            f"Certificate, {line['material']}, {line['quantity']} error of {line['fits']} fits: the bound holds for "
            f"{line['bound_holds']:.0%} (median {number(line['bound_median'])} times the error), the estimate is within a factor "
            f"of three for {line['estimate_near']:.0%} (median ratio {number(line['estimate_median'])}, rank correlation "
            f"{line['estimate_rank_correlation']:.2f}), the spread, which needs no richer fit, for {line['spread_near']:.0%} "
            f"({line['spread_rank_correlation']:.2f}). Intervals of 95 % from the posterior cover "
            f"{line['posterior_covers_95']:.0%}, from the spread {line['spread_covers_95']:.0%}."
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
    shares = {"bound_holds", "estimate_near", "spread_near", "posterior_covers_95", "spread_covers_95"}

    def text(column: str, value: Any) -> str:
        if column in shares:
            return f"{value:.0%}"
        return number(float(value)) if isinstance(value, float) else str(value)

    rows = ([Cell(text(column, line[column])) for column in columns] for line in quality.to_dict("records"))
    return PageTable(tuple(Cell(title) for title in columns.values()), tuple(tuple(row) for row in rows))
