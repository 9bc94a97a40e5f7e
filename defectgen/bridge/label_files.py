"""Labelled data sets in the formats of other codes: what ASE reads, and the JSON files of FitSNAP, as one set of snapshots."""

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ase.db
import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from .._input import InputError, InputWarning, did_you_mean, file_of, reading
from ..crystal.snapshot import Snapshot
from ..dataset import LabelledSnapshots
from .extxyz import as_snapshot, frames
from .labels import Notes, everything
from .stress_check import check_stresses
from .units import Units, units_of

LABEL_KEYS = ("energy", "forces", "virial", "stress")
KEYS = (*LABEL_KEYS, "group", "weight", "atom_weights")
"""What `keys` may name."""

XYZ = (".xyz", ".extxyz")
OUTCAR_END = "General timing and accounting"
"""What VASP writes at the end of a run that was not stopped."""

STYLES = {
    "EnergyStyle": ("energy", {"electronvolt": "eV", "hartree": "hartree", "kcalpermole": "kcal/mol"}),
    "PositionsStyle": ("length", {"angstrom": "A", "bohr": "bohr", "nanometer": "nm"}),
    "ForcesStyle": (
        "force",
        {"electronvoltperangstrom": "eV/A", "hartreeperbohr": "hartree/bohr", "kcalpermoleperangstrom": "kcal/mol/A"},
    ),
    "StressStyle": (
        "stress",
        {"bar": "-bar", "kb": "-kbar", "kbar": "-kbar", "kilobar": "-kbar", "gpa": "-GPa", "pascal": "-Pa"},
    ),
}
"""Units that a FitSNAP file states; its stresses have the sign of a pressure, as those of VASP."""


