"""Structures in and out: ASE atoms and files as lattices, cells and defects, and cells as ASE atoms."""

import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ase.io
import ase.io.formats
import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms, FixCartesian, FixCom, FixScaled
from ase.data import atomic_masses

from .._input import InputError, InputWarning
from .._typing import Bool, Float
from ..crystal.cell import Cell, Sites
from ..crystal.defects import Defect
from ..crystal.lattice import Lattice
from ..crystal.mapping import SAME_BOX, how_it_differs
from ..crystal.match import match_defect
from ..crystal.symmetry import lattice_from_primitive

MARGIN = 1.0
"""A added to the extent of the atoms where a frame leaves its box open."""

GAP = 7.0
"""A: no crystal has an empty layer of this thickness between its atoms."""

LARGEST = 1e6
"""A: no structure is larger, and squares of larger numbers lose their digits."""

FLAT = 1e-6
"""Volume relative to the product of the lengths of cell vectors below which they lie in a plane: no crystal's are that skew."""

SAME_MASS = 2e-3
"""Relative difference of masses that are those of the elements, as tables round them; isotopes differ by more."""


def from_ase(atoms: Atoms | str | Path) -> Lattice:
    """The crystal of ASE atoms, or of a structure file that ASE reads: its primitive cell, neither rotated nor shifted.

    Atoms periodic in all directions make a three-dimensional crystal, pbc (True, True, False) a two-dimensional one in the
    plane z = 0.

    Parameters
    ----------
    atoms : ase.Atoms, str or Path
        The atoms, or the file.

    Returns
    -------
    Lattice

    Raises
    ------
    InputError
        An unreadable file, other boundary conditions, zero cell vectors, or positions that are not finite.

    Warns
    -----
    InputWarning
        Of what a lattice does not keep: constraints, initial magnetic moments and charges, masses; and of an empty layer, as a
        slab or a molecule in a box has.

    Examples
    --------
    >>> from ase.build import bulk
    >>> import defectgen as dg
    >>> dg.from_ase(bulk("Cu", a=3.615))
    Lattice(fcc Cu, 1 atom of Cu in the primitive cell, nearest neighbours at 2.55619 A)
    """
    atoms = read_structure(atoms)
    pbc = boundaries(atoms)
    vectors = complete_cell(atoms)
    _warn_dropped(atoms, "the lattice", constraints=True)
    _warn_vacuum(atoms)
    if pbc not in ((True, True, True), (True, True, False)):
        raise InputError(
            f"a crystal has pbc [True, True, True], or [True, True, False] if it is flat; got {list(pbc)}: set atoms.pbc"
        )
    flat = not pbc[2]
    x = atoms.positions - (atoms.positions[0] * [0.0, 0.0, 1.0] if flat and len(atoms) else 0.0)
    return lattice_from_primitive(vectors, x, tuple(atoms.symbols), reduce=True, dimension=2 if flat else 3)


def to_ase(
    cell: Cell,
    positions: Float[np.ndarray, "atoms 3"] | None = None,
    vectors: Float[np.ndarray, "3 3"] | None = None,
    calculator: Any = None,
) -> Atoms:
    """A cell as ASE atoms in the same order; clamped atoms are held by FixAtoms.

    Parameters
    ----------
    cell : Cell
        The cell.
    positions : array (atoms, 3), optional
        A; by default those of the unrelaxed cell.
    vectors : array (3, 3), optional
        Box vectors as rows, A; by default those of the cell.
    calculator : ase calculator, optional
        Attached to the atoms.

    Returns
    -------
    ase.Atoms
    """
    return Atoms(
        list(cell.symbols),
        positions=cell.positions if positions is None else positions,
        cell=cell.vectors if vectors is None else vectors,
        pbc=cell.periodic,
        constraint=None if cell.free.all() else FixAtoms(mask=~cell.free),
        calculator=calculator,
    )


