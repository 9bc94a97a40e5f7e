"""What a study is: the settings, steps, tables, figures and sentences of one question."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from ..campaign import Given, Step
from .settings import Strict

if TYPE_CHECKING:
    from .page import Page
    from .run import Run
    from .spec import RunSpec

Settings = TypeVar("Settings", bound=Strict)


@dataclass(frozen=True)
class Tables:
    """The tables of a run: rows as plain dictionaries, ready to be written as CSV."""

    results: list[dict] = field(default_factory=list)
    """Errors of models and surrogates against the reference."""
    rates: list[dict] = field(default_factory=list)
    failures: list[dict] = field(default_factory=list)
    others: dict[str, list[dict]] = field(default_factory=dict)
    """Further tables by name: what a study measures besides."""

    def __add__(self, other: Tables) -> Tables:
        """The rows of both; tables of one name are joined."""
        names = dict.fromkeys([*self.others, *other.others])
        others = {name: [*self.others.get(name, []), *other.others.get(name, [])] for name in names}
        return Tables(self.results + other.results, self.rates + other.rates, self.failures + other.failures, others)


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
    needs_cases: ClassVar[bool] = True
    """Whether it is about defects in crystals, [[cases]]; otherwise it has structures of its own, and cases are refused."""

    def check(self, spec: RunSpec, asked: Settings) -> None:
        """Raises InputError for settings, cells and files that cannot be used; computes nothing."""

    def sizes(self, asked: Settings) -> Iterable[int]:
        """Sizes of the training cells, which must hold the defect."""
        return ()

    def plan(self, spec: RunSpec, asked: Settings) -> Sequence[Step[Any]]:
        """The steps; those that they need are found through their fields."""
        raise NotImplementedError

    def tables(self, spec: RunSpec, asked: Settings, given: Given) -> Tables:
        """What the results of the steps say, as tables. A result that is missing is left out: the runner says why."""
        return Tables()

    def page(self, run: Run) -> Page:
        """What the tables of a run say: sentences, figures, sections. Nothing is computed."""
        from .page import Page

        return Page()
