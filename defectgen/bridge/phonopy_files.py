"""Force constants as phonopy keeps them: over a supercell, full (N, N, 3, 3) or compact (n_prim, N, 3, 3), in two formats."""

import re
from pathlib import Path

import h5py
import numpy as np

from .._input import InputError, reading
from .._typing import Float, Int
from ..crystal.cell import Cell
from ..energy.perfect import ForceConstants
from .hdf5 import dataset, opened
from .units import force_constant_unit

COMPANIONS = ("phonopy.yaml", "phonopy_params.yaml", "phonopy_disp.yaml")
"""Files in which phonopy notes the code and the units of a run."""

UNIT = "eV/angstrom^2"
"""What phonopy calls eV/A^2; the unit of its files that state none."""

CALCULATORS = {
    **dict.fromkeys(("abinit", "siesta", "abacus"), "eV/angstrom.au"),
    **dict.fromkeys(("qe", "qlm"), "Ry/au^2"),
    **dict.fromkeys(("elk", "exciting", "dftbp", "turbomole", "fleur", "octopus"), "hartree/au^2"),
    "wien2k": "mRy/au^2",
    "cp2k": "hartree/angstrom.au",
}
"""Units in which phonopy works for the codes that it reads (its manual, "Interfaces to calculators"); UNIT for all others."""


def fold_force_constants(
    constants: ForceConstants, cell: Cell, p2s_map: Int[np.ndarray, " primitive"] | None = None
) -> Float[np.ndarray, "first sites 3 3"]:
    """Force constants of the infinite crystal summed over the images of a periodic perfect cell.

    Parameters
    ----------
    constants : ForceConstants
        Of the infinite crystal, eV/A^2.
    cell : Cell
        The supercell; a defect in it does not count.
    p2s_map : array of int, optional
        Sites whose rows are wanted, such as `primitive_sites(cell)` for phonopy's compact form; all if not given.

    Returns
    -------
    array (first, sites, 3, 3)
        eV/A^2, sites in the order of `cell.perfect` (and of `to_ase(cell.perfect)`).

    Raises
    ------
    InputError
        The cell is a clamped ball.

    Notes
    -----
    Phi_ij(cell) = sum over box vectors B of Phi(0, t_j - t_i + B): the Hessian of the perfect cell.
    """
    matrix = cell.perfect_sites.matrix
    if matrix is None:
        raise InputError("force constants fold into a periodic supercell; this cell is a clamped ball: use supercell(lattice, n)")
    first = np.arange(len(cell.perfect_sites.sublattices)) if p2s_map is None else np.asarray(p2s_map)
    site_of = {
        key: site
        for site, key in enumerate(
            map(tuple, folded_sites(matrix, cell.perfect_sites.translations, cell.perfect_sites.sublattices))
        )
    }
    phi = np.zeros((len(first), len(site_of), 3, 3))
    for row, site in enumerate(first):
        pairs = np.flatnonzero(constants.first == cell.perfect_sites.sublattices[site])
        target = folded_sites(
            matrix, cell.perfect_sites.translations[site] + constants.translations[pairs], constants.second[pairs]
        )
        np.add.at(phi[row], [site_of[key] for key in map(tuple, target)], constants.phi[pairs])
    return phi


def primitive_sites(cell: Cell) -> Int[np.ndarray, " sublattices"]:
    """The first site of every sublattice: phonopy's `p2s_map` for a cell.

    Parameters
    ----------
    cell : Cell
        The supercell.

    Returns
    -------
    array (sublattices,) of int
    """
    return np.unique(cell.perfect_sites.sublattices, return_index=True)[1]


