"""What a weight function reads: the description of all rows of a data set, as columns.

One entry is a row, or represents all rows that were not kept separate (`dg.label(subdivide=...)`). A column by which the rows
were not separated is refused instead of being averaged.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from scipy.optimize import linprog

from .._input import InputError, did_you_mean
from .._typing import Float, Int
from ..training.about import About, stacked
from ..training.blocks import Block

COLUMNS = (
    "kind",
    "group",
    "configuration",
    "energy",
    "force",
    "distance",
    "range",
    "strain",
    "species",
    "atoms",
    "rows",
)
"""What every data set has; columns of its own come on top (`Snapshot.columns`)."""

FINER = 'label the cells with subdivide="rows" (every row) or subdivide="bins"'


class Described:
    """The rows of some blocks, one entry a row or a part.

    Attributes
    ----------
    kind, group : array of str (entries,)
    atoms : array of int (entries,)
        Of the configuration; 0 if they vary.
    rows : array of int (entries,)
        How many rows an entry represents.
    configuration : array of int (entries,)
        Number of the configuration among those that were labelled; -1 for rows of none, such as force constants.
    energy : array (entries,)
        Labelled energy above the convex hull of all labelled energies per atom, eV/atom: for one composition, above the lowest.
    force : array (entries,)
        Length of the labelled force on the atom, eV/A; of F and VF.
    distance : array (entries,)
        To the defect, nearest-neighbour spacings; of F in defect cells.
    range : array (entries,)
        Of a force constant, nearest-neighbour spacings; of FC.
    strain : array (entries,)
        Amplitude of the strain of a strained primitive cell; of V and VF.
    species : array of str (entries,)
        Element of the atom (F), otherwise of the pair or the configuration, several joined by "-".

    Notes
    -----
    Numbers are NaN where a row has none. Columns of the data set are attributes too: ``row.temperature``.
    """

    def __init__(self, blocks: Sequence[Block]):
        self._blocks = blocks
        self.counts = [1 if b.about is None else len(b.about) for b in blocks]
        """Entries of every block."""
        self._read: set[str] = set()

    def __len__(self) -> int:
        return sum(self.counts)

    @cached_property
    def kind(self) -> np.ndarray:
        return self._of_blocks([b.kind for b in self._blocks], str)

    @cached_property
    def group(self) -> np.ndarray:
        return self._of_blocks([b.group for b in self._blocks], str)

    @cached_property
    def atoms(self) -> Int[np.ndarray, " entries"]:
        return self._of_blocks([b.atoms for b in self._blocks], int)

    @cached_property
    def rows(self) -> Int[np.ndarray, " entries"]:
        return np.concatenate([[b.rows] if b.about is None else b.about.rows for b in self._blocks])

    @cached_property
    def configuration(self) -> Int[np.ndarray, " entries"]:
        self._apart("configuration", ("parts", "rows"), ("E", "F", "V0"), "subdivide=True or 'rows'")
        return self._about.configuration

    @cached_property
    def force(self) -> Float[np.ndarray, " entries"]:
        self._apart("force", ("bins", "rows"), ("F", "VF"), FINER)
        return self._about.force

    @cached_property
    def distance(self) -> Float[np.ndarray, " entries"]:
        self._apart("distance", ("parts", "bins", "rows"), ("F",), "label the cells with subdivide=True")
        return self._about.distance

    @cached_property
    def range(self) -> Float[np.ndarray, " entries"]:
        self._apart("range", ("parts", "bins", "rows"), ("FC",), "label the cells with subdivide=True")
        return self._about.range

    @cached_property
    def strain(self) -> Float[np.ndarray, " entries"]:
        self._apart("strain", ("parts", "bins", "rows"), ("V",), "label the cells with subdivide=True")
        return self._about.strain

    @cached_property
    def species(self) -> np.ndarray:
        self._apart("species", ("parts", "bins", "rows"), ("F", "VF"), FINER)
        mixed = np.array(["-" in name for name in self._about.names])[self._about.species]
        if np.any(mixed & np.isin(self.kind, ("F", "VF"))):
            self._apart("species", ("bins", "rows"), ("F", "VF"), FINER)
        return np.array(self._about.names)[self._about.species]

    @cached_property
    def energy(self) -> Float[np.ndarray, " entries"]:
        self._apart("energy", ("parts", "bins", "rows"), ("E", "F"), "label the cells with subdivide=True")
        self._apart("energy", ("bins", "rows"), ("V", "VF"), FINER)
        about = self._about
        return above_hull(about.energy, [about.formulas[f] if f >= 0 else "" for f in about.formula])

    def __getattr__(self, name: str) -> Any:
        """A column of the data set. Raises InputError for one that it does not have."""
        if name.startswith("_"):
            raise AttributeError(name)
        own = self._about.columns
        if name not in own:
            known = (*COLUMNS, *own)
            raise InputError(
                f"a weight function reads {name!r}, which the rows do not have; they have {', '.join(known)}"
                f"{did_you_mean(name, known)}: columns of a data set are named as dg.read_dataset(..., columns=[{name!r}])"
            )
        self._apart(name, ("parts", "rows"), ("E", "F"), "label the cells with subdivide=True or 'rows'")
        return own[name]

    @cached_property
    def _about(self) -> About:
        unknown = lambda b: About.of(1, [""], "")  # noqa: E731
        return stacked([unknown(b) if b.about is None else b.about for b in self._blocks])

    def _of_blocks(self, values: list, kind: type) -> np.ndarray:
        return np.repeat(np.array(values, dtype=kind), self.counts)

    def _apart(self, name: str, levels: tuple[str, ...], kinds: tuple[str, ...], advice: str) -> None:
        """Raises InputError if rows of these kinds were not kept apart by what the weight reads."""
        for block in self._blocks:
            level = "whole" if block.about is None else block.about.level
            if block.kind in kinds and block.rows and level not in levels:
                have = "were not kept apart" if level == "whole" else f"are kept in {level}, which join what differs in it"
                raise InputError(f"a weight function reads {name!r}, and rows of {block.kind} {have}; {advice}")


def above_hull(energies: Float[np.ndarray, " entries"], formulas: Sequence[str]) -> Float[np.ndarray, " entries"]:
    """Energies per atom above the lower convex hull over the composition, eV/atom; NaN where there is none.

    Parameters
    ----------
    energies : array (entries,)
        eV/atom.
    formulas : sequence of str
        Composition of each, "Al4 Ni4"; empty if it has none.

    Returns
    -------
    array (entries,)
        Energies above the cheapest mixture of the same overall composition; for one composition above the lowest energy.
    """
    found = np.full(len(energies), np.nan)
    known = np.array([bool(f) for f in formulas]) & ~np.isnan(energies)
    if not known.any():
        return found
    shares = {f: _shares(f) for f in dict.fromkeys(np.array(formulas)[known].tolist())}
    elements = sorted({e for share in shares.values() for e in share})
    points: dict[tuple[float, ...], float] = {}
    place = {}
    for formula, share in shares.items():
        place[formula] = tuple(round(share.get(e, 0.0), 9) for e in elements)
    for number in np.flatnonzero(known).tolist():
        key = place[formulas[number]]
        points[key] = min(points.get(key, np.inf), float(energies[number]))
    hull = {key: _mixture(key, points) for key in points}
    for number in np.flatnonzero(known).tolist():
        found[number] = max(float(energies[number]) - hull[place[formulas[number]]], 0.0)
    return found


def _mixture(key: tuple[float, ...], points: dict[tuple[float, ...], float]) -> float:
    """The least energy of a mixture of labelled compositions with this composition, eV/atom."""
    if len(points) == 1:
        return points[key]
    table, cost = np.array(list(points)).T, np.array(list(points.values()))
    answer = linprog(cost - cost.min(), A_eq=table, b_eq=np.array(key), bounds=(0, None), method="highs")
    return points[key] if answer.status != 0 else min(float(answer.fun + cost.min()), points[key])


def _shares(formula: str) -> dict[str, float]:
    """The share of every element."""
    counts = {part.rstrip("0123456789"): int("".join(c for c in part if c.isdigit())) for part in formula.split()}
    total = sum(counts.values())
    return {element: count / total for element, count in counts.items()}
