"""One structure of another code with the labels that it carries: ASE atoms, a file of any format, or a labelled snapshot."""

import warnings
from collections.abc import Mapping
from pathlib import Path

from ase import Atoms

from .._input import InputError, InputWarning, came
from ..crystal.snapshot import Snapshot
from .extxyz import as_snapshot
from .label_files import LABEL_KEYS, XYZ, label_keys, note_cut_short, sources
from .labels import Notes, everything
from .structures import read_structure
from .units import Units, units_of

MOVED = 1e-6
"""A: positions that differ by less from those that a calculator has computed are the same."""


def read_labelled(
    given: Atoms | Snapshot | str | Path,
    what: str,
    units: Mapping[str, str] | None = None,
    keys: Mapping[str, str] | None = None,
) -> Snapshot:
    """A structure as a snapshot, with the labels that it carries.

    Parameters
    ----------
    given : ase.Atoms, Snapshot, str or Path
        The structure, or a file, of which the last frame is taken.
    what : str
        What it is, as messages name it ("the perfect structure").
    units, keys : mapping, optional
        Those of `read_dataset`; units of ASE atoms and extended XYZ files only, since other files state theirs.

    Returns
    -------
    Snapshot
        Labels in eV, eV/A and eV; none where the structure carries none.

    Raises
    ------
    InputError
        For what is no structure, files that cannot be read, and labels that `read_dataset` refuses.

    Warns
    -----
    InputWarning
        Of an extended XYZ file with several frames, of results of a calculator that belong to other positions, and of what
        `read_dataset` warns of.
    """
    if isinstance(given, Snapshot):
        return given
    stated, named = units_of(units), label_keys(keys)
    if isinstance(given, Atoms):
        atoms, where, source, own = _current(given, what), what, what, None
        notes = Notes(what, 1)
    else:
        if not isinstance(given, str | Path):
            raise InputError(f"{what} is an ase.Atoms, a labelled snapshot or the path of a file; got {came(given)}")
        atoms, own = _last(Path(given), what)
        where, source, notes = f"{what}, {str(given)!r},", Path(given).name, Notes(str(given), 1)
    if own is not None and stated.stated:
        raise InputError(f"units are stated for {str(given)!r}, whose format states its own; leave units out")
    _check_keys(everything(atoms), named, where)
    found = as_snapshot(
        atoms, {kind: named.get(kind) for kind in LABEL_KEYS}, where, stated if own is None else own, notes, source
    )
    notes.held = 0  # nothing is fitted here
    notes.say()
    return found


def _current(given: Atoms, what: str) -> Atoms:
    """A copy of the atoms with what their calculator has computed for these positions."""
    atoms = given.copy()
    results = getattr(given.calc, "results", None)
    if not results:
        return atoms
    changed = getattr(given.calc, "check_state", None)
    if changed is not None and getattr(given.calc, "atoms", None) is not None and changed(given, tol=MOVED):
        warnings.warn(
            f"the results of the calculator of {what} belong to other positions, or another box, and are not used; call "
            "atoms.get_potential_energy() first, or give the energy",
            InputWarning,
            stacklevel=4,
        )
        return atoms
    atoms.calc = given.calc
    return atoms


def _last(path: Path, what: str) -> tuple[Atoms, Units | None]:
    """The last frame of a file, and the units that its format states."""
    if path.suffix.lower() in XYZ or path.suffix.lower() in (".json", ".db") or path.is_dir():
        (source,) = _one(list(sources(path)), path)
        if len(source.frames) > 1 and not source.own_units:
            warnings.warn(
                f"{str(path)!r} has {len(source.frames)} frames, and the last one is taken as {what}", InputWarning, stacklevel=4
            )
        return source.frames[-1], source.units
    atoms = read_structure(path)
    note_cut_short(path)
    return atoms, Units()


def _one(found: list, path: Path) -> list:
    """The only file of a path."""
    if len(found) != 1:
        raise InputError(f"{str(path)!r} is a folder of {len(found)} files; give the file of one structure")
    return found


def _check_keys(store: dict, named: Mapping[str, str], where: str) -> None:
    """Raises InputError for a key that the structure does not have."""
    for kind, key in named.items():
        if key.lower() not in store:
            raise InputError(f"{where} has no {kind} key {key!r}; its keys are: {', '.join(sorted(store)) or 'none'}")
