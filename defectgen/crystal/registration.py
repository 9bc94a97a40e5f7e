"""How a defective structure lies on the perfect crystal: its rigid shift, and the site that each atom belongs to."""

import numpy as np

from .._typing import Float, Int
from .lattice import Lattice, minimum_image

WIDTH = 0.1
"""Nearest-neighbour spacings: standard deviation of the Gaussian that counts atoms as on a site. Relaxation beyond the core is
below it; the smallest distance between a site and a void, 0.5, is far outside."""

NEAR = 0.3
"""Nearest-neighbour spacings off its site beyond which an atom does not take part in the refinement."""

PROBES = 400
"""Atoms that judge a candidate shift, at most; trials are as many at most, unless the crystal has many like sublattices."""

TRIALS = 24
"""Atoms whose distances to the sites of a primitive cell are candidate shifts, at least: most of them are not in the core."""

GOOD = 0.9
"""Score of the unshifted structure from which no other shift is tried."""

ROUNDING = 2e-4
"""A: a median offset below it is the rounding of files, and no shift."""


def rigid_shift(
    lattice: Lattice,
    origin: Float[np.ndarray, "3"],
    atoms: Float[np.ndarray, "atoms 3"],
    symbols: tuple[str, ...] | list[str],
) -> Float[np.ndarray, "3"]:
    """How far the atoms of a crystal with a defect are shifted off its sites, A: determined up to a translation of the crystal.

    Candidates are the vectors from like sites of a primitive cell to atoms, folded into that cell; the best one puts the most
    atoms near sites of their species. It is refined by weighted means and then by the median offset, which a relaxed core does
    not move. A shift below the rounding of files is zero. In two dimensions the height of the plane is the median one.
    """
    spacing = lattice.nearest_neighbour
    named = np.array(symbols, dtype=object)
    shift = np.zeros(3)
    if lattice.dimension == 2:
        shift[2] = np.median(atoms[:, 2]) - origin[2]
    fields = [
        (atoms[named == species], _LikeSites(lattice, origin, species))
        for species in sorted(set(lattice.species), key=lattice.species.count)
    ]
    fields = [(x, sites) for x, sites in fields if len(x)]
    if not fields:
        return np.zeros(3)
    probes = [(_some(x, max(TRIALS, PROBES * len(x) // len(atoms))), sites) for x, sites in fields]

    def score(s: np.ndarray) -> float:
        """Fraction of the probes that are on a site after the shift s is undone."""
        square = np.concatenate([np.sum(sites.offset(x - s) ** 2, axis=1) for x, sites in probes])
        return float(np.mean(np.exp(-square / (2 * (WIDTH * spacing) ** 2))))

    best = score(shift)
    if best < GOOD:
        for candidate in _candidates(lattice, fields, shift):
            found = score(candidate)
            if found > best + 1e-9:
                best, shift = found, candidate
    return _refined(fields, shift, spacing)


class _LikeSites:
    """The sites of one species in the infinite crystal."""

    def __init__(self, lattice: Lattice, origin: np.ndarray, species: str):
        from scipy.spatial import KDTree

        self.motif = lattice.motif[[s == species for s in lattice.species]] + origin
        self._vectors, self._periodic = lattice.vectors, lattice.periodic
        reach = NEAR * lattice.nearest_neighbour
        self._points, _ = ghosts(self.motif, lattice.vectors, lattice.periodic, reach)
        self._tree, self._reach = KDTree(self._points), reach

    def offset(self, x: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """The vectors from the nearest sites; infinite where none is near."""
        wrapped = wrap(x, self._vectors, self._periodic)
        distance, nearest = self._tree.query(wrapped, distance_upper_bound=self._reach)
        found = np.isfinite(distance)
        return np.where(found[:, None], wrapped - self._points[np.where(found, nearest, 0)], np.inf)


def _candidates(lattice: Lattice, fields: list, lift: np.ndarray) -> Float[np.ndarray, "trials 3"]:
    """Vectors from the sites of a primitive cell to some atoms of their species, the shortest of each class, in order of length.

    Two species take part where there are two: all atoms of the rarest one may belong to the defect.
    """
    found = []
    for x, sites in fields[:2]:
        some = _some(x, max(TRIALS, PROBES // (len(fields[:2]) * len(sites.motif))))
        found.append((some[:, None] - sites.motif[None]).reshape(-1, 3))
    short = minimum_image(np.concatenate(found), lattice.vectors, lattice.periodic)
    if lattice.dimension == 2:
        short[:, 2] = lift[2]
    order = np.argsort(np.round(np.linalg.norm(short, axis=1), 6), kind="stable")
    return short[order]


def _refined(fields: list, shift: np.ndarray, spacing: float) -> Float[np.ndarray, "3"]:
    """The shift moved to the weighted mean offset of all atoms until it stays, then by their median offset."""
    for _ in range(30):
        offset = np.concatenate([sites.offset(x - shift) for x, sites in fields])
        offset = offset[np.isfinite(offset[:, 0])]
        if not len(offset):
            return shift
        weight = np.exp(-np.sum(offset**2, axis=1) / (2 * (WIDTH * spacing) ** 2))
        step = weight @ offset / max(weight.sum(), 1e-300)
        if np.linalg.norm(step) < 1e-6:
            break
        shift = shift + step
    offset = np.concatenate([sites.offset(x - shift) for x, sites in fields])
    offset = offset[np.isfinite(offset[:, 0])]
    shift = shift + (np.median(offset, axis=0) if len(offset) else 0.0)
    return np.where(np.abs(shift) < ROUNDING, 0.0, shift)


def _some(x: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of the rows, evenly spread."""
    return x[np.unique(np.linspace(0, len(x) - 1, min(count, len(x))).round().astype(int))]


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
    """Site of every atom, -1 for none: nearest sites where they are unique, an optimal assignment for the rest.

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


def wrap(x: np.ndarray, vectors: np.ndarray, periodic: tuple[bool, bool, bool]) -> np.ndarray:
    """Positions in the box, along the directions in which it repeats."""
    fractional = x @ np.linalg.inv(vectors)
    return x - np.where(np.array(periodic), np.floor(fractional), 0.0) @ vectors


def ghosts(
    home: np.ndarray, vectors: np.ndarray, periodic: tuple[bool, bool, bool], margin: float
) -> tuple[np.ndarray, np.ndarray]:
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