def write_force_constants(
    path: str | Path, phi: Float[np.ndarray, "first sites 3 3"], p2s_map: Int[np.ndarray, " primitive"] | None = None
) -> None:
    """Write phonopy's `force_constants.hdf5` (suffix .hdf5 or .h5) or `FORCE_CONSTANTS` text (any other name, 15 decimals).

    Parameters
    ----------
    path : str or Path
        The file.
    phi : array (first, sites, 3, 3)
        eV/A^2.
    p2s_map : array of int, optional
        The sites of the rows, if these are not all sites.

    Raises
    ------
    InputError
        The array is not (N, N, 3, 3), nor (n_prim, N, 3, 3) with a `p2s_map` of n_prim entries.
    """
    phi = np.asarray(phi, dtype=float)
    if phi.ndim != 4 or phi.shape[2:] != (3, 3) or (len(phi) != phi.shape[1] if p2s_map is None else len(phi) != len(p2s_map)):
        raise InputError(
            f"force constants are (N, N, 3, 3), or (n_prim, N, 3, 3) with a p2s_map of n_prim sites; got {phi.shape} with "
            f"{'no p2s_map' if p2s_map is None else f'a p2s_map of {len(p2s_map)}'}"
        )
    if Path(path).suffix in (".hdf5", ".h5"):
        with h5py.File(path, "w") as file:
            file["force_constants"] = phi
            if p2s_map is not None:
                file["p2s_map"] = np.asarray(p2s_map, dtype=np.int64)
            file["physical_unit"] = [UNIT]
        return
    lines = [f"{phi.shape[0]:4d} {phi.shape[1]:4d}"]
    for i, row in zip(range(len(phi)) if p2s_map is None else p2s_map, phi, strict=True):
        for j, block in enumerate(row):
            lines.append(f"{i + 1} {j + 1}")
            lines += ["".join(f"{value:22.15f}" for value in line) for line in block]
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_force_constant_arrays(
    path: str | Path, unit: str | None = None
) -> tuple[Float[np.ndarray, "first sites 3 3"], Int[np.ndarray, " first"]]:
    """Force constants and the supercell site of every row, from either of phonopy's files, distinguished by their content.

    Parameters
    ----------
    path : str or Path
        A `FORCE_CONSTANTS` or `force_constants.hdf5` file.
    unit : str, optional
        Unit of energy over length squared as phonopy spells it, such as Ry/au^2, hartree/au^2 or eV/angstrom.au. What a
        file states (`physical_unit`) is converted without it. A text file states none: `unit` has to be given where it is
        not eV/angstrom^2, and where a `phonopy.yaml` (or `phonopy_params.yaml`, `phonopy_disp.yaml`) of the same folder
        states another one.

    Returns
    -------
    array (first, sites, 3, 3)
        eV/A^2.
    array (first,) of int
        Site of the supercell of every row.

    Raises
    ------
    InputError
        A file that is missing, or is neither; a unit that is unknown or is not the one that the file states.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no file {path}; give the path of a FORCE_CONSTANTS or force_constants.hdf5 file")
    with reading(path, "force constants, neither as FORCE_CONSTANTS nor as force_constants.hdf5", "write it again"):
        phi, sites, stated = _read_hdf5(path) if h5py.is_hdf5(path) else _read_text(path)
    if phi.ndim != 4 or phi.shape[2:] != (3, 3) or not 0 < len(phi) <= phi.shape[1] or sites.shape != phi.shape[:1]:
        raise InputError(
            f"{path} holds force constants of shape {phi.shape} for {sites.shape} sites, and (n, N, 3, 3) for n of the N sites "
            "of a supercell were expected; write it again"
        )
    if sites.dtype.kind not in "iu" or np.any((sites < 0) | (sites >= phi.shape[1])) or len(np.unique(sites)) < len(sites):
        raise InputError(
            f"{path} names sites that its supercell of {phi.shape[1]} atoms does not have, or one twice; write it again"
        )
    if not np.all(np.isfinite(phi)):
        raise InputError(f"{path} holds force constants that are not finite; write it again")
    if stated is None and unit is None:
        _check_folder(path)
    return phi * _factor(path, stated, unit), sites


def _check_folder(path: Path) -> None:
    """Refuse a file that states no unit, if phonopy's files of the same folder say that the run has another one than eV/A^2."""
    companion = next((c for c in map(path.with_name, COMPANIONS) if c.is_file()), None)
    if companion is None:
        return
    with open(companion, encoding="utf-8-sig", errors="replace") as file:
        text = file.read(1 << 16)
    stated = re.search(r"^  force_constants: *\"?([^\"\n]+?)\"? *$", text, re.MULTILINE)
    code = re.search(r"^  calculator: *(\w+)", text, re.MULTILINE)
    unit = stated[1] if stated else CALCULATORS.get(code[1], UNIT) if code else UNIT
    if force_constant_unit(unit) != 1.0:
        raise InputError(
            f"{path} states no unit, and {companion.name} of the same folder says {unit!r}; give unit={unit!r} or unit={UNIT!r}"
        )


