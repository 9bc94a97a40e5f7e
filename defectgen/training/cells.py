"""Which configurations a fit is trained on: cells of size L with the defect, the perfect crystal, strained primitive cells."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from .._input import InputError
from .._typing import Float
from ..crystal.cell import Cell, primitive_cell, supercell
from ..crystal.lattice import Lattice
from ..crystal.recipe import Defect
from ..crystal.snapshot import BULK, DEFECT, STRAIN, Snapshot


@dataclass(frozen=True)
class Rattle:
    """How defect cells are varied; every number is explicit so that the same seed gives the same cells.

    The defaults are those of run files and of the planner too, chosen by measurement (theory: fit/defaults).
    """

    configurations: int = 6
    """Rattled copies beside the one at rest."""
    amplitude: float = 0.03
    """Standard deviation of each displacement component, A; copy k of n has k/n of it, so small and large ones both occur."""
    strain: float = 0.0
    """Standard deviation of a random homogeneous strain of each rattled copy (0: the box of the crystal is kept)."""
    radius: float | None = None
    """Nearest-neighbour spacings: only atoms this near to the defect are displaced. Then the copies teach how the core answers
    and little of the crystal's force constants (theory: bounds/core). None: all atoms."""


@dataclass(frozen=True)
class Strains:
    """Homogeneous deformations of the primitive cell for virials: finite, in all directions, with both signs.

    The defaults are those of run files and of the planner too, chosen by measurement (theory: fit/defaults).
    """

    amplitudes: tuple[float, ...] = (0.005, 0.015)
    """Strain of each mode; two sizes tell the second from the third order."""
    pairs: bool = True
    """Also combinations of two modes, which hold the mixed third-order constants."""
    shift: float = 0.01
    """Standard deviation of sublattice displacements in a multilattice, A: internal shifts belong to V."""


def training_cells(
    lattice: Lattice,
    defect: Defect | None,
    size: int | tuple[int, ...] | np.ndarray,
    seed: int = 0,
    *,
    displacement: Float[np.ndarray, "atoms 3"] | None = None,
    rattle: Rattle | dict | None = None,
    strains: Strains | dict | None = None,
) -> list[Snapshot]:
    """Defect cells of `size` conventional cells at rest and rattled, the perfect primitive cell, and strained primitive cells.

    `displacement` (A) is where the defect cell rests, e.g. `dg.relax(cell, truth).displacement`; without it the atoms rest
    on their lattice sites. Raises InputError for sizes the defect does not fit into and numbers that make no sense.
    """
    if defect is not None and not isinstance(defect, Defect):
        raise InputError(f"a defect is one of dg.vacancy(), dg.dumbbell('110') and the like, or None; got {defect!r}")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"a seed is a whole number that is not negative; got {seed!r}")
    rattle = _settings(Rattle, rattle)
    strains = _settings(Strains, strains)
    cells = defect_cells(lattice, defect, size, seed, displacement, rattle)
    return [*cells, bulk_cell(lattice), *strained_cells(lattice, strains, seed)]


def defect_cells(
    lattice: Lattice,
    defect: Defect | None,
    size: int | tuple[int, ...] | np.ndarray,
    seed: int = 0,
    displacement: Float[np.ndarray, "atoms 3"] | None = None,
    rattle: Rattle | None = None,
) -> list[Snapshot]:
    """The defect in a periodic cell of `size`, at rest and rattled (without a defect: the perfect supercell)."""
    rattle = Rattle() if rattle is None else rattle
    cell = supercell(lattice, size)  # type: ignore[arg-type]
    if rattle.configurations < 0 or rattle.amplitude < 0 or rattle.strain < 0:
        raise InputError(f"rattled cells want a number of copies and amplitudes that are not negative; got {rattle}")
    if rattle.radius is not None and not rattle.radius > 0:
        raise InputError(f"the radius of a rattle is positive, in nearest-neighbour spacings; got {rattle.radius}")
    if rattle.amplitude > 0.35 * lattice.nearest_neighbour:
        raise InputError(
            f"a rattle of {rattle.amplitude} A would melt the crystal (neighbours are {lattice.nearest_neighbour:.2f} A apart); "
            "use a few hundredths of that"
        )
    if defect is not None:
        cell = defect.apply(cell)
    rest = cell.positions if displacement is None else cell.positions + _fits(displacement, cell)
    rng = np.random.default_rng([seed, len(cell)])
    inside = np.array([1.0, 1.0, 1.0 if lattice.dimension == 3 else 0.0])
    near = np.ones((len(cell), 1))
    if rattle.radius is not None:
        near = (cell.distance_to_defect() <= rattle.radius * lattice.nearest_neighbour)[:, None].astype(float)
    found = [_of(DEFECT, cell, rest, cell.vectors, "at rest", 0.0)]
    for k in range(1, rattle.configurations + 1):
        amplitude = rattle.amplitude * k / rattle.configurations
        positions = rest + amplitude * rng.normal(size=rest.shape) * inside * near
        deformation = np.eye(3)
        if rattle.strain:
            random = rng.normal(size=(3, 3)) * np.outer(inside, inside)
            deformation = np.eye(3) + rattle.strain * (random + random.T) / 2
        box = cell.vectors @ deformation.T
        found.append(_of(DEFECT, cell, positions @ deformation.T, box, f"rattled {amplitude:.4f} A", amplitude))
    return found


