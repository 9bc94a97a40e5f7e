"""The Hessian of any atoms, H = D^T V'' D: Hessians of the sites between the difference operator and its transpose."""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np
from scipy.sparse import bsr_matrix, csr_array

from .._typing import Bool, Float, Int
from ..energy.bonds import Bonds, padded_rows
from ..energy.site import SiteEnergy, Stencil
from ..energy.total import site_blocks, stencils

BLOCK_BYTES = 16 * 2**20
"""Bytes of the blocks of sites that are held at once."""

WIDTH = 8
"""Sites are taken together whose numbers of neighbours are equal when rounded up to a multiple of this: few are padded much,
and few programs are compiled."""


def sparse_hessian(
    energy: SiteEnergy,
    x: Float[np.ndarray, "rows 3"],
    vectors: Float[np.ndarray, "3 3"],
    bonds: Bonds,
    atoms: int,
    block_bytes: int = BLOCK_BYTES,
) -> bsr_matrix:
    """d2E/dx dx of the first `atoms` rows, eV/A^2, as a (3 atoms, 3 atoms) block-sparse matrix of 3 x 3 blocks.

    H = sum over sites l of D_l^T V''_l D_l, where D_l x = {x(j) - x(l)}: images of one atom add up in its column, so
    cells narrower than the cutoff are right, and rows sum to zero to rounding. Blocks are added in place: which there are
    is known from the bonds. Blocks of sites of at most `block_bytes` are held at once.
    """
    pattern = _pattern(np.asarray(bonds.index)[:atoms], np.asarray(bonds.mask)[:atoms])
    keys = np.repeat(np.arange(atoms), np.diff(pattern.indptr)) * atoms + pattern.indices
    data = np.zeros((len(keys), 9))
    for part in _parts(energy, x, vectors, bonds, atoms, block_bytes):
        both = part.live[:, :, None] & part.live[:, None, :]
        place = np.searchsorted(keys, (part.atom[:, :, None].astype(np.int64) * atoms + part.atom[:, None, :])[both])
        add = csr_array((np.ones(len(place)), (place, np.arange(len(place)))), shape=(len(keys), len(place)))
        data += add @ part.blocks[both].reshape(-1, 9)
    return bsr_matrix((data.reshape(-1, 3, 3), pattern.indices, pattern.indptr), shape=(3 * atoms, 3 * atoms))


def dense_hessian(
    energy: SiteEnergy,
    x: Float[np.ndarray, "rows 3"],
    vectors: Float[np.ndarray, "3 3"],
    bonds: Bonds,
    atoms: int,
    block_bytes: int = BLOCK_BYTES,
) -> Float[np.ndarray, "coordinates coordinates"]:
    """The same as a whole matrix, eV/A^2: faster where most atoms are coupled."""
    matrix = np.zeros((atoms * atoms, 9))
    for part in _parts(energy, x, vectors, bonds, atoms, block_bytes):
        for atom, live, blocks in zip(part.atom, part.live, part.blocks, strict=True):
            own = atom[live].astype(np.int64)
            place = (own[:, None] * atoms + own).ravel()
            added = (blocks if live.all() else blocks[np.ix_(live, live)]).reshape(-1, 9)
            if len(set(own.tolist())) == len(own):
                matrix[place] = matrix.take(place, axis=0) + added
            else:  # several images of one atom
                np.add.at(matrix, place, added)
    return np.ascontiguousarray(matrix.reshape(atoms, atoms, 3, 3).swapaxes(1, 2)).reshape(3 * atoms, 3 * atoms)


class _Part(NamedTuple):
    """D_l^T V''_l D_l of some sites l."""

    atom: Int[np.ndarray, "sites slots"]
    """The neighbours of each site, then the site itself."""
    live: Bool[np.ndarray, "sites slots"]
    blocks: Float[np.ndarray, "sites slots slots 3 3"]


def _parts(energy: SiteEnergy, x: np.ndarray, vectors: np.ndarray, bonds: Bonds, atoms: int, block_bytes: int) -> Iterator[_Part]:
    """All sites, with blocks of at most `block_bytes` at once."""
    stencil = jax.tree.map(np.asarray, stencils(x, vectors, bonds))
    index, mask = np.asarray(bonds.index)[:atoms], np.asarray(bonds.mask)[:atoms]
    widths = np.maximum(1, -(-mask.sum(axis=1) // WIDTH)) * WIDTH
    for width in np.unique(widths):
        every = np.flatnonzero(widths == width)
        count = min(padded_rows(len(every)), max(1, block_bytes // (72 * (width + 1) ** 2)))
        for site in np.split(every, np.arange(count, len(every), count)):
            rows = np.concatenate([site, np.full(count - len(site), site[0])])  # all parts have one shape
            part = Stencil(*jax.device_put((stencil.g[rows, :width], stencil.centre[rows], stencil.neighbour[rows, :width])))
            blocks = np.asarray(site_blocks(energy, part, np.array(len(site))))[: len(site)]
            atom = np.column_stack([index[site, :width], site])
            yield _Part(atom, np.column_stack([mask[site, :width], np.ones(len(site), dtype=bool)]), blocks)


def _pattern(index: Int[np.ndarray, "atoms slots"], mask: Bool[np.ndarray, "atoms slots"]) -> csr_array:
    """Which atoms are coupled: those in one stencil, its site included; columns sorted."""
    atoms = len(index)
    sees = np.append(index[mask], np.arange(atoms)), np.append(np.nonzero(mask)[0], np.arange(atoms))
    seen = csr_array((np.ones(len(sees[0])), sees), shape=(atoms, atoms))
    pattern = (seen @ seen.T).tocsr()
    pattern.sort_indices()
    return pattern
