"""A step: a task with types. Inputs and dependencies are the fields of a dataclass, the result is a dataclass too."""

from __future__ import annotations

import hashlib
import types
import typing
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache, cached_property
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from pydantic import BaseModel

from .._input import InputError
from .record import Record, canonical, plain
from .task import Task, portable

Result = TypeVar("Result")

ARRAY = "array of this record"
"""Key of what stands in the values of a record for an array: its value is the name of the array."""


def to_record(result: Any) -> Record:
    """The record of a result, a dataclass: arrays by the path of their field, all else as plain values.

    Arrays of numbers keep shape and type; scalars of NumPy become numbers; tuples become lists until they are read back.
    """
    arrays: dict[str, np.ndarray] = {}
    return Record(_taken_apart(result, "", arrays), arrays)


def from_record(kind: type[Result], record: Record) -> Result:
    """The result of a record, made of the annotations of its class; what `to_record` wrote comes back equal."""
    return _put_together(kind, record.values, record.arrays)


def to_plain(value: Any) -> Any:
    """Inputs as JSON gives them back: dataclasses and pydantic models as tables, tuples as lists."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): to_plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(each) for each in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else plain(value)


def _taken_apart(value: Any, path: str, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, np.ndarray) or (hasattr(value, "__array__") and getattr(value, "ndim", 0) > 0):
        arrays[path] = np.asarray(value)
        return {ARRAY: path}
    below = f"{path}." if path else ""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _taken_apart(getattr(value, f.name), below + f.name, arrays) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _taken_apart(each, f"{below}{key}", arrays) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_taken_apart(each, f"{below}{place}", arrays) for place, each in enumerate(value)]
    return value


def _put_together(hint: Any, value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if isinstance(value, dict) and set(value) == {ARRAY}:
        return arrays[value[ARRAY]]
    if value is None:
        return None
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        inner = next((each for each in arguments if each is not type(None)), Any)
        return _put_together(inner, value, arrays)
    if origin is typing.Annotated:
        return _put_together(arguments[0], value, arrays)
    if origin is tuple:
        kinds = arguments[:1] * len(value) if arguments[-1:] == (...,) else arguments
        return tuple(_put_together(kind, each, arrays) for kind, each in zip(kinds, value, strict=True))
    if origin is list:
        return [_put_together(arguments[0], each, arrays) for each in value]
    if origin is dict:
        return {key: _put_together(arguments[1], each, arrays) for key, each in value.items()}
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return hint.model_validate(value)
    if isinstance(hint, type) and is_dataclass(hint):
        hints = _hints(hint)
        return hint(**{name: _put_together(hints[name], each, arrays) for name, each in value.items()})
    if hint is tuple and isinstance(value, list):
        return tuple(value)
    return value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


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
        """``module:Class``: the origin that a record states."""
        return f"{type(self).__module__}:{type(self).__qualname__}"

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules of the classes of its inputs: an input such as a source of data has methods that decide the result."""
        inputs = (getattr(self, name) for name in _names(type(self)))
        return tuple(sorted({type(v).__module__ for v in inputs if isinstance(v, BaseModel) or _is_value(v)}))

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


def _is_value(input: Any) -> bool:
    return is_dataclass(input) and not isinstance(input, (Step, type))


@cache
def _names(kind: type[Step[Any]]) -> tuple[str, ...]:
    return tuple(f.name for f in fields(kind))


class Given:
    """The results of steps, read from their records when they are first requested.

    Raises
    ------
    InputError
        The result of a step that failed, or that is not there, is requested.
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
