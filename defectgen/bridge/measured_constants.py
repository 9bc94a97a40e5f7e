"""Force constants that another code computed, with the crystal that they are of: phonopy's files, phonopy and hiphive objects."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from ase import Atoms
from ase.units import Bohr

from .._display import shown
from .._input import InputError, check_finite, file_of, reading
from .._typing import Float, Int
from .._yaml import load_yaml
from ..crystal.lattice import Lattice
from ..crystal.symmetry import space_group
from ..energy.perfect import ForceConstants
from .phonopy_files import CALCULATORS, COMPANIONS, UNIT, folded_sites, read_force_constant_arrays, write_force_constants
from .structures import from_ase, read_structure
from .units import force_constant_unit

ON_SITE = 0.02
"""A: how far atoms of a supercell may be from the sites of its crystal; force constants are those of the perfect crystal."""

TIED = 1e-4
"""A: images at distances that differ by less share a force constant equally."""

MOST_ATOMS = 100_000
"""Of a supercell; its force constants would fill 700 GB."""

UNEVEN = 0.05
"""Of the largest force constant: rows of equivalent atoms that differ by more are no force constants of this crystal."""


@dataclass(frozen=True, eq=False)
class MeasuredForceConstants:
    """Force constants of a crystal from a supercell; `dg.label(..., force_constants=these)` makes FC rows of them.

    `print` says of what crystal, in which supercell, and how well sum rules hold.
    """

    lattice: Lattice
    """The primitive cell, where the atoms of the file are."""
    constants: ForceConstants
    """eV/A^2; each is a sum over the images in the supercell, and given to the nearest of them, in equal parts."""
    positions: Float[np.ndarray, "atoms 3"]
    """Atoms of the supercell in the order of the file, A."""
    vectors: Float[np.ndarray, "3 3"]
    """Of the supercell, A."""
    source: str = ""

    def __repr__(self) -> str:
        size = f"supercell of {len(self.positions):,} atoms"
        return shown(self, self.lattice.name, size, f"{len(self.constants.first):,} pairs", self.source)

    @cached_property
    def sites(self) -> tuple[Int[np.ndarray, " atoms"], Int[np.ndarray, "atoms 3"]]:
        """Sublattice and translation of every atom of the supercell."""
        return _sites(self.lattice, self.positions)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Of the atoms of the supercell."""
        return tuple(self.lattice.species[b] for b in self.sites[0])

    def array(self, compact: bool = False) -> Float[np.ndarray, "first atoms 3 3"]:
        """As phonopy keeps them, eV/A^2: (N, N, 3, 3), or compact, the rows of `p2s_map`."""
        sublattices, translations = self.sites
        first = self.p2s_map if compact else np.arange(len(sublattices))
        matrix = self.constants.supercell
        assert matrix is not None  # they come from one
        c, phi = self.constants, np.zeros((len(first), len(sublattices), 3, 3))
        place = {key: j for j, key in enumerate(map(tuple, folded_sites(matrix, translations, sublattices)))}
        for row, i in enumerate(first):
            pairs = np.flatnonzero(c.first == sublattices[i])
            target = folded_sites(matrix, translations[i] + c.translations[pairs], c.second[pairs])
            np.add.at(phi[row], [place[key] for key in map(tuple, target)], c.phi[pairs])
        return phi

    @property
    def p2s_map(self) -> Int[np.ndarray, " sublattices"]:
        """The first atom of every sublattice."""
        return np.unique(self.sites[0], return_index=True)[1]

    def write(self, path: str | Path, compact: bool = False) -> None:
        """Write `force_constants.hdf5` (suffix .hdf5 or .h5) or `FORCE_CONSTANTS` for phonopy and hiphive."""
        write_force_constants(path, self.array(compact), self.p2s_map if compact else None)

    @property
    def drift(self) -> float:
        """Largest violation of the acoustic sum rule, eV/A^2."""
        c = self.constants
        sums = np.zeros((self.lattice.sublattices, 3, 3))
        np.add.at(sums, c.first, c.phi)
        return float(np.abs(sums).max())

    def __str__(self) -> str:
        c = self.constants
        far = float(np.linalg.norm(c.separations, axis=1).max())
        return (
            f"force constants of {self.lattice.name} ({self.lattice.sublattices} atoms in the primitive cell) from a supercell "
            f"of {len(self.positions)} atoms, up to {far:.2f} A; the largest is {np.abs(c.phi).max():.4g} eV/A^2, the acoustic "
            f"sum rule is violated by {self.drift:.2g} eV/A^2"
        )


