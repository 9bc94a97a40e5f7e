"""A data set of labelled snapshots: what each carries, what is missing or occurs twice, and training and test parts."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np

from .._display import shown
from .._input import InputError, InputWarning, came, did_you_mean, real, whole
from .._typing import Bool, Float, Int
from ..crystal.elements import element
from ..crystal.snapshot import Snapshot
from ..units import EV_PER_A3_IN_GPA
from .atom_energies import OneBody, one_body_energies

if TYPE_CHECKING:
    import pandas  # half a second, for one table

LABELS = ("energy", "forces", "virial")
"""What a snapshot may carry."""

SAME = 1e-4
"""A: two snapshots whose atoms and box vectors agree to this are one. Files round to about 1e-5."""

SAME_LABELS = {"energy": 1e-3, "forces": 0.02, "virial": 0.02}
"""eV/atom, eV/A, eV/atom: labels of one configuration that differ by more contradict each other. Positions that files round to
SAME change energies by less, at forces below 10 eV/A."""

WAYS = ("frame", "structure", "group")
"""What a split keeps whole."""


class Split(NamedTuple):
    """Two parts of a data set."""

    training: "LabelledSnapshots"
    test: "LabelledSnapshots"


@dataclass(frozen=True, eq=False)
class LabelledSnapshots(Sequence[Snapshot]):
    """Snapshots with labels, from one or several files; `dg.label(data, None, basis, ["E", "F", "V"])` makes rows of them.

    A sequence of snapshots: `len(data)`, `data[3]`, `for snapshot in data`; `data[:100]` and `data[mask]` are data sets again,
    and so is the sum of two. `print(data)` shows what every group carries, `data.table()` what every snapshot carries.

    Raises
    ------
    InputError
        For what is no snapshot, and for snapshots of one geometry whose labels contradict each other.

    Warns
    -----
    InputWarning
        Of snapshots that occur twice, with the same labels: the first of them is kept.
    """

    snapshots: tuple[Snapshot, ...]

    def __post_init__(self):
        found = tuple(self.snapshots)
        for snapshot in found:
            if not isinstance(snapshot, Snapshot):
                raise InputError(f"a data set is made of snapshots, as dg.read_dataset gives them; got {came(snapshot)}")
        object.__setattr__(self, "snapshots", _without_repetitions(found))

    def __len__(self) -> int:
        return len(self.snapshots)

    def __repr__(self) -> str:
        return shown(self, f"{len(self.snapshots):,} snapshots", " ".join(self.species), f"{len(self.groups)} groups")

    def __iter__(self) -> Iterator[Snapshot]:
        return iter(self.snapshots)

    @overload
    def __getitem__(self, chosen: int) -> Snapshot: ...
    @overload
    def __getitem__(self, chosen: slice | Sequence[int] | np.ndarray) -> "LabelledSnapshots": ...
    def __getitem__(self, chosen: Any) -> Any:
        """One snapshot by its number, or a data set by a slice, a list of numbers or a mask."""
        if isinstance(chosen, int | np.integer):
            return self.snapshots[chosen]
        numbers = np.arange(len(self))[chosen if isinstance(chosen, slice) else np.asarray(chosen)]
        return self._part(numbers)

    def __add__(self, other: Iterable[Snapshot]) -> "LabelledSnapshots":
        if not isinstance(other, Iterable):
            raise InputError(f"a data set is added to snapshots, as dg.read_dataset gives them; got {came(other)}")
        return LabelledSnapshots((*self.snapshots, *other))

    def _part(self, numbers: Iterable[int] | np.ndarray) -> "LabelledSnapshots":
        """Some of the snapshots, which are known to differ."""
        made = object.__new__(LabelledSnapshots)
        object.__setattr__(made, "snapshots", tuple(self.snapshots[int(n)] for n in numbers))
        return made

    @cached_property
    def species(self) -> tuple[str, ...]:
        """Chemical symbols that occur, by atomic number."""
        return tuple(sorted({s for c in self.snapshots for s in c.cell.symbols}, key=lambda s: element(s).number))

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Groups in order of appearance."""
        return tuple(dict.fromkeys(c.group for c in self.snapshots))

    @cached_property
    def atoms(self) -> Int[np.ndarray, " snapshots"]:
        """Number of atoms of every snapshot."""
        return np.array([len(c.cell) for c in self.snapshots], dtype=int)

    @cached_property
    def composition(self) -> Int[np.ndarray, "snapshots species"]:
        """Number of atoms of every species, in every snapshot."""
        counts = [[c.cell.symbols.count(s) for s in self.species] for c in self.snapshots]
        return np.array(counts, dtype=int).reshape(len(self), len(self.species))

    def carries(self, label: str) -> Bool[np.ndarray, " snapshots"]:
        """Whether every snapshot carries a label, one of energy, forces, virial."""
        if label not in LABELS:
            raise InputError(f"labels are {', '.join(LABELS)}; got {label!r}{did_you_mean(label, LABELS)}")
        return np.array([label in (c.labels or {}) for c in self.snapshots], dtype=bool)

    @cached_property
    def isolated_atoms(self) -> dict[str, float]:
        """Energies of free atoms, eV, by species: of snapshots of one atom, not periodic or in a box in which its images are at
        least 8 A away."""
        return isolated_atoms(self.snapshots)

    def one_body(self, method: Any = "least-squares") -> OneBody:
        """Energy of one atom of each species, eV, by a method that `one_body_energies` explains."""
        energies = [None if "energy" not in (c.labels or {}) else float((c.labels or {})["energy"]) for c in self.snapshots]
        return one_body_energies(self.species, self.composition, energies, method, self.isolated_atoms)

    # -- training and test -------------------------------------------------------------------------------------------------

    def split(self, test: float | Iterable[str] = 0.2, by: str = "frame", seed: int = 0) -> Split:
        """Training and test part.

        Parameters
        ----------
        test : float or iterable of str
            Share of the snapshots to be tested, 0 to 1, or (by="group") the names of the groups.
        by : {"frame", "structure", "group"}
            What stays together. "frame": snapshots, drawn within every group, so that each group is tested. "structure": all
            snapshots of a group with the same atoms. "group": whole groups, drawn until the share is reached.
        seed : int
            Of the draw; the same seed gives the same parts.

        Returns
        -------
        Split
            `training` and `test`. Snapshots of a single atom are always in the training part.

        Raises
        ------
        InputError
            For a share outside (0, 1), unknown groups or ways, and for a split that leaves one part empty.
        """
        if by not in WAYS:
            raise InputError(f"a data set is split by {', '.join(WAYS)}; got {by!r}{did_you_mean(by, WAYS)}")
        seed = whole(seed, "the seed of a split")
        if not isinstance(test, int | float | np.number | Iterable):
            raise InputError(f"the test part is a share of the snapshots, or names of groups; got {came(test)}")
        named = not isinstance(test, int | float | np.number)
        chosen = (
            self._named(test, by)
            if named
            else self._drawn(real(test, "the share of the test part", 0.0, 1.0, above=True), by, seed)
        )
        chosen &= self.atoms > 1
        if not chosen.any() or chosen.all():
            raise InputError(
                f"a split by {by} of {len(self)} snapshots in {len(self.groups)} groups leaves {int(chosen.sum())} to be tested "
                f"and {int((~chosen).sum())} to be fitted; choose another share, or split by frame"
            )
        return Split(self._part(np.flatnonzero(~chosen)), self._part(np.flatnonzero(chosen)))

    def _named(self, groups: Any, by: str) -> Bool[np.ndarray, " snapshots"]:
        """Whether every snapshot is of one of these groups."""
        names = [groups] if isinstance(groups, str) else list(groups)
        if by != "group":
            raise InputError(f"groups are named for a split by 'group'; got {names} for a split by {by!r}")
        if unknown := [name for name in names if name not in self.groups]:
            raise InputError(
                f"the data set has no group {unknown[0]!r}, only {', '.join(map(repr, self.groups))}"
                f"{did_you_mean(unknown[0], self.groups)}"
            )
        return np.array([c.group in names for c in self.snapshots], dtype=bool)

    def _drawn(self, share: float, by: str, seed: int) -> Bool[np.ndarray, " snapshots"]:
        """Whether every snapshot is drawn to be tested."""
        rng = np.random.default_rng(seed)
        unit = {
            "frame": lambda k, c: k,
            "structure": lambda k, c: (c.group, tuple(sorted(c.cell.symbols))),
            "group": lambda k, c: c.group,
        }[by]
        members: dict[Any, list[int]] = {}
        for number, snapshot in enumerate(self.snapshots):
            if len(snapshot.cell) > 1:
                members.setdefault(unit(number, snapshot), []).append(number)
        chosen = np.zeros(len(self), dtype=bool)
        if by == "frame":
            for group in self.groups:
                own = [n for (n,) in members.values() if self.snapshots[n].group == group]
                chosen[rng.permutation(np.array(own, dtype=int))[: round(share * len(own))]] = True
            return chosen
        units, wanted = list(members.values()), share * sum(map(len, members.values()))
        for k in rng.permutation(len(units)):
            if chosen.sum() + len(units[k]) / 2 <= wanted or not chosen.any():
                chosen[units[k]] = True
        return chosen

    # -- what there is ------------------------------------------------------------------------------------------------------

    def table(self) -> "pandas.DataFrame":
        """One row a snapshot: source, group, role, formula, atoms, energy (eV), energy_per_atom (eV), largest_force (eV/A),
        pressure (GPa), weight; NaN where there is no label."""
        from pandas import DataFrame

        return DataFrame([_row(c) for c in self.snapshots])

    def __str__(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """A few lines: what every group carries, with ranges and units."""
        if not len(self):
            return "no snapshots"
        atoms = _range(self.atoms, "d")
        lines = [f"{len(self)} snapshots of {', '.join(self.species)}; {atoms} atoms each, {int(self.atoms.sum())} in all"]
        table, width = self.table(), max(5, *(len(g) for g in self.groups))
        lines.append(
            f"{'group':<{width}}{'snapshots':>10}{'atoms':>10}{'energies':>9}{'forces':>8}{'virials':>8}{'energy (eV/atom)':>24}"
            f"{'largest force (eV/A)':>22}{'pressure (GPa)':>18}"
        )
        for group in self.groups:
            own = table[table["group"] == group]
            mask = np.array([c.group == group for c in self.snapshots])
            counts = [int((self.carries(label) & mask).sum()) for label in LABELS]
            force = own["largest_force"].max()
            lines.append(
                f"{group or '-':<{width}}{len(own):>10}{_range(own['atoms'], 'd'):>10}{counts[0]:>9}{counts[1]:>8}{counts[2]:>8}"
                f"{_range(own['energy_per_atom'], '.4f'):>24}{'' if np.isnan(force) else f'{force:.3g}':>22}"
                f"{_range(own['pressure'], '.3g'):>18}"
            )
        for label, name in zip(LABELS, ("energy", "forces", "virial or stress"), strict=True):
            missing = int((~self.carries(label)).sum())
            if 0 < missing < len(self):
                lines.append(f"{missing} of {len(self)} snapshots carry no {name} and give no rows of that kind")
            elif missing:
                lines.append(f"no snapshot carries {name}")
        if self.isolated_atoms:
            shown = ", ".join(f"{s} {e:.4f} eV" for s, e in self.isolated_atoms.items())
            lines.append(f"isolated atoms: {shown}")
        if any(c.weight != 1.0 or c.atom_weights is not None for c in self.snapshots):
            lines.append(f"weights of configurations: {_range(table['weight'], '.3g')}")
        return "\n".join(lines)


FREE = 8.0
"""A: atoms that are farther from their images than this are free."""


def isolated_atoms(snapshots: Iterable[Snapshot]) -> dict[str, float]:
    """Energies of snapshots of one free atom, eV, by species; of several of one species the lowest."""
    found: dict[str, float] = {}
    for c in snapshots:
        if len(c.cell) == 1 and "energy" in (c.labels or {}):
            lengths = np.linalg.norm(c.vectors, axis=1)[np.array(c.cell.periodic)]
            if np.all(lengths >= FREE):
                symbol, energy = c.cell.symbols[0], float((c.labels or {})["energy"])
                found[symbol] = min(energy, found.get(symbol, np.inf))
    return found


def _row(c: Snapshot) -> dict[str, Any]:
    """One line of the table."""
    labels, atoms = c.labels or {}, len(c.cell)
    energy = float(labels["energy"]) if "energy" in labels else np.nan
    force = float(np.linalg.norm(labels["forces"], axis=1).max()) if "forces" in labels else np.nan
    pressure = np.nan
    if "virial" in labels and all(c.cell.periodic):
        pressure = float(np.trace(labels["virial"])) / 3 / abs(np.linalg.det(c.vectors)) * EV_PER_A3_IN_GPA
    return {
        "source": c.source,
        "group": c.group,
        "role": c.role,
        "formula": _formula(c.cell.symbols),
        "atoms": atoms,
        "energy": energy,
        "energy_per_atom": energy / atoms,
        "largest_force": force,
        "pressure": pressure,
        "weight": c.weight,
    }


def _formula(symbols: Sequence[str]) -> str:
    return "".join(f"{s}{symbols.count(s) if symbols.count(s) > 1 else ''}" for s in sorted(set(symbols)))


def _range(values: Any, form: str) -> str:
    """The smallest and the largest number, or one if they are equal; empty if there are none."""
    found = np.asarray(values)
    found = found[~np.isnan(found.astype(float))]
    if not len(found):
        return ""
    low, high = format(found.min(), form), format(found.max(), form)
    return low if low == high else f"{low} to {high}"


def _without_repetitions(snapshots: tuple[Snapshot, ...]) -> tuple[Snapshot, ...]:
    """The first of snapshots of one geometry. Raises InputError if their labels contradict each other, warns if there are any."""
    classes: dict[tuple, list[int]] = {}
    for number, c in enumerate(snapshots):
        classes.setdefault((c.cell.symbols, c.cell.periodic), []).append(number)
    dropped: dict[int, int] = {}
    for numbers in (n for n in classes.values() if len(n) > 1):
        prints = np.array([_fingerprint(snapshots[n]) for n in numbers])
        along = np.random.default_rng(0).uniform(0.5, 1.0, prints.shape[1])
        place = prints @ along  # equal geometries have equal places: only neighbours in this order are compared
        order, near = np.argsort(place, kind="stable"), SAME * along.sum()
        for rank, k in enumerate(order):
            for other in order[rank + 1 :]:
                if place[other] - place[k] > near:
                    break
                first, second = sorted((numbers[k], numbers[other]))
                if second not in dropped and np.abs(prints[k] - prints[other]).max() <= SAME:
                    _check_agreement(snapshots[first], snapshots[second])
                    dropped[second] = first
    if not dropped:
        return snapshots
    second, first = next(iter(sorted(dropped.items())))
    warnings.warn(
        f"{len(dropped)} of {len(snapshots)} snapshots occur twice, such as {_name(snapshots[first], first)} and "
        f"{_name(snapshots[second], second)}; the first of each is kept",
        InputWarning,
        stacklevel=4,
    )
    kept = {n: snapshots[n] for n in range(len(snapshots)) if n not in dropped}
    for second, first in dropped.items():  # labels that only the second carries are not lost
        if first in kept and (
            missing := {k: v for k, v in (snapshots[second].labels or {}).items() if k not in (kept[first].labels or {})}
        ):
            kept[first] = replace(kept[first], labels={**(kept[first].labels or {}), **missing})
    return tuple(kept.values())


def _fingerprint(c: Snapshot) -> Float[np.ndarray, " numbers"]:
    """Positions relative to the first atom, and the box along periodic directions."""
    box = c.vectors[np.array(c.cell.periodic)]
    return np.concatenate([(c.positions - c.positions[0]).ravel(), box.ravel()])


def _check_agreement(first: Snapshot, second: Snapshot) -> None:
    """Raises InputError for different labels of one configuration."""
    one, other = first.labels or {}, second.labels or {}
    for label, unit in (("energy", "eV/atom"), ("forces", "eV/A"), ("virial", "eV/atom")):
        if label in one and label in other:
            size = 1.0 if label == "forces" else len(first.cell)
            difference = float(np.abs(np.asarray(one[label]) - np.asarray(other[label])).max()) / size
            if difference > SAME_LABELS[label]:
                raise InputError(
                    f"{first.source or 'a snapshot'} and {second.source or 'another'} are the same configuration of "
                    f"{len(first.cell)} atoms, and their {label} differ by {difference:.3g} {unit}; remove the wrong one"
                )


def _name(snapshot: Snapshot, number: int) -> str:
    return snapshot.source or f"number {number}"
