"""Which perfect site each atom of a relaxed, reordered, wrapped structure belongs to."""

import numpy as np

from .._typing import Float, Int
from .reduction import minimum_image

REACH = 0.55
"""Nearest-neighbour spacings within which an atom can belong to a site: a split vacancy's middle atom (0.5) does,
voids (from 0.577) do not."""


def assign(
    home: Float[np.ndarray, "sites 3"],
    home_symbols: tuple[str, ...] | list[str],
    atoms: Float[np.ndarray, "atoms 3"],
    atom_symbols: tuple[str, ...] | list[str],
    vectors: Float[np.ndarray, "3 3"],
    periodic: tuple[bool, bool, bool],
    spacing: float,
) -> Int[np.ndarray, " atoms"]:
    """Site of every atom, -1 for none: nearest sites where nobody else claims them, an optimal assignment for the rest.

    Positions, vectors and the nearest-neighbour `spacing` in A.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial import KDTree

    image, copies = ghosts(home, vectors, periodic, REACH * spacing)
    wrapped = wrap(atoms, vectors, periodic)
    distance, nearest = KDTree(image).query(wrapped, distance_upper_bound=REACH * spacing)
    claim = np.where(np.isfinite(distance), copies[np.minimum(nearest, len(copies) - 1)], -1)
    claimed = np.bincount(claim[claim >= 0], minlength=len(home))
    owner = np.where((claim >= 0) & (claimed[claim] == 1), claim, -1)
    rivals = np.flatnonzero(owner < 0)
    vacant = np.flatnonzero(claimed != 1)
    if len(rivals) == 0 or len(vacant) == 0:
        return owner
    step = minimum_image(home[vacant][None] - atoms[rivals][:, None], vectors, periodic)
    square = (step**2).sum(-1) / spacing**2
    unlike = np.array(atom_symbols, dtype=object)[rivals][:, None] != np.array(home_symbols, dtype=object)[vacant][None]
    out = square > REACH**2
    rows, columns = linear_sum_assignment(np.where(out, 10.0, square + 0.01 * unlike))  # 0.01: decides near ties only
    taken = ~out[rows, columns]
    owner[rivals[rows[taken]]] = vacant[columns[taken]]
    return owner


def wrap(x: np.ndarray, vectors: np.ndarray, periodic) -> np.ndarray:
    fractional = x @ np.linalg.inv(vectors)
    return x - np.where(np.array(periodic), np.floor(fractional), 0.0) @ vectors


def ghosts(home: np.ndarray, vectors: np.ndarray, periodic, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """Wrapped sites with their periodic copies near the box, and which site each is."""
    wrapped = wrap(home, vectors, periodic)
    inverse = np.linalg.inv(vectors)
    rim = np.where(np.array(periodic), margin * np.linalg.norm(inverse, axis=0), np.inf)  # margin in fractional coordinates
    points, copies = [], []
    axes = [np.arange(-int(np.ceil(r)), int(np.ceil(r)) + 1) if p else np.array([0]) for r, p in zip(rim, periodic, strict=True)]
    for image in np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3):
        x = wrapped + image @ vectors
        fractional = x @ inverse
        keep = np.all((fractional >= -rim) & (fractional <= 1 + rim), axis=1)
        points.append(x[keep])
        copies.append(np.flatnonzero(keep))
    return np.vstack(points), np.concatenate(copies)
