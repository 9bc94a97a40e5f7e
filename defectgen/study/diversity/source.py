"""What a study of diversity is about: a source gives the data set to choose from, and what else a fit is shown and asked.

How a source plugs in (molecules, crystals, a file, yours):

1.  Its module, named in SOURCES, has `source(settings) -> Source`; `settings` is the table `[diversity.settings]` of the study
    file, and what it does not like is an InputError. It is called when the study is planned and computes nothing.
2.  `Source.pool` is a task whose record is `pack(Pool(...))`: every labelled configuration with structure id and law, families
    for the scaffold split, one-body offsets, what was skipped and why, and structures that only test (`apart`).
3.  A fit is shown E and F of the chosen configurations. For other kinds (`observations = ["E+F", "E+F+FC+V"]`) `Source.blocks`
    names a function f(spec, *records) -> Blocks with rows of these kinds, for the basis `basis_of(spec, species)`.
4.  Every fit is asked the test sets (theory: diversity/experiments). `Source.metrics` names functions
    f(model, spec, *records) -> [{"test": name, quantity: number, ...}, ...] for anything else, such as a relaxed defect in a
    large cell: each line is a further row of diversity.csv, and all numbers in it are analysed like the errors of a test set.
    `model` predicts whole energies (offsets added).
5.  `records` are those of `Source.after`; `spec` is the specification of the trial: seed, structures, conformations, selection,
    observations, basis, settings (those of the source), fit.
"""

from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from ..._input import InputError
from ...ace import ACEBasis
from ...campaign import Record, Task
from ...dataset import Configuration, Dataset

SOURCES = {
    "molecules": "defectgen.study.diversity.molecules",
    "crystals": "defectgen.study.diversity.crystals",
    "file": "defectgen.study.diversity.file",
}
"""Modules by the name that `[diversity] source` gives."""


@dataclass(frozen=True)
class Source:
    """What `source(settings)` returns."""

    pool: Task
    structures: int
    """At most so many structures of the law that is trained on; budgets are checked against it before anything is computed."""
    conformations: int
    """Of each of them, those for tests included."""
    after: tuple[Task, ...] = ()
    """Further tasks, whose records `blocks` and `metrics` are given."""
    blocks: str | None = None
    """"module:function"; needed for observations beyond E and F."""
    metrics: tuple[str, ...] = ()
    """"module:function" each."""
    files: dict[str, str] = field(default_factory=dict)
    """Path -> digest of the files that the settings name."""


@dataclass(frozen=True, eq=False)
class Pool:
    """Everything there is to choose from and to test on."""

    dataset: Dataset
    families: dict[str, str]
    """Structure -> what must not be shared across the scaffold split: Murcko scaffold, phase, space group, ..."""
    law: str
    """The law that is trained on."""
    offsets: dict[str, float]
    """One-body energies that no training data went into, eV."""
    wider: tuple[str, ...] = ()
    """Laws that only test, on the structures that were seen."""
    apart: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Structures that only test, by the name of their test set."""
    skipped: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Structure -> why all or some of its configurations are missing."""
    sizes: dict[str, int] | None = None
    """Structure -> what the size split is by; heavy atoms by default."""


def find(name: str, settings: dict[str, Any]) -> Source:
    """The source of a study. Raises InputError for an unknown name, and what the source raises."""
    if name not in SOURCES:
        raise InputError(f"the sources of a study of diversity are {', '.join(SOURCES)}; got {name!r}")
    return import_module(SOURCES[name]).source(settings)


def named(function: str) -> Any:
    """The function "module:name"."""
    module, _, name = function.partition(":")
    return getattr(import_module(module), name)


def basis_of(spec: dict[str, Any], species: tuple[str, ...]) -> ACEBasis:
    """The basis of a trial for the species of its data set."""
    return ACEBasis(species, **spec["basis"])


def pack(pool: Pool) -> Record:
    """A pool as a record: plain values, and all numbers in a few long arrays."""
    configurations = pool.dataset.configurations
    unlabelled = [c for c in configurations if c.energy is None or c.forces is None]
    if not configurations or unlabelled:
        said = f"{unlabelled[0].structure!r} has no energy or no forces" if unlabelled else "there is no configuration"
        raise InputError(f"a study of diversity wants energies and forces of every configuration, and {said}; label them first")
    structures = {name: k for k, name in enumerate(pool.dataset.structures)}
    laws = {name: k for k, name in enumerate(pool.dataset.laws)}
    species = {name: k for k, name in enumerate(pool.dataset.species)}
    arrays = {
        "atoms": pool.dataset.atoms,
        "structure": np.array([structures[c.structure] for c in configurations]),
        "law": np.array([laws[c.law] for c in configurations]),
        "conformation": np.array([c.conformation for c in configurations]),
        "species": np.array([species[s] for c in configurations for s in c.symbols]),
        "positions": np.concatenate([c.positions for c in configurations]),
        "forces": np.concatenate([c.forces for c in configurations if c.forces is not None]),
        "energies": pool.dataset.energies,
        "periodic": np.array([c.periodic for c in configurations]),
        "vectors": np.array([np.zeros((3, 3)) if c.vectors is None else c.vectors for c in configurations]),
    }
    values = {
        "structures": list(structures),
        "laws": list(laws),
        "species": list(species),
        "truth": pool.dataset.truth,
        "families": pool.families,
        "law": pool.law,
        "offsets": pool.offsets,
        "wider": pool.wider,
        "apart": pool.apart,
        "skipped": pool.skipped,
        "sizes": pool.sizes,
    }
    return Record(values, arrays)


def unpack(record: Record) -> Pool:
    """The pool of a record."""
    values, a = record.values, record.arrays
    ends = np.cumsum(a["atoms"])
    species = np.array(values["species"])[a["species"]]
    configurations = []
    for k, (stop, atoms) in enumerate(zip(ends.tolist(), a["atoms"].tolist(), strict=True)):
        own = slice(stop - atoms, stop)
        boxed = bool(a["vectors"][k].any())
        configurations.append(
            Configuration(
                *(values["structures"][int(a["structure"][k])], int(a["conformation"][k]), tuple(species[own].tolist())),
                *(a["positions"][own], values["laws"][int(a["law"][k])], float(a["energies"][k]), a["forces"][own]),
                vectors=a["vectors"][k] if boxed else None,
                periodic=tuple(a["periodic"][k].tolist()),
            )
        )
    return Pool(
        Dataset(tuple(configurations), values["truth"]),
        families=values["families"],
        law=values["law"],
        offsets=values["offsets"],
        wider=tuple(values["wider"]),
        apart={name: tuple(found) for name, found in values["apart"].items()},
        skipped={name: tuple(found) for name, found in values["skipped"].items()},
        sizes=values["sizes"],
    )
