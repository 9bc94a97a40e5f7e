"""Who trains and who tests in one repetition of a study of diversity. theory: diversity/experiments."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..._typing import Int
from ...dataset import Division, divide
from .source import Pool

IN_DISTRIBUTION = "in-distribution"
CONFORMATIONAL = "conformational"
"""Structures that every split of the budget has seen, so that all splits meet the same tests."""
OWN = "conformational, own structures"
"""All structures that the design itself has seen."""
STRUCTURAL = ("structural", "scaffold", "size")
"""Test sets of structures that no design of a repetition has seen; `Pool.apart` may add others."""


def division(pool: Pool, split: dict[str, Any], seed: int, order: Sequence[str] | None = None) -> Division:
    """The division of one seed; numbers are those of the pool's data set. `order`: structures in which designs take them.

    `split` has reserve, configurations (the fewest that are left of each pool structure), structural, scaffold, size.
    """
    apart = {name for names in pool.apart.values() for name in names}
    inside = pool.dataset.where([name for name in pool.dataset.structures if name not in apart])
    parts = divide(pool.dataset[inside], pool.families, seed, law=pool.law, sizes=pool.sizes, **split)
    own = {name: inside[numbers] for name, numbers in parts.pool.items()}
    return replace(
        parts,
        pool=own if order is None else {name: own[name] for name in order},
        reserved={name: inside[numbers] for name, numbers in parts.reserved.items()},
        tests={name: inside[numbers] for name, numbers in parts.tests.items()},
    )


def tests_of(pool: Pool, parts: Division, seen: Sequence[str], common: int, each: int) -> dict[str, Int[np.ndarray, " _"]]:
    """Test sets of a design that has seen these structures, in this order, the first `common` of which all splits have seen.

    At most `each` configurations of a structure. All but OWN are the same for all splits of one budget and seed.
    """
    shared = list(seen)[:common]
    found = {IN_DISTRIBUTION: parts.tests[IN_DISTRIBUTION], CONFORMATIONAL: parts.conformational(shared)}
    for law in pool.wider:
        found[f"{CONFORMATIONAL}, {law}"] = pool.dataset.where(shared, law)
    found[OWN] = parts.conformational(list(seen))
    for name in STRUCTURAL:
        if name in parts.tests:
            found[name] = parts.tests[name]
    for name, structures in pool.apart.items():
        found[name] = pool.dataset.where(list(structures), pool.law)
    return {name: first(pool, numbers, each) for name, numbers in found.items()}


def first(pool: Pool, numbers: Int[np.ndarray, " n"], each: int) -> Int[np.ndarray, " _"]:
    """The first `each` numbers of every structure; draws of a law are exchangeable, so these are as good as any."""
    counts: dict[str, int] = {}
    kept = []
    for number in numbers.tolist():
        name = pool.dataset.configurations[number].structure
        counts[name] = counts.get(name, 0) + 1
        if counts[name] <= each:
            kept.append(number)
    return np.array(kept, dtype=int)


def used(
    pool: Pool,
    split: dict[str, Any],
    seeds: int,
    designs: Sequence[Sequence[int]],
    orders: dict[str, list[list[str]]],
) -> Int[np.ndarray, " _"]:
    """Every configuration that some trial trains or tests on: only these need rows. `orders`: selection -> seed -> structures."""
    found: set[int] = set()
    for seed in range(seeds):
        for order in (None, *(each[seed] for each in orders.values())):
            parts = division(pool, split, seed, order)
            for structures, conformations in designs:
                chosen = parts.design(structures, conformations)
                found.update(chosen.tolist())
                seen = structures_of(pool, chosen)
                for numbers in tests_of(pool, parts, seen, len(seen), split["reserve"]).values():
                    found.update(numbers.tolist())
    return np.array(sorted(found), dtype=int)


def structures_of(pool: Pool, numbers: Int[np.ndarray, " n"]) -> list[str]:
    """Structures of these configurations, in order of appearance."""
    return list(dict.fromkeys(pool.dataset.configurations[n].structure for n in numbers.tolist()))