def read_dataset(
    files: str | Path | Iterable[str | Path],
    units: Mapping[str, str] | None = None,
    keys: Mapping[str, str] | None = None,
    columns: Iterable[str] = (),
) -> LabelledSnapshots:
    """A labelled data set from one or several files.

    Parameters
    ----------
    files : path or iterable of paths
        Extended XYZ, and what ASE reads with labels (VASP's OUTCAR and vasprun.xml, ASE's .db, .json and .traj, outputs of
        other codes); FitSNAP's JSON files, or folders of them.
    units : mapping, optional
        Of the numbers in extended XYZ files where they are not eV and A, as `dg.read_extxyz` takes them:
        {"energy": "hartree", "length": "bohr", "stress": "-kbar"}. ASE converts the units of other formats, and a FitSNAP file
        states its own.
    keys : mapping, optional
        Names of the columns that hold "energy", "forces", "virial", "stress", "group" (default `config_type`), "weight" (of a
        configuration) and "atom_weights". Labels that are not named are looked for as REF_energy, dft_energy, energy and so on.
    columns : iterable of str
        Further columns of numbers, one for the configuration or one for every atom, that weights of a loss are functions of
        (`Snapshot.columns`). A frame may be without them, but not all frames.

    Returns
    -------
    LabelledSnapshots
        Snapshots in the order of the files, labels in eV, eV/A and eV. Labels missing from a frame are missing from its snapshot.
        Without a group of its own a frame has the name of its FitSNAP folder, of its file, or, for OUTCAR and vasprun.xml, of the
        folder of this file. A group is a name for weights and tables; what is observed follows from the `role` of a snapshot,
        which only files of `dg.write_extxyz` have.

    Raises
    ------
    InputError
        For what `dg.read_extxyz` refuses; files that are missing, empty or unreadable; named keys that no frame has; units for
        files that state their own; a FitSNAP file without units; and one configuration with two different labels.

    Warns
    -----
    InputWarning
        As `dg.read_extxyz` does; of frames that occur twice; of a run of VASP that was cut short.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from ase.build import bulk
    >>> from ase.io import write
    >>> import defectgen as dg
    >>> frames = [bulk("Cu", a=a, cubic=True) for a in (3.6, 3.7)]
    >>> for atoms in frames:
    ...     atoms.info["REF_energy"] = -14.1
    >>> with TemporaryDirectory() as folder:
    ...     write(Path(folder) / "train.extxyz", frames)
    ...     data = dg.read_dataset([Path(folder) / "train.extxyz"])  # also OUTCAR, vasprun.xml, FitSNAP's JSON
    >>> len(data), data.groups
    (2, ('train',))
    """
    if not isinstance(files, str | Path | Iterable):
        raise InputError(f"a data set is read from paths of files; got {type(files).__name__}")
    paths = [files] if isinstance(files, str | Path) else list(files)
    if not paths:
        raise InputError("a data set is read from one file or more; got none")
    named = label_keys(keys)
    own = _columns(columns)
    stated = units_of(units)
    every = [source for path in paths for source in sources(_path(path))]
    if stated.stated and all(source.own_units for source in every):
        raise InputError(
            f"units are stated for {every[0].path}, and none of these files is extended XYZ: files of ASE and FitSNAP state "
            "their own; leave units out"
        )
    found: list[Snapshot] = []
    present: set[str] = set()
    label = every[0].path.name if len(every) == 1 else f"{every[0].path.name} and {len(every) - 1} other files"
    notes = Notes(label)
    for source in every:
        for number, atoms in enumerate(source.frames):
            where = f"frame {number} (counted from 0) of {source.path}"
            notes.frames += 1
            store = everything(atoms)
            present |= set(store)
            factors = stated if source.units is None else source.units
            name = f"{source.name}:{number}"
            snapshot = as_snapshot(
                atoms, {k: named.get(k) for k in LABEL_KEYS}, where, factors, notes, name, _group(store, named, source)
            )
            found.append(_with_columns(_weighted(snapshot, store, named, where), store, own, where))
    for what, key in (*named.items(), *(("column", name) for name in own)):
        if key.lower() not in present:
            raise InputError(
                f"no frame of {label} has the {what} key {key!r}; its keys are: {', '.join(sorted(present)) or 'none'}"
            )
    if not found:
        raise InputError(f"there are no frames in {label}; give a file with labelled structures")
    notes.say()
    data = LabelledSnapshots(tuple(found))  # contradictions first: they would look like wrong stresses
    check_stresses([(s.cell.symbols, s.positions, s.vectors, s.cell.periodic, s.labels or {}) for s in data], label)
    if not any(s.labels for s in data):
        raise InputError(
            f"no frame of {label} carries an energy, forces, a stress or a virial; its keys are: "
            f"{', '.join(sorted(present)) or 'none'}: name them, as keys={{'energy': 'my_energy'}}"
        )
    return data


def _path(given: Any) -> Path:
    if not isinstance(given, str | Path):
        raise InputError(f"a data set is read from paths of files; got {type(given).__name__}")
    return file_of(given, "a data set")


def label_keys(given: Mapping[str, str] | None) -> dict[str, str]:
    """The named keys. Raises InputError for what cannot be named."""
    if given is None:
        return {}
    if not isinstance(given, Mapping) or any(not isinstance(v, str) for v in given.values()):
        raise InputError(f"keys map {', '.join(KEYS)} to names of columns, like {{'energy': 'my_energy'}}; got {given!r}")
    if unknown := [k for k in given if k not in KEYS]:
        raise InputError(f"keys name {', '.join(KEYS)}; got {unknown[0]!r}{did_you_mean(unknown[0], KEYS)}")
    return dict(given)


def _columns(given: Iterable[str]) -> tuple[str, ...]:
    """Names of further columns. Raises InputError for anything else."""
    found = (given,) if isinstance(given, str) else tuple(given)
    if any(not isinstance(name, str) for name in found):
        raise InputError(f"columns are names, like ['temperature']; got {given!r}")
    return found


def _with_columns(snapshot: Snapshot, store: Mapping[str, Any], names: Iterable[str], where: str) -> Snapshot:
    """With the numbers of further columns, as far as the frame has them."""
    found: dict[str, Any] = {}
    for name in names:
        value = store.get(name.lower())
        if value is None:
            continue
        try:
            array = np.asarray(value, dtype=float)
        except (TypeError, ValueError):
            raise InputError(f"{where} has {str(value)[:40]!r} as its column {name!r}, not a number; correct the file") from None
        if array.shape not in ((), (len(snapshot.cell),)):
            raise InputError(
                f"{where} has a column {name!r} of shape {array.shape}; it holds one number, or one for each of "
                f"{len(snapshot.cell)} atoms"
            )
        found[name] = float(array) if array.ndim == 0 else array
    return replace(snapshot, columns=found) if found else snapshot