def bulk_cell(lattice: Lattice) -> Snapshot:
    """The perfect crystal as one primitive cell: force constants, equilibrium stress and the bulk energy are observed here."""
    cell = primitive_cell(lattice)
    return _of(BULK, cell, cell.positions, cell.vectors, "perfect crystal")


def strained_cells(lattice: Lattice, strains: Strains | None = None, seed: int = 0) -> list[Snapshot]:
    """Primitive cells under x -> (1 + e) x for +-each strain mode (and pairs of modes), sublattices displaced at random."""
    strains = Strains() if strains is None else strains
    if not strains.amplitudes or any(not 0 < a < 0.3 for a in strains.amplitudes) or strains.shift < 0:
        raise InputError(f"strains for virials are between 0 and 0.3, at least one, and shifts not negative; got {strains}")
    cell = primitive_cell(lattice)
    rng = np.random.default_rng([seed, 1])
    modes = _strain_modes(lattice.dimension)
    directions = [(s * m, False) for m in modes for s in (1.0, -1.0)]
    if strains.pairs:
        signs = ((1, 1), (-1, -1), (1, -1))
        directions += [((s * a + t * b) / np.sqrt(2), True) for a, b in combinations(modes, 2) for s, t in signs]
    inside = np.array([1.0, 1.0, 1.0 if lattice.dimension == 3 else 0.0])
    found = []
    for amplitude in strains.amplitudes:
        for direction, pair in directions:
            deformation = np.eye(3) + amplitude * direction
            shift = np.zeros((len(cell), 3))
            if len(cell) > 1:
                shift = strains.shift * rng.normal(size=shift.shape) * inside
                shift -= shift.mean(axis=0)
            positions = cell.positions @ deformation.T + shift
            made = f"strain {amplitude:g}{' pair' if pair else ''}"
            found.append(_of(STRAIN, cell, positions, cell.vectors @ deformation.T, made, amplitude, pair))
    return found


def _of(role: str, cell: Cell, positions, vectors, made: str, amplitude: float | None = None, pair: bool = False) -> Snapshot:
    """A training cell: its group is named after its role."""
    return Snapshot(cell, positions, vectors, group=role, source=made, role=role, amplitude=amplitude, pair=pair)


def _strain_modes(dimension: int) -> list[np.ndarray]:
    """Unit symmetric strains: xx yy zz yz xz xy, or xx yy xy in two dimensions."""
    pairs = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)) if dimension == 3 else ((0, 0), (1, 1), (0, 1))
    modes = []
    for a, b in pairs:
        e = np.zeros((3, 3))
        e[a, b] = e[b, a] = 1.0 if a == b else 0.5
        modes.append(e)
    return modes


def _settings(kind, given):
    if given is None:
        return kind()
    if isinstance(given, dict):
        try:
            return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in given.items()})
        except TypeError:
            known = ", ".join(kind.__dataclass_fields__)
            raise InputError(f"{kind.__name__.lower()} takes {known}; got {', '.join(given)}") from None
    return given


def _fits(displacement: np.ndarray, cell: Cell) -> np.ndarray:
    displacement = np.asarray(displacement, dtype=float)
    if displacement.shape != cell.positions.shape:
        raise InputError(f"the displacement must be {cell.positions.shape} for this training cell; got {displacement.shape}")
    return displacement
