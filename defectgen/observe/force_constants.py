"""Force constants: of the perfect, infinite crystal from the jets of one primitive cell, and of the core of a defect."""

from dataclasses import dataclass
from functools import cached_property

import jax
import numpy as np

from .._display import brief
from .._input import InputError
from .._typing import Float, Int
from ..crystal.lattice import Lattice, widths
from ..crystal.snapshot import Snapshot
from ..energy.blackbox import BlackBox
from ..energy.bonds import bonds, pad
from ..energy.crystal_state import crystal_force_constants
from ..energy.functional import cell_energy
from ..energy.perfect import ForceConstants as Constants
from ..energy.potential import Potential, is_basis
from ..energy.total import channel_hessian_product, hessian_product
from .observation import Observation


@dataclass(frozen=True, eq=False)
class ForceConstants(Observation):
    """FC: Phi(0 b, t b') of the perfect crystal for all pairs within `reach`, eV/A^2, weighted |rho|^range_power.

    On-site terms follow from the acoustic sum rule and are left out, and of Phi(rho) and Phi(-rho) = Phi(rho)^T one is kept.
    With `supercell` (a matrix in primitive vectors) pairs are summed over its images: what a finite-difference calculation
    in that supercell sees. theory: bounds/observation-errors.
    """

    lattice: Lattice
    reach: float
    """A; twice the larger cutoff holds every pair that interacts."""
    range_power: float = 0.0
    supercell: Int[np.ndarray, "3 3"] | None = None
    group: str = "bulk"  # pyright: ignore[reportIncompatibleMethodOverride]  a field is a property too

    __repr__ = brief
    kind = "FC"

    @property
    def atoms(self) -> int:
        return self.lattice.sublattices

    @cached_property
    def pairs(self) -> Int[np.ndarray, "pairs 5"]:
        """(b, b', t) of the observed pairs, sorted by distance; one of each pair and its reverse."""
        lattice = self.lattice
        count = np.ceil(self.reach / widths(lattice.vectors)).astype(int) + 1
        if lattice.dimension == 2:
            count[2] = 0
        t = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in count], indexing="ij"), -1).reshape(-1, 3)
        s = lattice.sublattices
        first, second, where = np.meshgrid(np.arange(s), np.arange(s), np.arange(len(t)), indexing="ij")
        pairs = np.column_stack([first.ravel(), second.ravel(), t[where.ravel()]])
        if self.supercell is not None:
            pairs[:, 2:] = self._fold(pairs[:, 2:])
            pairs = np.unique(pairs, axis=0)
        length = np.linalg.norm(self._separation(pairs), axis=1)
        forward = _is_forward(pairs, self._reverse(pairs))
        keep = (length < self.reach) & (length > 1e-8) & forward
        return pairs[keep][np.lexsort((*pairs[keep].T[::-1], np.round(length[keep], 8)))]

    def _reverse(self, pairs: np.ndarray) -> np.ndarray:
        back = np.column_stack([pairs[:, 1], pairs[:, 0], -pairs[:, 2:]])
        if self.supercell is not None:
            back[:, 2:] = self._fold(back[:, 2:])
        return back

    def _fold(self, translations: np.ndarray) -> np.ndarray:
        """Translations modulo the supercell, the representative inside the box."""
        matrix = np.asarray(self.supercell)
        det = round(np.linalg.det(matrix))
        adjugate = np.rint(np.linalg.inv(matrix) * det).astype(int)
        box = np.floor_divide(translations @ adjugate, det) if det > 0 else np.floor_divide(-(translations @ adjugate), -det)
        return translations - box @ matrix

    def _separation(self, pairs: np.ndarray) -> np.ndarray:
        """Vector of every pair, A; the shortest image if pairs are folded."""
        d = pairs[:, 2:] @ self.lattice.vectors + self.lattice.motif[pairs[:, 1]] - self.lattice.motif[pairs[:, 0]]
        if self.supercell is None:
            return d
        span = [np.arange(-1, 2) if p else np.array([0]) for p in self.lattice.periodic]
        images = (
            np.stack(np.meshgrid(*span, indexing="ij"), -1).reshape(-1, 3) @ np.asarray(self.supercell) @ self.lattice.vectors
        )
        every = d[:, None] + images[None]
        best = np.argmin(np.linalg.norm(every, axis=2), axis=1)
        return every[np.arange(len(d)), best]

    @property
    def row_weights(self) -> Float[np.ndarray, " rows"] | None:
        if self.range_power == 0.0:
            return None
        return np.repeat(self.lengths**self.range_power, self.lattice.dimension**2)

    @property
    def lengths(self) -> Float[np.ndarray, " pairs"]:
        """|rho| of every pair, nearest-neighbour spacings."""
        return np.linalg.norm(self._separation(self.pairs), axis=1) / self.lattice.nearest_neighbour

    def __call__(self, energy: Potential) -> np.ndarray:
        return self.read(crystal_force_constants(self.lattice, energy))

    def read(self, constants: Constants) -> Float[np.ndarray, " rows *channels"]:
        """The rows, from force constants that are already there (also those that another code computed).

        Parameters
        ----------
        constants : ForceConstants
            Of the perfect crystal, eV/A^2.

        Returns
        -------
        array, (rows, ...)
            Labels, or one column per channel of a basis.
        """
        keys = np.column_stack([constants.first, constants.second, constants.translations])
        if self.supercell is not None:
            keys[:, 2:] = self._fold(keys[:, 2:])
        place = {tuple(key): row for row, key in enumerate(self.pairs.tolist())}
        d = self.lattice.dimension
        phi = constants.phi[:, :d, :d]
        rows = np.zeros((len(self.pairs), *phi.shape[1:]))
        for key, block in zip(keys.tolist(), phi, strict=True):
            row = place.get(tuple(key))
            if row is not None:
                rows[row] += block
        return rows.reshape(-1, *phi.shape[3:])


