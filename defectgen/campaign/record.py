"""A record is what a task found: plain values, arrays, or the reason why there are none."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._input import InputError
from .provenance import Origin
from .task import canonical


@dataclass(frozen=True, eq=False)
class Record:
    """The result of one task. What was just computed equals, bit by bit, what is read back from disk later.

    Attributes:
        values: plain data; brought to the form in which JSON gives it back (tuples become lists, numpy scalars numbers).
        arrays: numpy arrays of numbers or booleans, any shape.
        failed: None, or one sentence that says why the task has no result.
        seconds: wall time of the function (s), measured by the runner.
        origin: which code it comes from, entered by the runner.

    Raises:
        InputError: ``values`` is not plain data, an array holds no numbers, or its name holds a slash.
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
                raise InputError(f"an array of a record needs a name without slashes, but {name!r} came")
            if array.dtype.kind not in "biufc":
                raise InputError(f"array {name!r} of a record must hold numbers, but its type is {array.dtype}")
        object.__setattr__(self, "arrays", arrays)

    @property
    def ok(self) -> bool:
        """Whether the task has a result."""
        return self.failed is None
