"""A task is a pure function named by a string, a plain specification, and the tasks whose records it reads."""

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import PurePath
from typing import Any

from .._input import InputError
from .record import Record, canonical


class Task(ABC):
    """The interface of a unit of work for the runner; studies consist of `Step`."""

    label: Any
    weight: Any
    after: Any
    function: Any
    spec: Any

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules whose code is behind the result, besides that of the function."""
        return ()

    @property
    @abstractmethod
    def key(self) -> str:
        """64 hexadecimal digits that name the content of this task."""

    @abstractmethod
    def compute(self, needed: Mapping[str, Record]) -> Record:
        """The record, from the records of `after`, which are found in `needed` by their keys."""


@dataclass(frozen=True, eq=False)
class PlainTask(Task):
    """A function by its name and plain data: ``function(spec, *records_of_after) -> Record``.

    ``key`` is the SHA-256 of (function, spec, keys of ``after``, version): two tasks with one key give one record, so a record
    outlives every change of the study that does not change what it computes. A table of ``spec`` that names files has an entry
    ``files``, path -> digest of the content; in the key each such path is the file's name and digest, so that files may move.

    Attributes
    ----------
    function
        ``"package.module:name"``; importable where the task runs.
    spec
        Plain data (what JSON can hold), copied when the task is made.
    after
        Tasks whose records are handed to the function, in this order.
    label
        What a person reads in the progress display; not part of the key.
    weight
        Relative cost (dimensionless), used only to estimate the time left; not part of the key.
    version
        Bumped by the author of ``function`` when its meaning changes.

    Raises
    ------
    InputError
        The function is not written ``module:name``, or the specification is not plain data.
    """

    function: str
    spec: dict[str, Any]
    after: tuple[Task, ...] = ()
    label: str = ""
    weight: float = 1.0
    version: str = field(default="1", kw_only=True)

    def __post_init__(self) -> None:
        module, colon, name = self.function.partition(":")
        if not (module and colon and name):
            raise InputError(f"a task's function is written 'module:name'; got {self.function!r}")
        object.__setattr__(self, "spec", json.loads(canonical(self.spec, f"the specification of task {self.label!r}")))
        object.__setattr__(self, "after", tuple(self.after))
        object.__setattr__(self, "label", self.label or self.function)

    def compute(self, needed: Mapping[str, Record]) -> Record:
        """Call the function with the records of `after`, which are found in `needed` by their keys."""
        module, _, name = self.function.partition(":")
        record = getattr(import_module(module), name)(self.spec, *(needed[task.key] for task in self.after))
        if not isinstance(record, Record):
            raise TypeError(f"{self.function} gave a {type(record).__name__}, not a Record")
        return record

    @cached_property
    def key(self) -> str:
        """64 hexadecimal digits that name the content of this task."""
        content = [self.function, portable(self.spec), [task.key for task in self.after], self.version]
        return hashlib.sha256(canonical(content, "a task").encode()).hexdigest()


def portable(value: Any) -> Any:
    """``value`` with names and digests in place of the paths that its tables list under ``files``."""
    if isinstance(value, list):
        return [portable(item) for item in value]
    if not isinstance(value, dict):
        return value
    files = value.get("files")
    if not isinstance(files, dict) or not files:
        return {key: portable(item) for key, item in value.items()}
    names = {path: f"{PurePath(path).name} {digest}" for path, digest in files.items()}
    inside = {key: _renamed(portable(item), names) for key, item in value.items() if key != "files"}
    return {**inside, "files": sorted(names.values())}


def _renamed(value: Any, names: dict[str, str]) -> Any:
    """Plain data with replacements of some paths, where these stand alone or between characters that are in no path."""
    if isinstance(value, dict):
        return {key: _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    if not isinstance(value, str):
        return value
    for path in sorted(names, key=len, reverse=True):
        value = re.sub(rf"(?<![\w./-]){re.escape(path)}(?![\w./-])", lambda _, path=path: names[path], value)
    return value


def in_order(tasks: Iterable[Task]) -> list[Task]:
    """Every task and all it needs, each once, needed ones first; otherwise in the order given."""
    ordered: dict[str, Task] = {}
    stack = list(reversed(list(tasks)))
    while stack:
        task = stack.pop()
        waiting = [needed for needed in task.after if needed.key not in ordered]
        if task.key in ordered:
            continue
        if waiting:
            stack.append(task)
            stack.extend(reversed(waiting))
        else:
            ordered[task.key] = task
    return list(ordered.values())
