"""A cylinder: the crystal around a straight line, periodic along it and clamped outside a radius."""

from dataclasses import replace
from itertools import product
from math import gcd

import numpy as np

from .._input import InputError
from .._typing import Int
from .cell import Cell, Sites, ball, check_atoms, check_lattice, check_lengths, widths
from .lattice import Lattice

REACH = 3
"""Primitive steps among which the two vectors across the line are looked for; low-index lines need one or two."""


def cylinder(lattice: Lattice, line: Int[np.ndarray, "3"], radius: float, clamp: float | None = None) -> Cell:
    """All sites within `radius + clamp` (A) of a line through a lattice site, one period of it, clamped beyond `radius`.

    `line` is a primitive lattice vector in units of the primitive vectors: the period. In two dimensions the line is the normal
    of the plane, `line` is not looked at and the cylinder is a disc. The lattice of the cell is the same crystal with other
    primitive vectors, the last along the line. `clamp` (A) as for `ball`.
    Raises InputError as `ball` does, and for a line that is no primitive lattice vector.
    """
    check_lattice(lattice)
    if lattice.dimension == 2:
        return ball(lattice, radius, clamp)
    clamp = check_lengths(lattice, radius, clamp, "cylinder")
    along = rebased(lattice, np.asarray(line))
    axis = along.vectors[2] / np.linalg.norm(along.vectors[2])
    outer = radius + clamp
    check_atoms(
        along.sublattices * np.pi * outer**2 * np.linalg.norm(along.vectors[2]) / abs(np.linalg.det(along.vectors)),
        f"a cylinder of radius {radius:g} A with a shell of {clamp:g} A",
    )
    # heights of the oblique plane cell over its two sides bound the repeats, as the widths of a box do
    across = along.vectors[:2] - np.outer(along.vectors[:2] @ axis, axis)
    reach = np.ceil((outer + along.nearest_neighbour) / widths(np.vstack([across, axis]))[:2]).astype(int) + 1
    t = np.array(list(product(*(range(-n, n + 1) for n in reach), [0])))
    sub = np.tile(np.arange(along.sublattices), len(t))
    t = np.repeat(t, along.sublattices, axis=0)
    position = t @ along.vectors + along.motif[sub]
    away = position - along.motif[0]
    distance = np.linalg.norm(away - np.outer(away @ axis, axis), axis=1)
    keep = distance <= outer
    t, sub, distance, position = t[keep], sub[keep], distance[keep], position[keep]
    first = across[0] / np.linalg.norm(across[0])
    side = 2 * outer + 1.0
    return Cell(
        lattice=along,
        vectors=np.vstack([side * first, side * np.cross(axis, first), along.vectors[2]]),
        periodic=(False, False, True),
        positions=position,
        symbols=tuple(along.species[b] for b in sub),
        sites=np.arange(len(t)),
        free=distance <= radius + 1e-9,
        perfect_sites=Sites(t, sub, None),
        centre=along.motif[0].copy(),
    )


def rebased(lattice: Lattice, line: Int[np.ndarray, "3"]) -> Lattice:
    """The same crystal with `line` (in primitive vectors) as its last primitive vector and the two others short across it."""
    if line.shape != (3,) or not np.issubdtype(line.dtype, np.integer) or gcd(*(int(n) for n in line)) != 1:
        raise InputError(f"the line of a cylinder is a primitive lattice vector, three whole numbers without divisor; got {line}")
    axis = line @ lattice.vectors
    axis = axis / np.linalg.norm(axis)
    steps = np.array(list(product(range(-REACH, REACH + 1), repeat=3)))
    real = steps @ lattice.vectors
    across = np.linalg.norm(real - np.outer(real @ axis, axis), axis=1)
    order = np.lexsort((np.round(np.abs(real @ axis), 6), np.round(across, 6)))
    steps = steps[order]
    volume = np.einsum("ia,jab,b->ij", steps, np.array([_cross_matrix(s) for s in steps]), line)
    first, second = np.nonzero(np.abs(volume) == 1)
    if not len(first):
        raise InputError(f"the line {line.tolist()} has too large indices; use a line of low indices")
    best = np.lexsort((second, first, first + second))[0]
    matrix = np.array([steps[first[best]], steps[second[best]], line])
    if round(np.linalg.det(matrix)) * np.linalg.det(lattice.vectors) < 0:
        matrix = matrix[[1, 0, 2]]  # right-handed, as boxes are
    conventional = np.rint(lattice.conventional @ np.linalg.inv(matrix)).astype(int)
    return replace(lattice, vectors=matrix @ lattice.vectors, conventional=conventional)


def _cross_matrix(s: np.ndarray) -> np.ndarray:
    """K with a . K b = a . (s x b)."""
    return np.array([[0, -s[2], s[1]], [s[2], 0, -s[0]], [-s[1], s[0], 0]])
