"""Data sets that others made: extended XYZ frames, and HDF5 files with a group for every molecule, as SPICE and its kin have.

Units are never guessed: what the file holds is stated by the caller and converted here.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from ase.data import chemical_symbols

from .._input import InputError, check_finite, did_you_mean, reading
from ..dataset import Configuration, Dataset, check_dataset
from .extxyz import frames, read_labels
from .hdf5 import dataset, opened
from .labels import Notes, everything, rounding
from .stress_check import check_stresses
from .structures import boundaries
from .units import Units, units_of


def dataset_from_extxyz(
    path: str | Path,
    structure: str,
    *,
    law: str = "config_type",
    energy: str | None = None,
    forces: str | None = None,
    energy_unit: str = "eV",
    length_unit: str = "A",
    units: Mapping[str, str] | None = None,
    truth: str = "",
    check: bool = True,
) -> Dataset:
    """All frames of an extended XYZ file as a data set.

    Parameters
    ----------
    path : str or Path
        The file.
    structure : str
        Key of a frame that says which structure it is of.
    law : str
        Key of a frame that says how it was drawn.
    energy, forces : str, optional
        Keys of the labels; looked for as `read_extxyz` does if not given. Forces may be missing from all frames.
    energy_unit, length_unit : str
        Units of the file.
    units : mapping, optional
        More units, which come before these two: {"stress": "kbar"}, as `read_extxyz` takes them.
    truth : str
        What computed the labels, in words.
    check : bool
        Whether `check_dataset` looks at the result.

    Returns
    -------
    Dataset
        Positions in A, energies in eV, forces in eV/A.

    Raises
    ------
    InputError
        A file that cannot be read, units that are not known, frames without the structure key, forces to which constraints were
        applied, labels that `read_extxyz` refuses, and what `check_dataset` finds.

    Warns
    -----
    InputWarning
        As `read_extxyz` does.
    """
    factors = units_of({"energy": energy_unit, "length": length_unit, **(units or {})})
    notes = Notes(str(path))
    found, counts, with_forces = [], {}, False
    named = {"energy": energy, "forces": forces, "virial": None, "stress": None}
    for number, atoms in enumerate(frames(Path(path))):
        where = f"frame {number} (counted from 0) of {path}"
        carried, known = everything(atoms), read_labels(atoms, named, where, factors, notes)
        notes.frames += 1
        if structure.lower() not in carried:
            raise InputError(f"{where} has no structure id {structure!r}; its keys are: {', '.join(sorted(carried)) or 'none'}")
        name, drawn = str(carried[structure.lower()]), str(carried.get(law.lower(), ""))
        counts[name, drawn] = counts.get((name, drawn), -1) + 1
        with_forces |= "forces" in known
        found.append(
            Configuration(
                *(name, counts[name, drawn], tuple(atoms.symbols), atoms.positions, drawn),
                energy=known.get("energy"),
                forces=known.get("forces"),
                vectors=np.array(atoms.cell) if any(atoms.pbc) else None,
                periodic=boundaries(atoms),
                source=f"{Path(path).name}:{number}",
                virial=known.get("virial") if any(atoms.pbc) else None,
            )
        )
    notes.say()
    periodic = [c for c in found if c.vectors is not None]
    present = [{k: getattr(c, k) for k in ("energy", "forces", "virial") if getattr(c, k) is not None} for c in periodic]
    check_stresses(
        [(c.symbols, c.positions, c.vectors, c.periodic, known) for c, known in zip(periodic, present, strict=True)], str(path)
    )
    dataset = Dataset(tuple(found), truth or Path(path).name)
    if check:
        check_dataset(dataset, forces=with_forces)
    return dataset


def dataset_from_hdf5(
    path: str | Path,
    *,
    positions: str = "conformations",
    numbers: str = "atomic_numbers",
    energy: str = "dft_total_energy",
    forces: str | None = "dft_total_gradient",
    structure: str | None = None,
    energy_unit: str = "hartree",
    length_unit: str = "bohr",
    units: Mapping[str, str] | None = None,
    law: str = "",
    structures: Collection[str] | None = None,
    most: int | None = None,
    truth: str = "",
    check: bool = True,
) -> Dataset:
    """The groups of an HDF5 file as a data set; by default keys and units are those of SPICE.

    Parameters
    ----------
    path : str or Path
        The file.
    positions, numbers, energy : str
        Keys of a group: positions (configurations, atoms, 3), atomic numbers (atoms,), energies (configurations,). A group
        without the first is passed over.
    forces : str or None
        Key of the forces (configurations, atoms, 3). With "grad" in it they are gradients, which change their sign; None reads
        energies only.
    structure : str, optional
        Key that names the structure of a group; by default the path of the group does.
    energy_unit, length_unit : str
        Units of the file.
    units : mapping, optional
        More units, as in `read_extxyz`.
    law : str
        How the configurations were drawn, in a word.
    structures : collection of str, optional
        Paths of the groups that are read; all by default.
    most : int, optional
        How many configurations of each group are read, the first ones, so that a large file need not be read whole.
    truth : str
        What computed the labels, in words.
    check : bool
        Whether `check_dataset` looks at the result.

    Returns
    -------
    Dataset
        Positions in A, energies in eV, forces in eV/A.

    Raises
    ------
    InputError
        A file that is no HDF5, keys that its groups do not have, arrays that do not fit each other, units and elements that are
        not known, and what `check_dataset` finds.

    Warns
    -----
    InputWarning
        Where forces are read and another key of a group is a free energy, which differs from `energy`.
    """
    factors = units_of({"energy": energy_unit, "length": length_unit, **(units or {})})
    found, counts, notes = [], {}, Notes(str(path))
    turn = -1.0 if forces is not None and "grad" in forces.lower() else 1.0
    for place, group in _groups(Path(path), positions, structures):
        where = f"group {place} of {path}"
        with reading(path, "a data set, in HDF5"):
            x = _first(group, positions, where, most) * factors.length
            symbols = tuple(_symbol(z, where) for z in np.ravel(dataset(group, numbers, where)[()]).tolist())
            e = np.ravel(_first(group, energy, where, most)) * factors.energy
            f = None if forces is None else _first(group, forces, where, most) * (turn * factors.force)
        if x.ndim != 3 or x.shape[1:] != (len(symbols), 3) or len(e) != len(x) or (f is not None and f.shape != x.shape):
            raise InputError(
                f"{where} has positions of shape {x.shape}, {len(symbols)} atomic numbers, {len(e)} energies and forces of "
                f"shape {None if f is None else f.shape}; expected (n, atoms, 3), atoms, n and (n, atoms, 3): name the right keys"
            )
        check_finite(x, f"the positions of {where}")
        with reading(path, "a data set, in HDF5"):
            _note_free_energy(group, energy, e, factors, notes)
            name = place if structure is None else _word(dataset(group, structure, where, "fiuSUO")[()])
        for k in range(len(x)):
            counts[name] = counts.get(name, -1) + 1
            forces_k = None if f is None else f[k]
            found.append(Configuration(name, counts[name], symbols, x[k], law, float(e[k]), forces_k, source=f"{place}:{k}"))
    if forces is not None:
        notes.say()
    made = Dataset(tuple(found), truth or Path(path).name)
    if check:
        check_dataset(made, forces=forces is not None)
    return made


def _groups(path: Path, positions: str, chosen: Collection[str] | None) -> Iterator[tuple[str, h5py.Group]]:
    """Groups that hold positions, by path."""
    with opened(path, "a data set") as file:
        places: list[str] = []

        def note(place: str, item: Any) -> None:
            if isinstance(item, h5py.Group) and positions in item:
                places.append(place)

        file.visititems(note)
        missing = sorted(set(chosen or ()) - set(places))
        if missing or not places:
            wrong = (
                f"and {missing[0]!r} is none of them{did_you_mean(missing[0], places)}"
                if missing
                else f"at its top are {', '.join(list(file)[:8]) or 'nothing'}"
            )
            raise InputError(
                f"{path} has {len(places)} groups with {positions!r}, {wrong}: name the key that holds positions, and structures "
                "by the path of their group"
            )
        for place in places:
            if chosen is None or place in chosen:
                yield place, file[place]


def _note_free_energy(group: h5py.Group, energy: str, values: np.ndarray, units: Units, notes: Notes) -> None:
    """Count configurations of a group that have a free energy under another key."""
    notes.frames += len(values)
    for key in group:
        if "free_energy" in key.lower() and key != energy:
            other = np.ravel(_first(group, key, "the free energy", len(values)))
            if len(other) == len(values):
                difference = np.abs(other.astype(float) * units.energy - values)
                far = difference > rounding(float(np.abs(values).max(initial=0.0)))
                notes.energies += int(far.sum())
                notes.largest = max(notes.largest, float(difference.max(initial=0.0)))
                notes.taken += [repr(energy)] * bool(far.any())


def _first(group: h5py.Group, key: str, where: str, most: int | None) -> np.ndarray:
    """The first entries of an array of numbers, all if `most` is None."""
    found = dataset(group, key, where)
    return np.asarray(found[:most] if found.ndim else found[()], dtype=float)


def _symbol(number: float, where: str) -> str:
    if number != number or number != int(number) or not 0 < number < len(chemical_symbols):
        raise InputError(f"{where} has an atom of number {number}, which is no element; name the key that holds atomic numbers")
    return chemical_symbols[int(number)]


def _word(value: Any) -> str:
    """Text of a scalar, or of an array of one, as bytes or not."""
    found = np.ravel(value)
    value = found[0] if len(found) else ""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
