"""What a loss can read of rows: one entry that describes all rows of a block, or one entry for every row of it.

A weight is a function of such a description (`dg.Loss(weight=...)`). What is described is what rows were kept apart by: see
`subdivide`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from .._display import brief
from .._input import InputError
from .._typing import Float, Int

NUMBERS = ("energy", "force", "distance", "range", "strain", "weight")
"""Columns of numbers, NaN where a row has none (an energy has no range)."""


@dataclass(frozen=True, eq=False)
class About:
    """A description of rows, as columns."""

    rows: Int[np.ndarray, " entries"]
    """How many rows an entry represents."""
    configuration: Int[np.ndarray, " entries"]
    """Number of the configuration among those that were labelled; -1 for rows of none or of several."""
    energy: Float[np.ndarray, " entries"]
    """Label of the configuration, eV/atom."""
    force: Float[np.ndarray, " entries"]
    """Length of the labelled force on the atom, eV/A."""
    distance: Float[np.ndarray, " entries"]
    """To the defect, nearest-neighbour spacings."""
    range: Float[np.ndarray, " entries"]
    """|rho| of a force constant, nearest-neighbour spacings."""
    strain: Float[np.ndarray, " entries"]
    """Amplitude of the strain of a strained cell."""
    weight: Float[np.ndarray, " entries"]
    """Factor that the data set gives, already in the rows."""
    species: Int[np.ndarray, " entries"]
    """Place in `names` of the element of the atom (F), the elements of a pair (FC) or of the configuration."""
    formula: Int[np.ndarray, " entries"]
    """Place in `formulas` of the composition of the configuration; -1 if it has none."""
    names: tuple[str, ...]
    formulas: tuple[str, ...]
    level: str = "rows"
    """What rows were kept apart by: "parts", "bins" or "rows" (see `subdivide`)."""
    columns: dict[str, Float[np.ndarray, " entries"]] = field(default_factory=dict)
    """Columns of the data set, by name; NaN where a configuration does not have one."""

    __repr__ = brief

    def __len__(self) -> int:
        return len(self.rows)

    @staticmethod
    def of(
        count: int,
        species: Sequence[str],
        formula: str,
        *,
        columns: Mapping[str, Float[np.ndarray, " entries"]] | None = None,
        configuration: int = -1,
        **numbers: float | Float[np.ndarray, " entries"],
    ) -> "About":
        """The description of `count` rows; `species` has one entry, or one for every row. Numbers not given are NaN.

        Raises InputError for a column of the data set that has the name of a description.
        """
        names = tuple(dict.fromkeys(species))
        places = {name: place for place, name in enumerate(names)}
        codes = np.array([places[s] for s in species], dtype=int)
        found: dict[str, Any] = {
            name: np.array(np.broadcast_to(numbers.get(name, np.nan), count), dtype=float) for name in NUMBERS
        }
        if "weight" not in numbers:
            found["weight"] = np.ones(count)
        own = dict(columns or {})
        if taken := [name for name in own if name in DESCRIBED]:
            raise InputError(f"a column of a data set cannot be called {taken[0]!r}, which describes every row; rename it")
        return About(
            rows=np.ones(count, dtype=int),
            configuration=np.full(count, configuration),
            species=np.array(np.broadcast_to(codes, count)),
            formula=np.full(count, 0 if formula else -1),
            names=names,
            formulas=(formula,) if formula else (),
            columns=own,
            **found,
        )

    def take(self, rows: Int[np.ndarray, " taken"]) -> "About":
        """The entries with these numbers."""
        arrays = {name: getattr(self, name)[rows] for name in ("rows", "configuration", *NUMBERS, "species", "formula")}
        return replace(self, **arrays, columns={k: v[rows] for k, v in self.columns.items()})

    def summary(self, level: str) -> "About":
        """One entry for all: means over the rows, and -1 (or no name) for what is not one and the same in all of them."""
        total = int(self.rows.sum())
        share = self.rows / max(total, 1)

        def mean(values: np.ndarray) -> np.ndarray:
            known = ~np.isnan(values)
            return np.array([np.sum((share * values)[known]) / np.sum(share[known]) if known.any() else np.nan])

        def one(codes: np.ndarray) -> np.ndarray:
            return codes[:1] if len(np.unique(codes)) == 1 else np.array([-1])

        whole = {name: mean(getattr(self, name)) for name in NUMBERS}
        names = sorted({part for code in np.unique(self.species) if code >= 0 for part in self.names[code].split("-")})
        return About(
            rows=np.array([total]),
            configuration=one(self.configuration),
            species=np.array([0]),
            formula=one(self.formula),
            names=("-".join(names),),
            formulas=self.formulas,
            level=level,
            columns={name: mean(values) for name, values in self.columns.items()},
            **whole,
        )


DESCRIBED = ("kind", "group", "atoms", *(f.name for f in fields(About)))
"""Names that no column of a data set may have."""


def stacked(parts: Sequence[About]) -> About:
    """The entries of several descriptions, one after another."""
    if len(parts) == 1:
        return parts[0]
    texts = {}
    for codes, names in (("species", "names"), ("formula", "formulas")):
        known = tuple(dict.fromkeys(name for part in parts for name in getattr(part, names)))
        place = {name: number for number, name in enumerate(known)}
        moved = []
        for part in parts:
            to = np.array([*(place[name] for name in getattr(part, names)), -1], dtype=int)  # -1 stays -1
            moved.append(to[getattr(part, codes)])
        texts |= {names: known, codes: np.concatenate(moved)}
    plain = {name: np.concatenate([getattr(p, name) for p in parts]) for name in ("rows", "configuration", *NUMBERS)}
    own = tuple(dict.fromkeys(name for part in parts for name in part.columns))
    columns = {name: np.concatenate([part.columns.get(name, np.full(len(part), np.nan)) for part in parts]) for name in own}
    return About(**plain, **texts, columns=columns, level=parts[0].level)
