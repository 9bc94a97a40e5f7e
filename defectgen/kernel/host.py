"""Calls of the compiled kernel from Python, on arrays in the memory of the host, which are read as they lie."""

import ctypes
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Int32, UInt64

from .._typing import Bool, Float, Int
from .opened import opened

MOST = 32
"""Sums of one site that its work arrays hold (MOST_SUMS in sums.h)."""


def product_of_sums(
    index: Int[np.ndarray, "rows slots"],
    factors: Float[np.ndarray, "sites numbers slots"],
    curvature: Float[np.ndarray, "sites sums sums"],
    v: Float[np.ndarray, "atoms 3"],
    sites: int,
    radial: bool,
) -> Float[np.ndarray, "atoms 3"]:
    """H v of the first `sites` sites, eV/A^2 times the unit of v: see sums.h for the order of the factors.

    The arrays are read as they lie in memory; all indices are below the number of atoms.
    """
    slots, sums = factors.shape[2], curvature.shape[1]
    v = np.ascontiguousarray(v, dtype=float)
    out = np.zeros(v.shape)
    arrays = (a.ctypes.data for a in (index, factors, curvature, v, out))
    if not _call("defectgen_product_of_sums", 4, 5)(sites, slots, sums, radial, *arrays):
        raise MemoryError("no memory for the work arrays of the kernel")
    return out


def pairing(
    first: UInt64[np.ndarray, " bonds"],
    second: UInt64[np.ndarray, " bonds"],
    image: Int32[np.ndarray, "bonds 3"],
    index: Int32[np.ndarray, "atoms slots"],
    shift: Int32[np.ndarray, "atoms slots 3"],
    mask: Bool[np.ndarray, "atoms slots"],
    reverse: Int[np.ndarray, "atoms slots"],
) -> bool:
    """Put bonds into a rectangle that holds empty slots, ordered by atom, neighbour and image, with their reverses.

    False, with the rectangle in no useful state, if a bond has no reverse.
    """
    atoms, slots = index.shape
    arrays = (a.ctypes.data for a in (first, second, image, index, shift, mask, reverse))
    found = _call("defectgen_pairing", 3, 7)(atoms, len(first), slots, *arrays)
    if found < 0:
        raise MemoryError("no memory for the bonds")
    return found == 1


@dataclass(frozen=True, eq=False)
class HostCell:
    """A cell with its neighbour list, in the types that the kernel reads."""

    x: Float[np.ndarray, "rows 3"]
    vectors: Float[np.ndarray, "3 3"]
    index: Int32[np.ndarray, "rows slots"]
    shift: Int32[np.ndarray, "rows slots 3"]
    mask: Bool[np.ndarray, "rows slots"]
    kinds: Int[np.ndarray, " rows"]
    reverse: Int[np.ndarray, "rows slots"]
    """Place of the same bond seen from its other end."""
    live: int
    """Number of sites that count; they come first."""


Sums = tuple[Float[np.ndarray, " rows"], Float[np.ndarray, "rows 3"], Float[np.ndarray, "3 3"]]
"""Energies of the sites (eV), forces (eV/A), virial (eV)."""


def ace(cell: HostCell, table: list[np.ndarray], nodes: int) -> Sums:
    """Energies, forces and virial of a linear ACE potential, given as the arrays of `ace.program` with so many nodes."""
    rows, slots = cell.index.shape
    out = _nothing(cell)
    pointers = (ctypes.c_void_p * len(table))(*(a.ctypes.data for a in table))
    around = cell.x, cell.vectors, cell.index, cell.shift, cell.mask, cell.kinds, cell.reverse
    arrays = [*(a.ctypes.data for a in around), pointers, *(a.ctypes.data for a in out)]
    if not _call("defectgen_ace", 4, len(arrays))(rows, slots, cell.live, nodes, *arrays):
        raise MemoryError("no memory for the work arrays of the kernel")
    return out


