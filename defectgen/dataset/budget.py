"""A budget of N labels as S structures with C configurations each: which pairs (S, C) a study can ask for."""

import numpy as np

from .._input import InputError

FEWEST = 3
"""Pairs of a grid: the two extremes, and something between them to be better than both."""


def budget_grid(labels: int, structures: int, conformations: int, ratio: float = 2.0) -> tuple[tuple[int, int], ...]:
    """Pairs (S, C) with S C = labels, from the fewest structures to the most, neighbours about a factor `ratio` apart.

    `structures` and `conformations` are how many there are to choose from: the extremes are S = 1 and C = 1 where these
    allow it. Every S divides the budget exactly, so all pairs cost the same number of labels.
    Raises InputError for numbers that are no counts, and for a budget that cannot be split so in three ways or more.
    """
    for what, number in (("labels", labels), ("structures", structures), ("conformations", conformations)):
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 1:
            raise InputError(f"the number of {what} is a whole number from 1 on; got {number!r}")
    if not ratio > 1:
        raise InputError(f"the ratio of neighbours in a budget grid is larger than 1; got {ratio!r}")
    if labels > structures * conformations:
        raise InputError(
            f"a budget of {labels} labels is more than {structures} structures x {conformations} configurations hold; lower it "
            "or draw more"
        )
    feasible = [s for s in range(1, min(labels, structures) + 1) if labels % s == 0 and labels // s <= conformations]
    if len(feasible) < FEWEST:
        shown = ", ".join(f"{s} x {labels // s}" for s in feasible) or "none"
        raise InputError(
            f"a budget of {labels} labels splits into S x C with S <= {structures} and C <= {conformations} in {len(feasible)} "
            f"ways ({shown}), and a comparison wants {FEWEST}; use {_round(labels)}, or draw more structures or configurations"
        )
    low, high = np.log(feasible[0]), np.log(feasible[-1])
    steps = max(FEWEST - 1, round((high - low) / np.log(ratio)))
    targets = np.linspace(low, high, steps + 1)
    chosen = sorted({min(feasible, key=lambda s: (abs(np.log(s) - t), s)) for t in targets})
    if len(chosen) < FEWEST:  # the divisors stand in two heaps: take the one nearest to the middle between the extremes
        inner = min(feasible[1:-1], key=lambda s: (abs(np.log(s) - (low + high) / 2), s))
        chosen = [feasible[0], inner, feasible[-1]]
    return tuple((s, labels // s) for s in chosen)


def _round(labels: int) -> int:
    """The power of two nearest to a budget: it has the most even grid."""
    return 1 << max(2, round(float(np.log2(labels))))
