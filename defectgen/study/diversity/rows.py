"""The rows of diversity.csv, one for every error of every fit: which of their columns name a curve, and which are its numbers."""

import math
from collections.abc import Iterable
from typing import Any

from ...errors.generalisation import Spread

Rows = list[dict[str, Any]]
BUDGET, SET = "fixed budget", "fixed set"
"""The two experiments."""
ABOUT = ("source", "selection", "observations", "model", "test")
"""What stays the same along a curve."""
COUNTS = ("configurations", "test_structures", "structures", "conformations", "labels", "atoms", "budget", "seed", "seconds")


def quantities(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Numbers of these rows that are errors, those that a source adds among them: energies eV/atom, forces eV/A."""
    known = {*ABOUT, *COUNTS, "experiment"}
    return list(dict.fromkeys(k for row in rows for k, v in row.items() if k not in known and isinstance(v, int | float)))


def positive(value: Any) -> bool:
    """Whether a value is a number with a logarithm."""
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(0 < value < math.inf)


def spread(name: str, found: Spread) -> dict[str, float]:
    """The columns of a mean with its interval."""
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
