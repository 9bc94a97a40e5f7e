"""Interstitials: an extra atom in a void of the crystal, or two atoms sharing one site."""

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np

from .._input import InputError, did_you_mean, real
from .._typing import Float
from .defects import direction_indices, indices_text
from .edits import Defect, Edits, maker, sublattice_of
from .elements import element
from .lattice import Lattice, Site, sites_within
from .symmetry import site_symmetry, structure

SEPARATION = 0.85
"""Spacings between the atoms of a dumbbell where no length is given: about that of relaxed <100> dumbbells in fcc metals."""

_Void = tuple[tuple[float | int, ...], int]

# Voids by structure and kind: position relative to an atom of the rarest species, in conventional vectors, and the number of
# atoms nearest to it, which is verified. The z of the hcp tetrahedron follows c/a and is filled in by `_void`.
VOIDS: dict[str, dict[str, _Void]] = {
    "fcc": {"octahedral": ((1 / 2, 1 / 2, 1 / 2), 6), "tetrahedral": ((1 / 4, 1 / 4, 1 / 4), 4)},
    "bcc": {"octahedral": ((1 / 2, 1 / 2, 0), 2), "tetrahedral": ((1 / 2, 1 / 4, 0), 4)},
    "sc": {"cubic": ((1 / 2, 1 / 2, 1 / 2), 8), "square": ((1 / 2, 1 / 2, 0), 4)},
    "diamond": {
        "tetrahedral": ((1 / 2, 1 / 2, 1 / 2), 4),
        "hexagonal": ((5 / 8, 5 / 8, 5 / 8), 6),
        "bond": ((1 / 8, 1 / 8, 1 / 8), 2),
    },
    "hcp": {"octahedral": ((2 / 3, 1 / 3, 1 / 4), 6), "tetrahedral": ((0, 0, 3 / 8), 4)},
    "zincblende": {
        "tetrahedral": ((1 / 2, 1 / 2, 1 / 2), 4),  # among the second species
        "tetrahedral-first": ((3 / 4, 3 / 4, 3 / 4), 4),  # among the first species
        "hexagonal": ((5 / 8, 5 / 8, 5 / 8), 6),
    },
    "rocksalt": {"tetrahedral": ((1 / 4, 1 / 4, 1 / 4), 8)},
    "cscl": {"octahedral": ((1 / 2, 1 / 2, 0), 2), "tetrahedral": ((1 / 2, 1 / 4, 0), 4)},
    "l12": {
        "octahedral": ((1 / 2, 1 / 2, 1 / 2), 6),  # among the majority
        "octahedral-mixed": ((1 / 2, 0, 0), 6),
        "tetrahedral": ((1 / 4, 1 / 4, 1 / 4), 4),
    },
    "triangular": {"hollow": ((1 / 3, 1 / 3, 0), 3), "bridge": ((1 / 2, 0, 0), 2)},
    "square": {"hollow": ((1 / 2, 1 / 2, 0), 4), "bridge": ((1 / 2, 0, 0), 2)},
}


@maker
def interstitial(
    kind: str | Sequence[float | int] | None = None, symbol: str | None = None, position: Sequence[float | int] | None = None
) -> Defect:
    """An interstitial: an extra atom in a void of the crystal.

    Parameters
    ----------
    kind : str or sequence of float, optional
        A void of the structure ("octahedral", "tetrahedral", "hexagonal", ...; see `VOIDS`).
    symbol : str, optional
        Species of the atom; by default that of sublattice 0.
    position : sequence of float, optional
        Any other place, in units of the conventional vectors, from the origin of the lattice.

    Returns
    -------
    Defect
        The recipe.

    Raises
    ------
    InputError
        For an unknown symbol, and for what is neither a kind nor three coordinates.

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.interstitial("octahedral").apply(dg.supercell(dg.fcc("Cu", 3.615), 3))
    Cell(fcc Cu, Cu_i_Oh, 109 atoms of Cu, radius 2.12 nearest-neighbour spacings)
    """
    if symbol is not None:
        element(symbol)
    place = position if position is not None else kind
    if isinstance(place, str):
        text, where = place, place.strip().lower()
    else:
        where = _coordinates(place)
        text = ",".join(f"{x:.6g}" for x in where)
    name = f"interstitial({text})" if symbol is None else f"interstitial({text},{symbol})"
    return Defect(name, partial(_interstitial, where=where, symbol=symbol))


