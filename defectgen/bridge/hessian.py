"""The sparse Hessian of any atoms, H = D^T V'' D: Hessian jets of the sites between the difference operator and its transpose."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse import bsr_matrix

from .._typing import Float
from ..energy.bonds import Bonds
from ..energy.site import SiteEnergy
from ..energy.total import site_hessians

JET_BYTES = 16 * 2**20
"""Bytes of site Hessians held at once; the work arrays behind them are some ten times larger."""


def sparse_hessian(
    energy: SiteEnergy, x: Float[np.ndarray, "rows 3"], vectors: Float[np.ndarray, "3 3"], bonds: Bonds, atoms: int
) -> bsr_matrix:
    """d2E/dx dx of the first `atoms` rows, eV/A^2, as a (3 atoms, 3 atoms) block-sparse matrix of 3 x 3 blocks.

    H = sum over sites l of D_l^T V''_l D_l, where D_l x = {x(j) - x(l)}: images of one atom add up in its column, so
    cells narrower than the cutoff are right, and rows sum to zero to rounding. Sites are taken in chunks of one shape.
    """
    slots = bonds.index.shape[1]
    chunk = max(1, min(1 << max(0, (atoms - 1)).bit_length(), JET_BYTES // (8 * (3 * slots) ** 2)))
    stencil = bonds.stencil(jnp.asarray(x), jnp.asarray(vectors))
    index, mask = np.asarray(bonds.index), np.asarray(bonds.mask)
    total = bsr_matrix((3 * atoms, 3 * atoms), blocksize=(3, 3))
    for start in range(0, atoms, chunk):
        site = np.arange(start, min(start + chunk, atoms))
        rows = np.concatenate([site, np.full(chunk - len(site), site[0])])  # the last chunk keeps the common shape
        jets = np.asarray(site_hessians(energy, jax.tree.map(lambda a, rows=rows: a[rows], stencil)))[: len(site)]
        difference = _difference(site, index[site], mask[site], atoms)
        total = total + difference.T @ (_block_diagonal(jets) @ difference)
    return total


def _difference(site: np.ndarray, index: np.ndarray, mask: np.ndarray, atoms: int) -> bsr_matrix:
    """D restricted to the given sites: one block row per bond, +1 at the neighbour, -1 at the site, nothing for padding."""
    count = 2 * mask.ravel()
    column = np.stack([index, np.broadcast_to(site[:, None], index.shape)], axis=-1)[mask].ravel()
    block = np.tile(np.stack([np.eye(3), -np.eye(3)]), (int(mask.sum()), 1, 1))
    start = np.concatenate([[0], np.cumsum(count)])
    return bsr_matrix((block, column, start), shape=(3 * mask.size, 3 * atoms))


def _block_diagonal(jets: np.ndarray) -> bsr_matrix:
    """Site Hessians (sites, slots, 3, slots, 3) along the diagonal of a block-sparse matrix."""
    sites, slots = jets.shape[:2]
    blocks = np.ascontiguousarray(jets.transpose(0, 1, 3, 2, 4)).reshape(-1, 3, 3)
    column = (np.arange(sites)[:, None, None] * slots + np.arange(slots)).repeat(slots, axis=1).ravel()
    return bsr_matrix((blocks, column, np.arange(0, len(blocks) + 1, slots)), shape=(3 * sites * slots,) * 2)
