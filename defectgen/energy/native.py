"""Potentials with compiled code of their own: energies, forces and virial without a program of JAX, on processors only."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from .. import kernel
from .._typing import Anywhere, Bool, Float
from .bonds import Bonds
from .site import SiteEnergy, Stencil


class Native(ABC):
    """The compiled code of one potential."""

    @abstractmethod
    def sums(
        self, cell: kernel.HostCell
    ) -> tuple[Float[np.ndarray, " rows"], Float[np.ndarray, "rows 3"], Float[np.ndarray, "3 3"]]:
        """Energies of the sites (eV), forces (eV/A) and virial (eV)."""

    def products(
        self, cell: kernel.HostCell, v: Float[np.ndarray, "vectors rows 3"]
    ) -> Float[np.ndarray, "vectors rows 3"] | None:
        """Hessian products of the sites that count, eV/A^2 times the unit of v; None if JAX has to compute them."""
        return None

    def site_hessians(self, stencil: Stencil) -> Float[Anywhere, "sites slots 3 slots 3"] | None:
        """Second derivatives of the site energies, eV/A^2; None if JAX has to compute them."""
        return None

    def factors(
        self, cell: kernel.HostCell, first: int
    ) -> tuple[Float[np.ndarray, "first numbers slots"], Float[np.ndarray, "first sums sums"]] | None:
        """What Hessian products are made of (`SumEnergy.factors`), for the first rows; None if JAX has to compute it."""
        return None


class HasNative(ABC):
    """A site energy that may have compiled code."""

    @abstractmethod
    def native(self) -> Native | None:
        """Its code, which reads the parameters as they are now; None if JAX has to serve for these."""

    def parameters(self) -> Iterable[Any]:
        """What it depends on, of which JAX traces none where the code may be called."""
        return jax.tree.leaves(self)


def native_of(energy: SiteEnergy, *arrays: Anywhere) -> Native | None:
    """The compiled code of a potential for these arrays; None where it has none, or where JAX traces one of them."""
    if not isinstance(energy, HasNative) or kernel.missing() is not None:
        return None
    kind = type(energy)  # a method of the energy itself would be made into a module of equinox at every call
    if any(isinstance(a, Tracer) for a in (*arrays, *kind.parameters(energy))):
        return None
    return kind.native(energy)


def host_cell(
    x: Float[Anywhere, "rows 3"],
    vectors: Float[Anywhere, "3 3"],
    bonds: Bonds,
    counted: Bool[Anywhere, " first"] | None = None,
) -> kernel.HostCell:
    """A cell as compiled code reads it."""
    return kernel.HostCell(
        np.ascontiguousarray(x, dtype=float),
        np.ascontiguousarray(vectors, dtype=float),
        np.asarray(bonds.index),
        np.asarray(bonds.shift),
        np.asarray(bonds.mask),
        np.asarray(bonds.kinds),
        np.asarray(bonds.reverse),
        int(np.sum(np.asarray(bonds.real if counted is None else counted))),
    )
