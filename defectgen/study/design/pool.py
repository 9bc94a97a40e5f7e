"""The pool that training data are chosen from: candidates of every kind, what each one costs, and the rows it would give."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..._typing import Float
from ...ace import ACEBasis
from ...crystal import Lattice, Snapshot, defect_from_name
from ...crystal.cut import slab
from ...energy.potential import Potential
from ...training import Blocks, Cost, Rattle, Strains, label
from ...training.cells import bulk_cell, defect_cells, strained_cells
from ..calculations import Calculation, displaced
from .settings import DesignData

DEFECT, STRAINED, CRYSTAL = "defect cell", "strained defect cell", "rattled crystal"
STRAIN, CONSTANTS, SURFACE = "strained crystal", "force constants", "surface"
KINDS = (DEFECT, STRAINED, CRYSTAL, STRAIN, CONSTANTS, SURFACE)
"""Of candidates, in the order in which tables and figures list them."""

START = "start"
"""What every choice knows: the crystal, the relaxed defect and four rattled copies in the smallest cell, strains of one size."""

STEP = 0.015
"""A, of the displacement behind a column of force constants."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """What may be labelled as one: a configuration, or the force constants of the crystal."""

    kind: str
    snapshot: Snapshot
    """What the rows are of."""
    observations: str
    """Kinds of rows that it gives: E+F of a cell, V of a strained crystal, FC."""
    calculations: tuple[Calculation, ...]
    """What a code has to compute."""

    def hours(self, cost: Cost) -> float:
        """What it costs."""
        return sum(one.hours(cost) for one in self.calculations)

    @property
    def atoms(self) -> int:
        """Of the largest cell that is computed."""
        return max(len(one.snapshot.cell) for one in self.calculations)


def candidates(
    lattice: Lattice, defect: str, asked: DesignData, resting: dict[int, Float[np.ndarray, "atoms 3"]], cutoff: float
) -> tuple[list[Candidate], list[Candidate]]:
    """The start and the pool, of one defect. `resting`: displacement (A) of the relaxed defect, by size of its cell.

    Raises InputError for sizes that the defect does not fit into.
    """
    edit, smallest = defect_from_name(defect), min(asked.sizes)
    plain, strained = Rattle(asked.copies, asked.rattle), Rattle(asked.copies, asked.rattle, asked.strain)
    own = defect_cells(lattice, edit, smallest, asked.seed + 1000, resting[smallest], Rattle(4, asked.rattle))
    strains = strained_cells(lattice, Strains(asked.virial_strains, False, asked.shift), asked.seed)
    first = asked.virial_strains[0]
    crystal = bulk_cell(lattice)
    inner = "+F" if lattice.sublattices > 1 else ""  # the atom of a Bravais crystal has no force with any potential
    start = [
        Candidate(START, crystal, f"E{inner}", (Calculation(crystal, stress=True),)),
        *(Candidate(START, s, "E+F", (Calculation(s),)) for s in own),
        *(Candidate(START, s, "V", (Calculation(s, stress=True),)) for s in strains if s.amplitude == first),
    ]
    pool = []
    for size in asked.sizes:
        for kind, rattle, seed in ((DEFECT, plain, asked.seed), (STRAINED, strained, asked.seed + 1)):
            cells = defect_cells(lattice, edit, size, seed, resting[size], rattle)[1:]
            pool += [_cell(kind, s) for s in cells]
    for size in asked.crystal_sizes:
        cells = defect_cells(lattice, None, size, asked.seed + 2, None, strained)[1:]
        pool += [_cell(CRYSTAL, replace(s, group="crystal", role="")) for s in cells]
    if asked.layers and lattice.dimension == 3:
        pool += [_cell(SURFACE, s) for s in _surfaces(lattice, asked)]
    pool += [Candidate(STRAIN, s, "V", (Calculation(s, stress=True),)) for s in strains if s.amplitude != first]
    columns = tuple(Calculation(s, column=True) for s in displaced(lattice, STEP, 2 * cutoff))
    pool.append(Candidate(CONSTANTS, crystal, "FC", columns))
    return start, pool


def _cell(kind: str, snapshot: Snapshot) -> Candidate:
    return Candidate(kind, snapshot, "E+F", (Calculation(snapshot),))


def _surfaces(lattice: Lattice, asked: DesignData) -> list[Snapshot]:
    """Rattled slabs of one conventional cell across and `layers` of them deep."""
    cell = slab(lattice, (1, 1, asked.layers))
    rng = np.random.default_rng([asked.seed, 3])
    found = []
    for k in range(1, asked.copies + 1):
        amplitude = asked.rattle * k / asked.copies
        positions = cell.positions + amplitude * rng.normal(size=cell.positions.shape)
        found.append(Snapshot(cell, positions, cell.vectors, "surface", source=f"rattled {amplitude:.4f} A"))
    return found


def cost_of(asked: DesignData) -> Cost:
    """What calculations cost, in units that cancel."""
    return Cost(exponent=asked.exponent, smallest=asked.smallest)


def rows_of(candidate: Candidate, truth: Potential, basis: ACEBasis) -> Blocks:
    """Rows and labels that one candidate adds; the stress of the perfect crystal belongs to the start."""
    found = label([candidate.snapshot], truth, basis, candidate.observations)
    if candidate.kind != CONSTANTS:
        return found
    return replace(found, items=tuple(block for block in found.items if block.kind == "FC"))


def joined(parts: Sequence[Blocks]) -> Blocks:
    """The rows of several candidates as those of one training set."""
    first = parts[0]
    return Blocks(first.basis, tuple(block for part in parts for block in part.items), first.truth)
