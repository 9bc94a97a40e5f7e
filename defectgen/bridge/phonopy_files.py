"""Force constants as phonopy keeps them: over a supercell, full (N, N, 3, 3) or compact (n_prim, N, 3, 3), in two formats."""

from pathlib import Path

import h5py
import numpy as np

from .._input import InputError
from .._typing import Float, Int
from ..crystal.cell import Cell
from ..energy.perfect import ForceConstants


def fold_force_constants(
    constants: ForceConstants, cell: Cell, p2s_map: Int[np.ndarray, " primitive"] | None = None
) -> Float[np.ndarray, "first sites 3 3"]:
    """Force constants of the infinite crystal summed over the images of a periodic perfect cell, eV/A^2.

    Phi_ij(cell) = sum over box vectors B of Phi(0, t_j - t_i + B): the Hessian of the perfect cell, atoms in the order of
    `cell.perfect` (and of `to_ase(cell.perfect)`). With `p2s_map` only the rows of these sites: `primitive_sites(cell)`
    makes the compact form.
    Raises InputError for a clamped ball.
    """
    matrix = cell.host.matrix
    if matrix is None:
        raise InputError("force constants fold into a periodic supercell; this cell is a clamped ball: use supercell(lattice, n)")
    first = np.arange(len(cell.host.sublattices)) if p2s_map is None else np.asarray(p2s_map)
    site_of = {key: site for site, key in enumerate(map(tuple, _folded(matrix, cell.host.translations, cell.host.sublattices)))}
    phi = np.zeros((len(first), len(site_of), 3, 3))
    for row, site in enumerate(first):
        pairs = np.flatnonzero(constants.first == cell.host.sublattices[site])
        target = _folded(matrix, cell.host.translations[site] + constants.translations[pairs], constants.second[pairs])
        np.add.at(phi[row], [site_of[key] for key in map(tuple, target)], constants.phi[pairs])
    return phi


def primitive_sites(cell: Cell) -> Int[np.ndarray, " sublattices"]:
    """The first site of every sublattice: phonopy's `p2s_map` for this cell."""
    return np.unique(cell.host.sublattices, return_index=True)[1]


def write_force_constants(
    path: str | Path, phi: Float[np.ndarray, "first sites 3 3"], p2s_map: Int[np.ndarray, " primitive"] | None = None
):
    """Write phonopy's `force_constants.hdf5` (suffix .hdf5 or .h5) or `FORCE_CONSTANTS` text (any other name, 15 decimals).

    Raises InputError if the array is not (N, N, 3, 3), nor (n_prim, N, 3, 3) with a `p2s_map` of n_prim entries.
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
            file["physical_unit"] = ["eV/angstrom^2"]
        return
    lines = [f"{phi.shape[0]:4d} {phi.shape[1]:4d}"]
    for i, row in zip(range(len(phi)) if p2s_map is None else p2s_map, phi, strict=True):
        for j, block in enumerate(row):
            lines.append(f"{i + 1} {j + 1}")
            lines += ["".join(f"{value:22.15f}" for value in line) for line in block]
    Path(path).write_text("\n".join(lines) + "\n")


def read_force_constants(path: str | Path) -> tuple[Float[np.ndarray, "first sites 3 3"], Int[np.ndarray, " first"]]:
    """Force constants (eV/A^2) and the supercell site of every row, from either of phonopy's files, told apart by content.

    Raises InputError for a file that is missing, or is neither.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no file {path}; give the path of a FORCE_CONSTANTS or force_constants.hdf5 file")
    try:
        phi, sites = _read_hdf5(path) if h5py.is_hdf5(path) else _read_text(path)
    except (ValueError, KeyError, IndexError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} is neither a FORCE_CONSTANTS nor a force_constants.hdf5 file ({error}); write it again"
        ) from error
    if not np.all(np.isfinite(phi)):
        raise InputError(f"{path} holds force constants that are not finite; write it again")
    return phi, sites


def _read_hdf5(path: Path):
    with h5py.File(path, "r") as file:
        phi = np.array(file["fc2" if "fc2" in file else "force_constants"])
        return phi, np.array(file["p2s_map"]) if "p2s_map" in file else np.arange(len(phi))


def _read_text(path: Path):
    words = path.read_text().split("\n", 1)
    shape = [int(n) for n in words[0].split()]
    rows, columns = shape if len(shape) == 2 else shape * 2
    table = np.array(words[1].split(), dtype=float).reshape(rows, columns, 11)
    return table[..., 2:].reshape(rows, columns, 3, 3), table[:, 0, 0].astype(np.int64) - 1


def _folded(matrix: np.ndarray, translations: np.ndarray, sublattices: np.ndarray) -> np.ndarray:
    """Rows that are equal for equal sites of the supercell: sublattice and translation modulo the box, in whole numbers."""
    det = round(np.linalg.det(matrix))
    adjugate = np.rint(np.linalg.inv(matrix) * det).astype(int)
    remainder = (translations @ adjugate) % abs(det)
    return np.column_stack([remainder, sublattices])
