"""Environments: the value of each function of a basis at each site of a configuration."""

from dataclasses import dataclass, field
from functools import cached_property

import jax
import numpy as np

from .._input import InputError
from .._typing import Array, Float, Int
from ..ace import ACEBasis
from ..energy.bonds import Bonds, bonds, pad
from ..energy.potential import is_basis
from ..energy.total import channel_rows, site_energies


@dataclass(frozen=True, eq=False)
class Environments:
    """The site rows b_l of one configuration: V_l = b_l . theta, E = sum_l V_l, so that rows of sites sum to rows of energies."""

    basis: ACEBasis
    symbols: tuple[str, ...]
    near: Bonds = field(repr=False)
    padded: Float[Array, "rows 3"] = field(repr=False)
    box: Float[Array, "3 3"] = field(repr=False)

    def __len__(self) -> int:
        return len(self.symbols)

    @cached_property
    def sites(self) -> Float[np.ndarray, "atoms size"]:
        """Values of every basis function at every site, eV per unit coefficient; zero in the functions of other species."""
        return np.asarray(site_energies(self.basis, self.padded, self.box, self.near))[: len(self)]

    @cached_property
    def forces(self) -> Float[np.ndarray, "atoms 3 size"]:
        """Rows of the force components, eV/A per unit coefficient: f_la = forces[l, a] . theta."""
        return np.asarray(channel_rows(self.basis, self.padded, self.box, self.near)[1])[: len(self)]

    def of(self, symbol: str) -> Int[np.ndarray, " own"]:
        """The atoms of one species.

        Parameters
        ----------
        symbol : str
            Chemical symbol.

        Returns
        -------
        integer array, (own,)
            Their numbers.
        """
        return np.flatnonzero(np.array(self.symbols) == symbol)


def environments(
    basis: ACEBasis,
    symbols: tuple[str, ...],
    positions: Float[np.ndarray, "atoms 3"],
    vectors: Float[np.ndarray, "3 3"],
    periodic: tuple[bool, bool, bool],
    bucket: int | None = None,
) -> Environments:
    """The environments of all atoms of a configuration; nothing is evaluated before it is needed.

    Parameters
    ----------
    basis : ACEBasis
        The basis that describes them.
    symbols : tuple of str
        Chemical symbols of the atoms.
    positions : array, (atoms, 3)
        A.
    vectors : array, (3, 3)
        Box vectors as rows, A.
    periodic : tuple of bool
        Along which of them the box repeats.
    bucket : int, optional
        Lets molecules of many sizes share a few compilations, see `energy.bonds`.

    Returns
    -------
    Environments
        Site rows and force rows of the configuration.

    Raises
    ------
    InputError
        For what is no basis, for species it does not know, and for atoms that overlap.
    """
    if not is_basis(basis):
        raise InputError(f"environments are described by a basis, such as dg.ACEBasis or model.basis; got {type(basis).__name__}")
    near = bonds(positions, vectors, periodic, symbols, basis, bucket=bucket)
    padded, box = jax.device_put((pad(positions, near.index.shape[0]), np.array(vectors)))
    return Environments(basis, symbols, near, padded, box)


def own_columns(basis: ACEBasis, symbol: str) -> Int[np.ndarray, " own"]:
    """The channels that a site of a species can carry: its constant, then its functions; elsewhere its row is zero.

    Parameters
    ----------
    basis : ACEBasis
        The basis.
    symbol : str
        Chemical symbol of the site.

    Returns
    -------
    integer array, (own,)
        Channels. A pair function of two species is one channel of both.

    Raises
    ------
    InputError
        For a species that the basis does not know.
    """
    if symbol not in basis.species:
        raise InputError(f"the basis describes {', '.join(basis.species)}; got the species {symbol!r}")
    z, count, kinds = basis.species.index(symbol), basis.functions_per_species, len(basis.species)
    return basis.channel[np.concatenate([[z], kinds + z * count + np.arange(count)])]
