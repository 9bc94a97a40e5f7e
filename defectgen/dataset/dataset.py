"""A data set: labelled configurations of many structures."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from .._display import counted, shown
from .._input import InputError, check_finite
from .._typing import Float, Int
from ..crystal.elements import element
from ..crystal.snapshot import Snapshot

# ------ A configuration: one geometry of one structure, with the labels somebody computed for it


@dataclass(frozen=True, eq=False)
class Configuration:
    """What a row of a data set is. A structure is what stays when atoms move: a molecule, or a phase, cell and defect.

    Raises InputError for shapes that do not fit the atoms, numbers that are not finite, and a periodic configuration without
    cell vectors.
    """

    structure: str
    """Which structure it is a configuration of."""
    conformation: int
    """Its number among those of the same structure and law, from 0."""
    symbols: tuple[str, ...]
    positions: Float[np.ndarray, "atoms 3"]
    """A."""
    law: str = ""
    """How the positions were drawn ("300 K", "rattled 0.05 A", ...): rows of one law are one group of a fit."""
    energy: float | None = None
    """eV, whole; None if it was not computed."""
    forces: Float[np.ndarray, "atoms 3"] | None = None
    """eV/A; None if they were not computed."""
    vectors: Float[np.ndarray, "3 3"] | None = None
    """Cell vectors as rows, A; None for a molecule."""
    periodic: tuple[bool, bool, bool] = (False, False, False)
    source: str = ""
    """Where it came from."""
    virial: Float[np.ndarray, "3 3"] | None = None
    """-dE/d(strain), eV; None if it was not computed."""

    def __repr__(self) -> str:
        energy = "no energy" if self.energy is None else f"energy {self.energy:.6g} eV"
        labels = [name for name in ("forces", "virial") if getattr(self, name) is not None]
        return shown(self, self.structure, f"number {self.conformation}", self.law, counted(self.symbols), energy, *labels)

    def __post_init__(self):
        where = f"configuration {self.conformation} of {self.structure!r}"
        atoms = len(self.symbols)
        if atoms == 0:
            raise InputError(f"{where} has no atoms; leave it out")
        _check(self.positions, (atoms, 3), f"the positions of {where}")
        if self.forces is not None:
            _check(self.forces, (atoms, 3), f"the forces of {where}")
        if self.energy is not None:
            _check(self.energy, (), f"the energy of {where}")
        if self.virial is not None:
            _check(self.virial, (3, 3), f"the virial of {where}")
        if self.vectors is not None:
            _check(self.vectors, (3, 3), f"the cell vectors of {where}")
        elif any(self.periodic):
            raise InputError(f"{where} is periodic and has no cell vectors; give them, or periodic=(False, False, False)")

    def __len__(self) -> int:
        return len(self.symbols)


def _check(value: Any, shape: tuple[int, ...], what: str) -> None:
    array = np.asarray(value)
    if array.shape != shape or not np.issubdtype(array.dtype, np.number):
        raise InputError(f"{what} must be numbers of shape {shape}; got shape {array.shape}, {array.dtype}")
    try:
        check_finite(array, what)
    except InputError as error:
        raise InputError(f"{error}; leave this configuration out") from None


# ------ A data set: configurations of many structures, chosen by number; the numbers are what rows and fits are indexed with


@dataclass(frozen=True, eq=False)
class Dataset:
    """Configurations in a fixed order. They are chosen by numbers, from 0: `where` finds them, `dataset[numbers]` takes them.

    Raises InputError for something that is no configuration, an unknown element, a name that two configurations share
    (structure, law and conformation), and a structure whose configurations have different atoms.
    """

    configurations: tuple[Configuration, ...]
    truth: str = ""
    """Name of the reference that gave the labels."""

    def __repr__(self) -> str:
        count, structures = len(self.configurations), len({c.structure for c in self.configurations})
        species = ", ".join(sorted({symbol for c in self.configurations for symbol in c.symbols}))
        labels = f"labels of {self.truth}" if self.truth else ""
        return shown(self, f"{count:,} configurations of {structures:,} structures", species, labels)

    def __post_init__(self):
        object.__setattr__(self, "configurations", tuple(self.configurations))
        names: set[tuple[str, str, int]] = set()
        composition: dict[str, tuple[str, ...]] = {}
        for c in self.configurations:
            if not isinstance(c, Configuration):
                raise InputError(f"a data set is made of configurations; got {type(c).__name__}")
            name = c.structure, c.law, c.conformation
            if name in names:
                raise InputError(
                    f"structure {c.structure!r} has two configurations of law {c.law!r} with the number {c.conformation}; "
                    "number them, or give different structures different names"
                )
            names.add(name)
            atoms = tuple(sorted(c.symbols))
            if composition.setdefault(c.structure, atoms) != atoms:
                raise InputError(
                    f"configurations of structure {c.structure!r} have different atoms, {_formula(composition[c.structure])} and "
                    f"{_formula(atoms)}; different structures need different names"
                )
        _ = self.species  # unknown elements are met here

    def __len__(self) -> int:
        return len(self.configurations)

    def __getitem__(self, numbers: Sequence[int] | np.ndarray) -> "Dataset":
        """The configurations with these numbers, in this order."""
        chosen = np.asarray(numbers)
        if chosen.ndim != 1 or not (chosen.size == 0 or np.issubdtype(chosen.dtype, np.integer)):
            raise InputError(f"configurations are chosen by a list of numbers, as dataset.where(...) gives them; got {numbers!r}")
        if chosen.size and not (0 <= chosen.min() and chosen.max() < len(self)):
            raise InputError(
                f"the data set has configurations 0 to {len(self) - 1}; got numbers from {chosen.min()} to {chosen.max()}"
            )
        return replace(self, configurations=tuple(self.configurations[n] for n in chosen.tolist()))

    def __add__(self, other: "Dataset") -> "Dataset":
        """All configurations of both. Raises InputError if they share names, or were labelled by different references."""
        if self.truth and other.truth and self.truth != other.truth:
            raise InputError(f"data sets to be joined must be labelled by one reference; got {self.truth!r} and {other.truth!r}")
        return Dataset(self.configurations + other.configurations, self.truth or other.truth)

    @cached_property
    def species(self) -> tuple[str, ...]:
        """Chemical symbols that occur, by atomic number."""
        return tuple(sorted({s for c in self.configurations for s in c.symbols}, key=lambda s: element(s).number))

    @cached_property
    def structures(self) -> tuple[str, ...]:
        """Structures in order of appearance."""
        return tuple(dict.fromkeys(c.structure for c in self.configurations))

    @cached_property
    def laws(self) -> tuple[str, ...]:
        """Laws in order of appearance."""
        return tuple(dict.fromkeys(c.law for c in self.configurations))

    @cached_property
    def atoms(self) -> Int[np.ndarray, " configurations"]:
        """Atoms of every configuration."""
        return np.array([len(c) for c in self.configurations], dtype=int)

    @cached_property
    def energies(self) -> Float[np.ndarray, " configurations"]:
        """Whole energies, eV. Raises InputError if one is missing."""
        return np.array([labelled(c, "energy") for c in self.configurations], dtype=float)

    def sizes(self) -> dict[str, int]:
        """Atoms of every structure that are not hydrogen."""
        return {c.structure: sum(s != "H" for s in c.symbols) for c in self.configurations}

    def where(
        self,
        structures: str | Collection[str] | None = None,
        laws: str | Collection[str] | None = None,
        condition: Callable[[Configuration], bool] | None = None,
    ) -> Int[np.ndarray, " chosen"]:
        """Numbers of the configurations of these structures and laws (None: of all) that meet the condition, ascending.

        Raises InputError for a structure or law that does not occur.
        """
        named, drawn = _known(structures, self.structures, "structure"), _known(laws, self.laws, "law")
        found = sorted(number for name in named for number in self._members[name])
        every = self.configurations
        chosen = [n for n in found if every[n].law in drawn and (condition is None or condition(every[n]))]
        return np.array(chosen, dtype=int)

    @cached_property
    def _members(self) -> dict[str, list[int]]:
        """Numbers of the configurations of every structure."""
        members: dict[str, list[int]] = {}
        for number, c in enumerate(self.configurations):
            members.setdefault(c.structure, []).append(number)
        return members


def labelled(configuration: Configuration, label: str):
    """The energy or the forces of a configuration, or the sentence that says they are missing."""
    value = getattr(configuration, label)
    if value is None:
        raise InputError(
            f"configuration {configuration.conformation} of {configuration.structure!r} has no {label}; compute it, leave the "
            "configuration out, or read the file with the key that holds it"
        )
    return value


def from_snapshots(
    snapshots: Iterable[Snapshot], structure: str | Callable[[Snapshot], str], law: str | None = None, truth: str = ""
) -> Dataset:
    """Crystal cells as a data set; labels of the snapshots are kept, and groups become laws unless one is given.

    `structure` names all of them, or each by a function. Conformations are numbered as they come.
    """
    found, counts = [], {}
    for snapshot in snapshots:
        labels, cell = snapshot.labels or {}, snapshot.cell
        name = structure if isinstance(structure, str) else structure(snapshot)
        key = name, snapshot.group if law is None else law
        counts[key] = counts.get(key, -1) + 1
        energy = labels.get("energy")
        found.append(
            Configuration(
                *(name, counts[key], cell.symbols, snapshot.positions, key[1]),
                energy=None if energy is None else float(energy),
                forces=labels.get("forces"),
                vectors=snapshot.vectors,
                periodic=cell.periodic,
                source=snapshot.source,
                virial=labels.get("virial"),
            )
        )
    return Dataset(tuple(found), truth)


def _known(names: str | Collection[str] | None, present: tuple[str, ...], what: str) -> set[str]:
    if names is None:
        return set(present)
    wanted = {names} if isinstance(names, str) else set(names)
    missing = sorted(wanted - set(present))
    if missing:
        shown = ", ".join(map(repr, present[:5])) + (", ..." if len(present) > 5 else "")
        raise InputError(f"the data set has no {what} {missing[0]!r}; it has {len(present)}: {shown}")
    return wanted


def _formula(symbols: Iterable[str]) -> str:
    symbols = list(symbols)
    return "".join(f"{s}{symbols.count(s) if symbols.count(s) > 1 else ''}" for s in dict.fromkeys(symbols))