def _is_forward(pairs: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Of a pair and its reverse, the one that sorts last (or the pair that is its own reverse)."""
    verdict = np.ones(len(pairs), dtype=bool)
    open_ = np.ones(len(pairs), dtype=bool)
    for column in range(pairs.shape[1]):
        larger, smaller = pairs[:, column] > back[:, column], pairs[:, column] < back[:, column]
        verdict[open_ & smaller] = False
        open_ &= ~(larger | smaller)
    return verdict


@dataclass(frozen=True, eq=False)
class CoreForceConstants(Observation):
    """FC, group `<group>-core`: Hessian columns of chosen atoms of one configuration, eV/A^2, by Hessian-vector products."""

    snapshot: Snapshot
    columns: Int[np.ndarray, " core"]
    """The atoms whose columns are observed."""

    __repr__ = brief
    kind = "FC"

    def __post_init__(self):
        if len(self.columns) == 0 or np.any((self.columns < 0) | (self.columns >= len(self.snapshot.cell))):
            raise InputError(
                f"the observed atoms must be among the {len(self.snapshot.cell)} of the cell; got {list(self.columns)}"
            )

    @property
    def group(self) -> str:
        return f"{self.snapshot.group}-core"

    @property
    def atoms(self) -> int:
        return len(self.snapshot.cell)

    def __call__(self, energy: Potential) -> Float[np.ndarray, " rows *channels"]:
        cell, x = self.snapshot.cell, self.snapshot.positions
        d, n = cell.lattice.dimension, len(cell)
        if isinstance(energy, BlackBox):
            functional = cell_energy(cell, energy)
            products = [functional.hessian_product(x, v) for v in self._directions()]
            return np.stack(products)[:, :, :d].reshape(-1)
        near = bonds(x, self.snapshot.vectors, cell.periodic, cell.symbols, energy)
        rows = near.index.shape[0]
        padded, box = jax.device_put((pad(x, rows), np.array(self.snapshot.vectors)))
        product = channel_hessian_product if is_basis(energy) else hessian_product
        columns = [np.asarray(product(energy, padded, box, near, pad(v, rows)))[:n, :d] for v in self._directions()]
        stacked = np.stack(columns)
        return stacked.reshape(-1, *stacked.shape[3:])

    def _directions(self):
        for atom in self.columns:
            for axis in range(self.snapshot.cell.lattice.dimension):
                v = np.zeros((len(self.snapshot.cell), 3))
                v[atom, axis] = 1.0
                yield v


def nearest_to_defect(snapshot: Snapshot, count: int) -> Int[np.ndarray, " count"]:
    """The atoms nearest to the defect: the core whose Hessian is worth observing.

    Parameters
    ----------
    snapshot : Snapshot
        A configuration of a defective cell.
    count : int
        Number of atoms.

    Returns
    -------
    integer array, (count,)
        Their numbers, nearest first.
    """
    return np.argsort(np.round(snapshot.cell.distance_to_defect(), 6), kind="stable")[:count]
