"""Labelled frames as a reference: what another code computed, looked up by geometry."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
from scipy.spatial import KDTree

from .._input import InputError
from .._typing import Float, Int
from ..crystal.lattice import Lattice
from ..crystal.snapshot import Snapshot
from ..crystal.symmetry import space_group
from ..energy.blackbox import BlackBox, Evaluation

SAME_PLACE = 1e-3
"""A: files round positions and vectors to 1e-4 or better, and displacements of force constants are ten times this."""


@final
@dataclass(frozen=True, eq=False)
class LabelledReference(BlackBox):
    """A reference that returns the labels of given frames and computes nothing.

    A frame is used for a configuration with the same atoms at the same places of the same box, in any order and
    for any origin (energy, forces and virial do not depend on a rigid shift), and for its images under the space group of
    the `crystal`, if there is one: one displaced atom of a cubic crystal is enough for all.
    Raises InputError for a configuration without a frame, and for a label missing from its frame.
    """

    frames: tuple[Snapshot, ...]
    crystal: Lattice | None = None
    step: float = 0.01
    """Displacement behind the force constants, A."""
    reach: float = 12.0
    """Width of the supercell of the force constants, A."""
    name: str = "labelled frames"
    place: float = SAME_PLACE
    """A: how far positions and box vectors of a frame may be from those that are requested."""

    species = None

    def evaluate(
        self,
        symbols: tuple[str, ...],
        positions: Float[np.ndarray, "atoms 3"],
        vectors: Float[np.ndarray, "3 3"],
        periodic: tuple[bool, bool, bool],
        stress: bool,
    ) -> Evaluation:
        """Energy, forces and virial of the frame that is a configuration.

        Parameters
        ----------
        symbols : tuple of str
            Chemical symbols of the atoms.
        positions : array (atoms, 3)
            A.
        vectors : array (3, 3)
            Box vectors as rows, A.
        periodic : tuple of bool
            Whether the box is periodic along each vector; not compared with the frames.
        stress : bool
            Whether the virial is needed.

        Returns
        -------
        Evaluation
            Energy (eV), forces (eV/A), virial (eV; None if the frame has none).

        Raises
        ------
        InputError
            No frame is this configuration, or the frame has no label that is needed.
        """
        found = self.find(symbols, positions, vectors)
        if found is None:
            raise InputError(
                f"no labelled frame is this configuration of {len(symbols)} atoms ({_formula(symbols)}); compute it, and hand "
                "back all frames with atoms and box as they were written"
            )
        frame = found[0]
        wanted = ("energy", "forces", "virial") if stress else ("energy", "forces")
        if missing := [label for label in wanted if label not in (frame.labels or {})]:
            what = "stress or virial" if missing[0] == "virial" else missing[0]
            raise InputError(f"the frame {frame.source} has no {what}, which is needed of it; compute it")
        return self.turned(*found)

    def turned(self, frame: Snapshot, order: Int[np.ndarray, " atoms"], turn: Float[np.ndarray, "3 3"]) -> Evaluation:
        """The labels of a frame, which has energy and forces, as those of the configuration that `find` found it for.

        Parameters
        ----------
        frame : Snapshot
            The frame.
        order : array (atoms,)
            Which of its atoms is each of those of the configuration.
        turn : array (3, 3)
            Rotation, of rows.

        Returns
        -------
        Evaluation
        """
        known = frame.labels or {}
        virial = turn.T @ known["virial"] @ turn if "virial" in known else None
        return Evaluation(float(known["energy"]), known["forces"][order] @ turn, virial)

    def knows(self, snapshot: Snapshot, shifted: bool = True) -> bool:
        """Whether a frame is this configuration, up to the space group of the crystal.

        Parameters
        ----------
        snapshot : Snapshot
            The configuration.
        shifted : bool
            Whether a rigid shift makes no difference either.

        Returns
        -------
        bool
        """
        return self.find(snapshot.cell.symbols, snapshot.positions, snapshot.vectors, shifted) is not None

    def find(
        self, symbols: tuple[str, ...], positions: np.ndarray, vectors: np.ndarray, shifted: bool = True
    ) -> tuple[Snapshot, Int[np.ndarray, " atoms"], Float[np.ndarray, "3 3"]] | None:
        """The frame that is a configuration, if there is one.

        Parameters
        ----------
        symbols : tuple of str
            Chemical symbols of the atoms.
        positions : array (atoms, 3)
            A.
        vectors : array (3, 3)
            Box vectors as rows, A.
        shifted : bool
            Whether a rigid shift makes no difference.

        Returns
        -------
        tuple or None
            The frame, which of its atoms is each of those requested, and the rotation (of rows) that turns its labels.
        """
        alike = [f for f in self.frames if len(f.positions) == len(symbols) and np.abs(f.vectors - vectors).max() < self.place]
        if not alike:
            return None
        turns, shifts = self._operations(symbols, vectors)
        may = np.ones((len(alike), len(turns)), dtype=bool)
        if len(turns) > 1:
            may = np.array([_possible(frame, turns, shifts, positions, vectors, self.place) for frame in alike])
        for k in np.flatnonzero(may.any(axis=0)):
            matches = [
                _order(f, f.positions @ turns[k] + shifts[k], symbols, positions, vectors, self.place) if could else None
                for f, could in zip(alike, may[:, k], strict=True)
            ]
            if (nearest := _nearest(alike, matches)) is not None:
                return *nearest, turns[k]
        if shifted and (alike := [f for f in alike if sorted(f.cell.symbols) == sorted(symbols)]):
            for turn in sorted(np.unique(np.round(turns, 9), axis=0), key=lambda turn: -np.trace(turn)):  # the identity first
                matches = [_order_shifted(f, f.positions @ turn, symbols, positions, vectors, self.place) for f in alike]
                if (nearest := _nearest(alike, matches)) is not None:
                    return *nearest, turn
        return None

    def _operations(
        self, symbols: tuple[str, ...], vectors: np.ndarray
    ) -> tuple[Float[np.ndarray, "count 3 3"], Float[np.ndarray, "count 3"]]:
        """The identity, then, for as many atoms as the crystal has in the box, what maps both crystal and box onto themselves."""
        itself = np.eye(3)[None], np.zeros((1, 3))
        if self.crystal is None:
            return itself
        matrix = vectors @ np.linalg.inv(self.crystal.vectors)
        boxes = round(abs(np.linalg.det(matrix)))
        if np.abs(matrix - np.rint(matrix)).max() > 1e-3 or sorted(symbols) != sorted(self.crystal.species * boxes):
            return itself
        inverse = np.linalg.inv(vectors)
        turns, shifts = (
            np.array(each)
            for each in zip(
                *((t, s) for t, s in zip(*space_group(self.crystal), strict=True) if _whole(vectors @ t @ inverse)), strict=True
            )
        )
        translations = _translations(np.rint(matrix).astype(int)) @ self.crystal.vectors
        every = (translations[:, None] + shifts).reshape(-1, 3)
        return np.concatenate([itself[0], np.tile(turns, (len(translations), 1, 1))]), np.concatenate([itself[1], every])


def inequivalent(snapshots: Iterable[Snapshot], crystal: Lattice) -> list[Snapshot]:
    """Those of the configurations that have to be computed: the others are their images under the space group of the crystal.

    Parameters
    ----------
    snapshots : iterable of Snapshot
        Configurations.
    crystal : Lattice
        The crystal whose space group counts.

    Returns
    -------
    list of Snapshot
        The first of each set of images, in the order given.
    """
    found: list[Snapshot] = []
    for snapshot in snapshots:
        if not LabelledReference(tuple(found), crystal).knows(snapshot, shifted=False):
            found.append(snapshot)
    return found


def _whole(matrix: np.ndarray) -> bool:
    return bool(np.abs(matrix - np.rint(matrix)).max() < 1e-6)


def _translations(matrix: Int[np.ndarray, "3 3"]) -> Int[np.ndarray, "count 3"]:
    """All translations of the crystal within a box of whole multiples of its vectors, the shortest first."""
    reach = np.abs(matrix).sum(axis=0)
    t = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in reach], indexing="ij"), -1).reshape(-1, 3)
    place = t @ np.linalg.inv(matrix)
    inside = t[np.all((place > -1e-9) & (place < 1 - 1e-9), axis=1)]
    return inside[np.argsort(np.abs(inside).sum(axis=1), kind="stable")]


class _Match(NamedTuple):
    """A frame that has an atom at every place requested."""

    order: Int[np.ndarray, " atoms"]
    """Which of its atoms, for every atom requested."""
    miss: float
    """A: the largest distance of two such places."""


def _nearest(frames: list[Snapshot], matches: list[_Match | None]) -> tuple[Snapshot, Int[np.ndarray, " atoms"]] | None:
    """Of the frames that match, the one that is nearest: steps of a relaxation can be shorter than rounding in files."""
    found = [(match.miss, number) for number, match in enumerate(matches) if match is not None]
    if not found:
        return None
    best = matches[number := min(found)[1]]
    assert best is not None
    return frames[number], best.order


PROBES = 3
"""Atoms whose places are compared first: those that are farthest from an atom of the frame."""


def _possible(
    frame: Snapshot, turns: np.ndarray, shifts: np.ndarray, positions: np.ndarray, vectors: np.ndarray, place: float
) -> np.ndarray:
    """For every operation, whether it may map the frame onto the configuration: by a few atoms, those in the rarest places."""
    inverse = np.linalg.inv(vectors)
    there = _inside(frame.positions @ inverse)
    tree = KDTree(there, boxsize=1.0)

    def miss(points: np.ndarray) -> np.ndarray:
        here = _inside(points @ inverse)
        apart = here - there[np.asarray(tree.query(here)[1])]
        return np.linalg.norm((apart - np.rint(apart)) @ vectors, axis=-1)

    probes = positions[np.argsort(-miss(positions), kind="stable")[:PROBES]]
    back = np.einsum("opx,oyx->opy", probes[None] - shifts[:, None], turns)  # rotations: the transpose is the inverse
    return np.all(miss(back) <= 2 * place, axis=1)


def _order(
    frame: Snapshot, placed: np.ndarray, symbols: tuple[str, ...], positions: np.ndarray, vectors: np.ndarray, place: float
) -> _Match | None:
    """For every atom requested, the atom of the frame at its place or an image of it; None if there is one without."""
    inverse = np.linalg.inv(vectors)
    here, there = _inside(positions @ inverse), _inside(placed @ inverse)
    index = np.asarray(KDTree(there, boxsize=1.0).query(here)[1])
    miss = here - there[index]
    far = float(np.linalg.norm((miss - np.rint(miss)) @ vectors, axis=1).max())
    if far > place or len(np.unique(index)) < len(index):
        return None
    same = all(frame.cell.symbols[k] == symbol for k, symbol in zip(index, symbols, strict=True))
    return _Match(index, far) if same else None


def _order_shifted(
    frame: Snapshot, placed: np.ndarray, symbols: tuple[str, ...], positions: np.ndarray, vectors: np.ndarray, place: float
) -> _Match | None:
    """The same where the frame has another origin: an atom of the rarest species is one of its like, the others decide which."""
    inverse = np.linalg.inv(vectors)
    rarest = min(dict.fromkeys(symbols), key=symbols.count)
    shifts = positions[symbols.index(rarest)] - placed[[s == rarest for s in frame.cell.symbols]]
    probes = positions[np.unique(np.linspace(0, len(symbols) - 1, 6).round().astype(int))]
    here, there = _inside((probes[None] - shifts[:, None]) @ inverse), _inside(placed @ inverse)
    miss = here - there[KDTree(there, boxsize=1.0).query(here)[1]]
    near = np.linalg.norm((miss - np.rint(miss)) @ vectors, axis=-1).max(axis=1) < 2 * place  # rounding of two atoms
    for shift in shifts[near]:
        here = _inside((positions - shift) @ inverse)
        miss = here - there[KDTree(there, boxsize=1.0).query(here)[1]]
        centred = shift + np.mean((miss - np.rint(miss)) @ vectors, axis=0)
        order = _order(frame, placed + centred, symbols, positions, vectors, place)
        if order is not None:
            return order
    return None


def _inside(fractional: np.ndarray) -> np.ndarray:
    """Coordinates in [0, 1); the remainder of a tiny negative number is 1 after rounding."""
    wrapped = fractional % 1.0
    return np.where(wrapped >= 1.0, 0.0, wrapped)


def _formula(symbols: tuple[str, ...]) -> str:
    return " ".join(f"{symbols.count(symbol)} {symbol}" for symbol in dict.fromkeys(symbols))
