"""Labelled configurations as extended XYZ files, the field's common format."""

import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms

from .._input import InputError
from ..crystal.snapshot import STRAIN, Snapshot
from .labels import Notes, check_distances, everything, labels
from .stress_check import check_stresses
from .structures import cell_from_ase, check_numbers, has_moments
from .units import Units, check_word, units_of

ROLE, AMPLITUDE, PAIR = "defectgen_role", "defectgen_amplitude", "defectgen_pair"
"""Keys of what a training cell is for. No other key of a file, `config_type` least of all, decides what is observed."""

WEIGHT, ATOM_WEIGHTS = "weight", "atom_weights"
"""Under which weights of a snapshot are written; `read_dataset` reads those that are named."""
WRITTEN = (
    "species pos symbols positions numbers forces energy virial stress ref_forces ref_energy ref_virial ref_stress move_mask "
    f"lattice properties pbc cell config_type {ROLE} {AMPLITUDE} {PAIR}"
).split()
"""Names of all else, in small letters."""


def read_extxyz(
    path: str | Path,
    energy_key: str | None = None,
    forces_key: str | None = None,
    virial_key: str | None = None,
    stress_key: str | None = None,
    units: Mapping[str, str] | None = None,
) -> list[Snapshot]:
    """All frames of an extended XYZ file with their labels: energy (eV), forces (eV/A), virial (eV, -stress * volume).

    Parameters
    ----------
    path : str or path
        An extended XYZ file.
    energy_key, forces_key, virial_key, stress_key : str, optional
        Keys of the labels. A key that is not named is looked for as REF_energy, dft_energy, energy (and so on), without regard
        to case; the labels of a frame come from one such family, `free_energy` before `energy`.
    units : mapping, optional
        Units of the file where they are not eV and A: ``{"energy": "hartree", "length": "bohr", "stress": "kbar"}``. Length is
        that of positions and cells; forces are in energy over length, stress in energy over volume, virials in energy unless
        "force", "stress" or "virial" state otherwise. "-kbar" has the sign of a pressure.

    Returns
    -------
    list of Snapshot
        One for each frame, with the labels that the frame has. `config_type` becomes the group, which is only a name;
        atoms under FixAtoms are clamped.

    Raises
    ------
    InputError
        For a file that is missing, malformed or holds blank lines between frames; labels that are not finite, have the wrong
        shape, are spread over families, or contradict each other; a named key that no frame has; stresses that are not
        symmetric, of implausible size, or contradict the energies of one structure at several volumes; constraints other than
        FixAtoms; atoms that are too near.

    Warns
    -----
    InputWarning
        Of energies that differ from free energies, of fixed atoms, whose forces are not fitted, and of magnetic moments and
        charges, which are ignored.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from ase.build import bulk
    >>> import defectgen as dg
    >>> atoms = bulk("Cu", a=3.615, cubic=True)
    >>> atoms.info["REF_energy"] = -14.1
    >>> with TemporaryDirectory() as folder:
    ...     atoms.write(Path(folder) / "labels.extxyz")
    ...     print(dg.read_extxyz(Path(folder) / "labels.extxyz")[0].labels)
    {'energy': -14.1}
    """
    factors = units_of(units)
    found = frames(Path(path))
    named = {"energy": energy_key, "forces": forces_key, "virial": virial_key, "stress": stress_key}
    present = sorted({key for atoms in found for key in everything(atoms)})
    for label, key in named.items():
        if key is not None and key.lower() not in present:
            raise InputError(f"no frame of {path} has the {label} key {key!r}; its keys are: {', '.join(present) or 'none'}")
    notes = Notes(str(path), len(found))
    snapshots = [
        as_snapshot(atoms, named, f"frame {number} (counted from 0) of {path}", factors, notes, f"{Path(path).name}:{number}")
        for number, atoms in enumerate(found)
    ]
    notes.say()
    check_stresses([(s.cell.symbols, s.positions, s.vectors, s.cell.periodic, s.labels or {}) for s in snapshots], str(path))
    return snapshots


def as_snapshot(
    atoms: Atoms, named: dict[str, str | None], where: str, units: Units, notes: Notes, source: str, group: str | None = None
) -> Snapshot:
    """A snapshot of one frame, whose box and positions are brought to A in place; its group is `config_type` unless given."""
    known = read_labels(atoms, named, where, units, notes)
    cell = cell_from_ase(atoms, where=f"{where}: ", warn=False)
    store = everything(atoms)
    notes.held += "forces" in known and not cell.free.all() and ROLE not in store
    return Snapshot(
        cell=cell,
        positions=cell.positions,
        vectors=cell.vectors,
        group=str(store.get("config_type", "")) if group is None else group,
        labels=known or None,
        source=source,
        **_purpose(store, where),
    )


