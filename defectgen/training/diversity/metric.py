"""The distance between two environments, in units of what a homogeneous strain of one per cent changes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..._input import InputError
from ..._typing import Float
from ...ace import ACEBasis
from ...crystal.snapshot import Snapshot
from ...observe import Environments, environments

STRAIN = 0.01
"""Environments that differ by less than this strain makes are much the same: thermal motion makes more, rounding far less."""
APART = 100.0
"""Distance given to environments of different species: beyond every kernel, and finite."""


@dataclass(frozen=True, eq=False)
class Metric:
    """d(b, b') = |w (b - b')| with w_c = 1 / (bandwidth (1 + s_c)), s the smoothness of each function.

    The weights are those of the smoothness prior: d^2 is the prior variance of the difference of two site energies, so wiggly
    functions count less. Two data sets are compared in one metric, that of one of them.
    """

    basis: ACEBasis
    bandwidth: float
    """Distance at strain STRAIN before this division."""

    def points(self, here: Environments) -> Float[np.ndarray, "atoms size"]:
        """The environments as points whose Euclidean distance is d."""
        points = here.sites / (self.bandwidth * (1.0 + self.basis.smoothness()))
        kinds = len(self.basis.species)
        points[:, :kinds] = here.sites[:, :kinds] * APART / np.sqrt(2)  # the constants: which species is in the centre
        return points


def metric_of(cells: Sequence[Snapshot], basis: ACEBasis, strain: float = STRAIN) -> Metric:
    """The metric in which, on root mean square over the environments of these cells, the isotropic `strain` is a distance of 1.

    Raises InputError for a strain that is zero, and for cells whose environments it does not change (no neighbour in reach).
    """
    if not 0 < abs(strain) < 0.3:
        raise InputError(f"the strain that is a distance of one is a small number, such as {STRAIN}; got {strain!r}")
    plain, squares = Metric(basis, 1.0), []
    for snapshot in cells:
        x, box = snapshot.positions, snapshot.vectors
        rest, moved = (plain.points(_at(basis, snapshot, x * f, box * f)) for f in (1.0, 1.0 + strain))
        squares.append(np.sum((moved - rest) ** 2, axis=1))
    bandwidth = float(np.sqrt(np.mean(np.concatenate(squares)))) if squares else 0.0
    if not bandwidth > 0:
        raise InputError("a strain changes nothing in these cells: the basis reaches no neighbour; use a larger cutoff")
    return Metric(basis, bandwidth)


def points_of(metric: Metric, snapshot: Snapshot) -> Float[np.ndarray, "atoms size"]:
    """All environments of a configuration as points."""
    return metric.points(_at(metric.basis, snapshot, snapshot.positions, snapshot.vectors))


def _at(basis: ACEBasis, snapshot: Snapshot, x: np.ndarray, box: np.ndarray) -> Environments:
    return environments(basis, snapshot.cell.symbols, x, box, snapshot.cell.periodic)
