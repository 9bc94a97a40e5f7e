"""The source of files: data sets that others labelled, in extended XYZ or HDF5."""

from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from ..._input import InputError
from ...bridge import dataset_from_extxyz, dataset_from_hdf5
from ...campaign import Record, Task
from ...campaign.files import digest, unchanged
from ...dataset import Dataset, one_body
from ..spec import Strict, sentence
from .source import Pool, Source, pack

ALL = "defectgen.study.diversity.file:pool"


class Settings(Strict):
    """`[diversity.settings]` of a study with source = "file"."""

    path: str
    """Relative to the folder that the study is run in. A name that ends in .h5 or .hdf5 is HDF5, others are extended XYZ."""
    structure: str | None = None
    """Key that says which structure a frame is of; needed for extended XYZ."""
    energy: str | None = None
    forces: str | None = None
    energy_unit: str | None = None
    length_unit: str | None = None
    """Units of the file; eV and A for extended XYZ, hartree and bohr for HDF5 if nothing is said."""
    law: str | None = None
    """The law that is trained on; the most frequent one if not given."""
    wider: tuple[str, ...] = ()
    """Laws that only test."""
    offsets: dict[str, float] = Field(default_factory=dict)
    """Energies of free atoms, eV; fitted to all energies if not given."""


def source(settings: dict[str, Any]) -> Source:
    """The source. Reads the file to know how much there is. Raises InputError for what is wrong with it."""
    try:
        asked = Settings(**settings)
    except ValidationError as error:
        raise InputError(f"diversity.settings.{sentence(error)}") from None
    dataset = read(asked)
    law = asked.law or _most_frequent(dataset)
    counts = Counter(dataset.configurations[n].structure for n in dataset.where(laws=law).tolist())
    dataset.where(laws=asked.wider)  # a law that is not there is said now
    files = {asked.path: digest(asked.path)}
    task = Task(ALL, {**asked.model_dump(mode="json"), "law": law, "files": files}, (), f"read {Path(asked.path).name}", 1.0)
    return Source(task, len(counts), max(counts.values()), files=files)


def pool(spec: dict[str, Any]) -> Record:
    """The pool of the file; structures of one composition are one family. spec: the settings, and the digest of the file."""
    unchanged(spec["files"])
    asked = Settings(**{name: value for name, value in spec.items() if name in Settings.model_fields})
    dataset = read(asked)
    composition = {c.structure: _formula(c.symbols) for c in dataset.configurations}
    assert asked.law is not None  # the plan has filled it in
    return pack(Pool(dataset, composition, asked.law, dict(asked.offsets) or one_body(dataset), asked.wider))


def read(asked: Settings) -> Dataset:
    """The data set, checked. Raises InputError for a file without structure ids, duplicates, mixed units and missing labels."""
    path = Path(asked.path)
    units = {"energy_unit": asked.energy_unit, "length_unit": asked.length_unit}
    keys: dict[str, Any] = {name: value for name, value in units.items() if value is not None}
    keys |= {name: getattr(asked, name) for name in ("energy", "forces") if getattr(asked, name) is not None}
    if path.suffix.lower() in (".h5", ".hdf5"):
        return dataset_from_hdf5(path, structure=asked.structure, **keys)
    if asked.structure is None:
        raise InputError(f"{path} is read frame by frame, and a structure id tells them apart: name its key, structure = 'KEY'")
    return dataset_from_extxyz(path, asked.structure, **keys)


def _formula(symbols: tuple[str, ...]) -> str:
    return " ".join(f"{symbol}{count}" for symbol, count in sorted(Counter(symbols).items()))


def _most_frequent(dataset: Dataset) -> str:
    return Counter(c.law for c in dataset.configurations).most_common(1)[0][0]
