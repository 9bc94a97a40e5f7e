"""Results as records and back: the one place where dataclasses become plain values and arrays."""

import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel

from .record import Record
from .task import plain

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
