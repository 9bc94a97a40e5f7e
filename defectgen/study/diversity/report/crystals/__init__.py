"""Studies of diversity that compare sets of observations, as that of crystals does: figures, tables, sentences, a portrait."""

from collections.abc import Iterator

import pandas as pd

from defectgen.plot.picture import Picture
from defectgen.report.diversity.crystals.figure import split_pictures
from defectgen.report.diversity.crystals.portrait import portrait_pictures
from defectgen.report.diversity.crystals.table import crystal_tables
from defectgen.report.diversity.crystals.words import crystal_findings

__all__ = ["crystal_findings", "crystal_pictures", "crystal_tables"]


def crystal_pictures(others: dict[str, pd.DataFrame]) -> Iterator[Picture]:
    """Three figures a material, then a portrait of each."""
    yield from split_pictures(others["diversity_gaps"], others.get("diversity_outcomes"))
    yield from portrait_pictures(others.get("diversity_portrait"))
