"""Errors against the size of what was trained on: the best split of a budget, and exponents of learning."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors.generalisation import exponent, tradeoff
from .rows import ABOUT, BUDGET, SET, Rows, positive, quantities, spread
from .split import CONFORMATIONAL


def tradeoffs(rows: Rows) -> Iterator[dict[str, Any]]:
    """One line a budget, test and quantity: the best split with its interval, and whether it is a balance."""
    for about, quantity, own in _curves(rows, BUDGET, ("budget",)):
        sizes, errors = _matrix(own, "structures", quantity)
        if len(sizes) < 3 or len(errors) == 0:
            continue
        found = tradeoff(sizes, errors)
        at = int(np.argmin([s.value for s in found.errors]))
        n = about["budget"]
        yield {
            **about,
            "quantity": quantity,
            "best_structures": found.best,
            "low": found.low,
            "high": found.high,
            "best_conformations": n / found.best,
            "verdict": found.verdict,
            "tolerated_low": found.tolerated[0],
            "tolerated_high": found.tolerated[1],
            "error": found.errors[at].value,
            "error_low": found.errors[at].low,
            "error_high": found.errors[at].high,
            "at_structures": sizes[at],
            **spread("fewest", found.fewest),
            **spread("most", found.most),
            "splits": len(sizes),
            "seeds": len(errors),
        }


def fixed_sets(rows: Rows) -> Iterator[dict[str, Any]]:
    """One line a set, test and quantity: the exponent of the error in the number of configurations of each structure."""
    for about, quantity, own in _curves(rows, SET, ("structures",)):
        sizes, errors = _matrix(own, "conformations", quantity)
        if len(sizes) >= 2 and len(errors):
            yield {**about, "experiment": SET, "quantity": quantity, **_exponent(sizes, errors)}


def budget_curves(rows: Rows) -> Iterator[dict[str, Any]]:
    """One line a test and quantity: the exponent of the error in the budget, each split in the way that is best in the mean.

    Not of the tests on structures that all splits have seen: these are others for every budget.
    """
    by_curve: dict[tuple, dict[float, dict[float, float]]] = defaultdict(dict)
    for about, quantity, own in _curves(rows, BUDGET, ("budget",)):
        sizes, errors = _matrix(own, "structures", quantity)
        if len(sizes) and len(errors) and CONFORMATIONAL not in about["test"]:
            best = int(np.argmin(np.log(errors).mean(axis=0)))
            seeds = _seeds(own, "structures", quantity)
            key = (*(about[name] for name in ABOUT), quantity)
            by_curve[key][about["budget"]] = dict(zip(seeds, errors[:, best].tolist(), strict=True))
    for key, each in by_curve.items():
        seeds = sorted(set.intersection(*(set(found) for found in each.values())))
        if len(each) >= 2 and seeds:
            errors = np.array([[each[n][seed] for n in sorted(each)] for seed in seeds])
            about = dict(zip(ABOUT, key[:-1], strict=True))
            yield {**about, "experiment": BUDGET, "quantity": key[-1], **_exponent(np.array(sorted(each), dtype=float), errors)}


def _curves(rows: Rows, experiment: str, extra: tuple[str, ...]) -> Iterator[tuple[dict[str, Any], str, Rows]]:
    """Rows of one curve and each quantity that they have."""
    names = (*ABOUT, *extra)
    groups: dict[tuple, Rows] = defaultdict(list)
    for row in rows:
        if row["experiment"] == experiment:
            groups[tuple(row[name] for name in names)].append(row)
    for key, own in groups.items():
        for quantity in quantities(own):
            yield dict(zip(names, key, strict=True)), quantity, own


def _by_seed(own: Rows, size: str, quantity: str) -> tuple[list, dict[int, dict[float, float]]]:
    found: dict[int, dict[float, float]] = defaultdict(dict)
    for row in own:
        if positive(row.get(quantity)):
            found[row["seed"]][row[size]] = float(row[quantity])
    sizes = sorted({s for each in found.values() for s in each})
    return sizes, {seed: each for seed, each in sorted(found.items()) if set(each) == set(sizes)}


def _seeds(own: Rows, size: str, quantity: str) -> list[int]:
    return list(_by_seed(own, size, quantity)[1])


def _matrix(own: Rows, size: str, quantity: str) -> tuple[np.ndarray, np.ndarray]:
    """Sizes, ascending, and the errors of every seed that has all of them."""
    sizes, complete = _by_seed(own, size, quantity)
    return np.array(sizes, dtype=float), np.array([[each[s] for s in sizes] for each in complete.values()])


def _exponent(sizes: np.ndarray, errors: np.ndarray) -> dict[str, Any]:
    found = exponent(sizes, errors)
    return {
        "slope": found.slope,
        "low": found.low,
        "high": found.high,
        "last_slope": found.last,
        "last_low": found.last_low,
        "last_high": found.last_high,
        "sizes": " ".join(f"{s:g}" for s in sizes),
        "seeds": found.repetitions,
    }
