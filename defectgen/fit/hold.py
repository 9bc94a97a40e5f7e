"""Hold constraints: the same least squares in the coordinates that they leave free (theory: fit/constraints)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .constraint import Constraint
from .problem import Problem
from .qr import QR
from .subspace import check_agreement, directions_of, meet

ROUNDS = 20
"""Largest number of rounds over constraints with a tolerance, whose counts bear on each other; two or three are usual."""


def hold(problem: Problem, constraints: Sequence[Constraint]) -> Problem:
    """The problem under constraints. Of those with a tolerance as few directions are held as keep its solution within it.

    Raises InputError for constraints that contradict each other or the functions, and if nothing is left to fit.
    """
    if not constraints:
        return problem
    squares = sum((np.sum(f[:, :-1] ** 2, axis=0) for f in problem.weighted()), problem.gamma**2)
    scale = np.where(squares > 0, np.sqrt(squares), 1.0)
    parts = [directions_of(c, scale) for c in constraints]
    check_agreement(parts, scale)
    counts = [len(part.target) if part.constraint.tolerance is None else 0 for part in parts]

    def held(counts: Sequence[int]) -> Problem:
        return replace(problem, subspace=meet(parts, counts, scale))

    def short(counts: Sequence[int]) -> list[int]:
        chosen = held(counts)
        theta = chosen.lift(QR().solve(chosen).coefficients)
        return [k for k, part in enumerate(parts) if part.constraint.miss(theta) > part.constraint.allowed]

    for _ in range(ROUNDS):
        open_ = [k for k in short(counts) if counts[k] < len(parts[k].target)]
        if not open_:
            break
        for k in open_:  # the fewest directions of this one, the others as they are
            low, high = counts[k], len(parts[k].target)
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if k in short([*counts[:k], middle, *counts[k + 1 :]]) else (low, middle)
            counts[k] = high
    return held(counts)