def read_force_constants(
    source: str | Path | Any,
    structure: Atoms | str | Path | None = None,
    supercell: Sequence[int] | None = None,
    unit: str | None = None,
) -> MeasuredForceConstants:
    """Force constants from a file of phonopy, or from a phonopy or hiphive object.

    Parameters
    ----------
    source : path or object
        FORCE_CONSTANTS or force_constants.hdf5 (full or compact), FORCE_SETS, phonopy.yaml or phonopy_params.yaml with force
        constants or forces in it; a `Phonopy` object with force constants; a hiphive `ForceConstants` object.
    structure : Atoms or path, optional
        The supercell, atoms in the order of the file (phonopy's SPOSCAR), or the unit cell with `supercell`. By default what a
        phonopy.yaml (phonopy_params.yaml, phonopy_disp.yaml) or SPOSCAR of the same folder says.
    supercell : three whole numbers, optional
        Multiples of the unit cell `structure` along its vectors, atoms in phonopy's order.
    unit : str, optional
        Of the force constants where the file states none and it is not eV/angstrom^2, such as "Ry/au^2".

    Returns
    -------
    MeasuredForceConstants
        Of the primitive crystal, eV/A^2.

    Raises
    ------
    InputError
        For files that are missing, truncated or of another kind, a structure that is missing or has other atoms, units that are
        unknown or in doubt, displacements that do not determine all force constants, and rows that are not those of one crystal.
    """
    if not isinstance(source, str | Path):
        return _of_object(source)
    path = file_of(source, "force constants")
    if not path.is_file():
        raise InputError(f"there is no file {path}; give FORCE_CONSTANTS, FORCE_SETS, force_constants.hdf5 or phonopy.yaml")
    if path.suffix.lower() in (".yaml", ".yml"):
        return _of_yaml(path, unit)
    atoms = _structure(path, structure, supercell)
    if not h5py.is_hdf5(path) and _is_force_sets(path):
        factor = _factor(path, unit)
        displacements = _read_force_sets(path, len(atoms))
        return _from_displacements(atoms, displacements, factor, str(path))
    phi, rows = read_force_constant_arrays(path, unit)
    return _from_array(atoms, phi, rows, str(path))


# ------ The crystal of a supercell, and force constants as pairs of its sites


def _sites(lattice: Lattice, positions: np.ndarray) -> tuple[Int[np.ndarray, " atoms"], Int[np.ndarray, "atoms 3"]]:
    """Sublattice and translation of every atom. Raises InputError for one that is on no site."""
    inverse = np.linalg.inv(lattice.vectors)
    fractional = (positions[:, None] - lattice.motif[None]) @ inverse
    miss = np.linalg.norm((fractional - np.rint(fractional)) @ lattice.vectors, axis=-1)
    best = np.argmin(miss, axis=1)
    far = miss[np.arange(len(positions)), best]
    if far.max() > ON_SITE:
        raise InputError(
            f"atom {int(far.argmax()) + 1} of the supercell is {far.max():.2g} A from the sites of its crystal; give the perfect "
            "supercell, without displacements"
        )
    return best, np.rint(fractional[np.arange(len(positions)), best]).astype(int)


