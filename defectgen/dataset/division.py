"""How a budget of labels is divided: designs, training and test sets, and what published data sets did.

Of one seed all pairs share the test sets, and the designs are nested: fewer structures are the first of more, and fewer
configurations the first of more. What is compared between pairs is then the budget's shape and not the luck of the draw.

Counts of published sets are those of the documentation of openQDC (Open Quantum Data Commons, table "Overview of Datasets").
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from .._display import shown
from .._input import InputError
from .._typing import Int
from .dataset import Dataset

# ------ A budget of N labels as S structures with C configurations each: which pairs (S, C) are possible

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
        other = f"use {_round(labels)}, or " if _round(labels) != labels else ""
        raise InputError(
            f"a budget of {labels} labels splits into S x C with S <= {structures} and C <= {conformations} in {len(feasible)} "
            f"ways ({shown}), and a comparison needs {FEWEST}; {other}draw more structures or configurations"
        )
    low, high = np.log(feasible[0]), np.log(feasible[-1])
    steps = max(FEWEST - 1, round((high - low) / np.log(ratio)))
    targets = np.linspace(low, high, steps + 1)
    chosen = sorted({min(feasible, key=lambda s: (abs(np.log(s) - t), s)) for t in targets})
    if len(chosen) < FEWEST:  # the divisors form two groups: take the one nearest to the middle between the extremes
        inner = min(feasible[1:-1], key=lambda s: (abs(np.log(s) - (low + high) / 2), s))
        chosen = [feasible[0], inner, feasible[-1]]
    return tuple((s, labels // s) for s in chosen)


def _round(labels: int) -> int:
    """The power of two nearest to a budget: it has the most even grid."""
    return 1 << max(2, round(float(np.log2(labels))))


# ------ Who trains and who tests: a pool to spend a budget on, and test sets that no pair (S, C) of it ever trains on


@dataclass(frozen=True, eq=False)
class Division:
    """One seed's division of a data set."""

    pool: dict[str, Int[np.ndarray, " _"]]
    """Configurations to train on, by structure, both in the order in which designs take them."""
    reserved: dict[str, Int[np.ndarray, " _"]]
    """Configurations of the pool's structures that are kept for tests."""
    tests: dict[str, Int[np.ndarray, " _"]]
    """Test sets by name: `in-distribution` (reserved ones of the whole pool), `wider` (the pool's structures under a wider law),
    `structural` (unseen structures), `scaffold` (unseen scaffolds) and `size` (larger than any in the pool); those that are not
    empty."""

    def __repr__(self) -> str:
        pool = sum(len(numbers) for numbers in self.pool.values())
        tests = ", ".join(f"{name} {len(numbers):,}" for name, numbers in self.tests.items())
        return shown(self, f"pool of {pool:,} configurations of {len(self.pool):,} structures", f"tests: {tests or 'none'}")

    def design(self, structures: int, conformations: int) -> Int[np.ndarray, " numbers"]:
        """The first configurations of the first structures of the pool that have so many.

        Raises InputError if there are not so many.
        """
        rich = [name for name, members in self.pool.items() if len(members) >= conformations]
        if structures < 1 or conformations < 1 or len(rich) < structures:
            raise InputError(
                f"a design of {structures} structures with {conformations} configurations each was requested, and {len(rich)} "
                "structures of the pool have so many; draw more, or hold out less"
            )
        return np.concatenate([self.pool[name][:conformations] for name in rich[:structures]])

    def conformational(self, structures: Mapping | list[str] | tuple[str, ...]) -> Int[np.ndarray, " numbers"]:
        """Reserved configurations of these structures: what a fit to them meets when only the conformation is new."""
        return np.concatenate([np.zeros(0, dtype=int), *(self.reserved[name] for name in structures)])


