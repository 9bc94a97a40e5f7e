"""What a study is: the settings, steps, tables, figures and sentences of one question."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic

from ..campaign import Given, Step
from .settings import Settings, Shared, Strict

if TYPE_CHECKING:
    from .page import Page
    from .run import Run
    from .tasks import FitTrial


@dataclass(frozen=True)
class Tables:
    """The tables of a run: rows as plain dictionaries, ready to be written as CSV."""

    results: list[dict] = field(default_factory=list)
    """Errors of models and surrogates against the reference."""
    rates: list[dict] = field(default_factory=list)
    failures: list[dict] = field(default_factory=list)
    others: dict[str, list[dict]] = field(default_factory=dict)
    """Further tables by name: what a study measures besides."""
    documents: dict[str, Any] = field(default_factory=dict)
    """Files of plain data by name, which are written as JSON."""
    answers: list[str] = field(default_factory=list)
    """What the command line prints at the end: the results, one sentence each."""

    def __add__(self, other: Tables) -> Tables:
        """The rows of both; tables of one name are joined."""
        names = dict.fromkeys([*self.others, *other.others])
        others = {name: [*self.others.get(name, []), *other.others.get(name, [])] for name in names}
        rows = (self.results + other.results, self.rates + other.rates, self.failures + other.failures)
        return Tables(*rows, others, {**self.documents, **other.documents}, self.answers + other.answers)


class Study(ABC, Generic[Settings]):
    """One question. A study is registered by its class; an instance has no state.

    To add a study, write a class like this one in a folder of its own and name it in the entry-point group ``defectgen.studies``
    of your package (the built-in studies are found in the same way, in `registry`).
    """

    name: ClassVar[str]
    """Key of its table in a run file."""
    settings: ClassVar[type[Strict]]
    """What the table holds."""
    fits: ClassVar[bool] = False
    """Whether it fits potentials, so that every case needs a basis."""
    boxed: ClassVar[bool] = True
    """Whether its defects are in periodic cells, so that those of the run file are checked for them."""
    alone: ClassVar[str] = ""
    """Why no other study can share a run file with it; empty if others can."""
    always: ClassVar[bool] = False
    """Whether it is carried out with its default settings where studies of fits are requested and its table is not there."""
    needs_cases: ClassVar[bool] = True
    """Whether it is about defects in crystals, [[cases]]; otherwise it has structures of its own, and cases are refused."""

    def located(self, asked: Settings, folder: Path, code: bool) -> Settings:
        """The settings of a file in this folder: paths absolute, and with the digests of the files.

        `code` allows texts that run code, as those of a command line do. Raises InputError for a file that is not there.
        """
        return asked

    def check(self, spec: Shared, asked: Settings) -> None:
        """Raises InputError for settings, cells and files that cannot be used; computes nothing."""

    def refuse(self, spec: Shared, asked: Settings) -> str:
        """What is wrong with the settings together with the rest of the run file, in one sentence; empty if nothing is."""
        return ""

    def sizes(self, asked: Settings) -> Iterable[int]:
        """Sizes of the training cells, which must hold the defect."""
        return ()

    def degrees(self, asked: Settings) -> Iterable[float]:
        """Degrees of the bases that are fitted, beyond that of the case: training rows are made for the largest."""
        return ()

    def richer(self, asked: Settings) -> float:
        """Degrees that training rows are made for beyond the largest basis."""
        return 0.0

    def trials(self, spec: Shared, asked: Settings) -> Sequence[tuple[str, FitTrial]]:
        """The trials of a study of fits, each with its entry in the column `study` of results.csv."""
        return ()

    def plan(self, spec: Shared, asked: Settings) -> Sequence[Step[Any]]:
        """The steps; those that they need are found through their fields. By default the trials."""
        return [trial for _, trial in self.trials(spec, asked)]

    def tables(self, spec: Shared, asked: Settings, given: Given) -> Tables:
        """The results of the steps as tables. A result that is missing is left out; the runner reports the reason."""
        return Tables()

    def page(self, run: Run) -> Page:
        """The page of the study, made from the tables of a run: sentences, figures, sections. Nothing is computed."""
        from .page import Page

        return Page()
