"""A defective structure of another code laid on its crystal: a cell with the site of each atom, in the order of the structure."""

import warnings
from dataclasses import dataclass

import numpy as np

from .._input import InputError, InputWarning
from .._typing import Bool, Float, Int
from .cell import Cell, check_atoms, periodic_cell
from .lattice import Lattice, minimum_image
from .match import MOVED, check_alike, crystal_of, difference
from .registration import assign, rigid_shift, wrap
from .symmetry import SYMPREC, lattice_from_primitive, space_group, symmetrised

SAME_BOX = 1e-3
"""A: how far the vectors of two structures in one box may differ; files round to 1e-4 or better."""

SAME_STRAIN = 1e-4
"""The same relative to the vectors, where a large box is compared with multiples of a small one: such a strain changes the energy
of a hundred atoms by 1e-5 eV."""

STRAINED = 0.05
"""Relative distance of box vectors from a supercell of the crystal up to which they are called strained."""

FOREIGN = (
    "no whole-number combination of them is near it: the structure is turned, strained by more than 5 %, or of another crystal; "
    "give the perfect crystal in its orientation and its box"
)

NOISY = 0.03
"""A: how far images of atoms of a perfect structure may be apart. Relaxations of other codes leave 1e-3 to 1e-2."""

RIVALS = 24
"""Sublattices up to which other placements of a structure on its crystal are tried."""


@dataclass(frozen=True, eq=False)
class Laid:
    """A defective structure on its crystal."""

    cell: Cell
    """Atoms in the order of the structure. Those that the defect moved off their site by more than 0.25 spacings, interstitials
    and clamped atoms are where the structure has them, all others on their sites."""
    positions: Float[np.ndarray, "atoms 3"]
    """Positions of the structure in the frame of the cell, A: not wrapped, without the rigid shift."""
    shift: Float[np.ndarray, "3"]
    """The rigid shift that was undone, A."""


def lay_on(
    lattice: Lattice,
    vectors: Float[np.ndarray, "3 3"],
    positions: Float[np.ndarray, "atoms 3"],
    symbols: tuple[str, ...],
    free: Bool[np.ndarray, " atoms"] | None = None,
) -> Laid:
    """Find the site of every atom of a structure with a defect.

    Parameters
    ----------
    lattice : Lattice
        The perfect crystal, in the orientation of the structure.
    vectors : array, (3, 3)
        Box vectors of the structure as rows, A: any supercell of the crystal.
    positions : array, (atoms, 3)
        A; wrapped or not, in any order, shifted as a whole by any vector.
    symbols : tuple of str
        Chemical symbols.
    free : array of bool, (atoms,), optional
        False where an atom was held; all free by default.

    Returns
    -------
    Laid
        The cell with the defect, and the positions in its frame. Their mean displacement is zero where no atom is held, as that
        of a relaxation by `relax` is; else the held atoms have none.

    Raises
    ------
    InputError
        For a box that is no supercell of the crystal, a structure that is perfect or differs by more than a defect, and one that
        lies on the crystal in two ways.

    Notes
    -----
    The rigid shift is found from the atoms that are near sites of their species, and refined by their median offset, which the
    core of the defect does not move. Each atom then belongs to the site it is nearest to: one atom a site, the least sum of
    squared distances where several compete (`crystal.registration`).

    A crystal without a centre of inversion comes in two orientations that one box does not distinguish, as zincblende with either
    species at the origin. Both are tried.
    """
    held = np.zeros(len(positions), dtype=bool) if free is None else ~free
    orientations = [lattice]
    if lattice.dimension == 3 and not any(np.allclose(turn, -np.eye(3), atol=1e-6) for turn in space_group(lattice)[0]):
        orientations.append(lattice.with_motif(-lattice.motif))
    trials = [_best(each, vectors, positions, symbols) for each in orientations]
    trial = min(trials, key=lambda one: one.placed.edits)  # the crystal as it was given, where both are alike
    laid = _laid(trial, symbols, held)
    _check_one_way(trial, symbols)
    return laid


def supercell_matrix(lattice: Lattice, vectors: Float[np.ndarray, "3 3"]) -> Int[np.ndarray, "3 3"]:
    """Box vectors in units of the primitive ones. Raises InputError for a box that is no supercell of the crystal.

    Parameters
    ----------
    lattice : Lattice
        The perfect crystal.
    vectors : array, (3, 3)
        Box vectors as rows, A.

    Returns
    -------
    array, (3, 3)
        Whole numbers.
    """
    box, d = np.array(vectors, dtype=float), lattice.dimension
    if d == 2:
        box[2] = (0.0, 0.0, 1.0)
    whole = np.rint(box @ np.linalg.inv(lattice.vectors))
    whole[d:, :d], whole[:d, d:] = 0.0, 0.0
    miss = np.abs(whole @ lattice.vectors - box).max(axis=1)
    size = np.linalg.norm(box, axis=1)
    if round(abs(np.linalg.det(whole))) == 0:
        whole = np.eye(3)
        miss = np.full(3, np.inf)
    if not np.all(miss <= np.maximum(SAME_BOX, SAME_STRAIN * size)):
        near = np.all(miss <= STRAINED * size)
        raise InputError(
            f"the box of the relaxed structure, {np.round(box, 4).tolist()} A, is no supercell of the perfect crystal "
            f"{lattice.name}, whose primitive vectors are {np.round(lattice.vectors, 4).tolist()} A; "
            f"{how_it_differs(whole @ lattice.vectors, box) if near else FOREIGN}"
        )
    check_atoms(abs(np.linalg.det(whole)) * lattice.sublattices, "the perfect crystal in this box")
    return whole.astype(int)


