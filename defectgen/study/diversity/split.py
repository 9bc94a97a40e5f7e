"""Training and test configurations of one repetition, and the order of structures. theory: diversity/experiments."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from ..._typing import Float, Int
from ...ace import ACEBasis
from ...dataset import Division, divide
from ...training import dataset_rows
from ...training.diversity.selection import d_optimal, farthest_points
from .pool import Pool

IN_DISTRIBUTION = "in-distribution"
CONFORMATIONAL = "conformational"
"""Structures that every split of the budget has seen, so that all splits meet the same tests."""
OWN = "conformational, own structures"
"""All structures that the design itself has seen."""
STRUCTURAL = ("structural", "scaffold", "size")
"""Test sets of structures that no design of a repetition has seen; `Pool.apart` may add others."""

RANDOM = "random"
POWER = 2.0
"""Of the smoothness by which functions are weighed."""
DIRECTIONS = 64
"""Principal directions of the structures that a choice looks at: more only describe single structures."""


@dataclass(frozen=True)
class Split:
    """What is held out of every repetition."""

    reserve: int
    """Configurations of every pool structure that are kept for tests."""
    configurations: int
    """The fewest that are left of each pool structure."""
    structural: float
    """Parts of all structures: at random, by whole families, the largest."""
    scaffold: float
    size: float


def division(pool: Pool, split: Split, seed: int, order: Sequence[str] | None = None) -> Division:
    """The division of one seed; numbers are those of the pool's data set. `order`: structures in which designs take them."""
    apart = {name for names in pool.apart.values() for name in names}
    inside = pool.dataset.where([name for name in pool.dataset.structures if name not in apart])
    parts = divide(pool.dataset[inside], pool.families, seed, law=pool.law, sizes=pool.sizes, **asdict(split))
    own = {name: inside[numbers] for name, numbers in parts.pool.items()}
    return replace(
        parts,
        pool=own if order is None else {name: own[name] for name in order},
        reserved={name: inside[numbers] for name, numbers in parts.reserved.items()},
        tests={name: inside[numbers] for name, numbers in parts.tests.items()},
    )


def tests_of(pool: Pool, parts: Division, seen: Sequence[str], common: int, each: int) -> dict[str, Int[np.ndarray, " _"]]:
    """Test sets of a design with these structures, in this order; all splits train on the first `common` of them.

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
    split: Split,
    seeds: int,
    designs: Sequence[Sequence[int]],
    orders: Mapping[str, Sequence[Sequence[str]]],
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
                for numbers in tests_of(pool, parts, seen, len(seen), split.reserve).values():
                    found.update(numbers.tolist())
    return np.array(sorted(found), dtype=int)


def structures_of(pool: Pool, numbers: Int[np.ndarray, " n"]) -> list[str]:
    """Structures of these configurations, in order of appearance."""
    return list(dict.fromkeys(pool.dataset.configurations[n].structure for n in numbers.tolist()))


def structure_points(pool: Pool, basis: ACEBasis, names: list[str]) -> Float[np.ndarray, "structures directions"]:
    """Structures as points: the mean of the site rows of one configuration, wiggly functions counting less, principal components.

    The weights 1 / (1 + smoothness) are those of a smoothness prior of order POWER.
    """
    chosen = [int(pool.dataset.where(name, pool.law)[0]) for name in names]
    rows = dataset_rows(pool.dataset[chosen], basis)
    points = np.zeros((len(names), basis.size))
    for k, atoms in enumerate(rows.dataset.atoms.tolist()):
        points[k, rows.columns[k]] = rows.of(k)[0] / atoms
    points = points / (1.0 + np.asarray(basis.smoothness(POWER)))
    points = points - points.mean(axis=0)
    u, s, _ = np.linalg.svd(points, full_matrices=False)
    kept = s > 1e-10 * s.max(initial=1e-300)
    return (u * s)[:, kept][:, :DIRECTIONS]


def ordered(selection: str, names: list[str], points: Float[np.ndarray, "structures directions"], count: int) -> list[str]:
    """The structures in the order of choice; beyond `count` in the order given."""
    if selection == RANDOM:
        return list(names)
    count = min(count, len(names))
    chosen = farthest_points(points, count) if selection == "farthest" else d_optimal(points, count)
    taken = set(chosen.tolist())
    return [names[k] for k in chosen.tolist()] + [name for k, name in enumerate(names) if k not in taken]