def read_labels(atoms: Atoms, named: dict[str, str | None], where: str, units: Units, notes: Notes) -> dict:
    """The labels of one frame, whose box and positions are brought to A in place."""
    check_numbers(atoms, where)
    check_word(units, atoms.info, where)
    if units.length != 1.0:
        atoms.set_cell(np.asarray(atoms.cell) * units.length)
        atoms.positions *= units.length
    check_distances(atoms, where)
    notes.moments += has_moments(atoms)
    return labels(atoms, named, where, units, notes)


def write_extxyz(path: str | Path, snapshots: Iterable[Snapshot], notes: Iterable[Mapping[str, str]] | None = None) -> None:
    """Write snapshots as extended XYZ: REF_energy, REF_forces, REF_virial, REF_stress (if periodic), config_type, all digits.

    Parameters
    ----------
    path : str or path
        The file, in UTF-8; one that exists is replaced.
    snapshots : iterable of Snapshot
        The frames. The role of a training cell is kept under a key of its own. Columns are written under their names, weights
        as "weight" and "atom_weights"; ``read_dataset(path, columns=["temperature"], keys={"weight": "weight"})`` reads them.
    notes : iterable of mapping, optional
        Words for each frame that are written next to the labels: what is to be computed, for instance.

    Raises
    ------
    InputError
        For words with a line break, and for columns whose names a file cannot hold or has for something else.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import defectgen as dg
    >>> cell = dg.supercell(dg.fcc("Cu", 3.615), 2)
    >>> labelled = dg.Snapshot(cell, cell.positions, cell.vectors, labels={"energy": -113.4})
    >>> with TemporaryDirectory() as folder:
    ...     dg.write_extxyz(Path(folder) / "bulk.extxyz", [labelled])
    ...     print(dg.read_extxyz(Path(folder) / "bulk.extxyz")[0].labels)
    {'energy': -113.4}
    """
    snapshots = list(snapshots)
    beside = [{}] * len(snapshots) if notes is None else list(notes)
    text = "".join(_frame(*pair) for pair in zip(snapshots, beside, strict=True))
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)


def frames(path: Path) -> list[Atoms]:
    """What ASE reads, provided that it is the whole file: ASE stops silently at the first blank line."""
    if not path.is_file():
        raise InputError(f"there is no file {path}; give the path of an extended XYZ file")
    try:
        with open(path, encoding="utf-8-sig") as file:  # with or without a byte-order mark, any line ends, any locale
            text = file.read().rstrip()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}); convert it to UTF-8") from None
    lines = text.split("\n")
    comments = _comments(lines, path)
    try:
        found = list(ase.io.iread(io.StringIO(text + "\n"), index=":", format="extxyz"))
    except Exception as error:  # the parser raises many types; the original stays chained
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} is no readable extended XYZ file ({reason[:200]}); check its syntax") from error
    used = sum(len(atoms) + 2 for atoms in found)
    if not found or used != len(lines):
        raise InputError(f"{path} has {len(lines)} lines, but its {len(found)} frames fill {used}; remove blank or stray lines")
    for number, atoms in enumerate(found):
        if not np.all(np.isfinite(atoms.positions)) or not np.all(np.isfinite(np.asarray(atoms.cell))):
            raise InputError(
                f"frame {number} (counted from 0) of {path} has positions or box vectors that are not finite; remove it"
            )
        if all(atoms.pbc) and abs(np.linalg.det(np.asarray(atoms.cell))) < 1e-6:
            raise InputError(f"the box vectors of frame {number} (counted from 0) of {path} span no volume; correct the file")
    for atoms, comment in zip(found, comments, strict=True):
        for key in [k for k in atoms.info if k.lower() == "config_type"]:  # a name, which ASE may have read as a number
            atoms.info[key] = _word(comment, key, atoms.info[key])
    return found


def _comments(lines: list[str], path: Path) -> list[str]:
    """The second line of every frame; a frame that says it has more atoms than lines follow is refused before it is read."""
    found, place = [], 0
    while place < len(lines):
        count = lines[place].strip()
        if not re.fullmatch(r"\d{1,18}", count):
            shown = " ".join(count.split())[:40]
            raise InputError(
                f"{path} has {shown!r} in line {place + 1}, where a frame begins with its number of atoms; remove blank or "
                "stray lines"
            )
        if place + 2 + int(count) > len(lines):
            raise InputError(f"{path} is cut short: the frame in line {place + 1} has {count} atoms, and fewer lines follow")
        found.append(lines[place + 1])
        place += 2 + int(count)
    return found


