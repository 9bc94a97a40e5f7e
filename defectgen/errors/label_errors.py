"""Errors of a potential on labelled snapshots, by split, group, kind of label and species, and what it misses most."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .._display import shown
from .._input import InputError, came
from .._typing import Float
from ..crystal.snapshot import Snapshot
from ..energy.blackbox import BlackBox
from ..energy.functional import evaluate
from ..energy.potential import Potential, check_potential
from ..units import EV_PER_A3_IN_GPA

if TYPE_CHECKING:
    import pandas  # half a second, for one table

UNITS = {"E": "eV/atom", "F": "eV/A", "V": "eV/atom", "S": "GPa"}
"""Of the kinds: energies, forces, virials and stresses (S, the virials of periodic snapshots over their volume)."""

SHOWN = {"E": ("meV/atom", 1e3), "F": ("eV/A", 1.0), "V": ("meV/atom", 1e3), "S": ("GPa", 1.0)}
"""Unit and factor of each kind when it is printed."""

WORDS = {"E": "energy", "F": "forces", "V": "virial", "S": "stress"}
"""What the kinds are called when they are printed."""

ALL = "all"
"""Name of the line over all groups."""


@dataclass(frozen=True, eq=False)
class LabelledPrediction:
    """What a potential says of one labelled snapshot, next to the label."""

    split: str
    snapshot: Snapshot = field(repr=False)
    label: Mapping[str, np.ndarray] = field(repr=False)
    """By kind, E one number, F (atoms, 3), V and S six in Voigt order xx yy zz yz xz xy, in the units of `UNITS`."""
    predicted: Mapping[str, np.ndarray] = field(repr=False)
    """The same of the potential."""

    @property
    def energy_error(self) -> float:
        """Of the whole configuration, eV, predicted minus label; NaN without an energy."""
        if "E" not in self.label:
            return float("nan")
        return float(self.predicted["E"] - self.label["E"]) * len(self.snapshot.cell)


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """Errors of one potential on one or several data sets; `print` shows a table, `table()` has it in field units."""

    predictions: tuple[LabelledPrediction, ...]

    def _repr_html_(self) -> str:
        return self.table().to_html(index=False, max_rows=40, float_format="{:.4g}".format)

    def __repr__(self) -> str:
        return shown(self, f"{len(self.predictions):,} snapshots", "print() gives the table")

    @cached_property
    def rows(self) -> tuple[dict[str, Any], ...]:
        """group, split, kind, rows, rmse, mae, max of every split, group (and "all") and kind, of forces also F:Ti by species."""
        found = []
        for split in dict.fromkeys(p.split for p in self.predictions):
            own = [p for p in self.predictions if p.split == split]
            groups = list(dict.fromkeys(p.snapshot.group for p in own))
            for group in ([ALL] if len(groups) > 1 else []) + groups:
                chosen = [p for p in own if group == ALL or p.snapshot.group == group]
                for kind, errors in _by_kind(chosen).items():
                    size = np.abs(errors)
                    numbers = {"rmse": float(np.sqrt(np.mean(errors**2))), "mae": float(size.mean()), "max": float(size.max())}
                    found.append({"group": group, "split": split, "kind": kind, "rows": len(errors), **numbers})
        return tuple(found)

    def table(self) -> "pandas.DataFrame":
        """The rows: E and V in eV/atom, F in eV/A, S in GPa."""
        from pandas import DataFrame

        return DataFrame(list(self.rows), columns=["group", "split", "kind", "rows", "rmse", "mae", "max"])

    def rmse(self, kind: str, split: str | None = None, group: str = ALL) -> float:
        """Root mean square error of a kind, in the unit of `UNITS`; of the first split unless one is named.

        Raises InputError where there are no such labels.
        """
        splits = list(dict.fromkeys(p.split for p in self.predictions))
        split = splits[0] if split is None else split
        chosen = [p for p in self.predictions if p.split == split and group in (ALL, p.snapshot.group)]
        errors = _by_kind(chosen).get(kind)
        if errors is None:
            known = ", ".join(dict.fromkeys(f"{r['kind']} of {r['group']!r} in {r['split']!r}" for r in self.rows))
            raise InputError(f"there are no labels {kind} of {group!r} in {split!r}, only {known}")
        return float(np.sqrt(np.mean(errors**2)))

    def worst(self, count: int = 5, split: str | None = None) -> tuple[LabelledPrediction, ...]:
        """The configurations whose whole energy is missed most, the worst first."""
        known = [p for p in self.predictions if "E" in p.label and split in (None, p.split)]
        return tuple(sorted(known, key=lambda p: -abs(p.energy_error))[:count])

    def pairs(self, kind: str, split: str) -> tuple[Float[np.ndarray, " rows"], Float[np.ndarray, " rows"]]:
        """Labels and predictions of a kind, row by row: what a parity plot shows."""
        chosen = [p for p in self.predictions if p.split == split and kind in p.label]
        empty = [np.zeros(0)]
        return tuple(
            np.concatenate(empty + [np.ravel(d[kind]) for d in side])
            for side in (  # pyright: ignore[reportReturnType]
                [p.label for p in chosen],
                [p.predicted for p in chosen],
            )
        )

    def __str__(self) -> str:
        width = max([len("group"), *(len(r["group"]) for r in self.rows)])
        there = [kind for kind in SHOWN if kind != "V" and any(r["kind"] == kind for r in self.rows)]
        head = "".join(f"{f'{WORDS[kind]} ({SHOWN[kind][0]})':^33}" for kind in there)
        lines = [
            f"{'':<{width + 13}}{head}",
            f"{'split':<11}{'group':<{width}}  " + f"{'rmse':>11}{'mae':>11}{'max':>11}" * len(there),
        ]
        found = {(r["split"], r["group"], r["kind"]): r for r in self.rows}
        for split, group in dict.fromkeys((r["split"], r["group"]) for r in self.rows):
            cells = [_cells(found.get((split, group, kind)), SHOWN[kind][1]) for kind in there]
            lines.append(f"{split:<11}{group or '-':<{width}}  {''.join(cells)}".rstrip())
        for split in dict.fromkeys(p.split for p in self.predictions):
            own = {kind: r for (s, g, kind), r in found.items() if s == split and ":" in kind and g in (ALL, self._only(split))}
            if own:
                species = ", ".join(f"{kind.partition(':')[2]} {r['rmse']:.4g}" for kind, r in own.items())
                lines.append(f"{split}: rmse of the forces on {species} eV/A")
            for p in self.worst(1, split):
                lines.append(
                    f"{split}: the energy missed most is that of {p.snapshot.source or 'a snapshot'} ({p.snapshot.group or '-'}, "
                    f"{len(p.snapshot.cell)} atoms), by {p.energy_error:.3g} eV in all"
                )
        return "\n".join(lines)

    def _only(self, split: str) -> str | None:
        """The group of a split that has one."""
        groups = {p.snapshot.group for p in self.predictions if p.split == split}
        return groups.pop() if len(groups) == 1 else None


def _cells(row: dict[str, Any] | None, factor: float) -> str:
    """Three numbers of the table."""
    return "".join(f"{'' if row is None else f'{factor * row[name]:.4g}':>11}" for name in ("rmse", "mae", "max"))


def label_errors(
    potential: Potential,
    data: Iterable[Snapshot] | Mapping[str, Iterable[Snapshot]] | Any,
    progress: Callable[[int, int], None] | None = None,
) -> LabelErrors:
    """Errors of a potential on labelled snapshots.

    Parameters
    ----------
    potential : Potential
        A fitted model, a reference, or `dg.ASEReference(calculator)`.
    data : iterable of Snapshot, mapping or Split
        A data set; a table of them, {"training": ..., "test": ...}; or what `data.split()` returns.
    progress : callable, optional
        Called with the number of snapshots done and of all.

    Returns
    -------
    LabelErrors
        Root mean square, mean absolute and largest error by split, group and kind, of forces also by species.

    Raises
    ------
    InputError
        For what is no potential or no snapshots, snapshots without labels, and atoms that the potential does not know.

    Examples
    --------
    >>> import defectgen as dg
    >>> truth = dg.reference.LennardJones("Ar")
    >>> cell = dg.supercell(dg.triangular("Ar", 3.8), 3)
    >>> found = dg.evaluate(truth, cell, cell.positions)
    >>> labels = {"energy": found.energy + 0.009, "forces": found.forces}  # an energy that is wrong by 1 meV per atom
    >>> errors = dg.label_errors(truth, [dg.Snapshot(cell, cell.positions, cell.vectors, labels=labels)])
    >>> print(f"{1e3 * errors.rmse('E'):.3f} meV/atom")
    1.000 meV/atom
    """
    check_potential(potential)
    parts = _parts(data)
    total, done, found = sum(map(len, parts.values())), 0, []
    for split, snapshots in parts.items():
        for snapshot in snapshots:
            if not isinstance(snapshot, Snapshot):
                raise InputError(f"errors are those of snapshots, as dg.read_dataset gives them; got {came(snapshot)}")
            if snapshot.labels:
                found.append(_prediction(potential, split, snapshot))
            done += 1
            if progress is not None:
                progress(done, total)
    if not found:
        raise InputError(f"none of the {total} snapshots carries a label, so there is nothing to compare with; label them first")
    return LabelErrors(tuple(found))


def _parts(data: Any) -> dict[str, list[Snapshot]]:
    """Snapshots by split."""
    if hasattr(data, "_asdict"):  # a Split is a tuple with names
        data = data._asdict()
    if isinstance(data, Mapping):
        return {str(name): list(part) for name, part in data.items()}
    if not isinstance(data, Iterable):
        raise InputError(f"errors are those of snapshots, as dg.read_dataset gives them; got {came(data)}")
    return {"data": list(data)}


def _prediction(potential: Potential, split: str, snapshot: Snapshot) -> LabelledPrediction:
    """One evaluation, in the kinds that the snapshot has labels of."""
    labels, atoms = dict(snapshot.labels or {}), len(snapshot.cell)
    if isinstance(potential, BlackBox) and not potential.has_stress:
        labels.pop("virial", None)
    result = evaluate(potential, snapshot.cell, snapshot.positions, snapshot.vectors, "virial" in labels)
    predicted = {"energy": result.energy, "forces": result.forces, "virial": result.virial}
    volume = abs(np.linalg.det(snapshot.vectors)) if all(snapshot.cell.periodic) else None
    sides = []
    for side in (labels, predicted):
        kinds: dict[str, np.ndarray] = {}
        if "energy" in labels:
            kinds["E"] = np.array(float(np.asarray(side["energy"])) / atoms)
        if "forces" in labels and atoms > 1:
            kinds["F"] = np.asarray(side["forces"])[snapshot.cell.free]
        if "virial" in labels:
            virial = np.asarray(side["virial"])
            voigt = np.array(
                [virial[0, 0], virial[1, 1], virial[2, 2], *(_mean(virial, a, b) for a, b in ((1, 2), (0, 2), (0, 1)))]
            )
            kinds["V"] = voigt / atoms
            if volume is not None:
                kinds["S"] = -voigt / volume * EV_PER_A3_IN_GPA
        sides.append(kinds)
    return LabelledPrediction(split, snapshot, *sides)


def _mean(tensor: np.ndarray, a: int, b: int) -> float:
    return float(tensor[a, b] + tensor[b, a]) / 2


def _by_kind(predictions: list[LabelledPrediction]) -> dict[str, Float[np.ndarray, " rows"]]:
    """Errors of all rows of every kind; of forces also species by species, where there are several."""
    found: dict[str, list[np.ndarray]] = {}
    for p in predictions:
        for kind in p.label:
            error = np.atleast_1d(p.predicted[kind] - p.label[kind])
            found.setdefault(kind, []).append(error.ravel())
            if kind == "F":
                free = np.flatnonzero(p.snapshot.cell.free)
                symbols = np.array(p.snapshot.cell.symbols)[free]
                for species in dict.fromkeys(symbols.tolist()):
                    found.setdefault(f"F:{species}", []).append(error[symbols == species].ravel())
    kinds = [k for k in found if ":" not in k]
    species = sorted(k for k in found if ":" in k)
    return {k: np.concatenate(found[k]) for k in [*kinds, *(species if len(species) > 1 else [])]}
