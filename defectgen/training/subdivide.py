"""What a loss may weigh apart is kept apart: configurations, shells around the defect, ranges of force constants, strains.

A weight that is one number in every part may come late (theory: fit/late-weights), so with rows in parts any function of the
distance, any choice of strains and any down-weighting of a configuration is a small solve instead of a new set of rows.

`PARTS` keeps a triangle for each configuration and shell, range or strain. `BINS` joins configurations and separates forces by
their length and element too, so that memory is bounded by the number of bins and not by that of the rows. `ROWS` keeps every row
as it is: m rows of p functions are m (p + 1) numbers.
"""

from collections.abc import Iterator

import numpy as np

from .._input import InputError
from .._typing import Float, Int
from ..crystal.snapshot import STRAIN, Snapshot
from ..observe import CoreForceConstants, ElasticConstants, ForceConstants, Forces, InternalForces, Observation, Virial
from .about import About
from .compress import Reduction, triangle

WHOLE, PARTS, BINS, ROWS = "", "parts", "bins", "rows"
"""What `dg.label(subdivide=...)` keeps apart: nothing, parts, bins of what weights are functions of, every row."""

SHELL = 0.5
"""Width of a shell around the defect, nearest-neighbour spacings: (1 + |l|)^a is then known to a few per cent in each, and a
loss has no reason to be steeper."""

FORCE_BINS = 4
"""Bins of the length of labelled forces in a decade: a weight 1 / |F| is known to 15 % in each."""
SMALLEST = 1e-3
"""eV/A: forces below this are in one bin."""
ENERGY_BIN = 0.01
"""eV/atom: width of a bin of energies."""

Piece = tuple[str, float | None, Int[np.ndarray, " rows"]]
"""Name of the part, distance in nearest-neighbour spacings (or None), and its rows."""


def as_subdivision(given: object) -> str:
    """What is kept apart, from what users write. Raises InputError for anything else."""
    if isinstance(given, bool | np.bool_):
        return PARTS if given else WHOLE
    if isinstance(given, str) and given in (PARTS, BINS, ROWS):
        return given
    raise InputError(f"subdivide is False, True ({PARTS!r}), {BINS!r} or {ROWS!r}; got {given!r}")


def describe(observation: Observation, labels: Float[np.ndarray, " rows"], energy: float | None, configuration: int) -> About:
    """The description of every row of an observation with these labels; `energy` is that of its configuration, eV."""
    count = len(labels)
    if isinstance(observation, ForceConstants):
        lattice, pairs = observation.lattice, observation.pairs
        each = count // max(len(pairs), 1)
        species = ["-".join(sorted({lattice.species[a], lattice.species[b]})) for a, b in pairs[:, :2]]
        return About.of(count, [s for s in species for _ in range(each)], "", range=np.repeat(observation.lengths, each))
    if isinstance(observation, ElasticConstants):
        return About.of(count, ["-".join(sorted(set(observation.lattice.species)))], "")
    snapshot = getattr(observation, "snapshot", None)
    if not isinstance(snapshot, Snapshot) or isinstance(observation, CoreForceConstants):
        return About.of(count, [""], "")
    cell = snapshot.cell
    numbers: dict = {"energy": np.nan if energy is None else energy / len(cell), "weight": snapshot.weight}
    if snapshot.role == STRAIN and snapshot.amplitude is not None:
        numbers["strain"] = snapshot.amplitude
    species, atoms = ["-".join(sorted(set(cell.symbols)))], None
    if isinstance(observation, Forces):  # of sublattices (VF) too
        free, dimension = np.flatnonzero(cell.free), cell.lattice.dimension
        atoms = np.repeat(free, dimension)
        species = [cell.symbols[a] for a in atoms]
        numbers["force"] = np.repeat(np.linalg.norm(labels.reshape(len(free), dimension), axis=1), dimension)
        if snapshot.atom_weights is not None:
            numbers["weight"] = snapshot.weight * np.asarray(snapshot.atom_weights, dtype=float)[atoms]
        if cell.defect and not isinstance(observation, InternalForces):
            numbers["distance"] = observation.distances
    columns = {
        name: np.full(count, float(value)) if np.ndim(value) == 0 else _of_atoms(np.asarray(value, dtype=float), atoms, count)
        for name, value in (snapshot.columns or {}).items()
    }
    return About.of(count, species, _formula(cell.symbols), columns=columns, configuration=configuration, **numbers)


def _of_atoms(values: np.ndarray, atoms: np.ndarray | None, count: int) -> np.ndarray:
    """A column of atoms as rows have it: that of the atom of a force, and the mean for other rows."""
    return np.full(count, values.mean()) if atoms is None else values[atoms]


