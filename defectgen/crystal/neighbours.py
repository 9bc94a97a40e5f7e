"""Neighbour lists: every periodic image within the cutoff, padded to a rectangle, with the reverse of each bond."""

from dataclasses import dataclass

import numpy as np
from matscipy.neighbours import neighbour_list

from .._input import InputError
from .._typing import Bool, Float, Int

OVERLAP = 0.1
"""A: two atoms closer than this are one atom written twice (the shortest bond, H2, is 0.74 A)."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Neighbours of every atom as a padded rectangle; bond (i, k) points from atom i to image `shift` of atom `index`."""

    index: Int[np.ndarray, "atoms slots"]
    shift: Int[np.ndarray, "atoms slots 3"]
    """Periodic image, in units of the box vectors."""
    mask: Bool[np.ndarray, "atoms slots"]
    """False for padding; a padded slot has index 0 and its own flat position as reverse."""
    reverse: Int[np.ndarray, "atoms slots"]
    """Flat position `j * slots + k'` of the same bond seen from its other end."""


def neighbours(
    positions: Float[np.ndarray, "atoms 3"],
    vectors: Float[np.ndarray, "3 3"],
    periodic: tuple[bool, bool, bool],
    cutoff: float,
    slot_bucket: int = 8,
) -> Neighbours:
    """All bonds shorter than `cutoff` (A), with every image in cells narrower than twice the cutoff.

    The number of slots is rounded up to a multiple of `slot_bucket`, so that similar cells share one compilation.
    Raises InputError for positions that are not finite or atoms that overlap.
    """
    if not np.all(np.isfinite(positions)):
        bad = int(np.argmax(~np.isfinite(positions).all(1)))
        raise InputError(f"positions must be finite numbers; atom {bad} is at {positions[bad].tolist()}")
    box = np.array(vectors, dtype=float)
    origin = np.zeros(3)
    for axis in range(3):
        if not periodic[axis]:  # a box that surely contains the atoms along an open direction
            direction = np.cross(box[(axis + 1) % 3], box[(axis + 2) % 3])
            direction /= np.linalg.norm(direction)
            height = positions @ direction
            span = np.ptp(height) + 2 * cutoff + 1.0
            box[axis] = direction * span
            origin = origin + direction * (height.min() - cutoff - 0.5)
    i, j, d, s = neighbour_list(
        "ijdS", positions=np.ascontiguousarray(positions - origin), cell=box, pbc=np.array(periodic), cutoff=float(cutoff)
    )
    if len(d) and d.min() < OVERLAP:
        k = int(np.argmin(d))
        raise InputError(
            f"atoms {i[k]} and {j[k]} are {d[k]:.3g} A apart, which is no bond; remove one of them or check the cell vectors"
        )
    i, j, s = i.astype(np.int64), j.astype(np.int64), s.astype(np.int64)
    reach = int(np.abs(s).max(initial=0))
    images = (2 * reach + 1) ** np.arange(3)[::-1]
    forward_key = (i * len(positions) + j) * (2 * reach + 1) ** 3 + (
        s + reach
    ) @ images  # one number a bond sorts faster than five
    forward = np.argsort(forward_key)
    i, j, s, forward_key = i[forward], j[forward], s[forward], forward_key[forward]
    backward_key = (j * len(positions) + i) * (2 * reach + 1) ** 3 + (reach - s) @ images
    backward = np.argsort(backward_key)
    matched = backward_key[backward] == forward_key
    if not matched.all():  # a bond whose length equals the cutoff to the last bit may be seen from one end only
        return neighbours(positions, vectors, periodic, cutoff * (1 - 1e-12) - 1e-12, slot_bucket)
    reverse_edge = np.empty(len(i), dtype=np.int64)
    reverse_edge[backward] = np.arange(len(i))

    atoms = len(positions)
    count = np.bincount(i, minlength=atoms)
    slots = max(slot_bucket, -(-int(count.max(initial=0)) // slot_bucket) * slot_bucket)
    start = np.concatenate([[0], np.cumsum(count)[:-1]])
    slot = np.arange(len(i)) - start[i]
    index = np.zeros((atoms, slots), dtype=np.int64)
    shift = np.zeros((atoms, slots, 3), dtype=np.int64)
    mask = np.zeros((atoms, slots), dtype=bool)
    reverse = np.arange(atoms * slots, dtype=np.int64).reshape(atoms, slots)
    index[i, slot], shift[i, slot], mask[i, slot] = j, s, True
    reverse[i, slot] = i[reverse_edge] * slots + slot[reverse_edge]
    return Neighbours(index, shift, mask, reverse)