def _group(store: Mapping[str, Any], named: Mapping[str, str], source: "_Source") -> str:
    """The group of a frame: its own, or that of its file."""
    own = str(store.get(named.get("group", "config_type").lower(), ""))
    return own or source.group


def _weighted(snapshot: Snapshot, store: Mapping[str, Any], named: Mapping[str, str], where: str) -> Snapshot:
    """With the weights that the named columns hold."""
    found: dict[str, Any] = {}
    for what, field in (("weight", "weight"), ("atom_weights", "atom_weights")):
        if what in named and (value := store.get(named[what].lower())) is not None:
            try:
                array = np.asarray(value, dtype=float)
            except (TypeError, ValueError):
                raise InputError(
                    f"{where} has {str(value)[:40]!r} as its {what} ({named[what]!r}), not a number; correct the file"
                ) from None
            wanted = () if what == "weight" else (len(snapshot.cell),)
            if array.shape != wanted:
                raise InputError(
                    f"{where} has {named[what]!r} of shape {array.shape} as its {what}, expected {wanted}; correct the file"
                )
            found[field] = float(array) if what == "weight" else array
    return replace(snapshot, **found) if found else snapshot


# ------ Files as frames: each format says how frames are read, in which units, and what their group is called


@dataclass(frozen=True, eq=False)
class _Source:
    """The frames of one file."""

    path: Path
    frames: list[Atoms]
    group: str
    units: Units | None = None
    """None: those that the caller states."""

    @property
    def own_units(self) -> bool:
        return self.units is not None

    @property
    def name(self) -> str:
        """The file in short, with its folder where that is the group."""
        return f"{self.group}/{self.path.name}" if self.own_units and self.group != self.path.stem else self.path.name


def sources(path: Path) -> Iterator[_Source]:
    """The files that a path names."""
    if path.is_dir():
        inside = sorted(path.rglob("*.json"))
        if not inside:
            raise InputError(f"{path} is a folder without FitSNAP files (.json); give the paths of its files")
        for one in inside:
            yield from sources(one)
    elif path.suffix.lower() in XYZ:
        yield _Source(path, frames(path), path.stem)
    elif not path.is_file():
        raise InputError(f"there is no file {path}; give the path of a labelled data set")
    elif path.suffix.lower() in (".h5", ".hdf5"):
        raise InputError(f"{path} is HDF5, which has no one layout; read it with dg.bridge.dataset_from_hdf5, naming its keys")
    elif path.suffix.lower() in (".gz", ".bz2", ".xz", ".zip", ".tar", ".tgz"):
        raise InputError(f"{path} is an archive; unpack it and give the files in it")
    elif (content := _fitsnap(path)) is not None:
        yield _of_fitsnap(path, content)
    else:
        yield _of_ase(path)


def _is_vasp(path: Path) -> bool:
    return "OUTCAR" in path.name or path.name.startswith("vasprun")


def _of_ase(path: Path) -> _Source:
    """Whatever ASE reads, in its units, which are eV and A."""
    with reading(path, "a data set in a format of ASE", "give a whole file of a format that ASE reads"):
        try:
            if path.suffix.lower() in (".db", ".json"):
                found = []
                for row in ase.db.connect(path, serial=True).select():
                    atoms = row.toatoms()
                    atoms.info.update(row.key_value_pairs)
                    found.append(atoms)
            else:
                found = list(ase.io.iread(path, index=":"))
        except InputError:
            raise
        except Exception as error:  # readers of foreign formats raise many types
            raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error
    if not found:
        raise InputError(f"{path} holds no structure; it is empty or cut short")
    note_cut_short(path)
    folder = path.resolve().parent.name
    return _Source(path, found, folder if _is_vasp(path) and folder else path.stem, Units())


