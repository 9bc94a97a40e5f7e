"""Labels of an expensive reference, kept as they are computed: a study that is interrupted goes on where it was."""

import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
from ase import Atoms

from .._display import shown
from .._input import InputError, came, one_line, reading
from .._typing import Float
from ..crystal.lattice import Lattice
from ..crystal.snapshot import Snapshot
from ..energy.blackbox import BlackBox, Evaluation
from .extxyz import read_extxyz, write_extxyz
from .labelled import LabelledReference
from .structures import cell_from_ase

SAME = 1e-9
"""A: positions and box vectors of one label. Files keep every digit, so that a study that is repeated finds its own labels."""

SETTINGS = "settings.json"


@final
@dataclass(frozen=True, eq=False)
class StoredReference(BlackBox):
    """A reference whose labels are written to a folder, one file each, and read from there when they are needed again.

    Anything that takes a reference takes this one: `dg.equilibrate`, `dg.label`, `dg.relax`, `dg.relax_from`. A label is
    computed once, also when the program was killed in between or is started again. The file of a label is complete or does
    not exist. Where a reference has a stress, it is computed with every label of a periodic cell.

    Raises InputError if the folder holds labels of other settings, or files that are no labels.
    """

    reference: Any
    """What computes labels, such as `dg.ASEReference(calculator)`."""
    folder: str | Path
    """Where they are kept; it is made if it does not exist."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What labels depend on besides the configuration: code, version, cutoffs, k-points. Labels of other settings, and of a
    reference of another name, are refused. Two calculators of one class differ by these settings only."""
    crystal: Lattice | None = None
    """A crystal under whose space group images of labelled configurations are not computed again; None: only equal ones."""
    reach: float = 12.0
    """Least width of the supercell in which force constants are differenced, A."""
    computed: list = field(default_factory=list, init=False, repr=False)
    """Snapshots that were computed and not found in the folder."""
    _known: list = field(default_factory=list, init=False, repr=False)

    species = None

    def __post_init__(self):
        if not isinstance(self.reference, BlackBox):
            raise InputError(f"labels are stored of a reference such as dg.ASEReference(calculator); got {came(self.reference)}")
        if not isinstance(self.folder, str | os.PathLike):
            raise InputError(f"the folder of stored labels is a path; got {came(self.folder)}")
        if not isinstance(self.settings, Mapping) or not all(isinstance(key, str) for key in self.settings):
            raise InputError(f'settings are values by name, such as {{"cutoff": 30}}; got {one_line(repr(self.settings), 80)}')
        if not isinstance(self.crystal, Lattice | None):
            raise InputError(f"crystal is a lattice, such as dg.fcc('Cu', 3.6), or None; got {came(self.crystal)}")
        object.__setattr__(self, "folder", Path(self.folder))
        object.__setattr__(self, "step", self.reference.step)
        object.__setattr__(self, "has_stress", self.reference.has_stress)
        _agree(Path(self.folder), {**self.settings, "reference": self.name, "step": self.step})
        for path in sorted(Path(self.folder).glob("*.extxyz")):
            frames = read_extxyz(path, units={"stress": "eV/A^3"})  # stated: `dg.equilibrate` compresses far
            if not all({"energy", "forces"} <= (frame.labels or {}).keys() for frame in frames):
                raise InputError(f"{path} is no stored label: it has no energy or no forces; remove it, or use another folder")
            self._known.extend(frames)

    def __repr__(self) -> str:
        return shown(self, self.name, f"{len(self._known)} labels in {self.folder}")

    @property
    def name(self) -> str:
        """What messages and provenance call it: the name of the reference."""
        return str(getattr(self.reference, "name", "") or type(self.reference).__name__)

    @property
    def labels(self) -> tuple[Snapshot, ...]:
        """All labels of the folder, those that were computed last at the end."""
        return tuple(self._known)

    def evaluate(
        self,
        symbols: tuple[str, ...],
        positions: Float[np.ndarray, "atoms 3"],
        vectors: Float[np.ndarray, "3 3"],
        periodic: tuple[bool, bool, bool],
        stress: bool,
    ) -> Evaluation:
        """Energy, forces and virial of one configuration, from the folder if it is there.

        Parameters
        ----------
        symbols : tuple of str
            Chemical symbols of the atoms.
        positions : array (atoms, 3)
            A.
        vectors : array (3, 3)
            Box vectors as rows, A.
        periodic : tuple of bool
            Whether the box is periodic along each vector.
        stress : bool
            Whether the virial is needed.

        Returns
        -------
        Evaluation
            Energy (eV), forces (eV/A) and virial (eV).

        Raises
        ------
        InputError
            What the reference raises, and if the folder cannot be written.
        """
        found = self._stored(symbols, positions, vectors, periodic, stress)
        if found is not None:
            return found
        wanted = stress or (self.has_stress and all(periodic))
        result = self.reference.evaluate(symbols, positions, vectors, periodic, wanted)
        labels: dict = {"energy": result.energy, "forces": result.forces}
        if result.virial is not None:
            labels["virial"] = (result.virial + result.virial.T) / 2
        cell = cell_from_ase(Atoms(list(symbols), positions=positions, cell=vectors, pbc=periodic), warn=False)
        snapshot = Snapshot(cell, np.array(positions), np.array(vectors), group=f"{len(symbols)} atoms", labels=labels)
        _write(Path(self.folder), len(self._known), snapshot)
        self._known.append(snapshot)
        self.computed.append(snapshot)
        return result

    def _stored(self, symbols, positions, vectors, periodic, stress: bool) -> Evaluation | None:
        """The label of the folder, or of an image under the space group."""
        for frame in self._known:
            if frame.cell.symbols != tuple(symbols) or frame.cell.periodic != tuple(periodic):
                continue
            if np.abs(frame.vectors - vectors).max() < SAME and np.abs(frame.positions - positions).max() < SAME:
                known = frame.labels or {}
                if not stress or "virial" in known:
                    return Evaluation(known["energy"], known["forces"], known.get("virial"))
        if self.crystal is None:
            return None
        alike = tuple(f for f in self._known if len(f.cell) == len(symbols) and (not stress or "virial" in (f.labels or {})))
        images = LabelledReference(alike, self.crystal, place=10 * SAME)
        found = images.find(tuple(symbols), np.asarray(positions), np.asarray(vectors))
        return None if found is None else images.turned(*found)


