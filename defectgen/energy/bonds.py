"""The difference operator D of a cell, (Dx)(l) = {x(l + rho) - x(l)}, and its transpose, worked through in chunks of rows."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import kernel
from .._input import InputError
from .._typing import Anywhere, Array, Bool, Float, Int
from ..crystal.neighbours import neighbours
from .forms import PackedBasis
from .site import SiteEnergy, Stencil

Part = tuple[int | Array, int]
"""Some rows that follow each other: the first one, and their number."""


def part_of(array: Anywhere, part: Part | None) -> Array:
    """These rows of an array, or all of it."""
    return jnp.asarray(array) if part is None else jax.lax.dynamic_slice_in_dim(array, *part)


def over_rows(function: Callable[[Part], Any], rows: int, chunk: int, live: Int[Anywhere, ""] | None = None) -> Any:
    """`function` of every chunk of the rows, results joined.

    With `live`, only chunks with one of the first `live` rows are computed, and rows of the others are zero: then padding costs
    memory and no time. (The last chunk ends with the rows: what it shares with the one before is computed twice.)
    """
    if rows <= chunk:
        return function((0, rows))
    one = jax.jit(lambda start: function((start, chunk)))  # traced once: for the shapes of the results, and for the results

    def step(k: Array, done: Any) -> Any:
        return jax.tree.map(partial(_put, start=k * chunk), done, one(k * chunk))

    nothing = jax.tree.map(lambda a: jnp.zeros((rows, *a.shape[1:]), a.dtype), jax.eval_shape(one, 0))
    return jax.lax.fori_loop(0, -(-(rows if live is None else live) // chunk), step, nothing)


def over_sites(function: Callable[[Any], Any], tree: Any, rows: int, chunk: int, live: Int[Anywhere, ""] | None = None) -> Any:
    """The same for a function of the arrays of a tree, cut along their leading axis."""
    return over_rows(lambda part: function(jax.tree.map(lambda a: part_of(a, part), tree)), rows, chunk, live)


def _put(array: Array, rows: Array, start: Array) -> Array:
    return jax.lax.dynamic_update_slice_in_dim(array, rows, start, 0)


class Bonds(eqx.Module):
    """A neighbour list on the device, padded in atoms and in slots to a few shapes (so that few compilations are needed).

    Of potentials that are evaluated by compiled code (`SiteEnergy.on_host`) it stays in arrays of NumPy.
    """

    index: Int[Anywhere, "rows slots"]
    shift: Int[Anywhere, "rows slots 3"]
    mask: Bool[Anywhere, "rows slots"]
    reverse: Int[Anywhere, "rows slots"]
    kinds: Int[Anywhere, " rows"]
    """Species index of every atom (0 on padding)."""
    real: Bool[Anywhere, " rows"]
    """False on padding rows."""
    cutoff: float
    """Cutoff of the site energy; padded slots point to twice this distance."""

    @property
    def count(self) -> Int[Array, ""]:
        """Number of rows before the padding."""
        return jnp.sum(self.real)

    def stencil(self, x: Float[Anywhere, "atoms 3"], vectors: Float[Anywhere, "3 3"], part: Part | None = None) -> Stencil:
        """The stencils of all rows, or of a part of them.

        Parameters
        ----------
        x : array, (atoms, 3)
            Positions, padded, A.
        vectors : array, (3, 3)
            Box vectors as rows, A.
        part : tuple of int, optional
            First row and number of rows.

        Returns
        -------
        Stencil
            Relative positions and species of the neighbours.
        """
        index, shift, mask, kinds, own = (part_of(a, part) for a in (self.index, self.shift, self.mask, self.kinds, x))
        g = x[index] - own[:, None, :] + shift.astype(x.dtype) @ vectors
        far = jnp.array([2.0 * self.cutoff, 0.0, 0.0], dtype=x.dtype)
        return Stencil(jnp.where(mask[..., None], g, far), kinds, jnp.asarray(self.kinds)[index])

    def difference(self, v: Float[Anywhere, "atoms 3"], part: Part | None = None) -> Float[Array, "rows slots 3"]:
        """Dv of all rows, or of a part of them.

        Parameters
        ----------
        v : array, (atoms, 3)
            A field on the atoms, padded.
        part : tuple of int, optional
            First row and number of rows.

        Returns
        -------
        array, (rows, slots, 3)
            v(l + rho) - v(l); zero on padding.
        """
        index, mask, own = (part_of(a, part) for a in (self.index, self.mask, v))
        return jnp.where(mask[..., None], v[index] - own[:, None, :], 0.0)

    def transpose(self, p: Float[Array, "rows slots 3"]) -> Float[Array, "rows 3"]:
        """D^T p, by gathers through the reverse bonds instead of scattering, which is fast and deterministic.

        Parameters
        ----------
        p : array, (rows, slots, 3)
            A field on the bonds.

        Returns
        -------
        array, (rows, 3)
            Its field on the atoms.
        """
        flat = p.reshape(-1, 3)

        def arriving(part: Part):
            reverse, mask, own = (part_of(a, part) for a in (self.reverse, self.mask, p))
            return jnp.sum(jnp.where(mask[..., None], flat[reverse] - own, 0.0), axis=1)

        return over_rows(arriving, len(p), TOGETHER, self.count)


TOGETHER = 64
"""Rows that are added up at once."""


def padded_rows(atoms: int, row_bytes: int = 0) -> int:
    """The number of rows that `atoms` atoms are padded to: one of SMALL, or at most 1/8 more.

    Padding is memory and no work (see `chunks`), and small cells, of which there are many sizes, share what is compiled. Where
    the results of a row (`row_bytes`) are so large that the memory itself takes time, small cells get at most 1/4 more.
    """
    if atoms > SMALL[-1]:
        return _stepped(atoms, 4)
    rows = next(rows for rows in SMALL if rows >= atoms)
    return rows if rows * row_bytes <= CHEAP else _stepped(atoms, 3)


def _stepped(atoms: int, digits: int) -> int:
    """Rounded up to a number that so many binary digits write."""
    step = 1 << max(atoms.bit_length() - digits, 0)
    return -(-atoms // step) * step


SMALL = (256, 2048)
"""Rows of small cells: a neighbour list of 0.4 and of 4 MB."""

CHEAP = 4 << 20
"""Bytes that are written as fast as they are computed, about a second cache: design rows of 700 functions for 256 atoms."""


def bonds(
    positions: Float[np.ndarray, "atoms 3"],
    vectors: Float[np.ndarray, "3 3"],
    periodic: tuple[bool, bool, bool],
    symbols: tuple[str, ...],
    energy: SiteEnergy,
    skin: float = 0.0,
    bucket: int | None = None,
) -> Bonds:
    """The bonds that an energy depends on, out to its cutoff plus a skin.

    Parameters
    ----------
    positions : array, (atoms, 3)
        A.
    vectors : array, (3, 3)
        Box vectors as rows, A.
    periodic : tuple of bool
        Along which of them the box repeats.
    symbols : tuple of str
        Chemical symbols of the atoms.
    energy : SiteEnergy
        Its cutoff and species count.
    skin : float
        Bonds are this much longer than the cutoff, A.
    bucket : int, optional
        Atoms are padded by `padded_rows`; with `bucket` to a multiple of it, and the slots to a multiple of the padded atoms,
        so
        that molecules of all sizes share a few shapes.

    Returns
    -------
    Bonds
        The padded neighbour list on the device.

    Raises
    ------
    InputError
        For a species that the energy does not know, overlapping atoms, or positions that are not finite.
    """
    check_species(energy, symbols)
    known = {symbol: k for k, symbol in enumerate(energy.species)}
    atoms = len(positions)
    # a compiled kernel makes the rows of a basis, so that another shape takes a tenth of a second to compile, and not seconds
    width = 24 * energy.size if isinstance(energy, PackedBasis) and kernel.missing() is None else 0
    rows = padded_rows(atoms, width) if bucket is None else -(-atoms // bucket) * bucket
    near = neighbours(positions, vectors, periodic, energy.cutoff + skin, 8 if bucket is None else rows, rows)
    kinds = pad(np.array([known[s] for s in symbols], dtype=np.int64), rows)
    arrays = near.index, near.shift, near.mask, near.reverse, kinds, np.arange(rows) < atoms
    if not (energy.on_host and kernel.missing() is None):
        arrays = jax.device_put(arrays)  # one call: each takes a tenth of a millisecond
    return Bonds(*arrays, cutoff=float(energy.cutoff))


def check_species(energy: Any, symbols: Iterable[str]) -> None:
    """Checks that the energy has all species.

    Parameters
    ----------
    energy : SiteEnergy or another code
        Its species count.
    symbols : iterable of str
        Chemical symbols.

    Raises
    ------
    InputError
        For species that it does not know.
    """
    if energy.species is None:  # another code, whose species are unknown before it is used
        return
    unknown = sorted(set(symbols) - set(energy.species))
    if unknown:
        raise InputError(
            f"the potential is for {', '.join(energy.species)}; the cell contains {', '.join(unknown)}: "
            "use a potential for these species"
        )


def pad(array: np.ndarray, rows: int) -> np.ndarray:
    """The array with zero rows appended.

    Parameters
    ----------
    array : array, (n, ...)
        At most `rows` rows.
    rows : int
        Number of rows of the result.

    Returns
    -------
    array, (rows, ...)
        The padded array.
    """
    return np.concatenate([array, np.zeros((rows - len(array), *array.shape[1:]), dtype=array.dtype)])
