"""The result of a study for the page of a run: sentences, figures and sections, which the report composes."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .columns import Column

if TYPE_CHECKING:
    from ..plot.picture import Picture


@dataclass(frozen=True)
class Cell:
    """A cell of a table on the page."""

    text: str
    kind: str = "text"
    """"number" (set in columns of digits), "prose" (long text), "set" (a set of observations, with its colour) or "text"."""
    about: str = ""
    """Of a heading: what the column holds, in one sentence."""
    role: str = ""
    """Of a heading: "main" (a quantity that narrow screens keep), "detail" (shown where all columns are asked for) or ""."""


@dataclass(frozen=True)
class PageTable:
    """A table on the page: headings and rows of text."""

    header: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @classmethod
    def of(
        cls, frame: pd.DataFrame, columns: Iterable[Column], main: Collection[str] = (), details: Collection[str] = ()
    ) -> "PageTable":
        """The columns of a frame that hold anything, in their formats; names of those that are main or details."""
        shown = [c for c in columns if c.name in frame and not frame[c.name].isin(["", np.nan]).all()]
        kinds = {
            c.name: "set" if c.name == "observations" else "number" if c.numeric else "prose" if c.prose else "text"
            for c in shown
        }
        return cls(
            tuple(
                Cell(c.title, kinds[c.name], c.meaning, "main" if c.name in main else "detail" if c.name in details else "")
                for c in shown
            ),
            tuple(tuple(Cell(c.text(row[c.name]), kinds[c.name]) for c in shown) for row in frame.to_dict("records")),
        )

    @classmethod
    def plain(cls, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> "PageTable":
        """Texts as they are, under plain headings."""
        return cls(tuple(Cell(name) for name in header), tuple(tuple(Cell(str(cell)) for cell in row) for row in rows))

    def __bool__(self) -> bool:
        return bool(self.rows)


@dataclass(frozen=True, eq=False)
class Part:
    """A piece of a section: a heading, words, then figures and tables; a `folded` part shows its heading until it is opened."""

    heading: str = ""
    about: str = ""
    figures: tuple["Picture", ...] = ()
    tables: tuple[PageTable, ...] = ()
    folded: bool = False
    after: str = ""
    """Words below the tables."""


@dataclass(frozen=True, eq=False)
class Section:
    """A section of the page."""

    name: str
    """Its anchor."""
    heading: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, eq=False)
class Page:
    """The contribution of one study to the page of a run."""

    lead: tuple[str, ...] = ()
    """What was done and how, in a sentence or two."""
    findings: tuple[str, ...] = ()
    """Sentences; the first one is the answer, with which the page begins, and a few more stand before the first figure."""
    figures: tuple["Picture", ...] = ()
    """Figures of the main section; figures of a section of its own stand there."""
    sections: tuple[Section, ...] = ()
    compared: frozenset[str] = frozenset()
    """Values of the column `study` of results.csv whose errors the page compares side by side."""
    remarks: tuple[str, ...] = ()
    """Sentences that stand after the figures."""

    def __add__(self, other: "Page") -> "Page":
        """Both, one below the other; a lead that both have is given once."""
        return Page(
            tuple(dict.fromkeys(self.lead + other.lead)),
            self.findings + other.findings,
            self.figures + other.figures,
            self.sections + other.sections,
            self.compared | other.compared,
            self.remarks + other.remarks,
        )

    @property
    def pictures(self) -> tuple["Picture", ...]:
        """All figures, those of sections last."""
        return self.figures + tuple(figure for section in self.sections for part in section.parts for figure in part.figures)


Frames = Mapping[str, pd.DataFrame]
"""Further tables of a run, by name."""
