"""The step that decides what a study uses of a pool, and computes its rows: energies and forces for every function of the basis.

Rows are kept in the scratch folder of the run only because they are large; they follow from the fields of the step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..._typing import Int
from ...ace import ACEBasis
from ...campaign import Given, Step, scratch
from ...campaign.files import queued
from ...training import DatasetRows, dataset_rows
from ...training.dataset_rows import digest
from .pool import PackedPool, Pool
from .settings import DiversityBasis
from .split import RANDOM, Split, division, ordered, structure_points, used


@dataclass(frozen=True, eq=False)
class Opened:
    """A pool with the rows of what is used of it."""

    pool: Pool
    basis: ACEBasis
    rows: DatasetRows
    used: Int[np.ndarray, " used"]

    def places(self, numbers: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """Numbers of the pool's data set -> numbers of the rows."""
        return np.searchsorted(self.used, numbers)


@dataclass(frozen=True, eq=False)
class Used:
    """Which configurations are used, and in which order structures are chosen."""

    orders: dict[str, tuple[tuple[str, ...], ...]]
    """Selection other than at random -> for every repetition, structures in the order of choice."""
    functions: int
    """Of the basis."""
    used: Int[np.ndarray, " used"]
    """Numbers of configurations in the data set of the pool, ascending."""


@dataclass(frozen=True, eq=False, kw_only=True)
class UsedRows(Step[Used]):
    """What is used of a pool; its rows are computed and kept on the way."""

    pool: Step[PackedPool]
    basis: DiversityBasis
    split: Split
    seeds: int
    """Repetitions."""
    designs: tuple[tuple[int, int], ...]
    """Structures, and configurations of each."""
    selections: tuple[str, ...]
    called: str = ""
    """Name of the data set, for the label."""

    apart = ("study", "called")

    @property
    def label(self) -> str:
        return f"{self.called} rows"

    @property
    def weight(self) -> float:
        return 30.0

    def run(self, given: Given) -> Used:
        """Choose, and compute the rows."""
        pool = given[self.pool].unpack()
        basis = ACEBasis(pool.dataset.species, **self.basis.model_dump())
        most = max(structures for structures, _ in self.designs)
        orders: dict[str, tuple[tuple[str, ...], ...]] = {}
        chosen_ways = [selection for selection in self.selections if selection != RANDOM]
        if chosen_ways:
            inside = [name for name in pool.dataset.structures if len(pool.dataset.where(name, pool.law))]
            points = dict(zip(inside, structure_points(pool, basis, inside), strict=True))
            parts = [list(division(pool, self.split, seed).pool) for seed in range(self.seeds)]
            for selection in chosen_ways:
                orders[selection] = tuple(
                    tuple(ordered(selection, names, np.array([points[name] for name in names]), most)) for names in parts
                )
        chosen = used(pool, self.split, self.seeds, self.designs, orders)
        _rows_of(pool, basis, chosen)
        return Used(orders, basis.size, chosen)

    def opened(self, given: Given) -> Opened:
        """The pool with its rows, kept by the process: trials of one study share it, and reading it takes longer than a fit."""
        if self.key not in _OPENED:
            pool, chosen = given[self.pool].unpack(), given[self].used
            basis = ACEBasis(pool.dataset.species, **self.basis.model_dump())
            found = Opened(pool, basis, _rows_of(pool, basis, chosen), chosen)
            _OPENED.clear()
            _OPENED[self.key] = found
        return _OPENED[self.key]


_OPENED: dict[str, Opened] = {}


def _rows_of(pool: Pool, basis: ACEBasis, chosen: np.ndarray) -> DatasetRows:
    """Kept in the scratch folder where there is one; two processes that need the same wait for each other."""
    folder, dataset = scratch(), pool.dataset[chosen]
    if folder is None:
        return dataset_rows(dataset, basis)
    own = folder / f"rows-{digest(dataset, basis)[:16]}"
    with queued(folder / "rows.lock"):
        return dataset_rows(dataset, basis, own)
