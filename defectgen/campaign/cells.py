"""Text in the cells of CSV files: a spreadsheet takes what begins with certain characters for a formula and runs it."""

import re
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBERS = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+|inf|nan)([eE][+-]?\d+)?(\s+[+-]?(\d+\.?\d*|\.\d+|inf|nan)([eE][+-]?\d+)?)*\s*")
_MARK = "'"


def guarded(value: Any) -> Any:
    """Text that would be taken for a formula with an apostrophe in front; numbers, and text made of numbers, as they are."""
    if isinstance(value, str) and value.lstrip(_MARK).startswith(_FORMULA) and not _NUMBERS.fullmatch(value):
        return _MARK + value
    return value


def unguarded(value: Any) -> Any:
    """What `guarded` was given."""
    if isinstance(value, str) and value.startswith(_MARK) and value.lstrip(_MARK).startswith(_FORMULA):
        return value[1:]
    return value
