"""Which configurations a fit is trained on: cells of size L with the defect, the perfect crystal, strained primitive cells."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from numbers import Real
from typing import Any, TypeVar

import numpy as np

from .._input import InputError, came, check_finite, did_you_mean, real, whole
from .._typing import Float
from ..crystal.cell import Cell, check_lattice, primitive_cell, supercell
from ..crystal.edits import Defect
from ..crystal.lattice import Lattice
from ..crystal.snapshot import BULK, DEFECT, STRAIN, Snapshot

COPIES = 1_000_000
"""Rattled copies of one cell: no set has more."""


@dataclass(frozen=True)
class Rattle:
    """How defect cells are rattled: number of copies, amplitude, strain, radius.

    The defaults are those of run files and of the planner too, chosen by measurement (theory: fit/defaults).

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.Rattle(configurations=4, amplitude=0.05)
    Rattle(configurations=4, amplitude=0.05, strain=0.0, radius=None)
    """

    configurations: int = 6
    """Rattled copies besides the relaxed one."""
    amplitude: float = 0.03
    """Standard deviation of each displacement component, A; copy k of n has k/n of it, so small and large ones both occur."""
    strain: float = 0.0
    """Standard deviation of a random homogeneous strain of each rattled copy (0: the box of the crystal is kept)."""
    radius: float | None = None
    """Nearest-neighbour spacings: only atoms this near to the defect are displaced. Then the copies determine the response of
    the core and little of the crystal's force constants (theory: bounds/core). None: all atoms."""

    def __post_init__(self):
        """Raises InputError for numbers that make no sense."""
        count = self.configurations
        if isinstance(count, float) and not count.is_integer():
            raise InputError(
                f"the first number of a Rattle counts configurations; got {count!r}: write dg.Rattle(amplitude={count!r}) for a "
                "displacement in A"
            )
        object.__setattr__(self, "configurations", whole(count, "the number of configurations of a rattle", 0, COPIES))
        for name, what in (("amplitude", "amplitude of a rattle (A)"), ("strain", "strain of a rattle")):
            object.__setattr__(self, name, real(getattr(self, name), f"the {what}", 0))
        if self.radius is not None:
            real(self.radius, "the radius of a rattle, positive, in nearest-neighbour spacings,", 0, above=True)


@dataclass(frozen=True)
class Strains:
    """How primitive cells are strained for virials: finite strains in all directions, with both signs.

    The defaults are those of run files and of the planner too, chosen by measurement (theory: fit/defaults).

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.Strains((0.01,), pairs=False)
    Strains(amplitudes=(0.01,), pairs=False, shift=0.01)
    """

    amplitudes: tuple[float, ...] = (0.005, 0.015)
    """Strain of each mode; two sizes tell the second from the third order."""
    pairs: bool = True
    """Also combinations of two modes, which hold the mixed third-order constants."""
    shift: float = 0.01
    """Standard deviation of sublattice displacements in a multilattice, A: internal shifts belong to V."""

    def __post_init__(self):
        """Raises InputError for numbers that make no sense."""
        given = self.amplitudes
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise InputError(f"the amplitudes of strains are a list of numbers, as (0.01, 0.03); got {given!r}")
        given = tuple(real(a, "an amplitude of strains") for a in given)
        if not given or any(not 0 < a < 0.3 for a in given) or len(given) > 1000:
            raise InputError(f"strains for virials are between 0 and 0.3, at least one, and shifts not negative; got {given}")
        object.__setattr__(self, "amplitudes", given)
        real(self.shift, "the shift of sublattices (A), which is not negative,", 0)


def training_cells(
    lattice: Lattice,
    defect: Defect | None,
    size: int | tuple[int, ...] | np.ndarray,
    seed: int = 0,
    *,
    displacement: Float[np.ndarray, "atoms 3"] | None = None,
    rattle: Rattle | dict | float | None = None,
    strains: Strains | dict | float | Sequence[float] | None = None,
) -> list[Snapshot]:
    """Relaxed and rattled defect cells, the perfect primitive cell, and strained primitive cells.

    Parameters
    ----------
    lattice : Lattice
        The crystal, at equilibrium with the reference (`dg.equilibrate`).
    defect : Defect or None
        Such as `dg.vacancy()`; None: the perfect supercell instead.
    size : int, (int, int, int) or array (3, 3)
        Conventional cells of the defect cell, as in `dg.supercell`.
    seed : int
        Equal seeds give equal cells.
    displacement : array (atoms, 3), optional
        Where the defect cell rests, A, such as ``dg.relax(cell, truth).displacement``; by default on the lattice sites.
    rattle : Rattle, dict or float, optional
        How the defect cell is varied; a number is the amplitude, A.
    strains : Strains, dict, float or sequence of float, optional
        How the primitive cell is strained; numbers are the amplitudes.

    Returns
    -------
    list of Snapshot
        The cells, each with its role and group.

    Raises
    ------
    InputError
        For sizes that the defect does not fit into, and numbers that make no sense.
    """
    if defect is not None and not isinstance(defect, Defect):
        raise InputError(f"a defect is one of dg.vacancy(), dg.dumbbell('110') and the like, or None; got {came(defect)}")
    check_lattice(lattice)
    seed = whole(seed, "a seed is a whole number that is not negative: it")
    cells = defect_cells(lattice, defect, size, seed, displacement, _settings(Rattle, rattle, "amplitude"))
    return [*cells, bulk_cell(lattice), *strained_cells(lattice, _settings(Strains, strains, "amplitudes"), seed)]