def _from_array(atoms: Atoms, phi: np.ndarray, rows: np.ndarray, source: str, checked: bool = True) -> MeasuredForceConstants:
    """From phonopy's array over a supercell, whose rows are those of the atoms `rows`."""
    if phi.shape[1] != len(atoms):
        raise InputError(
            f"{source} holds force constants of a supercell of {phi.shape[1]} atoms, and the structure has {len(atoms)}; give "
            "the supercell of the force constants"
        )
    lattice = from_ase(Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True))
    sublattices, translations = _sites(lattice, atoms.positions)
    matrix = np.rint(np.asarray(atoms.cell) @ np.linalg.inv(lattice.vectors)).astype(int)
    keys = list(map(tuple, folded_sites(matrix, translations, sublattices)))
    place = {key: j for j, key in enumerate(keys)}
    if len(place) < len(keys):
        raise InputError(f"two atoms of the supercell of {source} are on one site; correct the structure")
    table = np.zeros((lattice.sublattices, len(keys), 3, 3))
    count = np.zeros(lattice.sublattices, dtype=int)
    found = []
    for row, i in zip(phi, rows, strict=True):
        target = folded_sites(matrix, translations - translations[i], sublattices)
        own = np.zeros_like(table[0])
        own[[place[key] for key in map(tuple, target)]] = row
        table[sublattices[i]] += own
        count[sublattices[i]] += 1
        found.append((int(sublattices[i]), own))
    if not count.all():
        missing = lattice.species[int(np.flatnonzero(count == 0)[0])]
        raise InputError(f"{source} has no rows of one of the {missing} atoms of the primitive cell; write all of them")
    table /= count[:, None, None, None]
    uneven = max(float(np.abs(own - table[b]).max()) for b, own in found)
    if checked and uneven > UNEVEN * np.abs(table).max():
        raise InputError(
            f"rows of equivalent atoms in {source} differ by {uneven:.2g} eV/A^2, so they are not force constants of this "
            "crystal in this order of atoms; give the supercell that they belong to (phonopy's SPOSCAR)"
        )
    return _made(lattice, table, keys, translations, sublattices, matrix, atoms, source)


def _made(lattice, table, keys, translations, sublattices, matrix, atoms, source) -> MeasuredForceConstants:
    """Pairs of a table (sublattices, atoms of the supercell) of force constants, each with its nearest images."""
    steps = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), -1).reshape(-1, 3) @ matrix
    first, second, shift, phi = [], [], [], []
    for b in range(lattice.sublattices):
        t = translations[:, None] + steps[None]
        d = t @ lattice.vectors + lattice.motif[sublattices][:, None] - lattice.motif[b]
        r = np.linalg.norm(d, axis=-1)
        near = r < r.min(axis=1, keepdims=True) + TIED
        j, image = np.nonzero(near)
        first.append(np.full(len(j), b))
        second.append(sublattices[j])
        shift.append(t[j, image])
        phi.append(table[b][j] / near.sum(axis=1)[j, None, None])
    first, second, shift = np.concatenate(first), np.concatenate(second), np.concatenate(shift)
    separations = shift @ lattice.vectors + lattice.motif[second] - lattice.motif[first]
    constants = ForceConstants(first, second, shift, separations, np.concatenate(phi), None, matrix)
    return MeasuredForceConstants(lattice, constants, np.array(atoms.positions), np.array(atoms.cell), source)


Moved = tuple[int, np.ndarray, np.ndarray]
"""A displaced atom of the supercell, its displacement (A), and the forces on all atoms."""


