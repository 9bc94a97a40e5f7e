"""Warnings of many fits that differ in their numbers only, as one line for each case and set of observations."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from .columns import WARNED

_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.]*\w)")


def gathered(failures: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """Lines of failures.csv for a reader: warnings that are alike are counted, with the range of every number that differs.

    Parameters
    ----------
    failures : iterable of dict
        Lines with `label` and `reason`. Warnings begin with `WARNED`; all other reasons are kept as they are.

    Returns
    -------
    list of dict
        Lines of the same form, in the order in which each was first met. Warnings are alike if their labels agree up to the first
        comma (the crystal, the defect, the set) and their sentences agree but for the numbers.
    """
    groups: dict[tuple[str, str], list[Mapping[str, str]]] = defaultdict(list)
    for line in failures:
        label, reason = str(line["label"]), str(line["reason"])
        warned = reason.startswith(WARNED)
        groups[(label.partition(",")[0], _NUMBER.sub("#", reason)) if warned else (label, reason)].append(line)
    return [_one(case, lines) for (case, _), lines in groups.items()]


def _one(case: str, lines: list[Mapping[str, str]]) -> dict[str, str]:
    """The line of a group: its only one, or the number of fits and one sentence with ranges."""
    if len(lines) == 1:
        return dict(lines[0])
    reasons = [str(line["reason"]) for line in lines]
    columns = iter(zip(*(_NUMBER.findall(reason) for reason in reasons), strict=True))
    return {"label": f"{case}: {len(lines)} fits", "reason": _NUMBER.sub(lambda match: _range(next(columns)), reasons[0])}


def _range(numbers: Iterable[str]) -> str:
    """The smallest and the largest of some numbers, as they were written; the number if all are equal."""
    found = sorted(set(numbers), key=float)
    return found[0] if len(found) == 1 else f"{found[0]} to {found[-1]}"
