"""What a study of diversity is about: a source gives the data set to choose from, and further training data and tests.

To add a source, write a class like `Source` in a package of yours and name it in the entry-point group ``defectgen.sources``::

    [project.entry-points."defectgen.sources"]
    mine = "my_package.source:Mine"

A run file then has ``[diversity] source = "mine"``, and the fields of the class are the keys of ``[diversity.settings]``.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from pydantic import model_serializer

from ..._input import InputError
from ..._typing import Int
from ...ace import LinearACE
from ...campaign import Given, Step
from ...dataset import Division
from ...fit import CONVENTION, Fit, FitWarning, fit
from ...training import Blocks
from ..interface import Tables
from ..settings import FitSettings, Strict
from .pool import PackedPool, Pool
from .rows import Opened, UsedRows
from .split import RANDOM, division, structures_of, tests_of

__all__ = ["OfDesign", "PackedPool", "Pool", "Source", "Trained"]

Result = TypeVar("Result")
Own = TypeVar("Own", bound="OfDesign[Any]")


class Source(Strict, ABC):
    """Where a data set comes from. A subclass is a pydantic model: its fields are its settings in the run file.

    Every fit is trained on energies and forces of the configurations of its design, and is tested on the test sets of theory:
    diversity/experiments. A source with further training data or tests overrides `blocks` and `metrics`.
    """

    name: ClassVar[str]
    """What ``source`` says in a run file."""
    kinds: ClassVar[tuple[str, ...]] = ()
    """Kinds of observations beyond E and F that `blocks` has rows of."""

    @property
    def called(self) -> str:
        """What a data set of this source is called in the tables of several."""
        return self.name

    def check(self) -> None:
        """Raises InputError where something is missing that the source needs; computes nothing."""

    def files(self) -> dict[str, str]:
        """Path -> digest of the content of the files that the settings name: a run may move, and a changed file is another
        one.
        """
        return {}

    @abstractmethod
    def pool(self) -> Step[PackedPool]:
        """The step that gives every labelled configuration."""

    @abstractmethod
    def counts(self) -> tuple[int, int]:
        """At most how many structures the law that is trained on has, and configurations of each, those for tests included.

        Budgets are checked against these before anything is computed.
        """

    def further(self) -> tuple[Step[Any], ...]:
        """Further steps whose results `blocks` and `metrics` read."""
        return ()

    def blocks(self, trial: OfDesign[Any], given: Given, chosen: Int[np.ndarray, " labels"]) -> Blocks:
        """Rows of the `kinds` that ``trial.observations`` names, for the basis ``trial.opened(given).basis``.

        Parameters
        ----------
        trial : OfDesign
            The step that fits; `given` has the results of its pool, its rows and of `further`.
        given : Given
            Results.
        chosen : array of int
            Numbers of the configurations in the data set of the pool that the fit is trained on.
        """
        raise InputError(
            f"the source {self.name!r} has no rows of its own for {trial.observations}; its class must define `blocks`"
        )

    def metrics(self, model: LinearACE, trial: OfDesign[Any], given: Given) -> list[dict[str, Any]]:
        """Further tests of a model, such as a relaxed defect in a large cell: lines ``{"test": name, quantity: number, ...}``.

        Each is a further row of diversity.csv, and all numbers in it are analysed like the errors of a test set. The model
        predicts whole energies (offsets added).
        """
        return []

    def pictured(self, graded: Sequence[OfDesign[Any]]) -> list[Step[Any]]:
        """Further steps for the page, from the designs of the first repetition whose domain of applicability is measured."""
        return []

    def tables(self, called: str, rows: list[dict], steps: Sequence[Step[Any]], given: Given) -> Tables:
        """Tables that only this source has; `rows` are those of diversity.csv."""
        return Tables()

    @model_serializer(mode="wrap")
    def _named(self, handler: Any) -> dict[str, Any]:
        """The settings with the name: steps of two sources differ even where their settings are the same."""
        return {"source": self.name, **handler(self)}


@dataclass(frozen=True, eq=False)
class Trained:
    """The fit of one design, and its test sets."""

    fit: Fit
    chosen: Int[np.ndarray, " labels"]
    """Numbers of configurations in the data set of the pool."""
    seen: list[str]
    """Structures."""
    parts: Division


@dataclass(frozen=True, eq=False, kw_only=True)
class OfDesign(Step[Result], Generic[Result]):
    """A step about the fit of one design. Nothing in it names the experiment, so that equal designs are carried out once."""

    source: Source
    files: dict[str, str] = field(default_factory=dict)
    """Path -> digest of the files that the settings of the source name."""
    pool: Step[PackedPool]
    rows: UsedRows
    further: tuple[Step[Any], ...]
    """Of the source, which looks their results up."""
    seed: int
    """Of the repetition."""
    structures: int
    conformations: int
    """Numbers of configurations of each structure."""
    common: int
    """Structures that all splits of the budget have seen."""
    selection: str
    observations: str
    fit: FitSettings
    prefix: str = ""
    """Name of the data set, for the label."""

    apart = ("study", "prefix")

    @classmethod
    def like(cls: type[Own], other: OfDesign[Any], **more: Any) -> Own:
        """A step about the same fit."""
        return cls(**{f.name: getattr(other, f.name) for f in fields(OfDesign)}, **more)

    @property
    def about(self) -> str:
        """The design in words."""
        return f"{self.structures} x {self.conformations}, {self.selection}, {self.observations}, seed {self.seed}"

    @property
    def labels(self) -> int:
        """Configurations that are trained on."""
        return self.structures * self.conformations

    def opened(self, given: Given) -> Opened:
        """The pool with its rows."""
        return self.rows.opened(given)

    def parts(self, pool: Pool, given: Given) -> Division:
        """The training and test configurations in the repetition of this design."""
        order = None if self.selection == RANDOM else given[self.rows].orders[self.selection][self.seed]
        return division(pool, self.rows.split, self.seed, order)

    def train(self, given: Given) -> Trained:
        """The fit."""
        here = self.opened(given)
        parts = self.parts(here.pool, given)
        chosen = parts.design(self.structures, self.conformations)
        blocks = here.rows.blocks(here.places(chosen), here.pool.offsets)
        if set(self.observations.split("+")) - {"E", "F"}:
            blocks = blocks + self.source.blocks(self, given, chosen)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FitWarning)  # the rank is in the result
            found = fit(blocks, self.observations, {**CONVENTION, **self.fit.weights}, self.fit.prior, self.fit.solver)
        return Trained(found, chosen, structures_of(here.pool, chosen), parts)

    def tests(self, trained: Trained, pool: Pool, each: int) -> dict[str, Int[np.ndarray, " _"]]:
        """Test sets, with at most `each` configurations of a structure."""
        return tests_of(pool, trained.parts, trained.seen, self.common, each)