def _from_displacements(atoms: Atoms, moved: Iterable[Moved], factor: float, source: str) -> MeasuredForceConstants:
    """From forces: every displacement and its images under the space group are equations -F = u Phi, solved by least squares.

    Raises InputError if they do not determine the force constants of an atom of the primitive cell.
    """
    lattice = from_ase(Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True))
    sublattices, translations = _sites(lattice, atoms.positions)
    matrix = np.rint(np.asarray(atoms.cell) @ np.linalg.inv(lattice.vectors)).astype(int)
    keys = list(map(tuple, folded_sites(matrix, translations, sublattices)))
    place = {key: j for j, key in enumerate(keys)}
    inverse, box = np.linalg.inv(lattice.vectors), np.linalg.inv(matrix)
    rows: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {b: [] for b in range(lattice.sublattices)}
    for turn, shift in zip(*space_group(lattice), strict=True):
        whole = np.rint(lattice.vectors @ turn @ inverse).astype(int)
        if np.abs(matrix @ whole @ box - np.rint(matrix @ whole @ box)).max() > 1e-6:
            continue  # this operation does not keep the supercell
        images, origin = _sites(lattice, lattice.motif @ turn + shift)
        there, t = images[sublattices], origin[sublattices] + translations @ whole
        for atom, displacement, forces in moved:
            target = folded_sites(matrix, t - t[atom], there)
            own = np.empty_like(forces)
            own[[place[key] for key in map(tuple, target)]] = forces @ turn
            rows[int(there[atom])].append((displacement @ turn, own))
    table = np.zeros((lattice.sublattices, len(atoms), 3, 3))
    for b, found in rows.items():
        u = np.array([d for d, _ in found]).reshape(-1, 3)
        if len(u) < 3 or np.linalg.matrix_rank(u, tol=1e-6 * max(float(np.abs(u).max(initial=0.0)), 1e-12)) < 3:
            raise InputError(
                f"the displacements of {source} do not determine the force constants of {lattice.species[b]}; give all that "
                "phonopy made"
            )
        pushed = np.array([f for _, f in found]).reshape(len(u), -1)
        table[b] = -np.moveaxis((np.linalg.pinv(u) @ pushed).reshape(3, len(atoms), 3), 0, 1) * factor
    return _made(lattice, table, keys, translations, sublattices, matrix, atoms, source)


# ------ Files


def _structure(path: Path, given: Atoms | str | Path | None, supercell: Sequence[int] | None) -> Atoms:
    """The supercell of a file: given, or what its folder says."""
    if given is not None:
        atoms = given if isinstance(given, Atoms) else read_structure(given)
        return atoms if supercell is None else _repeated(atoms, supercell)
    if supercell is not None:
        raise InputError("supercell multiplies the unit cell given as structure; give both, or the supercell as structure")
    for name in COMPANIONS:
        if (beside := path.with_name(name)).is_file() and "supercell" in (content := _yaml(beside)):
            return _cell_of_yaml(content, "supercell", beside)
    if (poscar := path.with_name("SPOSCAR")).is_file():
        return read_structure(poscar)
    raise InputError(
        f"{path} does not contain its crystal, and its folder has no {', '.join(COMPANIONS)} or SPOSCAR; give the supercell as "
        "structure='SPOSCAR', or the unit cell with supercell=(2, 2, 2)"
    )


def _repeated(unit: Atoms, supercell: Sequence[int]) -> Atoms:
    """A supercell in phonopy's order: atom by atom of the unit cell, the first vector fastest."""
    try:
        numbers = np.asarray(supercell)
    except ValueError:  # rows of several lengths
        numbers = np.zeros(0)
    if numbers.shape == (3, 3) and not np.any(numbers - np.diag(np.diag(numbers))):
        numbers = np.diag(numbers)
    if numbers.shape != (3,) or numbers.dtype.kind not in "iu" or np.any(numbers < 1):
        raise InputError(
            f"supercell is three whole numbers from 1, as (2, 2, 2); got {supercell!r}: give another supercell as structure, "
            "its atoms in phonopy's order (SPOSCAR)"
        )
    if len(unit) * float(np.prod(numbers.astype(float))) > MOST_ATOMS:
        raise InputError(f"a supercell of {supercell!r} unit cells of {len(unit)} atoms has more than {MOST_ATOMS} atoms")
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in numbers[::-1]], indexing="ij"), -1).reshape(-1, 3)[:, ::-1]
    x = (unit.positions[:, None] + (grid @ np.asarray(unit.cell))[None]).reshape(-1, 3)
    symbols = [s for s in unit.symbols for _ in grid]
    return Atoms(symbols, positions=x, cell=numbers[:, None] * np.asarray(unit.cell), pbc=True)


