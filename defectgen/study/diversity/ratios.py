"""Errors over other errors of the same seed: what a test costs over an easier one, and what a choice of structures is worth."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors.generalisation import geometric_mean, ratio
from .rows import Rows, positive, quantities, spread
from .split import CONFORMATIONAL, IN_DISTRIBUTION


def gaps(rows: Rows) -> Iterator[dict[str, Any]]:
    """One line a design, test and quantity: the error over that in distribution and that of seen structures, paired by seed."""
    designs: dict[tuple, dict[str, dict[int, dict[str, Any]]]] = defaultdict(lambda: defaultdict(dict))
    about = ("source", "experiment", "selection", "observations", "model", "budget", "structures", "conformations")
    for row in rows:
        designs[tuple(row[name] for name in about)][row["test"]][row["seed"]] = row
    for key, tests in designs.items():
        for test, own in tests.items():
            for quantity in quantities(own.values()):
                line = {**dict(zip(about, key, strict=True)), "test": test, "quantity": quantity}
                values = {seed: row[quantity] for seed, row in own.items() if positive(row.get(quantity))}
                if not values:
                    continue
                line |= spread("error", geometric_mean(np.array(list(values.values()))))
                for name, base in (("over_in_distribution", IN_DISTRIBUTION), ("over_conformational", CONFORMATIONAL)):
                    others = {seed: row[quantity] for seed, row in tests.get(base, {}).items() if positive(row.get(quantity))}
                    both = sorted(set(values) & set(others))
                    if both and test != base:
                        pair = (np.array([each[seed] for seed in both]) for each in (values, others))
                        line |= spread(name, ratio(*pair))
                yield line


def selections(rows: Rows) -> Iterator[dict[str, Any]]:
    """One line a design that was chosen otherwise than at random: its errors over those of the random one, paired by seed."""
    key = ("source", "experiment", "observations", "model", "budget", "structures", "conformations", "test")
    random: dict[tuple, dict[int, dict]] = defaultdict(dict)
    other: dict[tuple, dict[int, dict]] = defaultdict(dict)
    for row in rows:
        own = tuple(row[name] for name in key)
        if row["selection"] == "random":
            random[own][row["seed"]] = row
        else:
            other[(*own, row["selection"])][row["seed"]] = row
    for own, found in other.items():
        base = random.get(own[:-1], {})
        for quantity in quantities(found.values()):
            both = [s for s in sorted(set(found) & set(base)) if all(positive(r[s].get(quantity)) for r in (found, base))]
            if both:
                pair = (np.array([each[s][quantity] for s in both]) for each in (found, base))
                about = dict(zip(key, own[:-1], strict=True))
                yield {**about, "selection": own[-1], "quantity": quantity, **spread("over_random", ratio(*pair))}
