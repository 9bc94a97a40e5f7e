"""What a loss may weigh apart is kept apart: configurations, shells around the defect, ranges of force constants, strains.

A weight that is one number in every part may come late (theory: fit/late-weights), so with rows in parts any function of the
distance, any choice of strains and any down-weighting of a configuration is a small solve instead of a new set of rows.
"""

from collections.abc import Iterator

import numpy as np

from .._input import InputError
from .._typing import Float, Int
from ..crystal.snapshot import STRAIN, Snapshot
from ..observe import ForceConstants, Forces, InternalForces, Observation, Virial
from .compress import Reduction, triangle

SHELL = 0.5
"""Width of a shell around the defect, nearest-neighbour spacings: (1 + |l|)^a is then known to a few per cent in each, and a
loss has no reason to be steeper."""

Piece = tuple[str, float | None, Int[np.ndarray, " rows"]]
"""Name of the part, distance in nearest-neighbour spacings (or None), and its rows."""


def pieces(observation: Observation, rows: int, configuration: int) -> Iterator[Piece]:
    """The parts of the rows of one observation of the configuration with this number."""
    everything = np.arange(rows)
    if isinstance(observation, ForceConstants):
        length = np.round(np.repeat(observation.lengths, rows // len(observation.pairs)), 6)
        for each in np.unique(length):
            yield "", float(each), np.flatnonzero(length == each)
    elif isinstance(observation, Virial | InternalForces):
        yield _strain(observation.snapshot), None, everything
    elif isinstance(observation, Forces) and observation.snapshot.cell.defect:
        distance = observation.distances
        shell = np.floor(distance / SHELL + 1e-6).astype(int)
        for each in np.unique(shell):
            inside = np.flatnonzero(shell == each)
            yield str(configuration), float(np.round(distance[inside].mean(), 6)), inside
    else:
        yield str(configuration), None, everything


def _strain(snapshot: Snapshot) -> str:
    """The strain of a cell in words that a loss reads: `strain 0.01` or `strain 0.01 pair`; empty where it has none."""
    if snapshot.role != STRAIN or snapshot.amplitude is None:
        return ""
    return f"strain {snapshot.amplitude:g}{' pair' if snapshot.pair else ''}"


class RowStack:
    """Rows of a part as they are, or their triangle where there are more of them than columns; the interface of a Compressor."""

    def __init__(self, columns: int, name: str = "rows"):
        self.columns, self.name = columns, name
        self._rows: list[np.ndarray] = []
        self._count = 0

    def add(self, rows: Float[np.ndarray, "m columns"], labels: Float[np.ndarray, " m"]) -> None:
        """Take in m rows and their labels. Raises InputError for a row or label that is not finite."""
        if not np.isfinite(rows).all() or not np.isfinite(labels).all():
            raise InputError(f"{self.name} must be finite numbers: check the reference on that configuration or leave it out")
        self._rows.append(np.column_stack([rows, labels]))
        self._count += len(rows)
        if sum(map(len, self._rows)) > 2 * self.columns + 2:
            self._rows = [triangle(np.concatenate(self._rows))]

    def factor(self) -> Float[np.ndarray, "k columns_plus_one"]:
        """Upper-triangular R of everything added so far."""
        return triangle(np.concatenate([np.zeros((0, self.columns + 1)), *self._rows]))

    def reduction(self) -> Reduction:
        """All by Householder's QR; a part has no condition that anybody asks for."""
        return Reduction(householder=self._count)