def _is_force_sets(path: Path) -> bool:
    """Whether the first two lines are single whole numbers; FORCE_CONSTANTS begins with one or two and a pair of atoms."""
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        head = [line.split() for _, line in zip(range(12), file, strict=False) if line.strip()]
    return len(head) > 3 and [len(line) for line in head[:4]] == [1, 1, 1, 3]


def _read_force_sets(path: Path, atoms: int) -> list[Moved]:
    """Displacements and forces of a FORCE_SETS file of type 1."""
    with reading(path, "a FORCE_SETS file", "write it again"):
        words = path.read_text(encoding="utf-8-sig").split()
        count, sets = int(words[0]), int(words[1])
        if count != atoms:
            raise InputError(
                f"{path} has forces on {count} atoms, and the structure has {atoms}; give the supercell of the forces, or its "
                "unit cell with supercell=(...)"
            )
        if len(words) != 2 + sets * (4 + 3 * count):
            raise InputError(
                f"{path} announces {sets} displacements of {count} atoms, and holds {len(words) - 2} numbers instead of "
                f"{sets * (4 + 3 * count)}: it is cut short, or is not of one displaced atom each (type 1); write it again"
            )
        table = np.array(words[2:], dtype=float).reshape(sets, 4 + 3 * count)
    check_finite(table, f"the numbers of {path}")
    places = table[:, 0].astype(int) - 1
    if np.any(places != table[:, 0] - 1) or np.any((places < 0) | (places >= count)):
        raise InputError(f"{path} names displaced atoms that are not 1 to {count}; write it again")
    return [(int(k), row[1:4], row[4:].reshape(count, 3)) for k, row in zip(places, table, strict=True)]


def _factor(path: Path, unit: str | None, content: dict | None = None) -> float:
    """eV/A^2 of force over displacement, from the argument or a phonopy.yaml, if given."""
    if content is None:
        beside = next((c for c in map(path.with_name, COMPANIONS) if c.is_file()), None)
        content = {} if beside is None else _yaml(beside)
    stated = (content.get("physical_unit") or {}).get("force_constants")
    code = str((content.get("phonopy") or {}).get("calculator") or "")
    word = unit or stated or CALCULATORS.get(code, UNIT)
    factor = force_constant_unit(str(word))
    if factor is None:
        raise InputError(
            f"the unit of force constants {word!r} of {path} is not known; known are {UNIT}, Ry/au^2, hartree/au^2, ..."
        )
    if unit is not None and stated is not None and abs((force_constant_unit(str(stated)) or 0.0) / factor - 1) > 1e-6:
        raise InputError(f"{path} states the unit {stated!r} of its force constants, and {unit!r} is given; leave that out")
    return factor


def _yaml(path: Path) -> dict:
    """The content of a phonopy.yaml."""
    with reading(path, "a phonopy.yaml", "write it again with phonopy"):
        content = load_yaml(path.read_text(encoding="utf-8-sig"))
    if isinstance(content, dict):
        for name in ("phonopy", "physical_unit"):
            if not isinstance(content.get(name) or {}, dict):
                raise InputError(f"{path} is no phonopy.yaml: its {name!r} is no table; write it again with phonopy")
    if not isinstance(content, dict):
        raise InputError(f"{path} is no phonopy.yaml: it is not a table; write it again with phonopy")
    return content


