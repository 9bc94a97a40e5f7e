"""What a domain can be asked about, and which atoms of it count."""

from collections.abc import Iterable

import numpy as np

from ..._input import InputError
from ..._typing import Bool, Float
from ...ace import ACEBasis
from ...crystal.cell import Cell
from ...crystal.snapshot import Snapshot
from ...observe import Environments, environments
from ...relax import Equilibrium

Configuration = Cell | Snapshot | Equilibrium
"""A cell at its unrelaxed positions, a snapshot, or a relaxed cell."""


def geometry(given: Configuration) -> tuple[Cell, Float[np.ndarray, "atoms 3"], Float[np.ndarray, "3 3"]]:
    """The cell, the positions (A) and the box vectors (A) of what is asked about. Raises InputError for anything else."""
    if isinstance(given, Cell):
        return given, given.positions, given.vectors
    if isinstance(given, Snapshot):
        return given.cell, given.positions, given.vectors
    if isinstance(given, Equilibrium):
        return given.cell, given.positions, given.cell.vectors
    raise InputError(
        f"a domain is asked about a cell, a snapshot or the result of dg.relax; got {type(given).__name__}: for ASE atoms use "
        "dg.Calculator(model, domain=domain)"
    )


def counted(cell: Cell) -> Bool[np.ndarray, " atoms"]:
    """Atoms whose surroundings are all there: not the clamped ones of a ball or cylinder, beyond which the crystal goes on."""
    return cell.free if cell.clamped and cell.free.any() else np.ones(len(cell), dtype=bool)


def surroundings(basis: ACEBasis, given: Configuration) -> Environments:
    """The environments of a configuration."""
    cell, positions, vectors = geometry(given)
    return environments(basis, cell.symbols, positions, vectors, cell.periodic)


def snapshots(cells: Iterable[Snapshot], what: str) -> list[Snapshot]:
    """The cells as a list. Raises InputError for an empty one and for what is no snapshot."""
    found: list[Snapshot] = list(cells) if isinstance(cells, Iterable) else [cells]
    if not found or any(not isinstance(c, Snapshot) for c in found):
        came = ", ".join(dict.fromkeys(type(c).__name__ for c in found)) or "none"
        raise InputError(f"{what} cells are snapshots, from dg.training_cells or dg.read_extxyz; got {came}")
    return found
