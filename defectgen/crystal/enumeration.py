"""The point defects of a crystal up to symmetry: vacancies, antisites, substitutions, and interstitials in its voids."""

from collections.abc import Iterable

import numpy as np

from .._input import InputError
from .._typing import Float
from .defects import antisite, substitution, vacancy
from .edits import Defect
from .elements import element
from .interstitials import interstitial
from .lattice import Lattice
from .symmetry import site_symmetry, space_group

NEAREST = 0.9
"""A: voids whose atoms are nearer hold no interstitial; the shortest bonds of heavier elements are longer."""

ONE_PLACE = 0.1
"""A: voids, and images of them under the space group, that are nearer to each other are one."""


SHELLS = 4
"""Of neighbours that a name may tell sites apart by."""


def enumerate_defects(lattice: Lattice, substitutes: str | Iterable[str] = (), interstitials: bool = True) -> dict[str, Defect]:
    """Point defects of a crystal, one of each class under its space group.

    Parameters
    ----------
    lattice : Lattice
        A three-dimensional crystal.
    substitutes : str or iterable of str
        Foreign elements: each as a substitution on every site, and as an interstitial.
    interstitials : bool
        Whether to look for voids: vertices of the Voronoi cells of the atoms, at least 0.9 A from all of them.

    Returns
    -------
    dict of str to Defect
        Defects by name, as doped names them: v_Si, Cu_Ni (first on second), Si_i_Td. Where names would be equal, the point
        group of the site and its nearest element and distance (A) follow: v_O_C2v_Ti1.95.

    Raises
    ------
    InputError
        For a crystal that is not three-dimensional, and for what is no element.

    Examples
    --------
    >>> import defectgen as dg
    >>> sorted(dg.enumerate_defects(dg.cscl("Ni", "Al", 2.88), interstitials=False))
    ['Al_Ni', 'Ni_Al', 'v_Al', 'v_Ni']
    """
    if not isinstance(lattice, Lattice) or lattice.dimension != 3:
        raise InputError("defects are listed for a three-dimensional lattice, such as dg.from_ase(atoms) or dg.fcc('Cu', 3.6)")
    if not isinstance(substitutes, Iterable):
        raise InputError(f"substitutes are chemical symbols, as ['Ni', 'Al']; got {substitutes!r}")
    foreign = [substitutes] if isinstance(substitutes, str) else list(substitutes)
    for symbol in foreign:
        element(symbol)
    if own := [s for s in foreign if s in lattice.species]:
        raise InputError(f"{own[0]} is an element of the crystal, and its antisites are listed anyway; give foreign elements")
    species = list(dict.fromkeys(lattice.species))
    found: list[tuple[str, np.ndarray, Defect]] = []
    sites = _orbits(lattice)
    for b in sites:
        found.append((f"v_{lattice.species[b]}", lattice.motif[b], vacancy(b)))
    for b in sites:
        for symbol in species:
            if symbol != lattice.species[b]:
                found.append((f"{symbol}_{lattice.species[b]}", lattice.motif[b], antisite(b, symbol)))
    for b in sites:
        found += [(f"{s}_{lattice.species[b]}", lattice.motif[b], substitution(b, s)) for s in foreign]
    if interstitials:
        inverse = np.linalg.inv(lattice.conventional @ lattice.vectors)
        for symbol in [*species, *foreign]:
            for x in voids(lattice):
                name = f"{symbol}_i_{site_symmetry(lattice, x)}"
                found.append((name, x, interstitial(symbol=symbol, position=tuple(np.round(x @ inverse, 9).tolist()))))
    return dict(zip(_names(lattice, found), (defect for _, _, defect in found), strict=True))


def voids(lattice: Lattice) -> list[Float[np.ndarray, "3"]]:
    """Places of interstitials, A, one of each class under the space group, the widest first."""
    from scipy.spatial import KDTree, Voronoi

    steps = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), -1).reshape(-1, 3) @ lattice.vectors
    atoms = (lattice.motif[None] + steps[:, None]).reshape(-1, 3)
    tree, inverse = KDTree(atoms), np.linalg.inv(lattice.vectors)
    vertices = Voronoi(atoms).vertices
    fractional = vertices @ inverse
    inside = np.all((fractional > -1e-6) & (fractional < 1 - 1e-6), axis=1)
    candidates = vertices[inside]
    width = tree.query(candidates)[0] if len(candidates) else np.zeros(0)
    turns, shifts = space_group(lattice)
    chosen: list[np.ndarray] = []
    for k in np.lexsort((*np.round(candidates, 6).T, -np.round(width, 6))) if len(candidates) else ():
        if width[k] < NEAREST:
            continue
        images = candidates[k] @ turns + shifts
        if not any(_near(lattice, images - other, inverse).min() < ONE_PLACE for other in chosen):
            chosen.append(candidates[k])
    return chosen


def _near(lattice: Lattice, difference: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """Distances modulo the translations of the crystal, A; right for small ones."""
    fractional = difference @ inverse
    return np.linalg.norm((fractional - np.rint(fractional)) @ lattice.vectors, axis=-1)


def _orbits(lattice: Lattice) -> list[int]:
    """The first sublattice of each class."""
    turns, shifts = space_group(lattice)
    inverse = np.linalg.inv(lattice.vectors)
    chosen: list[int] = []
    for b, x in enumerate(lattice.motif):
        images = x @ turns + shifts
        alike = [c for c in chosen if lattice.species[c] == lattice.species[b]]
        if not any(_near(lattice, images - lattice.motif[c], inverse).min() < ONE_PLACE for c in alike):
            chosen.append(b)
    return chosen


def _names(lattice: Lattice, found: list[tuple[str, np.ndarray, Defect]]) -> list[str]:
    """A different name for every defect: where the short ones are equal, shell after shell of neighbours follows."""
    names = [name for name, _, _ in found]
    shells = {k: _shells(lattice, x) for k, (name, x, _) in enumerate(found) if names.count(name) > 1}
    for k in shells:
        names[k] += "" if "_i_" in names[k] else f"_{site_symmetry(lattice, found[k][1])}"
    for depth in range(SHELLS):
        alike = [k for k in shells if names.count(names[k]) > 1]
        longer = {k: f"{names[k]}_{shells[k][depth]}" for k in (alike if depth else shells)}
        for k, name in longer.items():
            names[k] = name
    return [f"{name}_{names[:k].count(name) + 1}" if names.count(name) > 1 else name for k, name in enumerate(names)]


def _shells(lattice: Lattice, x: np.ndarray) -> list[str]:
    """Element and distance (A) of the shells of atoms around a place, as Ti1.95."""
    steps = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), -1).reshape(-1, 3) @ lattice.vectors
    distance = np.linalg.norm(lattice.motif[None] + steps[:, None] - x, axis=-1)
    symbols = np.broadcast_to(np.array(lattice.species), distance.shape)[distance > 1e-3]
    near = [
        f"{symbols[k]}{distance[distance > 1e-3][k]:.2f}"
        for k in np.argsort(np.round(distance[distance > 1e-3], 4), kind="stable")
    ]
    return (list(dict.fromkeys(near)) + [""] * SHELLS)[:SHELLS]