def how_it_differs(box: Float[np.ndarray, "3 3"], other: Float[np.ndarray, "3 3"]) -> str:
    """What turned one box into another, in words, and what to do: a rotation, or a strain."""
    deformation = np.linalg.inv(box) @ other
    left, stretch, right = np.linalg.svd(deformation)
    angle = float(np.degrees(np.arccos(np.clip((np.trace(left @ right) - 1) / 2, -1.0, 1.0))))
    strain = float(np.abs(stretch - 1).max())
    if np.linalg.det(left @ right) > 0 and strain < 1e-3 and angle > 0.05:
        return f"it is rotated by {angle:.2f} degrees: give both the same orientation"
    return f"it is strained by {strain:.2%}: relax the defect at fixed cell, or give the perfect crystal in its box"


def perfect_lattice(
    vectors: Float[np.ndarray, "3 3"],
    positions: Float[np.ndarray, "sites 3"],
    symbols: tuple[str, ...],
    periodic: tuple[bool, bool, bool],
) -> Lattice:
    """The crystal of a perfect structure: its primitive cell, not turned.

    Parameters
    ----------
    vectors : array, (3, 3)
        Box vectors as rows, A.
    positions : array, (sites, 3)
        A.
    symbols : tuple of str
        Chemical symbols.
    periodic : tuple of bool
        Along which vectors the box repeats: all three, or the first two.

    Returns
    -------
    Lattice

    Raises
    ------
    InputError
        For open boundaries, and for a box of several atoms that has no symmetry at all.

    Warns
    -----
    InputWarning
        If the structure has no symmetry within the tolerance for exact ones, and has some within 0.03 A: its atoms are then put
        on the symmetric positions.
    """
    if periodic not in ((True, True, True), (True, True, False)):
        raise InputError(
            f"a perfect crystal has pbc [True, True, True], or [True, True, False] if it is flat; got {list(periodic)}"
        )
    lattice = crystal_of(np.array(positions, dtype=float), symbols, vectors, periodic)
    if not (1 < lattice.sublattices == len(positions) and len(space_group(lattice)[0]) == 1):
        return lattice
    symmetric = symmetrised(lattice, NOISY)
    if symmetric is None:
        raise InputError(
            f"the perfect structure of {len(positions)} atoms is no crystal: within {NOISY:g} A it has no symmetry at all; "
            "give the crystal without displacements, such as its unit cell, as perfect="
        )
    warnings.warn(
        f"the perfect structure of {len(positions)} atoms has symmetry within {NOISY:g} A and none within {SYMPREC:g} A: its "
        f"atoms are put on the symmetric positions of {symmetric.name}; give the crystal without noise, such as its unit cell, "
        "as perfect=",
        InputWarning,
        stacklevel=3,
    )
    return symmetric


def check_not_swapped(lattice: Lattice, vectors: np.ndarray, positions: np.ndarray, symbols: tuple[str, ...]) -> None:
    """Raises InputError where the structure with the defect repeats in a smaller cell than the perfect one."""
    if lattice.sublattices == 1:
        return
    flat = lattice.dimension == 2
    x = positions - (positions[0] * [0.0, 0.0, 1.0] if flat else 0.0)
    box = np.array([vectors[0], vectors[1], [0.0, 0.0, 1.0]]) if flat else vectors
    try:
        other = lattice_from_primitive(box, x, symbols, reduce=True, dimension=lattice.dimension)
    except InputError:  # atoms out of a plane, or on top of each other: no crystal
        return
    if other.volume < 0.9 * lattice.volume:
        raise InputError(
            f"the structure given as perfect repeats after {lattice.sublattices} atoms, and the one given as relaxed after "
            f"{other.sublattices}: they seem swapped; give the perfect crystal first"
        )


@dataclass(frozen=True, eq=False)
class _Placed:
    """The sites of the atoms at one shift."""

    owner: Int[np.ndarray, " atoms"]
    """Site of every atom, -1 for none."""
    resting: Bool[np.ndarray, " atoms"]
    """Atoms near their site."""
    edits: int
    """Empty sites, and atoms without a site, off it or of another species."""


@dataclass(frozen=True, eq=False)
class _Trial:
    """A structure on a crystal at the shift that fits best."""

    perfect: Cell
    x: Float[np.ndarray, "atoms 3"]
    """Positions in the box of the perfect cell, A."""
    shift: Float[np.ndarray, "3"]
    placed: _Placed