def cell_from_ase(atoms: Atoms | str | Path, *, where: str = "", warn: bool = True) -> Cell:
    """A foreign frame as a cell: every atom is a sublattice of a crystal that has the frame as its primitive cell.

    Order, positions and boundary conditions are kept, and so is the box, but for missing vectors of open directions. Atoms
    in the plane z = 0, open along z, are a two-dimensional crystal: its third vector becomes (0, 0, 1). Atoms that FixAtoms (or
    a constraint on all three of their coordinates) holds are clamped.

    Parameters
    ----------
    atoms : ase.Atoms, str or Path
        The frame, or its file.
    where : str
        Beginning of every message.
    warn : bool
        Whether warnings are given.

    Returns
    -------
    Cell

    Raises
    ------
    InputError
        An unreadable file, no atoms, a zero vector along a periodic direction, or any other constraint.

    Warns
    -----
    InputWarning
        Of initial magnetic moments, charges and masses, which a cell does not keep.
    """
    atoms = read_structure(atoms)
    count = len(atoms)
    if warn:
        _warn_dropped(atoms, "the cell")
    vectors, periodic = complete_cell(atoms), boundaries(atoms)
    x, species = atoms.positions.copy(), tuple(atoms.symbols)
    free = ~_held(atoms, where)
    planar = periodic == (True, True, False) and not x[:, 2].any() and not vectors[:2, 2].any() and not vectors[2, :2].any()
    if planar:
        vectors[2] = [0.0, 0.0, 1.0]
    lattice = Lattice(atoms.get_chemical_formula(), vectors, x, species, np.eye(3, dtype=int), 2 if planar else 3)
    return Cell(
        lattice=lattice,
        vectors=vectors,
        periodic=periodic,
        positions=x,
        symbols=species,
        sites=np.arange(count),
        free=free,
        perfect_sites=Sites(np.zeros((count, 3), dtype=int), np.arange(count), np.eye(3, dtype=int) if any(periodic) else None),
        centre=x.mean(axis=0),
    )


def defect_from_atoms(perfect: Atoms | str | Path, defective: Atoms | str | Path) -> Defect:
    """The defect that turns a perfect supercell into a defective one in the same box.

    Atoms may be in any order, wrapped or relaxed, the origin may be shifted, and the box may be given by other vectors of the
    same periodicity. Applied to a cell of the same crystal the defect makes the same vacancies, substitutions and
    interstitials; see `crystal.match`.

    Parameters
    ----------
    perfect, defective : ase.Atoms, str or Path
        The two structures, or their files.

    Returns
    -------
    Defect

    Raises
    ------
    InputError
        Unreadable files, boxes that are strained or rotated against each other, different boundary conditions, a perfect
        structure that is no crystal, or two structures that do not differ, or differ in most of their atoms.

    Warns
    -----
    InputWarning
        Of what a defect does not keep: constraints, initial magnetic moments and charges, masses.

    Examples
    --------
    >>> from ase.build import bulk
    >>> import defectgen as dg
    >>> perfect = bulk("Cu", a=3.615, cubic=True).repeat(2)
    >>> defective = perfect.copy()
    >>> del defective[5]
    >>> dg.defect_from_atoms(perfect, defective)
    Defect(v_Cu)
    """
    perfect, defective = read_structure(perfect), read_structure(defective)
    _warn_dropped(defective, "the defect", constraints=True)
    box, other = complete_cell(perfect), complete_cell(defective)
    closed = np.array(boundaries(perfect))
    if np.any(closed != defective.pbc):
        raise InputError(
            f"the perfect and the defective structure must share one box and its boundary conditions; got pbc {closed.tolist()} "
            f"and {defective.pbc.tolist()}: set atoms.pbc of both"
        )
    _check_one_box(box, other, closed)
    return match_defect(
        perfect.positions, tuple(perfect.symbols), defective.positions, tuple(defective.symbols), box, boundaries(perfect)
    )


