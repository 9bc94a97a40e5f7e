"""A step: a task with types. Inputs and dependencies are the fields of a dataclass, the result is a dataclass too."""

from __future__ import annotations

import hashlib
import typing
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from typing import Any, ClassVar, Generic, TypeVar

from .._input import InputError
from .record import Record
from .results import from_record, to_plain, to_record
from .task import Task, canonical, portable

Result = TypeVar("Result")


@dataclass(frozen=True, eq=False, kw_only=True)
class Step(Task, Generic[Result]):
    """One unit of work of a study: plain inputs, the steps whose results it reads, and `run`, which computes the result.

    A subclass is a frozen dataclass with keyword fields. A field that holds a step, or a tuple of steps, is a dependency. All
    other fields are plain data: numbers, text, tuples, dictionaries, dataclasses or pydantic models of these. The type of the
    result is named once, in the base class::

        @dataclass(frozen=True, eq=False, kw_only=True)
        class Relaxed(Step[Rest]):
            crystal: Crystal                      # a dependency: a step that gives a `Perfect`
            defect: str

            def run(self, given: Given) -> Rest:
                perfect = given[self.crystal]     # a `Perfect`

    Attributes
    ----------
    study : str
        The study that planned the step first; shown to people, not part of the key.
    version : str
        Class attribute. Its author raises it when the meaning of the result changes.

    Raises
    ------
    InputError
        An input is not plain data.
    """

    study: str = field(default="", repr=False)
    version: ClassVar[str] = "1"
    apart: ClassVar[tuple[str, ...]] = ("study",)
    """Fields that are shown to people only: they are no part of the key."""
    result: ClassVar[type]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in getattr(cls, "__orig_bases__", ()):
            arguments = typing.get_args(base)
            if arguments and isinstance(arguments[0], type):
                cls.result = arguments[0]

    @abstractmethod
    def run(self, given: Given) -> Result:
        """The result. It depends on nothing but the fields and the results of the dependencies.

        Parameters
        ----------
        given : Given
            The results of the dependencies: ``given[self.crystal]``.
        """

    @property
    def label(self) -> str:
        """What a person reads in the progress display; not part of the key."""
        return type(self).__name__.lower()

    @property
    def weight(self) -> float:
        """Relative cost (dimensionless), used only to estimate the time left; not part of the key."""
        return 1.0

    @property
    def function(self) -> str:
        """``module:Class``: what a record says of where it came from."""
        return f"{type(self).__module__}:{type(self).__qualname__}"

    @cached_property
    def after(self) -> tuple[Step[Any], ...]:
        """The dependencies, in the order of the fields."""
        return tuple(step for _, steps in self._dependencies() for step in steps)

    @cached_property
    def spec(self) -> dict[str, Any]:
        """The plain inputs by name, as JSON gives them back."""
        needed = {name for name, _ in self._dependencies()}
        plain = {f.name: to_plain(getattr(self, f.name)) for f in fields(self) if f.name not in (*needed, *self.apart)}
        canonical(plain, f"the inputs of {type(self).__name__}")
        return plain

    @cached_property
    def key(self) -> str:
        """64 hexadecimal digits that name the content: the class, its version, the inputs and the keys of the dependencies."""
        needed = {name: [step.key for step in steps] for name, steps in self._dependencies()}
        content = [self.function, self.version, portable(self.spec), needed]
        return hashlib.sha256(canonical(content, "a step").encode()).hexdigest()

    def compute(self, needed: Mapping[str, Record]) -> Record:
        """Run, with the records of the dependencies by key; the result as a record."""
        found = self.run(Given(needed))
        if not isinstance(found, self.result):
            raise TypeError(f"{self.function} gave a {type(found).__name__}, not a {self.result.__name__}")
        return to_record(found)

    def _dependencies(self) -> Iterator[tuple[str, tuple[Step[Any], ...]]]:
        for name in _names(type(self)):
            value = getattr(self, name)
            if isinstance(value, Step):
                yield name, (value,)
            elif isinstance(value, tuple) and value and all(isinstance(step, Step) for step in value):
                yield name, value


@cache
def _names(kind: type[Step[Any]]) -> tuple[str, ...]:
    return tuple(f.name for f in fields(kind))


class Given:
    """The results of steps, read from their records when they are first asked for.

    Raises
    ------
    InputError
        The result of a step that failed, or that is not there, is asked for.
    """

    def __init__(self, records: Mapping[str, Record]) -> None:
        self._records = records
        self._read: dict[str, Any] = {}

    def __getitem__(self, step: Step[Result]) -> Result:
        if step.key not in self._read:
            record = self._records.get(step.key)
            if record is None or not record.ok:
                why = "it was not computed" if record is None else record.failed
                raise InputError(f"there is no result of {step.label!r}: {why}")
            self._read[step.key] = from_record(step.result, record)
        return self._read[step.key]

    def get(self, step: Step[Result]) -> Result | None:
        """The result, or None where the step failed or was not run."""
        record = self._records.get(step.key)
        return self[step] if record is not None and record.ok else None

    def seconds(self, step: Step[Any]) -> float:
        """Wall time of a step (s)."""
        return self._records[step.key].seconds