def _factor(path: Path, stated: str | None, given: str | None) -> float:
    """eV/A^2 of the unit of a file."""
    factors = []
    for unit in (u for u in (stated, given) if u is not None):
        factor = force_constant_unit(unit)
        if factor is None:
            raise InputError(
                f"the unit of the force constants in {path} is {unit!r}, and known are those of energy over length squared: "
                f"{UNIT}, eV/angstrom.au, Ry/au^2, mRy/au^2, hartree/au^2, hartree/angstrom.au; convert the file"
            )
        factors.append(factor)
    if factors and abs(factors[0] / factors[-1] - 1) > 1e-6:
        raise InputError(f"{path} states the unit {stated!r} of its force constants, and {given!r} is requested; leave that out")
    return factors[0] if factors else 1.0


def _read_hdf5(path: Path):
    with opened(path, "force constants") as file:
        where = f"the file {path}"
        phi = np.array(dataset(file, "fc2" if "fc2" in file else "force_constants", where), dtype=float)
        if "p2s_map" not in file and phi.ndim == 4 and len(phi) < phi.shape[1]:
            raise InputError(
                f"{path} holds the rows of {len(phi)} of {phi.shape[1]} atoms and no p2s_map, which says of which atoms; "
                "write it with p2s_map, or all rows (phonopy --full-fc)"
            )
        sites = np.array(dataset(file, "p2s_map", where, "iu")) if "p2s_map" in file else np.arange(len(phi))
        units = np.ravel(dataset(file, "physical_unit", where, "SUO")[()]) if "physical_unit" in file else []
        stated = units[0] if len(units) else None
        return phi, sites, stated.decode() if isinstance(stated, bytes) else None if stated is None else str(stated)


def _read_text(path: Path):
    words = path.read_text(encoding="utf-8-sig").split("\n", 1)
    shape = [int(n) for n in words[0].split()]
    rows, columns = shape if len(shape) == 2 else shape * 2
    found = words[1].split()
    if rows < 1 or columns < 1 or len(found) != 11 * rows * columns:
        raise InputError(
            f"{path} is neither a whole FORCE_CONSTANTS file, of {rows} x {columns} blocks of 11 numbers, nor an HDF5 file: "
            f"it has {len(found)} numbers; write it again"
        )
    table = np.array(found, dtype=float).reshape(rows, columns, 11)
    if not np.all(np.isfinite(table)) or np.any(table[:, 0, 0] != np.rint(table[:, 0, 0])):
        raise InputError(f"{path} holds force constants that are not finite, or sites that are no whole numbers; write it again")
    if np.any(table[:, :, 0] != table[:, :1, 0]) or np.any(table[:, :, 1] != np.arange(1, columns + 1)):
        raise InputError(
            f"{path} names its blocks of force constants in another order than row by row, atoms 1 to {columns}; write it again"
        )
    return table[..., 2:].reshape(rows, columns, 3, 3), table[:, 0, 0].astype(np.int64) - 1, None


def folded_sites(matrix: np.ndarray, translations: np.ndarray, sublattices: np.ndarray) -> np.ndarray:
    """Rows that are equal for equal sites of the supercell: sublattice and translation modulo the box, in whole numbers."""
    det = round(np.linalg.det(matrix))
    adjugate = np.rint(np.linalg.inv(matrix) * det).astype(int)
    remainder = (translations @ adjugate) % abs(det)
    return np.column_stack([remainder, sublattices])
