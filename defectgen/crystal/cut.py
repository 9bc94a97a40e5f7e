"""Cells cut out of the crystal: a ball, a cylinder around a straight line, a slab with two free surfaces."""

from dataclasses import replace
from itertools import product
from math import gcd

import numpy as np

from .._input import InputError
from .._typing import Int
from .cell import Cell, Sites, check_atoms, check_lattice, supercell
from .lattice import Lattice, widths

REACH = 3
"""Primitive steps among which the two vectors across the line are looked for; low-index lines need one or two."""


def ball(lattice: Lattice, radius: float, clamp: float | None = None) -> Cell:
    """All sites within `radius + clamp` of a lattice site; those beyond `radius` are clamped.

    Parameters
    ----------
    lattice : Lattice
        The crystal.
    radius : float
        Radius of the free atoms, A.
    clamp : float, optional
        Thickness of the clamped shell, A; six nearest-neighbour spacings if not given. It must be twice the cutoff of the
        potential, so that every site whose energy a free atom can change has its whole stencil. That is checked when a
        potential
        is put on the cell.

    Returns
    -------
    Cell
        The ball, not periodic; a disc in two dimensions.

    Raises
    ------
    InputError
        For what is no lattice, a radius below one nearest-neighbour spacing, lengths that are no numbers, and too many atoms.

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.ball(dg.fcc("Cu", 3.615), 8.0)
    Cell(fcc Cu, perfect crystal, 4,537 atoms of Cu, 4,360 of them clamped, radius 3 nearest-neighbour
        spacings)
    """
    check_lattice(lattice)
    clamp = check_lengths(lattice, radius, clamp, "ball")
    outer = radius + clamp
    extent = np.pi * outer**2 if lattice.dimension == 2 else 4 / 3 * np.pi * outer**3
    unit = abs(np.linalg.det(lattice.vectors)) / (np.linalg.norm(lattice.vectors[2]) if lattice.dimension == 2 else 1.0)
    check_atoms(lattice.sublattices * extent / unit, f"a ball of radius {radius:g} A with a shell of {clamp:g} A")
    reach = np.ceil(outer / widths(lattice.vectors)).astype(int) + 1
    if lattice.dimension == 2:
        reach[2] = 0
    axes = [np.arange(-n, n + 1) for n in reach]
    t = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    sub = np.tile(np.arange(lattice.sublattices), len(t))
    t = np.repeat(t, lattice.sublattices, axis=0)
    position = t @ lattice.vectors + lattice.motif[sub] - lattice.motif[0]
    distance = np.linalg.norm(position, axis=1)
    keep = distance <= outer
    t, sub, distance = t[keep], sub[keep], distance[keep]
    box = np.eye(3) * (2 * outer + 1.0)
    position = t @ lattice.vectors + lattice.motif[sub]
    return Cell(
        lattice=lattice,
        vectors=box,
        periodic=(False, False, False),
        positions=position,
        symbols=tuple(lattice.species[b] for b in sub),
        sites=np.arange(len(t)),
        free=distance <= radius + 1e-9,
        perfect_sites=Sites(t, sub, None),
        centre=lattice.motif[0].copy(),
    )


def cylinder(lattice: Lattice, line: Int[np.ndarray, "3"], radius: float, clamp: float | None = None) -> Cell:
    """All sites within `radius + clamp` of a line through a lattice site, one period of it, clamped beyond `radius`.

    Parameters
    ----------
    lattice : Lattice
        The crystal.
    line : integer array, (3,)
        The period: a primitive lattice vector in units of the primitive vectors. In two dimensions the line is the normal of
        the
        plane, `line` is not read and the cylinder is a disc.
    radius : float
        Radius of the free atoms, A.
    clamp : float, optional
        Thickness of the clamped shell, A, as for `ball`.

    Returns
    -------
    Cell
        Periodic along its third vector. Its lattice is the same crystal with other primitive vectors, the last along the line.

    Raises
    ------
    InputError
        As `ball` does, and for a line that is no primitive lattice vector.
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


def check_lengths(lattice: Lattice, radius: float, clamp: float | None, shape: str) -> float:
    """The thickness of the clamped shell, A: six nearest-neighbour spacings if not given. Raises InputError for no lengths."""
    clamp = 6 * lattice.nearest_neighbour if clamp is None else clamp
    for name, length in (("radius", radius), ("clamp", clamp)):
        if isinstance(length, bool) or not isinstance(length, int | float | np.number) or not 0 <= length < np.inf:
            raise InputError(f"the {name} of a {shape} is a length in Angstrom; got {length!r}")
    if radius < lattice.nearest_neighbour:
        raise InputError(
            f"a {shape} of radius {radius} A holds no neighbour; use at least one spacing, {lattice.nearest_neighbour:.3f} A"
        )
    return clamp


GAP = 6.0
"""A: wider than the cutoffs of most potentials, so that the two surfaces do not see each other."""


def slab(lattice: Lattice, size: tuple[int, int, int], gap: float = GAP) -> Cell:
    """A slab of the crystal between two free surfaces, the planes of the first two conventional vectors.

    Parameters
    ----------
    lattice : Lattice
        The crystal.
    size : tuple of int
        Conventional cells of crystal along each conventional vector.
    gap : float
        The box is longer than the crystal along the third conventional vector by at least this much, A.

    Returns
    -------
    Cell
        The box holds a whole number of crystal cells, so its sites are those of a supercell whose upper part is vacant.

    Raises
    ------
    InputError
        For a gap that is not positive.
    """
    if not 0 < gap < 1e6:
        raise InputError(f"the gap above a slab is a positive length in A; got {gap!r}")
    n1, n2, n3 = size
    height = float(widths(lattice.conventional @ lattice.vectors)[2])
    extra = int(np.ceil(gap / height))
    whole = supercell(lattice, (n1, n2, n3 + extra))
    part = np.linalg.solve(whole.vectors.T, whole.positions.T)[2]
    stays = np.flatnonzero((part - np.floor(part + 1e-9)) * (n3 + extra) < n3 - 1e-6)
    return replace(
        whole,
        positions=whole.positions[stays],
        symbols=tuple(whole.symbols[k] for k in stays),
        sites=whole.sites[stays],
        free=whole.free[stays],
        centre=whole.positions[stays].mean(axis=0),
        defect="surface",
    )
