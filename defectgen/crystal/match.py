"""A defect from elsewhere: compare a defective structure with the perfect one, and carry the difference to any cell."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from .._input import InputError
from .._typing import Float, Int
from .edits import Defect, Edits
from .lattice import Lattice, Site, image_steps, minimum_image, sites_within
from .registration import NEAR, assign, rigid_shift
from .symmetry import lattice_from_primitive

MOVED = 0.25
"""Spacings off its site from which an atom is part of the core and keeps its place; relaxation around it stays below."""

ON_SITE = 0.1
"""A: how well the perfect structure must agree with its lattice."""

FAR = 1e9
"""A: positions lose more than 1e-7 A to rounding beyond it."""

HANDFUL = 6
"""Edits that a defect of any cell may have: a dumbbell, a divacancy or a pair of antisites in a cell of a few atoms."""

LARGE = 0.2
"""Share of the atoms that may be edited, not counting what the two structures differ by in number. Compact clusters of vacancies
or interstitials only change that number; a wrong origin, a rotation or another crystal edit half of the atoms or more."""


def match_defect(
    perfect_positions: Float[np.ndarray, "sites 3"],
    perfect_symbols: tuple[str, ...] | list[str],
    defective_positions: Float[np.ndarray, "atoms 3"],
    defective_symbols: tuple[str, ...] | list[str],
    vectors: Float[np.ndarray, "3 3"],
    periodic: tuple[bool, bool, bool] = (True, True, True),
    lattice: Lattice | None = None,
) -> Defect:
    """The defect that turns a perfect structure into a defective one in the same box.

    Parameters
    ----------
    perfect_positions : array, (sites, 3)
        A.
    perfect_symbols : sequence of str
        Chemical symbols of the sites.
    defective_positions : array, (atoms, 3)
        A; relaxed or not, wrapped or not, in any order.
    defective_symbols : sequence of str
        Chemical symbols of the atoms.
    vectors : array, (3, 3)
        Box vectors of both as rows, A.
    periodic : tuple of bool
        Along which of them the box repeats.
    lattice : Lattice, optional
        The crystal; by default the primitive cell of the perfect structure.

    Returns
    -------
    Defect
        A recipe for any cell of the crystal. In a cell of another lattice constant its offsets scale with it.

    Raises
    ------
    InputError
        If the perfect structure is no crystal of that lattice, if the two structures do not differ, or if they differ by more
        than
        a defect.

    Notes
    -----
    The rigid shift between the two structures is found from the atoms that are still on sites, and undone. Each atom belongs to
    the site it is nearest to: one atom a site, the least sum of squared distances where several compete, like species
    preferred.
    Sites without an atom are vacancies, atoms without a site interstitials. Atoms less than 0.25 spacings off their site go
    back
    to it, others and interstitials stay where they are.
    """
    home = np.array(perfect_positions, dtype=float).reshape(-1, 3)
    moved_to = np.array(defective_positions, dtype=float).reshape(-1, 3)
    vectors = np.array(vectors, dtype=float)
    for what, x, symbols in (("perfect", home, perfect_symbols), ("defective", moved_to, defective_symbols)):
        if len(x) != len(symbols) or len(x) == 0 or not np.all(np.abs(x) < FAR):
            raise InputError(
                f"the {what} structure needs finite positions (below {FAR:.0e} A, where rounding does not move atoms) and as "
                f"many symbols; got {len(x)} positions, {len(symbols)} symbols"
            )
    if lattice is None:
        lattice = crystal_of(home, perfect_symbols, vectors, periodic)
    origin, sites = _register(lattice, home, perfect_symbols)
    shift = rigid_shift(lattice, origin, moved_to, defective_symbols)
    if lattice.dimension == 3 and not all(periodic):
        shift = shift + _whole_steps(lattice, home, moved_to - shift)
    moved_to = moved_to - shift
    owner = assign(home, perfect_symbols, moved_to, defective_symbols, vectors, periodic, lattice.nearest_neighbour)
    edits = difference(lattice, origin, sites, home, perfect_symbols, moved_to, defective_symbols, owner, vectors, periodic)
    check_alike(edits, len(home), len(moved_to), shift)
    return Defect(edits.label, partial(transferred, edits=edits, source=lattice))


def difference(
    lattice: Lattice,
    origin: Float[np.ndarray, "3"],
    sites: Int[np.ndarray, "sites 4"],
    home: Float[np.ndarray, "sites 3"],
    home_symbols: tuple[str, ...] | list[str],
    atoms: Float[np.ndarray, "atoms 3"],
    atom_symbols: tuple[str, ...] | list[str],
    owner: Int[np.ndarray, " atoms"],
    vectors: Float[np.ndarray, "3 3"],
    periodic: tuple[bool, bool, bool],
) -> Edits:
    """The edits, gathered around the first one by minimum image."""
    spacing = lattice.nearest_neighbour
    missing = np.setdiff1d(np.arange(len(home)), owner)
    on = np.flatnonzero(owner >= 0)
    offset = minimum_image(atoms[on] - home[owner[on]], vectors, periodic)
    far = np.linalg.norm(offset, axis=1) > MOVED * spacing
    foreign = np.array([atom_symbols[i] != home_symbols[owner[i]] for i in on], dtype=bool)
    extra = np.flatnonzero(owner < 0)
    touched = [*missing, *owner[on[foreign | far]]]
    if not touched and not len(extra):
        raise InputError("the defective structure is the perfect one; nothing is missing, extra or replaced")
    anchor = home[touched[0]] if touched else atoms[extra[0]]

    def unwrapped(s: Any) -> Site:
        """The copy of perfect site s that is nearest to the anchor."""
        near = minimum_image(home[s] - anchor, vectors, periodic) + anchor - home[s]
        t = np.rint(near @ np.linalg.inv(lattice.vectors)).astype(int)
        return Site.at(t + sites[s][:3], sites[s][3])

    added = [
        (tuple((minimum_image(atoms[i] - anchor, vectors, periodic) + anchor - origin).tolist()), str(atom_symbols[i]))
        for i in extra
    ]
    vacant = tuple(unwrapped(s) for s in missing)
    replaced = tuple((unwrapped(owner[i]), str(atom_symbols[i])) for i in on[foreign])
    moved = tuple((unwrapped(owner[i]), tuple(d.tolist())) for i, d in zip(on[far], offset[far], strict=True))
    return Edits(_label(lattice, vacant, replaced, moved, added), vacant, replaced, moved, tuple(added))


def check_alike(edits: Edits, sites: int, atoms: int, shift: np.ndarray) -> None:
    """Raises InputError if more is edited than a defect can be."""
    moved = set(dict(edits.moved)) | {site for site, _ in edits.replaced}
    count = len(edits.vacant) + len(edits.added) + len(moved)
    net = abs(sites - atoms)
    if count - net > max(HANDFUL, LARGE * min(sites, atoms)) or net > max(HANDFUL, sites / 2):
        found = f" after a shift of {np.round(shift, 3).tolist()} A was undone" if shift.any() else ""
        raise InputError(
            f"the two structures seem rotated, strained, shifted or unrelated: of {atoms} atoms and {sites} sites of the perfect "
            f"structure, {len(edits.vacant)} sites are empty, {len(edits.added)} atoms are on no site, {len(edits.moved)} are "
            f"more than {MOVED} spacings off theirs and {len(edits.replaced)} are of another species{found}; give the perfect "
            "crystal in the orientation, the box and with the species of the defective structure"
        )


def _whole_steps(lattice: Lattice, home: np.ndarray, atoms: np.ndarray) -> np.ndarray:
    """The translation of the crystal (A) that puts most atoms on sites where an open boundary tells translations apart."""
    from scipy.spatial import KDTree

    tree = KDTree(home)
    middle = np.rint((np.median(atoms, axis=0) - np.median(home, axis=0)) @ np.linalg.inv(lattice.vectors))
    trials = np.concatenate([np.zeros((1, 3)), middle + image_steps(3)]) @ lattice.vectors
    reach = NEAR * lattice.nearest_neighbour
    hits = [np.isfinite(tree.query(atoms - t, distance_upper_bound=reach)[0]).sum() for t in trials]
    return trials[int(np.argmax(hits))]


def _label(
    lattice: Lattice,
    vacant: tuple[Site, ...],
    replaced: tuple[tuple[Site, str], ...],
    moved: tuple[tuple[Site, tuple], ...],
    added: Sequence[tuple[tuple, str]],
) -> str:
    """v_Cu, v2_Cu, Ni_Cu, Cu_i, Cu_i_split (an extra atom next to one that left its site), joined by + and sorted."""
    words = sorted(f"v_{lattice.species[s.sublattice]}" for s in vacant)
    words += sorted(f"{symbol}_{lattice.species[s.sublattice]}" for s, symbol in replaced)
    words += sorted(f"{symbol}_i{'_split' if moved else ''}" for _, symbol in added)
    if not words:
        words = sorted(f"{lattice.species[s.sublattice]}_off" for s, _ in moved)
    count = {word: words.count(word) for word in words}
    return "+".join(w if n == 1 else w.replace("_", f"{n}_", 1) for w, n in count.items())


def crystal_of(
    home: Float[np.ndarray, "sites 3"],
    symbols: tuple[str, ...] | list[str],
    vectors: Float[np.ndarray, "3 3"],
    periodic: tuple[bool, bool, bool],
) -> Lattice:
    """The primitive cell of the perfect structure."""
    if tuple(periodic) == (True, True, False):
        flat = home - [0, 0, home[0, 2]]
        box = np.array([vectors[0], vectors[1], [0.0, 0.0, 1.0]])
        return lattice_from_primitive(box, flat, symbols, reduce=True, dimension=2)
    if not all(periodic):
        raise InputError("a perfect structure that is not periodic does not determine its lattice; give lattice=")
    return lattice_from_primitive(vectors, home, symbols, reduce=True)


def _register(lattice: Lattice, home: np.ndarray, symbols: tuple[str, ...] | list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Origin of the lattice in the frame of the perfect structure (A), and (t1, t2, t3, sublattice) of all its atoms."""
    inverse = np.linalg.inv(lattice.vectors)
    for b in range(lattice.sublattices):
        origin = home[0] - lattice.motif[b]
        away = (home - origin)[:, None] - lattice.motif[None]
        t = np.rint(away @ inverse)
        miss = np.linalg.norm(away - t @ lattice.vectors, axis=-1)
        best = miss.argmin(1)
        if miss.min(1).max() < ON_SITE and all(lattice.species[k] == s for k, s in zip(best, symbols, strict=True)):
            return origin, np.column_stack([t[np.arange(len(home)), best], best]).astype(int)
    raise InputError(
        f"the perfect structure is not made of sites of {lattice.name} (within {ON_SITE} A, same species and orientation); "
        "check its lattice constant and axes, or leave the lattice out"
    )


