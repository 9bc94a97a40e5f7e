"""Studies of diversity on the page. What compares sets of observations, as studies of crystals do, is in `crystals`."""

from collections.abc import Iterator

import pandas as pd

from defectgen.plot.picture import Picture
from defectgen.report.diversity import crystals, figure, table, words


def diversity_pictures(others: dict[str, pd.DataFrame]) -> Iterator[Picture]:
    """The figures of a run's further tables; none without such a study."""
    if _of_crystals(others):
        return crystals.crystal_pictures(others)
    return figure.budget_pictures(*(others.get(f"diversity_{name}") for name in ("gaps", "tradeoff", "curves")))


def diversity_tables(others: dict[str, pd.DataFrame]) -> list[dict]:
    """Each with `heading`, `about`, `header`, `rows` and `open` (whether it is shown at once); none without such a study."""
    return crystals.crystal_tables(others) if _of_crystals(others) else table.budget_tables(others)


def diversity_findings(others: dict[str, pd.DataFrame]) -> list[str]:
    """What was found, in sentences made from the tables alone; none without such a study."""
    return crystals.crystal_findings(others) if _of_crystals(others) else words.budget_findings(others)


def _of_crystals(others: dict[str, pd.DataFrame]) -> bool:
    return "diversity_observations" in others
