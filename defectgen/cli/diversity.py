"""``defectgen diversity``: how a data set has spent its labels, and what a study of the question would say of that."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.table import Table
from rich.text import Text

from .._input import InputError
from ..ace import ACEBasis
from ..bridge import dataset_from_extxyz, dataset_from_hdf5, read_dataset
from ..campaign.files import unguarded
from ..dataset import Configuration, Dataset
from ..dataset.division import PUBLISHED, SOURCE
from ..training.diversity import DatasetDiversity, dataset_diversity
from .speak import console, say


def describe(
    paths: Sequence[Path],
    structure: str | None,
    keys: dict[str, str | None],
    cutoff: float,
    study: Path | None,
) -> int:
    """Print counts, diversity and the place among published sets; `keys` are those of labels and units, None for the usual.

    Raises
    ------
    InputError
        A file cannot be read, has the same configuration twice, mixed units or missing labels, or a structure key that its
        frames do not have.
    """
    whole = Dataset(())
    for path in paths:
        whole = whole + _read(path, structure, keys) if len(whole) else _read(path, structure, keys)
    basis = ACEBasis(whole.species, cutoff, 2, 5, w_l=0.5, pair_degree=10)
    found = dataset_diversity(whole, basis)
    say(f"{', '.join(path.name for path in paths)}: {', '.join(whole.species)}, {whole.atoms.min()} to {whole.atoms.max()} atoms")
    say(str(found))
    for law, count in Counter(c.law for c in whole.configurations).items():
        if law:
            say(f"  {count} of group {law}")
    _show(found)
    if study is not None:
        _judge(found, study)
    return 0


def _read(path: Path, structure: str | None, keys: dict[str, str | None]) -> Dataset:
    given: dict[str, Any] = {name: value for name, value in keys.items() if value is not None}
    if path.suffix.lower() in (".h5", ".hdf5"):
        return dataset_from_hdf5(path, structure=structure, **given)
    if structure is None:
        return _by_composition(path, given)
    return dataset_from_extxyz(path, structure, **given)


def _by_composition(path: Path, given: dict[str, Any]) -> Dataset:
    """A labelled data set without structure ids: configurations with the same numbers of atoms are one structure."""
    units = {name.removesuffix("_unit"): given[name] for name in ("energy_unit", "length_unit") if name in given}
    keys = {name: given[name] for name in ("energy", "forces") if name in given}
    found, counts = [], Counter()
    for snapshot in read_dataset(path, units or None, keys or None):
        cell, known = snapshot.cell, snapshot.labels or {}
        name = " ".join(f"{symbol}{count}" for symbol, count in sorted(Counter(cell.symbols).items()))
        found.append(
            Configuration(
                *(name, counts[name, snapshot.group], cell.symbols, snapshot.positions, snapshot.group),
                energy=known.get("energy"),
                forces=known.get("forces"),
                vectors=snapshot.vectors if any(cell.periodic) else None,
                periodic=cell.periodic,
                source=snapshot.source,
                virial=known.get("virial") if any(cell.periodic) else None,
            )
        )
        counts[name, snapshot.group] += 1
    say(
        f"{path.name} is read without structure ids: configurations with the same numbers of atoms of each species count as one "
        "structure, isomers and phases included; name a key with --structure KEY to tell them apart"
    )
    return Dataset(tuple(found), path.name)


def _show(found: DatasetDiversity) -> None:
    """This set among the published ones, by configurations of each structure."""
    table = Table(title="configurations of each structure, compared with published sets of molecules", title_justify="left")
    table.box, table.pad_edge = None, False
    table.add_column("data set")
    for heading in ("structures", "configurations", "of each"):
        table.add_column(heading, justify="right")
    rows = [(p.each, p.name, p.structures, p.configurations) for p in PUBLISHED]
    rows.append((found.each, "this one", found.structures, found.configurations))
    for each, name, structures, configurations in sorted(rows):
        cells = [Text(t) for t in (name, f"{structures:,}", f"{configurations:,}", f"{each:.3g}")]
        table.add_row(*cells, style="bold" if name == "this one" else "")
    console().print(table)
    say(f"counts of published sets: {SOURCE}")


def _judge(found: DatasetDiversity, study: Path) -> None:
    """What a finished study of diversity measured at the budget nearest to this set's."""
    path = study / "diversity_tradeoff.csv"
    if not path.is_file():
        raise InputError(
            f"{study} has no diversity_tradeoff.csv, so it is no finished study of diversity; give its --out directory"
        )
    table = pd.read_csv(path, encoding="utf-8").map(unguarded)
    table = table[(table["selection"] == "random") & (table["quantity"] == "forces")]
    if table.empty:
        raise InputError(f"{path} has no force errors to compare with; give a study whose tests have forces")
    budget = min(table["budget"].unique(), key=lambda n: abs(np.log(n / found.configurations)))
    say(f"the study in {study} measured budgets of {table['budget'].min():.0f} to {table['budget'].max():.0f} labels")
    if not table["budget"].min() / 2 <= found.configurations <= 2 * table["budget"].max():
        say(f"  this set has {found.configurations}, which is too far from them to be judged by it")
        return
    for line in table[table["budget"] == budget].to_dict("records"):
        low, high = budget / line["tolerated_high"], budget / line["tolerated_low"]
        where = "inside" if low <= found.each <= high else "below" if found.each < low else "above"
        say(
            f"  {line['test']}: best with {line['best_conformations']:.3g} configurations of each, within ten per cent from "
            f"{low:.3g} to {high:.3g}; this set's {found.each:.3g} is {where}"
        )