def _check_one_box(box: Float[np.ndarray, "3 3"], other: Float[np.ndarray, "3 3"], closed: np.ndarray) -> None:
    """Raises InputError unless the vectors along periodic directions span one lattice of translations."""
    for what, vectors in (("perfect", box), ("defective", other)):
        if not (np.isfinite(vectors).all() and abs(np.linalg.det(vectors)) > FLAT * np.linalg.norm(vectors, axis=1).prod()):
            raise InputError(
                f"the cell vectors of the {what} structure must be finite and span a volume; got "
                f"{np.round(vectors, 4).tolist()} A"
            )
    whole = np.rint(other @ np.linalg.inv(box))
    whole[~closed], whole[:, ~closed] = np.eye(3)[~closed], np.eye(3)[:, ~closed]
    same = abs(round(np.linalg.det(whole))) == 1
    if same and np.abs((whole @ box - other)[closed]).max(initial=0.0) < SAME_BOX:
        return
    wanted = "the perfect and the defective structure must share one box"
    given = f"got {np.round(box, 4).tolist()} and {np.round(other, 4).tolist()} A"
    if not same:
        raise InputError(f"{wanted}; {given}: give the perfect crystal in the supercell of the defective one")
    reference = (whole @ box) if closed.all() else np.where(closed[:, None], whole @ box, other)
    raise InputError(f"{wanted}; {given}, and {how_it_differs(reference, other)}")


def boundaries(atoms: Atoms) -> tuple[bool, bool, bool]:
    """The periodic directions of ASE atoms."""
    first, second, third = atoms.pbc.tolist()
    return first, second, third


def complete_cell(atoms: Atoms) -> Float[np.ndarray, "3 3"]:
    """Cell vectors as rows, A; one that is missing along an open direction is set across the others and spans the atoms.

    Raises InputError if there are no atoms, a vector is missing along a periodic direction, or the vectors span no volume.
    """
    if len(atoms) == 0:
        raise InputError("there are no atoms in this structure; give at least one")
    missing = ~np.asarray(atoms.cell).any(axis=1)
    if np.any(missing & atoms.pbc):
        raise InputError(
            f"atoms are periodic along cell vector {np.argmax(missing & atoms.pbc)}, which is zero; set it or open this direction"
        )
    given = np.asarray(atoms.cell)[~missing]
    lengths = np.linalg.norm(given, axis=1)
    if not np.all(np.isfinite(lengths) & (lengths > 0)):  # squares may overflow, or vanish
        raise InputError(f"the cell vectors {np.asarray(atoms.cell).tolist()} A have no finite lengths; correct the cell")
    if len(given) and not np.linalg.svd(given / lengths[:, None], compute_uv=False)[-1] > FLAT:
        raise InputError(
            f"the cell vectors {np.round(np.asarray(atoms.cell), 4).tolist()} A must span a volume, and lie in a plane or on a "
            "line; correct the cell"
        )
    vectors = np.array(atoms.cell.complete())
    for axis in np.flatnonzero(missing):
        vectors[axis] *= np.ptp(atoms.positions @ vectors[axis]) + MARGIN
    return vectors


def check_numbers(atoms: Atoms, where: str) -> None:
    """Raises InputError for positions or cell vectors that are not finite, or longer than any structure."""
    for what, numbers in (("positions", atoms.positions), ("cell vectors", np.asarray(atoms.cell))):
        if not np.all(np.abs(numbers) < LARGEST):
            raise InputError(f"{where} has {what} that are not finite, or beyond {LARGEST:.0e} A; correct it")


def has_moments(atoms: Atoms) -> bool:
    """Whether there are initial magnetic moments or charges, on which the energy of some calculators depends."""
    return bool(atoms.get_initial_magnetic_moments().any() or atoms.get_initial_charges().any())


def _held(atoms: Atoms, where: str) -> Bool[np.ndarray, " atoms"]:
    """Atoms that may not move. Raises InputError for a constraint that holds anything else."""
    held = np.zeros(len(atoms), dtype=bool)
    for constraint in atoms.constraints:
        whole = isinstance(constraint, (FixScaled, FixCartesian)) and np.all(constraint.mask)
        if isinstance(constraint, FixAtoms) or whole:
            held[constraint.index] = True
        elif not isinstance(constraint, FixCom):  # a shift of all atoms changes no energy
            alike = [c for c in atoms.constraints if type(c) is type(constraint)]
            count = len({int(k) for c in alike for k in np.ravel(getattr(c, "index", []))})
            which = f" on {count} atom{'s' * (count > 1)}" if count else ""
            raise InputError(
                f"{where}the constraint {type(constraint).__name__}{which} cannot be kept, only whole atoms are fixed "
                "(FixAtoms); remove it with atoms.set_constraint(), or fix these atoms in all directions"
            )
    return held