def _word(comment: str, key: str, read: Any) -> str:
    """A name as it is written."""
    found = re.search(rf'(?:^|\s){re.escape(key)}=(?:"((?:[^"\\]|\\.)*)"|([^\s"\'{{\[]\S*))', comment)
    if found is None:
        return str(read)
    return found[2] if found[1] is None else re.sub(r"\\(.)", r"\1", found[1])


def _purpose(store: dict, where: str) -> dict:
    """Role, amplitude and pair of a training cell that this package wrote."""
    role = str(store.get(ROLE, ""))
    if not role:
        return {}
    try:
        amplitude = float(store[AMPLITUDE]) if AMPLITUDE in store else None
    except (TypeError, ValueError):
        raise InputError(f"{where} has the {AMPLITUDE} {store[AMPLITUDE]!r}, expected a number; remove this key") from None
    return {"role": role, "amplitude": amplitude, "pair": store.get(PAIR) in (True, "T", 1)}


def _frame(snapshot: Snapshot, notes: Mapping[str, str]) -> str:
    """One frame as text. Numbers are written so that reading inverts it exactly; ASE's own writer keeps eight decimals."""
    cell, known = snapshot.cell, snapshot.labels or {}
    columns = [np.array(cell.symbols)[:, None], _text(snapshot.positions)]
    properties = "species:S:1:pos:R:3"
    if "forces" in known:
        columns.append(_text(known["forces"]))
        properties += ":REF_forces:R:3"
    own = _columns(snapshot)
    for key, value in own.items():
        if value.ndim:
            columns.append(_text(value[:, None]))
            properties += f":{key}:R:1"
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
    entries += [f"{key}={float(value)!r}" for key, value in own.items() if not value.ndim]
    words = {"config_type": snapshot.group} if snapshot.group else {}
    entries += [f'{key}="{_escaped(word)}"' for key, word in {**words, **notes}.items()]
    if snapshot.role:
        entries.append(f"{ROLE}={snapshot.role}")
    # only of strained cells: a defect cell that comes back is its own crystal, and of that no formation energy is observed
    if snapshot.role == STRAIN and snapshot.amplitude is not None:
        entries.append(f"{AMPLITUDE}={float(snapshot.amplitude)!r}")
        entries += [f"{PAIR}=T"] * snapshot.pair
    entries.append(f'pbc="{" ".join("T" if p else "F" for p in cell.periodic)}"')
    rows = [" ".join(row) for row in np.concatenate(columns, axis=1)]
    return "\n".join([str(len(rows)), " ".join(entries), *rows]) + "\n"


def _columns(snapshot: Snapshot) -> dict[str, np.ndarray]:
    """Columns and weights of a snapshot as they are written. Raises InputError for names that a file cannot hold."""
    found = {name: np.asarray(value, dtype=float) for name, value in (snapshot.columns or {}).items()}
    if bad := [name for name in found if not re.fullmatch(r"[A-Za-z_]\w*", name)]:
        raise InputError(
            f"a column of an extended XYZ file is a word of letters, digits and underscores; got {bad[0]!r}: rename it"
        )
    if snapshot.weight != 1.0:
        found[WEIGHT] = np.asarray(float(snapshot.weight))
    if snapshot.atom_weights is not None:
        found[ATOM_WEIGHTS] = np.asarray(snapshot.atom_weights, dtype=float)
    taken = {*WRITTEN, WEIGHT * (snapshot.weight != 1.0), ATOM_WEIGHTS * (snapshot.atom_weights is not None)}
    if twice := [name for name in snapshot.columns or {} if name.lower() in taken]:
        raise InputError(f"a column is called {twice[0]!r}, as something else that an extended XYZ file holds; rename it")
    return found


def _escaped(word: str) -> str:
    if len(word.splitlines()) > 1 or word != word.strip("\r\n"):
        raise InputError(f"a name in an extended XYZ file is one line; got {word!r}")
    return word.replace("\\", "\\\\").replace('"', '\\"')


def _text(array: np.ndarray) -> np.ndarray:
    return np.array([[repr(float(v)) for v in row] for row in array])


def _flat(matrix: np.ndarray) -> str:
    return " ".join(repr(float(v)) for v in matrix.ravel())