def ace_products(
    cell: HostCell, table: list[np.ndarray], nodes: int, v: Float[np.ndarray, "vectors rows 3"]
) -> Float[np.ndarray, "vectors rows 3"]:
    """H v of every vector, eV/A^2 times the unit of v, of the sites that count; arguments as of `ace`."""
    rows, slots = cell.index.shape
    v = np.ascontiguousarray(v, dtype=float)
    out = np.zeros_like(v)
    pointers = (ctypes.c_void_p * len(table))(*(a.ctypes.data for a in table))
    around = cell.x, cell.vectors, cell.index, cell.shift, cell.mask, cell.kinds
    arrays = [*(a.ctypes.data for a in around), pointers, v.ctypes.data, out.ctypes.data]
    if not _call("defectgen_ace_products", 5, len(arrays))(rows, slots, cell.live, nodes, len(v), *arrays):
        raise MemoryError("no memory for the work arrays of the kernel")
    return out


def eam(cell: HostCell, sizes: list[int], numbers: list[float], tables: list[np.ndarray]) -> Sums:
    """Energies, forces and virial of the embedded-atom method; the order of the parameters is that of `Eam` in eam.h."""
    out = _nothing(cell)
    _potential("defectgen_eam", cell, [np.array(sizes), np.array(numbers, dtype=float), *tables], [*out, None, None])
    return out


def eam_factors(
    cell: HostCell, sizes: list[int], numbers: list[float], tables: list[np.ndarray], first: int
) -> tuple[Float[np.ndarray, "first 7 slots"], Float[np.ndarray, "first 2 2"]]:
    """What `product_of_sums` needs of it, for the first rows."""
    out = np.zeros((first, 7, cell.index.shape[1])), np.zeros((first, 2, 2))
    given = [np.array(sizes), np.array(numbers, dtype=float), *tables]
    _potential("defectgen_eam", cell, given, [None, None, None, *out])
    return out


def stillinger_weber(cell: HostCell, species: int, pairs: np.ndarray, triplets: np.ndarray) -> Sums:
    """Energies, forces and virial of the Stillinger-Weber potential; the order of the tables is that of stillinger_weber.h."""
    out = _nothing(cell)
    _potential("defectgen_stillinger_weber", cell, [np.array([species]), pairs, triplets], [*out, None, None])
    return out


def stillinger_weber_factors(
    cell: HostCell, species: int, pairs: np.ndarray, triplets: np.ndarray, first: int
) -> tuple[Float[np.ndarray, "first numbers slots"], Float[np.ndarray, "first sums sums"]]:
    """What `product_of_sums` needs of it, for the first rows: ten sums for each species of neighbours."""
    sums = 10 * species
    out = np.zeros((first, 3 * sums + 6, cell.index.shape[1])), np.zeros((first, sums, sums))
    given = [np.array([species]), pairs, triplets]
    _potential("defectgen_stillinger_weber", cell, given, [None, None, None, *out])
    return out


def _nothing(cell: HostCell) -> Sums:
    rows = len(cell.x)
    return np.zeros(rows), np.zeros((rows, 3)), np.zeros((3, 3))


def _potential(name: str, cell: HostCell, given: list[np.ndarray], out: list[np.ndarray | None]) -> None:
    """Call the function of a potential."""
    rows, slots = cell.index.shape
    arrays = [cell.x, cell.vectors, cell.index, cell.shift, cell.mask, cell.kinds, *given, *out]
    pointers = [None if a is None else a.ctypes.data for a in arrays]
    if not _call(name, 3, len(arrays))(rows, slots, cell.live, *pointers):
        raise MemoryError("no memory for the work arrays of the kernel")


@lru_cache(maxsize=8)
def _call(name: str, numbers: int, arrays: int):
    function = getattr(opened(), name)
    function.argtypes = [ctypes.c_int64] * numbers + [ctypes.c_void_p] * arrays
    function.restype = ctypes.c_int
    return function