def _holds(constraint: Any) -> bool:
    """Whether a constraint changes where the atoms come to rest, relative to each other."""
    return not isinstance(constraint, FixCom) and bool(np.size(getattr(constraint, "index", 1)))


def _warn_dropped(atoms: Atoms, what: str, constraints: bool = False) -> None:
    """One line that names what is not kept although it changes some result."""
    lost = []
    if constraints and (kinds := list(dict.fromkeys(type(c).__name__ for c in atoms.constraints if _holds(c)))):
        lost.append(f"constraints ({', '.join(kinds)})")
    for name, values in (
        ("magnetic moments", atoms.get_initial_magnetic_moments()),
        ("charges", atoms.get_initial_charges()),
    ):
        if values.any():
            lost.append(f"initial {name} (up to {np.abs(values).max():.3g})")
    if atoms.has("masses") and np.abs(atoms.get_masses() / atomic_masses[atoms.numbers] - 1).max(initial=0.0) > SAME_MASS:
        lost.append("masses other than those of the elements")
    if lost:
        advice = ": for an ASE calculator give ASEReference(calculator, magnetic_moments={...}, charges={...})"
        warnings.warn(
            f"{what} does not keep {' and '.join(lost)} of {atoms.get_chemical_formula()}{advice if has_moments(atoms) else ''}",
            InputWarning,
            stacklevel=3,
        )


def _warn_vacuum(atoms: Atoms) -> None:
    """One line where a box that is periodic has an empty layer along one of its vectors."""
    if atoms.cell.rank < 3 or not len(atoms):
        return
    scaled = atoms.get_scaled_positions(wrap=True)
    heights = 1 / np.linalg.norm(atoms.cell.reciprocal(), axis=1)
    for axis in np.flatnonzero(atoms.pbc):
        place = np.sort(scaled[:, axis])
        gap = np.diff(np.append(place, place[0] + 1)).max() * heights[axis]
        if gap > GAP:
            warnings.warn(
                f"{atoms.get_chemical_formula()} has an empty layer of {gap:.1f} A along cell vector {axis} and is periodic "
                "there: this slab or molecule in a box is taken for a crystal, and has no elastic or phonon properties of a "
                "solid; use cell_from_ase(atoms), or set atoms.pbc to False along this vector",
                InputWarning,
                stacklevel=3,
            )
            return


def _as_utf8(source: str | Path) -> Iterator[Atoms]:
    """The same file as UTF-8 text without a byte-order mark; of a binary file the original failure."""
    kind = ase.io.formats.ioformats[ase.io.formats.filetype(str(source))]
    with open(source, encoding="utf-8-sig") as file:
        text = file.read()
    handle = io.BytesIO(text.encode()) if kind.isbinary else io.StringIO(text)
    yield from ase.io.iread(handle, index=-1, format=kind.name)


def read_structure(source: Atoms | str | Path) -> Atoms:
    """ASE atoms as they are, or those of a file."""
    if isinstance(source, Atoms):
        check_numbers(source, "a structure")
        return source
    if not isinstance(source, (str, Path)):
        raise InputError(f"a structure is an ase.Atoms or the path of a file; got {type(source).__name__}")
    if not Path(source).is_file():
        raise InputError(f"there is no file {source}; give the path of a structure file")
    try:
        try:
            (atoms,) = ase.io.iread(source, index=-1)
        except Exception:  # ASE reads in the encoding of the locale, and no byte-order mark
            (atoms,) = _as_utf8(source)
    except Exception as error:  # readers of foreign formats raise many types; the original stays chained
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{source} is no structure file that ASE can read ({reason[:200]}); convert it to extxyz, CIF or POSCAR"
        ) from error
    check_numbers(atoms, str(source))
    return atoms