def divide(
    dataset: Dataset,
    scaffolds: Mapping[str, Hashable],
    seed: int,
    *,
    law: str,
    wider: str | None = None,
    reserve: int = 4,
    configurations: int = 1,
    structural: float = 0.1,
    scaffold: float = 0.1,
    size: float = 0.1,
    sizes: Mapping[str, int] | None = None,
) -> Division:
    """Hold out the largest structures, then whole scaffolds, then structures, then configurations; the rest is the pool.

    `scaffolds` maps structures to what must not be shared across the scaffold split (Murcko scaffolds, or phases of crystals);
    `law` is trained on, `wider` is only tested; `reserve` configurations of each pool structure are kept for tests, and at
    least `configurations` are left (given the largest C of a study, its designs are nested throughout); `structural`,
    `scaffold` and `size` are the parts of all structures that are held out, 0 for none. `sizes` default to `dataset.sizes()`.
    Sizes do not depend on the seed, all else does.
    Raises InputError for laws that do not occur, structures without a scaffold, parts that leave no pool, and a part that no
    whole scaffold fits into.
    """
    numbers = {name: dataset.where(name, law) for name in dataset.structures}
    names = [name for name, members in numbers.items() if len(members)]
    parts = {"structural": structural, "scaffold": scaffold, "size": size}
    if any(not 0 <= part < 1 for part in parts.values()) or sum(parts.values()) >= 1:
        raise InputError(f"the parts held out are from 0 to 1 and leave something to train on; got {parts}")
    homeless = [name for name in names if scaffolds.get(name) is None]
    if homeless and scaffold:
        raise InputError(f"{len(homeless)} structures have no scaffold, the first is {homeless[0]!r}; give every structure one")
    rng = np.random.default_rng([seed, 20])
    large = size_disjoint(names, dataset.sizes() if sizes is None else sizes, size)
    left = [name for name in names if name not in set(large)]
    strange = scaffold_disjoint(left, scaffolds, scaffold * len(names), rng) if scaffold else []
    left = [name for name in left if name not in set(strange)]
    order = [left[k] for k in rng.permutation(len(left))]
    unseen, kept = order[: round(structural * len(names))], order[round(structural * len(names)) :]
    pool, reserved = {}, {}
    for name in kept:
        members = rng.permutation(numbers[name])
        if len(members) >= reserve + max(configurations, 1):
            pool[name], reserved[name] = members[reserve:], np.sort(members[:reserve])
    if not pool:
        raise InputError(
            f"nothing is left to train on: {len(kept)} structures of {len(names)} are in the pool, none with {configurations} "
            f"configurations of law {law!r} besides the {reserve} that are reserved; hold out less or draw more"
        )
    tests = {
        "in-distribution": _joined(reserved.values()),
        "structural": _joined(numbers[name] for name in sorted(unseen)),
        "scaffold": _joined(numbers[name] for name in sorted(strange)),
        "size": _joined(numbers[name] for name in sorted(large)),
    }
    if wider is not None:
        tests["wider"] = dataset.where(set(pool), wider)
    return Division(pool, reserved, {name: found for name, found in tests.items() if len(found)})


def size_disjoint(names: list[str], sizes: Mapping[str, int], part: float) -> list[str]:
    """The largest structures, at most this part of all: every one of them is larger than every other structure."""
    for bound in sorted({sizes[name] for name in names}):
        larger = [name for name in names if sizes[name] > bound]
        if len(larger) <= part * len(names):
            return larger
    return []


def scaffold_disjoint(names: list[str], scaffolds: Mapping[str, Hashable], count: float, rng: np.random.Generator) -> list[str]:
    """Structures of randomly chosen whole scaffolds, as many as fit into `count`; no other structure has one of them."""
    members: dict[Hashable, list[str]] = {}
    for name in names:
        members.setdefault(scaffolds[name], []).append(name)
    if min(map(len, members.values()), default=0) > count:
        raise InputError(
            f"no whole scaffold fits into {count:.1f} structures, the smallest of {len(members)} has "
            f"{min(map(len, members.values()))}; hold out a larger part, or 0"
        )
    found: list[str] = []
    groups = list(members.values())
    for k in rng.permutation(len(groups)):
        if len(found) + len(groups[k]) <= count:
            found += groups[k]
    return found


def _joined(parts: Iterable[np.ndarray]) -> Int[np.ndarray, " numbers"]:
    return np.sort(np.concatenate([np.zeros(0, dtype=int), *parts]))


# ------ How published sets of molecules spent their labels: molecules against conformers of each


@dataclass(frozen=True)
class Published:
    """One data set."""

    name: str
    structures: int
    """Molecules."""
    configurations: int
    """Conformers of all of them."""

    @property
    def each(self) -> float:
        """Configurations of each structure, in the mean."""
        return self.configurations / self.structures


PUBLISHED = (
    Published("Molecule3D", 3_899_647, 3_899_647),
    Published("QMugs", 665_000, 2_000_000),
    Published("SPICE", 19_238, 1_132_808),
    Published("GEOM", 450_000, 37_000_000),
    Published("ANI-1", 57_462, 20_000_000),
    Published("QM7-X", 6_950, 4_195_237),
)
"""By configurations of each structure, fewest first."""
SOURCE = "openQDC documentation, overview of datasets (https://pypi.org/project/openqdc)"
