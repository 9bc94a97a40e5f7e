"""Labelled configurations as extended XYZ files, the field's common format."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

from .._input import InputError
from ..crystal.snapshot import Snapshot
from .labels import everything, labels
from .structures import cell_from_ase


def read_extxyz(
    path: str | Path,
    energy_key: str | None = None,
    forces_key: str | None = None,
    virial_key: str | None = None,
    stress_key: str | None = None,
) -> list[Snapshot]:
    """All frames of a file, atoms in their order, with labels in eV, eV/A and eV (virial = -stress * volume).

    A key that is not named is looked for as REF_energy, dft_energy, energy (and so on), without regard to case; the labels
    of a frame come from one such family. A label that a frame lacks is a key that its `labels` lack. `config_type` becomes
    the group.
    Raises InputError for a file that is missing, malformed or holds blank lines between frames, for labels that are not finite,
    of the wrong shape, spread over families, or contradict each other, and for a named key that no frame has.
    """
    found = frames(Path(path))
    named = {"energy": energy_key, "forces": forces_key, "virial": virial_key, "stress": stress_key}
    present = sorted({key for atoms in found for key in everything(atoms)})
    for label, key in named.items():
        if key is not None and key.lower() not in present:
            raise InputError(f"no frame of {path} has the {label} key {key!r}; its keys are: {', '.join(present) or 'none'}")
    snapshots = []
    for number, atoms in enumerate(found):
        where = f"frame {number} (counted from 0) of {path}"
        if not np.all(np.isfinite(atoms.positions)):
            raise InputError(f"{where} has positions that are not finite; remove the frame or mend the file")
        known = labels(atoms, named, where)
        cell = cell_from_ase(atoms)
        snapshots.append(
            Snapshot(
                cell=cell,
                positions=cell.positions,
                vectors=cell.vectors,
                group=str(everything(atoms).get("config_type", "")),
                labels=known or None,
                source=f"{Path(path).name}:{number}",
            )
        )
    return snapshots


def write_extxyz(path: str | Path, snapshots: Iterable[Snapshot], notes: Iterable[Mapping[str, str]] | None = None) -> None:
    """Frames with REF_energy, REF_forces, REF_virial, REF_stress (if periodic) and config_type, every number to its last bit.

    `notes`, one mapping of words a frame, are written beside the labels: what is to be computed, for instance.
    """
    snapshots = list(snapshots)
    beside = [{}] * len(snapshots) if notes is None else list(notes)
    Path(path).write_text("".join(_frame(*pair) for pair in zip(snapshots, beside, strict=True)))


def frames(path: Path) -> list[Atoms]:
    """What ASE reads, provided that it is the whole file: ASE stops silently at the first blank line."""
    if not path.is_file():
        raise InputError(f"there is no file {path}; give the path of an extended XYZ file")
    try:
        lines = path.read_text().rstrip().split("\n")
        found = list(ase.io.iread(path, index=":", format="extxyz"))
    except Exception as error:  # the parser raises many types; the original stays chained
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} is no readable extended XYZ file ({reason}); check its syntax") from error
    used = sum(len(atoms) + 2 for atoms in found)
    if not found or used != len(lines):
        raise InputError(f"{path} has {len(lines)} lines, but its {len(found)} frames fill {used}; remove blank or stray lines")
    return found


def _frame(snapshot: Snapshot, notes: Mapping[str, str]) -> str:
    """One frame as text. Numbers are written so that reading inverts it exactly; ASE's own writer keeps eight decimals."""
    cell, known = snapshot.cell, snapshot.labels or {}
    columns = [np.array(cell.symbols)[:, None], _text(snapshot.positions)]
    properties = "species:S:1:pos:R:3"
    if "forces" in known:
        columns.append(_text(known["forces"]))
        properties += ":REF_forces:R:3"
    if not cell.free.all():
        columns.append(np.where(cell.free, "T", "F")[:, None])
        properties += ":move_mask:L:1"
    entries = [f'Lattice="{_flat(snapshot.vectors)}"', f"Properties={properties}"]
    if "energy" in known:
        entries.append(f"REF_energy={float(known['energy'])!r}")
    if "virial" in known:  # tensors in column order, as ASE writes them
        entries.append(f'REF_virial="{_flat(known["virial"].T)}"')
        if all(cell.periodic):
            entries.append(f'REF_stress="{_flat(-known["virial"].T / abs(np.linalg.det(snapshot.vectors)))}"')
    words = {"config_type": snapshot.group} if snapshot.group else {}
    entries += [f'{key}="{_escaped(word)}"' for key, word in {**words, **notes}.items()]
    entries.append(f'pbc="{" ".join("T" if p else "F" for p in cell.periodic)}"')
    rows = [" ".join(row) for row in np.concatenate(columns, axis=1)]
    return "\n".join([str(len(rows)), " ".join(entries), *rows]) + "\n"


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace('"', '\\"')


def _text(array: np.ndarray) -> np.ndarray:
    return np.array([[repr(float(v)) for v in row] for row in array])


def _flat(matrix: np.ndarray) -> str:
    return " ".join(repr(float(v)) for v in matrix.ravel())
