"""Neighbour lists: every periodic image within the cutoff, padded to a rectangle, with the reverse of each bond."""

from dataclasses import dataclass

import numpy as np

from .. import kernel
from .._display import brief
from .._input import InputError
from .._typing import Bool, Float, Int

OVERLAP = 0.1
"""A: two atoms closer than this are one atom written twice (the shortest bond, H2, is 0.74 A)."""


MOST = 100_000
"""Neighbours of an atom, on average: ten times those of the longest potentials; so many fit into memory for small cells."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Neighbours of every atom as a padded rectangle; bond (i, k) points from atom i to image `shift` of atom `index`."""

    index: Int[np.ndarray, "atoms slots"]
    shift: Int[np.ndarray, "atoms slots 3"]
    """Periodic image, in units of the box vectors."""
    mask: Bool[np.ndarray, "atoms slots"]
    """False for padding; a padded slot has index 0 and its own flat position as reverse."""
    reverse: Int[np.ndarray, "atoms slots"]
    """Flat position `j * slots + k'` of the same bond from its other end."""

    __repr__ = brief


def neighbours(
    positions: Float[np.ndarray, "atoms 3"],
    vectors: Float[np.ndarray, "3 3"],
    periodic: tuple[bool, bool, bool],
    cutoff: float,
    slot_bucket: int = 8,
    rows: int = 0,
) -> Neighbours:
    """All bonds shorter than a cutoff, with every image in cells narrower than twice the cutoff.

    Parameters
    ----------
    positions : array, (atoms, 3)
        A.
    vectors : array, (3, 3)
        Box vectors as rows, A.
    periodic : tuple of bool
        Along which of them the box repeats.
    cutoff : float
        A.
    slot_bucket : int
        The number of slots is rounded up to a multiple of it, so that similar cells share one compilation.
    rows : int
        Rows of the arrays at least; rows beyond the atoms are empty.

    Returns
    -------
    Neighbours
        The bonds and their reverses, in arrays that JAX takes over without a copy.

    Raises
    ------
    InputError
        For positions that are not finite, atoms that overlap, or a cutoff that reaches too many atoms.
    """
    from vesin import NeighborList

    if not np.all(np.isfinite(positions)):
        bad = int(np.argmax(~np.isfinite(positions).all(1)))
        raise InputError(f"positions must be finite numbers; atom {bad} is at {positions[bad].tolist()}")
    box = np.array(vectors, dtype=float)
    _check_number(len(positions), box[np.array(periodic)], cutoff)
    origin = np.zeros(3)
    for axis in range(3):
        if not periodic[axis]:  # a box that surely contains the atoms along an open direction
            direction = np.cross(box[(axis + 1) % 3], box[(axis + 2) % 3])
            direction /= np.linalg.norm(direction)
            height = positions @ direction
            span = np.ptp(height) + 2 * cutoff + 1.0
            box[axis] = direction * span
            origin = origin + direction * (height.min() - cutoff - 0.5)
    search = NeighborList(cutoff=float(cutoff), full_list=True, sorted=kernel.refused() is not None)
    i, j, d, s = search.compute(points=np.ascontiguousarray(positions - origin), box=box, periodic=periodic, quantities="ijdS")
    if len(d) and d.min() < OVERLAP:
        k = int(np.argmin(d))
        raise InputError(
            f"atoms {i[k]} and {j[k]} are {d[k]:.3g} A apart, which is no bond; remove one of them or check the cell vectors"
        )
    atoms = len(positions)
    slots = max(slot_bucket, -(-int(np.bincount(i, minlength=atoms).max(initial=0)) // slot_bucket) * slot_bucket)
    rows = max(rows, atoms)
    found = Neighbours(
        _zeros((rows, slots), np.int32),
        _zeros((rows, slots, 3), np.int32),
        _zeros((rows, slots), bool),
        _zeros((rows, slots), np.int64),
    )
    found.reverse.reshape(-1)[:] = np.arange(rows * slots)
    if not (_pair if kernel.refused() else kernel.pairing)(i, j, s, found.index, found.shift, found.mask, found.reverse):
        # a bond whose length equals the cutoff to the last bit may be seen from one end only
        return neighbours(positions, vectors, periodic, cutoff * (1 - 1e-12) - 1e-12, slot_bucket, rows)
    return found


def _zeros(shape: tuple[int, ...], kind: type) -> np.ndarray:
    """An array of zeros that begins at a multiple of 64 bytes, as those of JAX do on processors."""
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    memory = np.zeros(size + 64, dtype=np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(kind).reshape(shape)


def _check_number(atoms: int, vectors: Float[np.ndarray, "closed 3"], cutoff: float) -> None:
    """Raises InputError, before anything is searched, if a cutoff (A) reaches far more atoms than potentials do."""
    closed = len(vectors)
    if closed == 0:
        return
    size = float(np.sqrt(np.abs(np.linalg.det(vectors @ vectors.T))))
    inside = (2 * cutoff, np.pi * cutoff**2, 4 / 3 * np.pi * cutoff**3)[closed - 1]
    count = inside * (atoms if closed > 1 else 1) / max(size, 1e-9)  # of a wire only the images of one atom: it may be thick
    if not count <= MOST:
        raise InputError(
            f"a cutoff of {cutoff:.4g} A gives each atom of this cell about {count:.2g} neighbours, and {MOST} are the most; "
            "check the cutoff of the potential, and the units of the cell"
        )


def _pair(first, second, s, index, shift, mask, reverse) -> bool:
    """What `kernel.pairing` does, without a compiled kernel."""
    i, j = first.astype(np.int64), second.astype(np.int64)  # unsigned
    atoms, slots = index.shape
    order, back = _pairing(i, j, s, atoms)
    rank = np.empty(len(i), dtype=np.int64)
    rank[order] = np.arange(len(i))
    i, j, s, reverse_edge = i[order], j[order], s[order], rank[back]
    if not (np.array_equal(i[reverse_edge], j) and np.array_equal(s[reverse_edge], -s)):
        return False
    count = np.bincount(i, minlength=atoms)
    start = np.concatenate([[0], np.cumsum(count)[:-1]])
    place = i * slots + np.arange(len(i)) - start[i]
    flat = (a.reshape(atoms * slots, *a.shape[2:]) for a in (index, shift, mask, reverse))
    for array, value in zip(flat, (j, s, True, place[reverse_edge]), strict=True):
        array[place] = value
    return True


def _pairing(
    i: Int[np.ndarray, " bonds"], j: Int[np.ndarray, " bonds"], s: Int[np.ndarray, "bonds 3"], atoms: int
) -> tuple[Int[np.ndarray, " bonds"], Int[np.ndarray, " bonds"]]:
    """Bonds ordered by (i, j, image), and by (j, i, opposite image): entry by entry the second is the reverse of the first.

    Without two images of one pair, the orders are those of a sparse matrix and its transpose: two counting sorts.
    """
    from scipy.sparse import csr_array

    if np.all(i[1:] >= i[:-1]):
        start = np.searchsorted(i, np.arange(atoms + 1))
        back = csr_array((np.arange(len(i)), j, start), shape=(atoms, atoms)).tocsc()
        order = csr_array((back.data, back.indices, back.indptr), shape=(atoms, atoms)).tocsc().data
        first, second = i[order], j[order]
        if not np.any((first[1:] == first[:-1]) & (second[1:] == second[:-1])):
            return order, back.data
    return np.lexsort((*s.T, j, i)), np.lexsort((*-s.T, i, j))
