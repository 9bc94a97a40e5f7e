"""A record: what a task found, as plain data and arrays."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from .._input import InputError


@dataclass(frozen=True)
class Origin:
    """What a record comes from.

    Attributes
    ----------
    stamp : str
        Digest of version and code of the step, and of the stamps of the records it read; empty if it is not known.
    version : str
        Of this package.
    libraries : dict
        Versions of Python and the numerical libraries. They are stored, but do not decide whether a record is used again.
    """

    stamp: str = ""
    version: str = ""
    libraries: dict[str, str] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Record:
    """The result of one task. What was just computed equals, bit by bit, what is read back from disk later.

    Attributes
    ----------
    values : dict
        Plain data, brought to the form in which JSON gives it back (tuples become lists, numpy scalars numbers).
    arrays : mapping
        Numpy arrays of numbers or booleans by name, any shape.
    failed : str or None
        The reason why the task has no result, in one sentence; None if it has one.
    seconds : float
        Wall time of the function (s), measured by the runner.
    origin : Origin or None
        Which code it comes from, entered by the runner.

    Raises
    ------
    InputError
        ``values`` is not plain data, an array holds no numbers, or its name holds a slash.
    """

    values: dict[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    failed: str | None = None
    seconds: float = 0.0
    origin: Origin | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", json.loads(canonical(self.values, "the values of a record")))
        arrays = {name: np.asarray(array) for name, array in self.arrays.items()}
        for name, array in arrays.items():
            if "/" in name or not name:
                raise InputError(f"an array of a record needs a name without slashes; got {name!r}")
            if array.dtype.kind not in "biufc":
                raise InputError(f"array {name!r} of a record must hold numbers, but its type is {array.dtype}")
        object.__setattr__(self, "arrays", arrays)

    @classmethod
    def stored(cls, values: dict[str, Any], arrays: Mapping[str, np.ndarray], **others: Any) -> "Record":
        """A record as it was read from disk: it was brought to form and checked when it was made."""
        record = cls.__new__(cls)
        for name, value in {"values": values, "arrays": arrays, **others}.items():
            object.__setattr__(record, name, value)
        return record

    @property
    def ok(self) -> bool:
        """Whether the task has a result."""
        return self.failed is None


def canonical(value: Any, what: str) -> str:
    """``value`` as JSON text with sorted keys: equal data, equal text; floats by their shortest exact decimal (repr).

    Raises
    ------
    InputError
        ``value`` holds something that JSON cannot.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), default=plain)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} must be plain data (numbers, text, lists, tables): {error}") from None


def plain(value: Any) -> Any:
    """A numpy scalar as a Python number; the hook of JSON for other types.

    Raises
    ------
    TypeError
        ``value`` is no scalar.
    """
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not plain data")
