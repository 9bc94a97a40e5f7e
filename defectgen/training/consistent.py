"""Whether labels of another code belong together, by what is labelled anyway and one perfect supercell."""

from collections.abc import Sequence

import numpy as np

from .._input import InputError
from ..bridge import ASEReference, StoredReference
from ..crystal.snapshot import BULK, DEFECT, Snapshot
from ..energy.functional import evaluate
from ..energy.potential import Potential, potential_name
from ..observe import Response
from ..reference import compare_sizes

GRADIENT = 0.15
"""Part of the change of the energies: the rule of the trapezium leaves a few per cent of it at rattles of 0.15 A."""

LEAST = 1e-4
"""eV per atom: smaller changes between two configurations are the threshold of a self-consistent calculation."""


def calculates(truth: Potential | None) -> bool:
    """Whether labels come from an ASE calculator, about which nothing is known."""
    return isinstance(truth, ASEReference | StoredReference)


def check_sizes(cells: Sequence[Snapshot], truth: Potential) -> None:
    """Raises InputError if energies per atom of the perfect crystal differ between the primitive and the smallest defect cell."""
    bulk = next((s for s in cells if s.role == BULK), None)
    larger = [s for s in cells if s.role == DEFECT and bulk is not None and s.cell.lattice is bulk.cell.lattice]
    larger = [s for s in larger if not s.cell.clamped and s.cell.perfect_sites.matrix is not None]
    if bulk is None or not larger:
        return
    perfect = min(larger, key=lambda s: len(s.cell)).cell.perfect
    compare_sizes(
        [(len(c), evaluate(truth, c, stress=False).energy / len(c)) for c in (bulk.cell, perfect)], potential_name(truth)
    )


def check_gradient(labelled: Sequence[tuple[Snapshot, Response]], truth: Potential) -> None:
    """Raises InputError if energies of rattled defect cells change by another amount than the work of their forces.

    Between the first configuration of a cell and each other one the work is -(f_0 + f_k) . (x_k - x_0) / 2, up to third order.
    """
    work, change = 0.0, 0.0
    error = 0.0
    groups: dict[int, tuple[Snapshot, Response]] = {}
    for snapshot, response in labelled:
        if snapshot.role != DEFECT or response.energy is None or response.forces is None:
            continue
        first, start = groups.setdefault(id(snapshot.cell), (snapshot, response))
        if first is snapshot or np.abs(first.vectors - snapshot.vectors).max() > 1e-9:
            continue
        assert start.energy is not None and start.forces is not None
        gained = float(response.energy - start.energy)
        if abs(gained) < LEAST * len(snapshot.cell):
            continue
        done = float(np.vdot(start.forces + response.forces, snapshot.positions - first.positions)) / 2
        work, change, error = work + done, change + gained, error + abs(gained)
    if abs(work + change) > GRADIENT * error:
        raise InputError(
            f"forces of {potential_name(truth)} are not minus the gradient of its energy: from the relaxed defect cells to their "
            f"rattled copies the energies change by {change:.4g} eV in all, and the forces do a work of {work:.4g} eV, which "
            f"should be {-change:.4g} eV (tolerance {GRADIENT:.0%}); converge the self-consistency further, and check the units"
        )