def defect_cells(
    lattice: Lattice,
    defect: Defect | None,
    size: int | tuple[int, ...] | np.ndarray,
    seed: int = 0,
    displacement: Float[np.ndarray, "atoms 3"] | None = None,
    rattle: Rattle | None = None,
) -> list[Snapshot]:
    """The defect in a periodic cell, relaxed and rattled; without a defect the perfect supercell.

    Parameters
    ----------
    lattice : Lattice
        The crystal.
    defect : Defect or None
        What is put into the cell.
    size : int, tuple of int or array (3, 3)
        As `supercell` takes it, in conventional cells.
    seed : int
        Of the rattles.
    displacement : array (atoms, 3), optional
        Of the relaxed atoms from their sites, A; none if not given.
    rattle : Rattle, optional
        How many copies are rattled, and how far.

    Returns
    -------
    list of Snapshot
        The relaxed cell, then the rattled copies with rising amplitude.

    Raises
    ------
    InputError
        The amplitude is more than 0.35 of the nearest-neighbour distance, or the displacement does not fit the cell.
    """
    rattle = Rattle() if rattle is None else rattle
    cell = supercell(lattice, size)  # type: ignore[arg-type]
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
    """The perfect crystal as one primitive cell: force constants, equilibrium stress and the bulk energy are observed here.

    Parameters
    ----------
    lattice : Lattice
        The crystal.

    Returns
    -------
    Snapshot
    """
    cell = primitive_cell(lattice)
    return _of(BULK, cell, cell.positions, cell.vectors, "perfect crystal")


def strained_cells(lattice: Lattice, strains: Strains | None = None, seed: int = 0) -> list[Snapshot]:
    """Primitive cells under x -> (1 + e) x for +-each strain mode (and pairs of modes), sublattices displaced at random.

    Parameters
    ----------
    lattice : Lattice
        The crystal.
    strains : Strains, optional
        Amplitudes, whether pairs of modes are made, and how far sublattices are displaced (A).
    seed : int
        Of the displacements.

    Returns
    -------
    list of Snapshot
    """
    strains = Strains() if strains is None else strains
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


def _of(
    role: str,
    cell: Cell,
    positions: np.ndarray,
    vectors: np.ndarray,
    made: str,
    amplitude: float | None = None,
    pair: bool = False,
) -> Snapshot:
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


Settings = TypeVar("Settings", Rattle, Strains)


def _settings(kind: type[Settings], given: Any, name: str) -> Settings:
    """The settings from what users write: an object, a table, or the number (or numbers) that is meant most often."""
    if given is None:
        return kind()
    table: dict[str, Any] | None = None
    if isinstance(given, Real) and not isinstance(given, bool):
        table = {name: given if name == "amplitude" else (given,)}
    elif name == "amplitudes" and isinstance(given, list | tuple):
        table = {name: tuple(given)}
    elif isinstance(given, dict):
        table = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    if table is not None:
        known = list(kind.__dataclass_fields__)
        if not set(table) <= set(known):
            wrong = next(key for key in table if key not in known)
            raise InputError(
                f"{kind.__name__.lower()} takes {', '.join(known)}; got {', '.join(map(str, table))}{did_you_mean(wrong, known)}"
            )
        return kind(**table)
    if not isinstance(given, kind):
        raise InputError(f"{kind.__name__.lower()} is dg.{kind.__name__}({name}=...), a table or a number; got {came(given)}")
    return given


def _fits(displacement: np.ndarray, cell: Cell) -> np.ndarray:
    try:
        displacement = np.asarray(displacement, dtype=float)
    except (TypeError, ValueError):
        raise InputError(f"the displacement is an array of {cell.positions.shape} numbers, A; got {came(displacement)}") from None
    check_finite(displacement, "the displacements of a training cell")
    if displacement.shape != cell.positions.shape:
        raise InputError(f"the displacement must be {cell.positions.shape} for this training cell; got {displacement.shape}")
    return displacement