def _cell_of_yaml(content: dict, name: str, path: Path) -> Atoms:
    """A cell of a phonopy.yaml, in A."""
    length = str((content.get("physical_unit") or {}).get("length", "angstrom"))
    if length not in ("angstrom", "au"):
        raise InputError(f"{path} states the unit of length {length!r}; known are angstrom and au")
    with reading(path, "a phonopy.yaml", "write it again with phonopy"):
        cell = content[name]
        vectors = np.array(cell["lattice"], dtype=float) * (Bohr if length == "au" else 1.0)
        points = cell["points"]
        symbols = [re.sub(r"\d+$", "", str(p["symbol"])) for p in points]
        fractional = np.array([p["coordinates"] for p in points], dtype=float)
        check_finite(vectors, f"the box vectors of {path}")
        check_finite(fractional, f"the coordinates of {path}")
        if vectors.shape != (3, 3) or not abs(np.linalg.det(vectors)) > 1e-6:
            raise InputError(f"the box vectors of {path} span no volume; got {vectors.tolist()}")
        return Atoms(symbols, scaled_positions=fractional, cell=vectors, pbc=True)


def _of_yaml(path: Path, unit: str | None) -> MeasuredForceConstants:
    """Force constants, or forces of displacements, of a phonopy.yaml."""
    content = _yaml(path)
    if "supercell" not in content:
        raise InputError(f"{path} has no 'supercell', so it is no phonopy.yaml; give the file that phonopy wrote")
    atoms, factor = _cell_of_yaml(content, "supercell", path), _factor(path, unit, content)
    with reading(path, "a phonopy.yaml with force constants", "write it again with phonopy --include-fc"):
        if (found := content.get("force_constants")) is not None:
            shape = [int(n) for n in found["shape"]]
            phi = np.array(found["elements"], dtype=float).reshape(*shape, 3, 3)
            points = content["supercell"]["points"]
            primitive = sorted({int(p["reduced_to"]) - 1 for p in points if "reduced_to" in p})
            rows = np.arange(len(atoms)) if shape[0] == shape[1] else np.array(primitive)
            if len(rows) != shape[0]:
                raise InputError(f"{path} has {shape[0]} rows of force constants and {len(rows)} atoms that they belong to")
            check_finite(phi, f"the force constants of {path}")
            return _from_array(atoms, phi * factor, rows, str(path))
        sets = [d for d in content.get("displacements") or () if isinstance(d, dict) and "forces" in d]
        if not sets:
            for name in ("force_constants.hdf5", "FORCE_CONSTANTS", "FORCE_SETS"):
                if path.with_name(name).is_file():
                    return read_force_constants(path.with_name(name), unit=unit)
            raise InputError(
                f"{path} holds neither force constants nor forces of displacements, and its folder has none; write it with "
                "phonopy --include-fc or --include-fs"
            )
        moved = [(int(d["atom"]) - 1, np.array(d["displacement"], float), np.array(d["forces"], float)) for d in sets]
    if any(u.shape != (3,) or f.shape != (len(atoms), 3) or not 0 <= k < len(atoms) for k, u, f in moved):
        raise InputError(f"{path} has forces of displacements that do not fit its {len(atoms)} atoms; write it again")
    for _, u, f in moved:
        check_finite(u, f"the displacements of {path}")
        check_finite(f, f"the forces of {path}")
    return _from_displacements(atoms, moved, factor, str(path))


def _of_object(given: Any) -> MeasuredForceConstants:
    """Of phonopy's and hiphive's objects, by what they offer."""
    name = type(given).__name__
    if callable(getattr(given, "get_fc_array", None)) and getattr(given, "supercell", None) is not None:  # hiphive
        atoms = given.supercell
        phi = np.asarray(given.get_fc_array(order=2), dtype=float)
        return _from_array(atoms, phi, np.arange(len(atoms)), f"a {name} object")
    if getattr(given, "force_constants", None) is not None and getattr(given, "supercell", None) is not None:  # phonopy
        cell, phi = given.supercell, np.asarray(given.force_constants, dtype=float)
        atoms = Atoms(list(cell.symbols), positions=cell.positions, cell=cell.cell, pbc=True)
        rows = np.arange(len(atoms)) if len(phi) == len(atoms) else np.asarray(given.primitive.p2s_map)
        return _from_array(atoms, phi, rows, f"a {name} object")
    raise InputError(
        "force constants are read from a path, a Phonopy object with force constants, or a hiphive ForceConstants object; got "
        f"{name}"
    )