def _best(lattice: Lattice, vectors: np.ndarray, positions: np.ndarray, symbols: tuple[str, ...]) -> _Trial:
    """The structure on one crystal."""
    perfect = periodic_cell(lattice, supercell_matrix(lattice, vectors))
    box = np.array(vectors, dtype=float)
    if lattice.dimension == 2:
        box[2] = (0.0, 0.0, 1.0)
    x = positions @ np.linalg.inv(box) @ perfect.vectors
    shift = rigid_shift(lattice, np.zeros(3), x, symbols)
    return _Trial(perfect, x, shift, _placed(perfect, x, shift, symbols))


def _placed(perfect: Cell, x: np.ndarray, shift: np.ndarray, symbols: tuple[str, ...]) -> _Placed:
    """Who is where if the structure is moved back by a shift."""
    spacing = perfect.lattice.nearest_neighbour
    owner = assign(perfect.positions, perfect.symbols, x - shift, symbols, perfect.vectors, perfect.periodic, spacing)
    on = np.flatnonzero(owner >= 0)
    offset = minimum_image(x[on] - shift - perfect.positions[owner[on]], perfect.vectors, perfect.periodic)
    near = np.linalg.norm(offset, axis=1) <= MOVED * spacing
    foreign = np.array([symbols[i] != perfect.symbols[owner[i]] for i in on], dtype=bool)
    resting = np.zeros(len(x), dtype=bool)
    resting[on[near]] = True
    missing = len(perfect) - len(on)
    return _Placed(owner, resting, missing + len(x) - len(on) + int((foreign | ~near).sum()))


def _check_one_way(trial: _Trial, symbols: tuple[str, ...]) -> None:
    """Raises InputError where another sublattice in the place of the first explains the structure as well."""
    lattice, edits = trial.perfect.lattice, trial.placed.edits
    if not 1 < lattice.sublattices <= RIVALS:
        return
    for step in lattice.motif[1:] - lattice.motif[0]:
        other = _placed(trial.perfect, trial.x, trial.shift + step, symbols)
        if other.edits <= edits:
            one, two = (np.round(shift, 3).tolist() for shift in (trial.shift, trial.shift + step))
            raise InputError(
                f"the relaxed structure lies on {lattice.name} in two ways, with {edits} differences after a shift of {one} A "
                f"and {other.edits} after {two} A, so which atoms are the defect is ambiguous; use a larger cell, in which most "
                "atoms are on their sites"
            )


def _gauge(trial: _Trial, held: np.ndarray) -> np.ndarray:
    """The shift (A) after which the displacements have no mean, or held atoms have none."""
    perfect, owner = trial.perfect, trial.placed.owner
    counted = held & (owner >= 0) if held.any() else trial.placed.resting
    if not counted.any():
        return trial.shift
    away = trial.x[counted] - trial.shift - perfect.positions[owner[counted]]
    rest = minimum_image(away, perfect.vectors, perfect.periodic)
    return trial.shift + (np.median(rest, axis=0) if held.any() else rest.mean(axis=0))


def _laid(trial: _Trial, symbols: tuple[str, ...], held: np.ndarray) -> Laid:
    """The cell and the positions. Raises InputError where the structure differs by nothing or by more than a defect."""
    perfect, lattice = trial.perfect, trial.perfect.lattice
    vectors, periodic, home = perfect.vectors, perfect.periodic, perfect.positions
    reach = MOVED * lattice.nearest_neighbour
    shift = _gauge(trial, held)
    moved_to = trial.x - shift
    owner = assign(home, perfect.symbols, moved_to, symbols, vectors, periodic, lattice.nearest_neighbour)
    sites = np.column_stack([perfect.perfect_sites.translations, perfect.perfect_sites.sublattices])
    edits = difference(lattice, np.zeros(3), sites, home, perfect.symbols, moved_to, symbols, owner, vectors, periodic)
    check_alike(edits, len(perfect), len(moved_to), shift)
    positions = wrap(moved_to, vectors, periodic)
    on = np.flatnonzero(owner >= 0)
    offset = minimum_image(moved_to[on] - home[owner[on]], vectors, periodic)
    positions[on] = home[owner[on]] + offset
    still = on[(np.linalg.norm(offset, axis=1) <= reach) & ~held[on]]
    rest = positions.copy()
    rest[still] = home[owner[still]]
    if lattice.dimension == 2 and (height := float(np.abs(positions[:, 2]).max())) > SYMPREC:
        raise InputError(
            f"a two-dimensional crystal lies in a plane, and atoms of the relaxed structure leave it by {height:.3g} A; relax "
            "them in the plane, or describe the layer as a three-dimensional structure"
        )
    cell = Cell(
        lattice=lattice,
        vectors=vectors,
        periodic=periodic,
        positions=rest,
        symbols=tuple(symbols),
        sites=owner,
        free=~held,
        perfect_sites=perfect.perfect_sites,
        centre=wrap(edits.points(lattice).mean(axis=0)[None], vectors, periodic)[0],
        defect=edits.label,
    )
    return Laid(cell, positions, shift)