def transferred(lattice: Lattice, edits: Edits, source: Lattice) -> Edits:
    """The edits of `source` as edits of `lattice`; offsets and interstitial positions follow the strain between the two.

    Raises InputError if the crystals have different vectors (rotated, say) or species.
    """
    if lattice is source:
        return edits
    ratio = lattice.vectors @ np.linalg.inv(source.vectors)
    whole = np.rint(ratio)
    if np.abs(ratio - whole).max() > 0.15 or abs(np.linalg.det(whole)) * source.sublattices != lattice.sublattices:
        raise InputError(
            f"the defect was found in {source.name}: its primitive vectors {np.round(source.vectors, 3).tolist()} are not those "
            f"of {lattice.name}, {np.round(lattice.vectors, 3).tolist()}; orient both equally, or build the cell from one file"
        )
    strain = np.linalg.inv(whole @ source.vectors) @ lattice.vectors  # row vectors: x_target = x_source @ strain
    origin = _origin(lattice, source, strain)

    def there(site: Site) -> Site:
        _, found = sites_within(lattice, site.position(source) @ strain + origin, 0.3 * lattice.nearest_neighbour)[0]
        return found

    return Edits(
        edits.label,
        tuple(there(s) for s in edits.vacant),
        tuple((there(s), symbol) for s, symbol in edits.replaced),
        tuple((there(s), tuple((np.array(d) @ strain).tolist())) for s, d in edits.moved),
        tuple((tuple((np.array(x) @ strain + origin).tolist()), symbol) for x, symbol in edits.added),
    )


def _origin(lattice: Lattice, source: Lattice, strain: np.ndarray) -> np.ndarray:
    """The shift that puts every (strained) site of the source on a site of the lattice with the same species."""
    image = source.motif @ strain
    for b in range(lattice.sublattices):
        shift = lattice.motif[b] - image[0]
        near = [sites_within(lattice, x + shift, 0.2 * lattice.nearest_neighbour) for x in image]
        if all(n and lattice.species[n[0][1].sublattice] == s for n, s in zip(near, source.species, strict=True)):
            return shift
    raise InputError(
        f"the atoms of {source.name} do not lie on the sites of {lattice.name}; build the cell from the same structure"
    )
