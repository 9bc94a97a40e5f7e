"""What a defect is: a recipe, its edits of perfect sites, and their placement in a cell that keeps its map to the crystal."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ParamSpec

import numpy as np

from .._display import shown
from .._input import InputError, did_you_mean
from .._typing import Float
from .cell import Cell, Sites
from .lattice import Lattice, Site, image_steps, reduced_basis

TOO_CLOSE = 0.4
"""Nearest-neighbour spacings: no atom is placed closer to another (a bond interstitial has 0.5, a tight dumbbell more)."""


@dataclass(frozen=True, eq=False)
class Edits:
    """What a defect does to the infinite crystal, anywhere: only differences between the sites matter."""

    label: str
    """Name in the crystal, `v_Cu` for instance."""
    vacant: tuple[Site, ...] = ()
    replaced: tuple[tuple[Site, str], ...] = ()
    """Sites with their new symbol."""
    moved: tuple[tuple[Site, tuple[float, float, float]], ...] = ()
    """Sites whose atom stays theirs but starts off them, with the offset in A."""
    added: tuple[tuple[tuple[float, float, float], str], ...] = ()
    """Positions (A) and symbols of atoms that belong to no site."""

    @property
    def sites(self) -> list[Site]:
        """All edited sites, each once."""
        return list(dict.fromkeys([*self.vacant, *(s for s, _ in self.replaced), *(s for s, _ in self.moved)]))

    def points(self, lattice: Lattice) -> Float[np.ndarray, "points 3"]:
        """Where the defect is: its edited sites (a moved atom counts where it starts) and its added atoms.

        Parameters
        ----------
        lattice : Lattice
            The crystal.

        Returns
        -------
        array, (points, 3)
            Positions, A.
        """
        offset = dict(self.moved)
        on_site = [s.position(lattice) + np.array(offset.get(s, (0.0, 0.0, 0.0))) for s in self.sites]
        return np.array(on_site + [np.array(x) for x, _ in self.added]).reshape(-1, 3)


def place(cell: Cell, edits: Edits, at: Float[np.ndarray, "3"]) -> Cell:
    """The cell with the edits made where the centre of the defect comes nearest to a point.

    Parameters
    ----------
    cell : Cell
        A perfect or a defective cell; defects add up.
    edits : Edits
        What is edited.
    at : array, (3,)
        The point, A.

    Returns
    -------
    Cell
        Atoms keep their order, removed ones missing, added ones last.

    Raises
    ------
    InputError
        If the defect reaches its own image, edits a missing or clamped atom, or puts atoms on top of each other.
    """
    lattice = cell.lattice
    points = edits.points(lattice)
    anchors = cell.perfect_sites.translations[cell.perfect_sites.sublattices == 0]
    away = cell.minimum_image(anchors @ lattice.vectors + points.mean(0) - at)
    nearest = int(np.argmin(np.round(np.linalg.norm(away, axis=1), 6)))
    anchor = anchors[nearest]
    shift = at + away[nearest] - points.mean(0)  # the anchor's vector, up to a box vector that brings the defect to `at`
    _check_image(cell, edits, points)

    atom = {site: _atom(cell, edits, site, anchor) for site in edits.sites}
    positions, symbols = cell.positions.copy(), list(cell.symbols)
    for site, symbol in edits.replaced:
        symbols[atom[site]] = symbol
    for site, offset in edits.moved:
        positions[atom[site]] = cell.site_positions[cell.sites[atom[site]]] + offset
    stays = np.ones(len(cell), dtype=bool)
    stays[[atom[site] for site in edits.vacant]] = False
    added = np.array([x for x, _ in edits.added]).reshape(-1, 3) + shift
    _check_free(cell, edits, added)
    placed = replace(
        cell,
        positions=np.vstack([positions[stays], added]),
        symbols=(*np.array(symbols, dtype=object)[stays], *(symbol for _, symbol in edits.added)),
        sites=np.concatenate([cell.sites[stays], np.full(len(added), -1)]),
        free=np.concatenate([cell.free[stays], np.ones(len(added), dtype=bool)]),
        centre=_joint_centre(cell, points.mean(0) + shift, len(points)),
        defect=f"{cell.defect}+{edits.label}" if cell.defect else edits.label,
    )
    moved = [int(np.count_nonzero(stays[: atom[site]])) for site, _ in edits.moved]
    _check_overlap(placed, edits, [*moved, *range(len(placed) - len(added), len(placed))])
    return placed


def site_index(perfect: Sites, site: Site) -> int | None:
    """Row of `perfect` that holds a site of the infinite crystal (wrapped into a periodic cell), None outside a ball."""
    t = np.array(site[:3])
    if perfect.matrix is not None:  # whole-number arithmetic: t @ inv(matrix) = t @ adjugate / det
        det = round(np.linalg.det(perfect.matrix))
        adjugate = np.rint(np.linalg.inv(perfect.matrix) * det).astype(int)
        t = t - (t @ adjugate * np.sign(det) // abs(det)) @ perfect.matrix
    found = np.flatnonzero((perfect.translations == t).all(1) & (perfect.sublattices == site.sublattice))
    return int(found[0]) if len(found) else None


def defect_size(cell: Cell) -> int:
    """Number of edits that the cell carries: missing, foreign, moved and extra atoms.

    Parameters
    ----------
    cell : Cell
        The cell.

    Returns
    -------
    int
        Zero for the perfect crystal.
    """
    on_site = cell.sites >= 0
    home = cell.sites[on_site]
    native = np.array(cell.lattice.species, dtype=object)[cell.perfect_sites.sublattices[home]]
    foreign = native != np.array(cell.symbols, dtype=object)[on_site]
    moved = np.linalg.norm(cell.positions[on_site] - cell.site_positions[home], axis=1) > 1e-8
    missing = len(cell.site_positions) - int(on_site.sum())
    return missing + int((foreign | moved).sum()) + int((~on_site).sum())


def _atom(cell: Cell, edits: Edits, site: Site, anchor: np.ndarray) -> int:
    """The atom on a site of the pattern, which must be there and free."""
    shifted = Site.at(anchor + np.array(site[:3]), site.sublattice)
    index = site_index(cell.perfect_sites, shifted)
    if index is None:
        raise InputError(f"{edits.label} reaches beyond the ball; use a larger radius or place it nearer the middle")
    here = np.flatnonzero(cell.sites == index)
    where = np.round(cell.site_positions[index], 3).tolist()
    if len(here) == 0:
        raise InputError(
            f"{edits.label} needs an atom on the site at {where} A, which is vacant already; place it elsewhere with at="
        )
    if not cell.free[here[0]]:
        raise InputError(f"{edits.label} needs to edit the clamped atom at {where} A; use a ball of larger radius")
    return int(here[0])


def _check_image(cell: Cell, edits: Edits, points: np.ndarray) -> None:
    """Two points of the defect must be more than a nearest-neighbour spacing apart through the boundary."""
    if not any(cell.periodic):
        return
    pair = (points[:, None] - points[None]).reshape(-1, 3)
    nearest = cell.minimum_image(pair)
    direct = np.linalg.norm(pair, axis=1)
    gap = np.linalg.norm(nearest, axis=1)
    own = gap > direct - 1e-6  # the pair itself is the shortest: the next one over is the image
    basis = reduced_basis(cell.vectors[list(cell.periodic)])
    steps = image_steps(len(basis))[1:] @ basis
    gap[own] = np.linalg.norm(nearest[own][:, None] + steps, axis=-1).min(1)
    if gap.min() < 1.01 * cell.lattice.nearest_neighbour:
        raise InputError(
            f"{edits.label} comes within {gap.min():.3f} A of its own periodic image, no more than a bond "
            f"({cell.lattice.nearest_neighbour:.3f} A); use a larger cell"
        )


def _check_free(cell: Cell, edits: Edits, added: np.ndarray) -> None:
    """An added atom must lie among free atoms."""
    for x in added:
        nearest = int(np.argmin(np.linalg.norm(cell.minimum_image(cell.positions - x), axis=1)))
        if not cell.free[nearest]:
            raise InputError(
                f"{edits.label} puts an atom among the clamped ones at {np.round(x, 3).tolist()} A; use a ball of larger radius"
            )


def _check_overlap(placed: Cell, edits: Edits, atoms: list[int]) -> None:
    """Atoms that the defect put somewhere must keep their distance from all others."""
    for atom in atoms:
        apart = np.linalg.norm(placed.minimum_image(placed.positions - placed.positions[atom]), axis=1)
        apart[atom] = np.inf
        if apart.min() < TOO_CLOSE * placed.lattice.nearest_neighbour:
            raise InputError(
                f"{edits.label} puts two atoms {apart.min():.3f} A apart (a bond is "
                f"{placed.lattice.nearest_neighbour:.3f} A); choose another position or separation"
            )


def _joint_centre(cell: Cell, centre: np.ndarray, points: int) -> np.ndarray:
    """The new centre, averaged with that of the defects already there."""
    before = defect_size(cell) if cell.defect else 0
    return centre if before == 0 else cell.centre + cell.minimum_image(centre - cell.centre) * points / (points + before)


@dataclass(frozen=True, eq=False)
class Defect:
    """A defect without a crystal; `apply` makes it in the middle of a cell."""

    name: str
    """How it is written in a study file, `divacancy(2)` for instance; the name in a crystal is `label(lattice)`."""
    plan: Callable[[Lattice], Edits]
    """What it edits in a given crystal."""

    def __repr__(self) -> str:
        return shown(self, self.name)

    def label(self, lattice: Lattice) -> str:
        """Name in the crystal in the style of doped and pymatgen: `v_Cu`, `Cu_Ni` (Cu on Ni), `Si_i_Td`.

        Parameters
        ----------
        lattice : Lattice
            The crystal.

        Returns
        -------
        str
            The name.

        Raises
        ------
        InputError
            If the crystal has no such site.
        """
        return self.plan(lattice).label

    def apply(self, cell: Cell, at: Sequence[float | int] | np.ndarray | None = None) -> Cell:
        """The cell with the defect made as near as the lattice allows to a point.

        Parameters
        ----------
        cell : Cell
            A perfect cell, or a defective one: then the two defects add up.
        at : sequence of float, optional
            The point, A; by default the centre of the cell.

        Returns
        -------
        Cell
            The perfect crystal stays known: `.apply(cell).perfect` is that crystal again.

        Raises
        ------
        InputError
            For what is no cell, if the crystal has no such site, the cell is too small, or atoms would overlap or be clamped.
        """
        if not isinstance(cell, Cell):
            raise InputError(f"a defect is made in a cell, such as dg.supercell(lattice, 4); got {type(cell).__name__}")
        return place(cell, self.plan(cell.lattice), cell.centre if at is None else _point(at))


P = ParamSpec("P")


def maker(function: Callable[P, Defect]) -> Callable[P, Defect]:
    """A function that makes a recipe; `dg.vacancy.apply(cell)`, without the call, is answered in a sentence."""

    def forgotten(*args: object, **kwargs: object) -> None:
        raise InputError(f"{function.__name__} makes a defect when it is called: write dg.{function.__name__}(...).apply(cell)")

    function.apply = forgotten  # type: ignore[attr-defined]
    return function


def sublattice_of(lattice: Lattice, site: int | str) -> int:
    """The sublattice meant by its number or by a species.

    Parameters
    ----------
    lattice : Lattice
        The crystal.
    site : int or str
        Row of the motif, or a chemical symbol, whose first sublattice is meant.

    Returns
    -------
    int
        Row of the motif.

    Raises
    ------
    InputError
        If the crystal has none such.
    """
    if isinstance(site, str):
        if site in lattice.species:
            return lattice.species.index(site)
        known = tuple(dict.fromkeys(lattice.species))
        raise InputError(f"{lattice.name} has no {site} site; it has {', '.join(known)}{did_you_mean(site, known)}")
    whole_number = isinstance(site, int | np.integer) and not isinstance(site, bool)
    if not whole_number or not 0 <= site < lattice.sublattices:
        raise InputError(
            f"{lattice.name} has sublattices 0 to {lattice.sublattices - 1} ({', '.join(lattice.species)}); got {site!r}"
        )
    return int(site)


def _point(at: object) -> np.ndarray:
    """Three finite coordinates, A."""
    try:
        point = np.asarray(at, dtype=float)
    except (TypeError, ValueError):
        point = np.zeros(0)
    if point.shape != (3,) or not np.all(np.isfinite(point)):
        raise InputError(f"a defect is placed at=(x, y, z) in Angstrom; got {at!r}")
    return point
