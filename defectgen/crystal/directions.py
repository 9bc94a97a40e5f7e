"""Crystallographic directions: whole-number indices along the conventional vectors."""

from collections.abc import Sequence

import numpy as np

from .._input import InputError


def direction_indices(direction: str | Sequence[int]) -> tuple[int, ...]:
    """Direction indices from "110", "1-10", "<110>", "[1 1 0]" or (1, 1, 0).

    Raises InputError if they are not three (or two) whole numbers, not all zero.
    """
    listed = isinstance(direction, list | tuple | np.ndarray) and np.ndim(direction) == 1
    digits = _digits(direction) if isinstance(direction, str) else list(direction) if listed else []
    if len(digits) == 2:
        digits = [*digits, 0]
    numbers = all(isinstance(n, int | float | np.number) and abs(n) < 1000 and float(n) == int(n) for n in digits)
    if len(digits) != 3 or not numbers or not any(digits):
        raise InputError(
            f'a direction is three whole numbers, not all zero, such as "110", "1-10" or (1, 1, 0); got {direction!r}'
        )
    return tuple(int(n) for n in digits)


def indices_text(indices: tuple[int, ...]) -> str:
    """ "110" or "1-10"."""
    return "".join(str(n) for n in indices)


def _digits(text: str) -> list[int]:
    bare = text.strip().strip("<>[]").replace(" ", "").replace(",", "")
    signed = bare.replace("-", " -")
    digits: list[int] = []
    for run in signed.split():
        sign, rest = (-1, run[1:]) if run.startswith("-") else (1, run)
        if not rest.isdigit():
            return []
        digits += [sign * int(rest[0]), *(int(d) for d in rest[1:])]
    return digits