@maker
def dumbbell(
    direction: str | Sequence[int], symbol: str | None = None, site: int | str = 0, separation: float | int | None = None
) -> Defect:
    """A dumbbell (split interstitial): two atoms on one site, separated along a direction.

    Parameters
    ----------
    direction : str or sequence of int
        Indices of the conventional cell: "110", "<1-10>" or (1, 1, 0); in cubic crystals its Cartesian axes.
    symbol : str, optional
        Species of the extra atom; by default that of the site.
    site : int or str
        Sublattice or species of the site, as for `vacancy`.
    separation : float, optional
        Distance of the two atoms, A; 0.85 nearest-neighbour spacings if not given.

    Returns
    -------
    Defect
        The recipe.

    Raises
    ------
    InputError
        For an unknown symbol, indices that are no direction, and a separation that is not positive.

    Notes
    -----
    The atom of the site moves half the separation forward and stays the site's, the extra atom sits as far behind and belongs
    to
    no site. Displacements count from there.

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.dumbbell("100").apply(dg.supercell(dg.fcc("Cu", 3.615), 3))
    Cell(fcc Cu, Cu_i_split_100, 109 atoms of Cu, radius 2.12 nearest-neighbour spacings)
    """
    if symbol is not None:
        element(symbol)
    if separation is not None:
        separation = real(separation, "the separation of a dumbbell, a positive length in Angstrom,", 0, above=True)
    indices = direction_indices(direction)
    words = [indices_text(indices), *([] if symbol is None else [symbol]), *([] if site == 0 else [f"site={site}"])]
    words += [] if separation is None else [f"separation={separation:g}"]
    return Defect(
        f"dumbbell({','.join(words)})", partial(_dumbbell, indices=indices, symbol=symbol, site=site, separation=separation)
    )


def void_position(lattice: Lattice, kind: str) -> Float[np.ndarray, "3"]:
    """Where the crystal has a void of a kind.

    Parameters
    ----------
    lattice : Lattice
        The crystal.
    kind : str
        A kind that `VOIDS` has for its structure.

    Returns
    -------
    array, (3,)
        Position, A.

    Raises
    ------
    InputError
        For a kind that the structure does not have, naming those it has.
    """
    known = VOIDS.get(structure(lattice), {})
    if kind not in known:
        has = f"it has {', '.join(known)}" if known else "its structure has no tabulated ones"
        has += did_you_mean(kind, known)
        raise InputError(f"{lattice.name} has no {kind} interstitial: {has}, or give position=(x, y, z) in conventional cells")
    place, coordination = known[kind]
    conventional = lattice.conventional @ lattice.vectors
    if structure(lattice) == "hcp" and kind == "tetrahedral":  # equally far from the atom below and the three above
        side, height = np.linalg.norm(conventional[0]), np.linalg.norm(conventional[2])
        place = (0.0, 0.0, 1 / 4 + (side / height) ** 2 / 3)
    rarest = min(range(lattice.sublattices), key=lambda b: (lattice.species.count(lattice.species[b]), b))
    # a crystal typed in as the mirror image has its voids at the opposite points, where the other has its atoms (or bonds)
    for sign in (1, -1):
        point = lattice.motif[rarest] + sign * np.array(place) @ conventional
        if len(nearest_sites(lattice, point)) == coordination:
            return point
    raise InputError(f"the {kind} void of {lattice.name} is not at its usual place in the cell; give position=(x, y, z)")


def nearest_sites(lattice: Lattice, point: Float[np.ndarray, "3"]) -> list[Site]:
    """The sites nearest to a point, as far as the first within 1 %."""
    near = sites_within(lattice, point, float(np.linalg.norm(lattice.vectors, axis=1).max()) + lattice.nearest_neighbour)
    return [site for distance, site in near if distance < 1.01 * near[0][0] + 1e-9]


def _coordinates(place: Iterable[float | int] | None) -> tuple[float, float, float]:
    try:
        values = () if place is None else tuple(float(x) for x in place)
    except (TypeError, ValueError):
        values = ()
    if len(values) == 2:
        values = (*values, 0.0)
    if len(values) != 3 or not np.all(np.isfinite(values)):
        raise InputError(
            f'an interstitial needs a kind such as "octahedral", or position=(x, y, z) in conventional cells; got {place!r}'
        )
    return values


def _interstitial(lattice: Lattice, where: str | tuple[float, float, float], symbol: str | None) -> Edits:
    point = void_position(lattice, where) if isinstance(where, str) else np.array(where) @ lattice.conventional @ lattice.vectors
    if lattice.dimension == 2 and abs(point[2]) > 1e-9:
        raise InputError(f"an interstitial of a two-dimensional crystal lies in its plane z = 0; got {where}")
    symbol = symbol or lattice.species[0]
    label = f"{symbol}_i_{site_symmetry(lattice, point)}"
    if len(set(lattice.species)) > 1:  # doped's way to tell voids of one symmetry apart: the nearest species
        label += "_" + "".join(sorted({lattice.species[s.sublattice] for s in nearest_sites(lattice, point)}))
    return Edits(label, added=((tuple(point.tolist()), symbol),))


def _dumbbell(
    lattice: Lattice, indices: tuple[int, ...], symbol: str | None, site: int | str, separation: float | int | None
) -> Edits:
    if lattice.dimension == 2 and indices[2]:
        raise InputError(f"a dumbbell of a two-dimensional crystal lies in its plane; got direction {indices_text(indices)}")
    home = Site(0, 0, 0, sublattice_of(lattice, site))
    axis = np.array(indices) @ lattice.conventional @ lattice.vectors
    half = (separation or SEPARATION * lattice.nearest_neighbour) / 2 * axis / np.linalg.norm(axis)
    symbol = symbol or lattice.species[home.sublattice]
    return Edits(
        f"{symbol}_i_split_{indices_text(indices)}",
        moved=((home, tuple(half.tolist())),),
        added=((tuple((home.position(lattice) - half).tolist()), symbol),),
    )
