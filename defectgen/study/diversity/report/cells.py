"""What tables and sentences of both kinds of study share: numbers with their intervals, counts, and what a table is."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from defectgen.plot.typeset import NONE, decimal, number

Line = dict[str, Any]
Table = dict[str, Any]
"""`heading`, `about`, `header`, `rows` of text, and `open` (whether it is shown at once)."""
BEST = (
    "The best split of every budget",
    "Fewest / inside and most / inside: error with the fewest and the most structures over that of the best split "
    "between the ends, which is chosen by the other repetitions. Balance: both are above one with 95 % confidence.",
)
"""Heading and text of a table that both kinds of study have."""


def tables(others: dict[str, pd.DataFrame], makers: dict[str, Callable[[pd.DataFrame], Table | None]]) -> list[Table]:
    """A table for each of these that the run has, by name."""
    made = [maker(others[name]) for name, maker in makers.items() if name in others]
    return [table for table in made if table is not None]


def table(heading: str, about: str, header: list[str], rows: list[list[str]], shown: bool = False) -> Table:
    """One table for the page."""
    return {"heading": heading, "about": about, "header": header, "rows": rows, "open": shown}


def interval(line: Line, name: str) -> str:
    """A number with its interval."""
    return f"{number(line[name])} ({number(line[f'{name}_low'])} to {number(line[f'{name}_high'])})"


def decimals(line: Line, name: str, prefix: str = "") -> str:
    """An exponent with its interval, of the columns name, prefix + "low" and prefix + "high"."""
    return f"{decimal(line[name])} ({decimal(line[f'{prefix}low'])} to {decimal(line[f'{prefix}high'])})"


def span(values: pd.Series) -> str:
    """The mean of what is known, and least to most; a dash if nothing is."""
    known = values.dropna()
    return f"{decimal(known.mean())} ({decimal(known.min())} to {decimal(known.max())})" if len(known) else NONE


def spans(groups: Any, column: str) -> list[str]:
    """A span for each group in which something is known, after its name."""
    return [f"{name} {span(each[column])}" for name, each in groups if each[column].notna().any()]


def share(values: pd.Series) -> str:
    """Median of parts of a whole, as a percentage."""
    return NONE if values.isna().all() else f"{100 * values.median():.0f}%"


def counted(values: pd.Series) -> str:
    """How often each value occurs, the most frequent first."""
    return ", ".join(f"{value} {count}" for value, count in values.value_counts().items())


def true(value: Any) -> bool:
    """Whether a cell of a table that may have been read back from a file says yes."""
    return str(value).lower() == "true"