def note_cut_short(path: Path) -> None:
    """Warn of an output of VASP that does not end as it should."""
    ends = {"OUTCAR": OUTCAR_END, "vasprun": "</modeling>"}
    end = next((word for name, word in ends.items() if name in path.name), None)
    if end is None or path.suffix in (".gz", ".bz2", ".xz"):
        return
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 20000))
        if end.encode() not in file.read():
            warnings.warn(
                f"{path} does not end as VASP ends its files: the run was cut short, and its last steps may be missing or not "
                "converged",
                InputWarning,
                stacklevel=6,
            )


def _fitsnap(path: Path) -> dict | None:
    """The content of a FitSNAP file; None for another file."""
    if path.suffix.lower() != ".json":
        return None
    with reading(path, "a JSON file"):
        text = path.read_text(encoding="utf-8-sig")
        if '"Dataset"' not in text:
            return None
        content = json.loads("\n".join(line for line in text.split("\n") if not line.lstrip().startswith("#")))
    inside = content.get("Dataset") if isinstance(content, dict) else None
    if (
        not isinstance(inside, dict)
        or not isinstance(inside.get("Data"), list)
        or not all(isinstance(d, dict) for d in inside["Data"])
    ):
        raise InputError(f"{path} is no FitSNAP file: its 'Dataset' has no list 'Data' of configurations")
    return inside


def _of_fitsnap(path: Path, content: dict) -> _Source:
    """The configurations of a FitSNAP file, in the units that it states."""
    given: dict[str, str] = {}
    for style, (kind, known) in STYLES.items():
        label = style.removesuffix("Style")
        if style not in content:
            if any(label in entry for entry in content["Data"]):
                raise InputError(
                    f"{path} holds {label} and states no {style}, its unit; add it, such as {style}: {next(iter(known))!r}"
                )
            continue
        word = str(content[style]).strip()
        if word.lower() not in known:
            raise InputError(f"{path} states the {style} {word!r}; known are {', '.join(known)}")
        given[kind] = known[word.lower()]
    found = []
    for number, entry in enumerate(content["Data"]):
        where = f"configuration {number} of {path}"
        with reading(path, f"a FitSNAP file ({where})"):
            if missing := [k for k in ("Positions", "Lattice", "AtomTypes") if k not in entry]:
                raise InputError(f"{where} has no {missing[0]!r}; correct the file")
            if not (isinstance(entry["AtomTypes"], list) and all(isinstance(s, str) for s in entry["AtomTypes"])):
                raise InputError(f"{where} has AtomTypes that are no list of chemical symbols; correct the file")
            if isinstance(entry.get("Energy"), bool):
                raise InputError(f"{where} has the Energy {entry['Energy']}, expected a number; correct the file")
            symbols, positions, lattice = (
                entry["AtomTypes"],
                np.array(entry["Positions"], float),
                np.array(entry["Lattice"], float),
            )
            if (
                positions.shape != (len(symbols), 3)
                or lattice.shape != (3, 3)
                or entry.get("NumAtoms", len(symbols)) != len(symbols)
            ):
                raise InputError(
                    f"{where} has positions of shape {positions.shape}, a lattice of shape {lattice.shape} and {len(symbols)} "
                    f"atoms, and says {entry.get('NumAtoms', 'nothing')} of their number; correct the file"
                )
            atoms = Atoms(symbols, positions=positions, cell=lattice, pbc=True)
            results: dict[str, Any] = {}
            if "Energy" in entry:
                results["energy"] = float(entry["Energy"])
            if "Forces" in entry:
                results["forces"] = np.array(entry["Forces"], dtype=float)
            if "Stress" in entry:
                results["stress"] = np.array(entry["Stress"], dtype=float)
        for label, shape in (("forces", (len(symbols), 3)), ("stress", (3, 3))):
            if label in results and results[label].shape != shape:
                raise InputError(f"{where} has {label} of shape {results[label].shape}, expected {shape}; correct the file")
        calculator = SinglePointCalculator(atoms)
        calculator.results.update(results)
        atoms.calc = calculator
        found.append(atoms)
    return _Source(path, found, path.resolve().parent.name, units_of(given))
