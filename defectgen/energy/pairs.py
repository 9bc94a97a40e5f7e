"""The pairs of atoms that the sites of a perfect crystal couple, and the sum of site Hessians over them."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from .._typing import Float, Int
from ..crystal.lattice import Lattice
from .bonds import Bonds
from .packed import PackedHessian


@dataclass(frozen=True, eq=False)
class CrystalPairs:
    """Every pair (b, b', t) of an atom b of the home cell and an atom b' of cell t that one site sees, or is; sorted.

    Site l couples the atoms of its stencil and itself: V''_l(rho, sigma) goes to the pair (l + rho, l + sigma), and minus its
    row sums to the pairs with l, so the acoustic sum rule holds to rounding.
    """

    keys: Int[np.ndarray, "pairs 5"]
    live: tuple[Int[np.ndarray, " neighbours"], ...]
    """For each site of the home cell the slots that hold a neighbour."""
    place: tuple[Int[np.ndarray, "atoms atoms"], ...]
    """The pair of every two atoms that the site couples: its neighbours, then the site itself."""

    def dense(
        self, site: int, hessian: Float[np.ndarray, "slots 3 slots 3 *channels"]
    ) -> Float[np.ndarray, "pairs 3 3 *channels"]:
        """What a site with this Hessian adds to every pair."""
        live, place = self.live[site], self.place[site]
        inner = hessian[live][:, :, live]
        k, channels = len(live), inner.shape[4:]
        full = np.zeros((k + 1, 3, k + 1, 3, *channels))
        full[:k, :, :k] = inner
        full[k, :, :k] = -inner.sum(axis=0)
        full[:k, :, k] = -inner.sum(axis=2)
        full[k, :, k] = inner.sum(axis=(0, 2))
        blocks = np.moveaxis(full, 2, 1).reshape((k + 1) ** 2, 3, 3, *channels)
        order = np.argsort(place, axis=None, kind="stable")
        found, starts = np.unique(place.ravel()[order], return_index=True)
        total = np.zeros((len(self.keys), 3, 3, *channels))
        total[found] = np.add.reduceat(blocks[order], starts, axis=0)
        return total

    def packed(self, site: int, hessian: PackedHessian) -> Float[np.ndarray, "functions entries"]:
        """The same for every function of a site, entries (pairs, 3, 3). Function by function: no Hessian of all is made."""
        live, place = self.live[site], self.place[site]
        slopes, middle, own = (np.asarray(a)[0] for a in (hessian.slopes, hessian.middle, hessian.own))
        support = np.asarray(hessian.support)
        sums, k, functions = len(slopes), len(live), len(support)
        moved = np.zeros((sums, 3, k + 1))  # of the neighbours, then of the site itself: the difference operator
        moved[:, :, :k] = slopes[:, :, live]
        moved[:, :, k] = -moved.sum(axis=2)
        moved = moved.reshape(sums, -1)
        over_pairs = _sums_over_pairs(place, len(self.keys))
        total = np.empty((functions, over_pairs.shape[0]))
        width = (support < sums).sum(axis=1)
        for c, (w, chosen, matrix) in enumerate(zip(width, support, middle, strict=True)):
            directions = moved[chosen[:w]]
            total[c] = over_pairs @ (directions.T @ (matrix[:w, :w] @ directions)).ravel()
        itself = _of_one_neighbour(place, len(self.keys)) @ own[..., live].reshape(-1, k).T
        return total + np.swapaxes(itself.reshape(-1, functions, 9), 0, 1).reshape(functions, -1)


def crystal_pairs(lattice: Lattice, near: Bonds) -> CrystalPairs:
    """The pairs of a primitive cell with these bonds."""
    index, shift, mask = (np.asarray(a) for a in (near.index, near.shift, near.mask))
    keys, live = [], []
    for site in range(lattice.sublattices):
        slots = np.flatnonzero(mask[site])
        atom = np.append(index[site][slots], site)
        image = np.vstack([shift[site][slots], np.zeros((1, 3), dtype=int)])
        a, b = (m.ravel() for m in np.meshgrid(np.arange(len(atom)), np.arange(len(atom)), indexing="ij"))
        keys.append(np.column_stack([atom[a], atom[b], image[b] - image[a]]))
        live.append(slots)
    pair, place = np.unique(np.concatenate(keys), axis=0, return_inverse=True)
    parts = np.split(place.ravel(), np.cumsum([len(k) for k in keys])[:-1])
    return CrystalPairs(pair, tuple(live), tuple(p.reshape(len(s) + 1, -1) for p, s in zip(parts, live, strict=True)))


def _sums_over_pairs(place: Int[np.ndarray, "atoms atoms"], pairs: int) -> csr_array:
    """From a matrix (3 atoms, 3 atoms), coordinates before atoms, to its 3 x 3 blocks added up over pairs."""
    n = len(place)
    a, k, b, l = np.indices((3, n, 3, n)).reshape(4, -1)  # noqa: E741
    target = 9 * place[k, l] + 3 * a + b
    return csr_array((np.ones(9 * n * n), (target, np.arange(9 * n * n))), shape=(9 * pairs, 9 * n * n))


def _of_one_neighbour(place: Int[np.ndarray, "atoms atoms"], pairs: int) -> csr_array:
    """From one block for each neighbour, V''(rho, rho) of its own, to pairs: with itself, with the site, and the site's own."""
    k = len(place) - 1
    own = np.arange(k)
    target = np.concatenate([place[own, own], place[own, k], place[k, own], np.full(k, place[k, k])])
    return csr_array((np.repeat([1.0, -1.0, -1.0, 1.0], k), (target, np.tile(own, 4))), shape=(pairs, k))
