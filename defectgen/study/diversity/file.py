"""The source of files: data sets that others labelled, in extended XYZ or HDF5."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from ..._input import InputError
from ...bridge import dataset_from_extxyz, dataset_from_hdf5
from ...campaign import Given, Step
from ...campaign.files import digest, unchanged
from ...dataset import Dataset, one_body
from .pool import PackedPool, Pool
from .source import Source


class File(Source):
    """`[diversity.settings]` of a study with source = "file"."""

    name: ClassVar[str] = "file"

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

    def check(self) -> None:
        """Raises InputError for a file that cannot be read, and for laws that it does not have."""
        self._dataset().where(laws=self.wider)

    def pool(self) -> Step[PackedPool]:
        """The file is read once."""
        return ReadFile(settings=self, law=self._trained(), files=self.files())

    def files(self) -> dict[str, str]:
        """The one file."""
        return {self.path: digest(self.path)} if Path(self.path).is_file() else {}

    def counts(self) -> tuple[int, int]:
        """Structures of the law that is trained on, and the most configurations that one of them has."""
        dataset = self._dataset()
        each = Counter(dataset.configurations[n].structure for n in dataset.where(laws=self._trained()).tolist())
        return len(each), max(each.values())

    def read(self) -> Dataset:
        """The data set, checked. Raises InputError for a file without structure ids, duplicates, mixed units, missing labels."""
        path = Path(self.path)
        units = {"energy_unit": self.energy_unit, "length_unit": self.length_unit}
        keys: dict[str, Any] = {name: value for name, value in units.items() if value is not None}
        keys |= {name: getattr(self, name) for name in ("energy", "forces") if getattr(self, name) is not None}
        if path.suffix.lower() in (".h5", ".hdf5"):
            return dataset_from_hdf5(path, structure=self.structure, **keys)
        if self.structure is None:
            raise InputError(
                f"{path} is read frame by frame, and a structure id distinguishes structures: name its key, structure = 'KEY'"
            )
        return dataset_from_extxyz(path, self.structure, **keys)

    def _dataset(self) -> Dataset:
        """The data set, kept by the process: planning looks at it several times."""
        if not Path(self.path).is_file():
            return self.read()
        key = self.model_dump_json(), *self._state()
        if key not in _READ:
            _READ.clear()
            _READ[key] = self.read()
        return _READ[key]

    def _trained(self) -> str:
        return self.law or Counter(c.law for c in self._dataset().configurations).most_common(1)[0][0]

    def _state(self) -> tuple[int, int]:
        """Bytes, and time of the last change (ns): a file that changed is another data set."""
        stat = Path(self.path).stat()
        return stat.st_size, stat.st_mtime_ns


_READ: dict[tuple, Dataset] = {}
"""The file that this process read last."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ReadFile(Step[PackedPool]):
    """The pool of a file; structures of one composition are one family."""

    settings: File
    law: str
    """That is trained on."""
    files: dict[str, str]
    """Path -> digest of the content: a file that changed is another data set, one that moved is the same."""

    @property
    def label(self) -> str:
        return f"read {Path(self.settings.path).name}"

    def run(self, given: Given) -> PackedPool:
        """Read, and fit the offsets that are not given."""
        unchanged(self.files)
        dataset = self.settings.read()
        families = {c.structure: _formula(c.symbols) for c in dataset.configurations}
        offsets = dict(self.settings.offsets) or one_body(dataset)
        return PackedPool.of(Pool(dataset, families, self.law, offsets, self.settings.wider))


def _formula(symbols: tuple[str, ...]) -> str:
    return " ".join(f"{symbol}{count}" for symbol, count in sorted(Counter(symbols).items()))