def _formula(symbols: tuple[str, ...]) -> str:
    """A composition, like Al4 Ni4."""
    return " ".join(f"{s}{symbols.count(s)}" for s in sorted(set(symbols)))


def bins(observation: Observation, about: About) -> Iterator[Piece]:
    """The bins of the rows of one observation: names are the same for all configurations, and a distance is given exactly.

    A bin of forces is one element, one shell around the defect, one length of the label and one energy of its configuration.
    """
    count = len(about)
    if isinstance(observation, ForceConstants):
        yield from pieces(observation, count, 0)
        return
    energy = np.floor(np.nan_to_num(about.energy, nan=0.0) / ENERGY_BIN + 1e-6).astype(int)
    if isinstance(observation, Virial | InternalForces):
        named = observation.snapshot.strain or _atoms_of(about, 0)
        yield f"{named} energy {energy[0]}", None, np.arange(count)
    elif isinstance(observation, Forces):
        shell = np.floor(np.nan_to_num(about.distance, nan=-1.0) / SHELL + 1e-6).astype(int)
        size = np.floor(FORCE_BINS * np.log10(np.maximum(about.force, SMALLEST)) + 1e-6).astype(int)
        keys = np.column_stack([about.species, shell, size, energy])
        found, of = np.unique(keys, axis=0, return_inverse=True)
        for place, (kind, out, length, level) in enumerate(found.tolist()):
            yield f"{about.names[kind]} shell {out} force {length} energy {level}", None, np.flatnonzero(of.ravel() == place)
    else:
        yield f"{_atoms_of(about, 0)} energy {energy[0]}", None, np.arange(count)


def _atoms_of(about: About, row: int) -> str:
    return about.formulas[about.formula[row]] if about.formula[row] >= 0 else ""


def pieces(observation: Observation, rows: int, configuration: int) -> Iterator[Piece]:
    """The parts of the rows of one observation of the configuration with this number."""
    everything = np.arange(rows)
    if isinstance(observation, ForceConstants):
        length = np.round(np.repeat(observation.lengths, rows // len(observation.pairs)), 6)
        for each in np.unique(length):
            yield "", float(each), np.flatnonzero(length == each)
    elif isinstance(observation, Virial | InternalForces):
        yield observation.snapshot.strain, None, everything
    elif isinstance(observation, Forces) and observation.snapshot.cell.defect:
        distance = observation.distances
        shell = np.floor(distance / SHELL + 1e-6).astype(int)
        for each in np.unique(shell):
            inside = np.flatnonzero(shell == each)
            yield str(configuration), float(np.round(distance[inside].mean(), 6)), inside
    else:
        yield str(configuration), None, everything


class RowStack:
    """Rows of a part as they are, or their triangle where there are more of them than columns; the interface of a Compressor."""

    def __init__(self, columns: int, name: str = "rows"):
        self.columns, self.name = columns, name
        self._rows: list[np.ndarray] = []
        self._count = 0

    def add(self, rows: Float[np.ndarray, "m columns"], labels: Float[np.ndarray, " m"]) -> None:
        """Take in m rows and their labels. Raises InputError for a row or label that is not finite."""
        check_rows(rows, labels, self.name)
        self._rows.append(np.column_stack([rows, labels]))
        self._count += len(rows)
        if sum(map(len, self._rows)) > 2 * self.columns + 2:
            self._rows = [triangle(np.concatenate(self._rows))]

    def factor(self) -> Float[np.ndarray, "k columns_plus_one"]:
        """Upper-triangular R of everything added so far."""
        return triangle(np.concatenate([np.zeros((0, self.columns + 1)), *self._rows]))

    def reduction(self) -> Reduction:
        """All by Householder's QR; a part needs no condition."""
        return Reduction(householder=self._count)


class KeptRows(RowStack):
    """Rows as they are, in the order in which they came."""

    def add(self, rows: Float[np.ndarray, "m columns"], labels: Float[np.ndarray, " m"]) -> None:
        """Take in m rows and their labels. Raises InputError for a row or label that is not finite."""
        check_rows(rows, labels, self.name)
        self._rows.append(np.column_stack([rows, labels]))
        self._count += len(rows)

    def factor(self) -> Float[np.ndarray, "m columns_plus_one"]:
        """All rows [A | y]."""
        return np.concatenate([np.zeros((0, self.columns + 1)), *self._rows])


def check_rows(rows: np.ndarray, labels: np.ndarray, name: str) -> None:
    """Raises InputError for a row or label that is not finite."""
    if not np.isfinite(rows).all() or not np.isfinite(labels).all():
        raise InputError(f"{name} must be finite numbers: check the reference on that configuration or leave it out")
