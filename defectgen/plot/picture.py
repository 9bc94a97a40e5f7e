"""A figure with what belongs to it: the data it shows, a caption, and the name of its files."""

import re
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure with its data; ``name`` is the stem of its files."""

    name: str
    heading: str
    caption: str
    figure: Figure
    data: pd.DataFrame


def stem(*parts: str) -> str:
    """A file name that every system accepts."""
    return re.sub(r"[^a-z0-9.+-]+", "-", "_".join(parts).lower()).strip("-")
