"""Steps of a study of diversity: rows of everything that is used, then one fit a design, tested. Pure: a record is decided by
the specification and the records it reads; rows are kept in the scratch folder of the run only because they are large.
"""

import hashlib
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ace import ACEBasis
from ...campaign import Record, scratch
from ...campaign.lock import queued
from ...campaign.task import canonical
from ...dataset import Division
from ...fit import CONVENTION, Fit, FitWarning, fit
from ...training import DatasetErrors, DatasetRows, dataset_rows, with_offsets
from ...training.dataset_rows import digest
from .baseline import kernel_ridge_errors
from .selection import RANDOM, ordered, structure_points
from .source import Pool, basis_of, named, unpack
from .split import division, structures_of, tests_of, used

ACE, KERNEL = "linear ACE", "kernel ridge"


@dataclass(frozen=True, eq=False)
class Opened:
    """A pool with the rows of what is used of it."""

    pool: Pool
    basis: ACEBasis
    rows: DatasetRows
    used: np.ndarray
    orders: dict[str, list[list[str]]]

    def places(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers of the pool's data set -> numbers of the rows."""
        return np.searchsorted(self.used, numbers)


@dataclass(frozen=True, eq=False)
class Trained:
    """The fit of one design, and who may test it."""

    fit: Fit
    chosen: np.ndarray
    seen: list[str]
    parts: Division


def rows(spec: dict[str, Any], pool_record: Record) -> Record:
    """Which configurations are used and in which order structures are chosen; their rows are computed and kept on the way.

    spec: basis, split, seeds, designs, selections.
    """
    pool = unpack(pool_record)
    basis = basis_of(spec, pool.dataset.species)
    most = max(structures for structures, _ in spec["designs"])
    orders: dict[str, list[list[str]]] = {s: [] for s in spec["selections"] if s != RANDOM}
    if orders:
        inside = [name for name in pool.dataset.structures if len(pool.dataset.where(name, pool.law))]
        points = dict(zip(inside, structure_points(pool, basis, inside), strict=True))
        for seed in range(spec["seeds"]):
            names = list(division(pool, spec["split"], seed).pool)
            for selection, each in orders.items():
                each.append(ordered(selection, names, np.array([points[name] for name in names]), most))
    chosen = used(pool, spec["split"], spec["seeds"], spec["designs"], orders)
    _rows_of(pool, basis, chosen)
    values = {"orders": orders, "functions": basis.size, "configurations": len(chosen)}
    return Record(values, {"used": chosen})


def trial(spec: dict[str, Any], pool_record: Record, rows_record: Record, *records: Record) -> Record:
    """Fit one design and test it.

    spec: seed, structures, conformations, common (structures that all splits of the budget have seen), selection, observations,
    split, basis, fit, blocks, metrics, settings, baseline. The values have `tests`, one line a model and test set.
    """
    here = opened(spec, pool_record, rows_record)
    trained = train(spec, here, records)
    offsets = here.pool.offsets
    tests = tests_of(here.pool, trained.parts, trained.seen, spec["common"], spec["split"]["reserve"])
    lines = [
        {"model": ACE, "test": name, **summary(here.rows.errors(trained.fit.model, here.places(numbers), offsets))}
        for name, numbers in tests.items()
    ]
    if spec["baseline"]:
        places = {name: here.places(numbers) for name, numbers in tests.items()}
        found = kernel_ridge_errors(here.rows, here.places(trained.chosen), places, offsets)
        lines += [{"model": KERNEL, "test": name, **summary(errors)} for name, errors in found.items()]
    model = with_offsets(trained.fit.model, offsets)
    for metric in spec["metrics"]:
        lines += [{"model": ACE, **line} for line in named(metric)(model, spec, *records)]
    atoms = int(here.pool.dataset.atoms[trained.chosen].sum())
    values = {"tests": lines, "labels": len(trained.chosen), "atoms": atoms, "rank": trained.fit.rank, "rmse": trained.fit.rmse}
    return Record({**values, "functions": here.basis.size})


def train(spec: dict[str, Any], here: Opened, records: tuple[Record, ...]) -> Trained:
    """The fit of the design that the specification names."""
    order = None if spec["selection"] == RANDOM else here.orders[spec["selection"]][spec["seed"]]
    parts = division(here.pool, spec["split"], spec["seed"], order)
    chosen = parts.design(spec["structures"], spec["conformations"])
    seen = structures_of(here.pool, chosen)
    blocks = here.rows.blocks(here.places(chosen), here.pool.offsets)
    if spec["blocks"] is not None:
        blocks = blocks + named(spec["blocks"])(spec, *records)
    settings = spec["fit"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)  # the rank is in the record
        weights = {**CONVENTION, **settings["weights"]}
        found = fit(blocks, spec["observations"], weights, settings["prior"], settings["solver"])
    return Trained(found, chosen, seen, parts)


def summary(errors: DatasetErrors) -> dict[str, float | int | None]:
    """Means of the errors on one test set; forces may be unknown (a model of energies only)."""
    forces = {} if np.isnan(errors.forces).any() else {"forces": errors.mae_forces, "forces_rmse": errors.rmse_forces}
    several = len(set(errors.structures)) < len(errors.structures)
    shape = {"shape": errors.mae_within, "shape_rmse": errors.rmse_energy_within} if several else {}
    found = {"energy": errors.mae_energy, "energy_rmse": errors.rmse_energy, "offset": errors.mae_offset, **shape, **forces}
    return {"configurations": len(errors.structures), "test_structures": len(set(errors.structures)), **found}


_OPENED: dict[str, Opened] = {}
"""The pool this process worked on last: trials of one study share it, and reading it takes longer than a fit."""


def opened(spec: dict[str, Any], pool_record: Record, rows_record: Record) -> Opened:
    """The pool with its rows, from the records of both."""
    content = [pool_record.arrays[name].tobytes() for name in ("positions", "energies", "forces")]
    parts = [canonical(spec["basis"], "a basis").encode(), rows_record.arrays["used"].tobytes(), *content]
    key = hashlib.sha256(b"".join(parts)).hexdigest()
    if key not in _OPENED:
        pool, chosen = unpack(pool_record), rows_record.arrays["used"]
        basis = basis_of(spec, pool.dataset.species)
        found = Opened(pool, basis, _rows_of(pool, basis, chosen), chosen, rows_record.values["orders"])
        _OPENED.clear()
        _OPENED[key] = found
    return _OPENED[key]


def _rows_of(pool: Pool, basis: ACEBasis, chosen: np.ndarray) -> DatasetRows:
    """Kept in the scratch folder where there is one; two processes that need the same wait for each other."""
    folder, dataset = scratch(), pool.dataset[chosen]
    if folder is None:
        return dataset_rows(dataset, basis)
    own = folder / f"rows-{digest(dataset, basis)[:16]}"
    with queued(folder / "rows.lock"):
        return dataset_rows(dataset, basis, own)
