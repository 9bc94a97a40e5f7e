"""What a short-range repulsion says of a configuration: by pairs, without a compilation for every shape."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array, Float, Int
from ..ace import Repulsion
from ..crystal.neighbours import neighbours
from ..crystal.snapshot import Snapshot
from ..energy.bonds import check_species
from .observation import Response

TOGETHER = 2048
"""Pairs are padded to multiples of this by powers of two, so that few compilations are needed."""


def pair_response(repulsion: Repulsion, snapshot: Snapshot) -> Response:
    """The response of a repulsion alone.

    Parameters
    ----------
    repulsion : Repulsion
        The pair energies phi.
    snapshot : Snapshot
        The configuration.

    Returns
    -------
    Response
        Energy (eV), forces (eV/A) and virial (eV).

    Raises
    ------
    InputError
        For species that the repulsion does not know.

    Notes
    -----
    E = 1/2 sum phi(r_ij), f_i = sum_j phi'(r_ij) d_ij / r_ij, W = -1/2 sum phi'(r_ij) d_ij (x) d_ij / r_ij, d_ij from i to j.
    """
    x, cell = snapshot.positions, snapshot.cell
    check_species(repulsion, cell.symbols)
    near = neighbours(x, snapshot.vectors, cell.periodic, repulsion.cutoff)
    i, slot = np.nonzero(near.mask)
    j = near.index[i, slot]
    d = x[j] + near.shift[i, slot] @ snapshot.vectors - x[i]
    r = np.linalg.norm(d, axis=1)
    kinds = np.array([repulsion.species.index(s) for s in cell.symbols], dtype=int)
    value, slope = _pairs(repulsion, r, kinds[i], kinds[j])
    along = (slope / r)[:, None] * d
    forces = np.zeros((len(x), 3))
    np.add.at(forces, i, along)
    return Response(np.asarray(value.sum() / 2), forces, -(along.T @ d) / 2)


def _pairs(
    repulsion: Repulsion, r: Float[np.ndarray, " pairs"], i: Int[np.ndarray, " pairs"], j: Int[np.ndarray, " pairs"]
) -> tuple[Float[np.ndarray, " pairs"], Float[np.ndarray, " pairs"]]:
    """phi (eV) and phi' (eV/A) of all pairs."""
    end = np.asarray(repulsion.radius())[i, j]
    inside = r < end
    size = TOGETHER
    while size < len(r):
        size *= 2
    padded = np.ones(size)
    padded[: len(r)] = np.where(inside, r, np.where(end > 0, end / 2, 1.0))
    places = [np.concatenate([k, np.zeros(size - len(k), dtype=int)]) for k in (i, j)]
    value, slope = (np.asarray(a)[: len(r)] for a in _value_and_slope(repulsion, jnp.asarray(padded), *map(jnp.asarray, places)))
    return np.where(inside, value, 0.0), np.where(inside, slope, 0.0)


@eqx.filter_jit
def _value_and_slope(
    repulsion: Repulsion, r: Float[Array, " n"], i: Int[Array, " n"], j: Int[Array, " n"]
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    return jax.jvp(lambda s: repulsion.pair(s, i, j), (r,), (jnp.ones_like(r),))