def _agree(folder: Path, settings: dict[str, Any]) -> None:
    """The settings of the folder are these; a new folder gets them. Raises InputError for others."""
    text = json.dumps(settings, indent=1, sort_keys=True, default=str)
    path = folder / SETTINGS
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            if any(folder.glob("*.extxyz")):
                raise InputError(
                    f"the folder {folder} holds labels of unknown settings ({SETTINGS} is missing); use another folder"
                )
            _whole(path, text + "\n")
            return
    except OSError as error:
        raise InputError(f"labels cannot be kept in {folder} ({error.strerror}); give a folder that can be written") from None
    with reading(path, "the settings of stored labels", "use another folder"):
        kept = json.loads(path.read_text(encoding="utf-8"))
        given = json.loads(text)
        kept.setdefault("reference", given["reference"])  # folders of earlier versions have no name
        other = [key for key in sorted({*kept, *given}) if _written(kept.get(key)) != _written(given.get(key))]
    if other:
        key = other[0]
        raise InputError(
            f"the folder {folder} holds labels of other settings: {key!r} is {one_line(kept.get(key), 80)!r} there and "
            f"{one_line(given.get(key), 80)!r} now; use another folder, since labels of two settings contradict each other"
        )


def _written(value: Any) -> str:
    """A value as text, in which NaN is equal to itself."""
    return json.dumps(value, sort_keys=True)


def _write(folder: Path, number: int, snapshot: Snapshot) -> None:
    """One label as a file that is there completely or not at all."""
    path = folder / f"{number:05d}-{uuid.uuid4().hex[:8]}.extxyz"
    part = path.with_suffix(".part")
    try:
        write_extxyz(part, [snapshot])
        os.replace(part, path)
    except OSError as error:
        raise InputError(f"a label cannot be written to {folder} ({error.strerror}); free the disk and start again") from None


def _whole(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
