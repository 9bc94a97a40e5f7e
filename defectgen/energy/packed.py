"""A basis of site energies whose derivatives come packed: function by function in its own order, directions contiguous."""

from abc import abstractmethod

import equinox as eqx
import numpy as np

from .._typing import Array, Float, Int
from .site import SiteEnergy, Stencil


class PackedHessian(eqx.Module):
    """Second derivatives of every function of the species of each site, as a sum of products that is never written out:

    d2B_c / dg_k dg_l = sum_vw middle[c, v, w] s_v(k) (x) s_w(l) + [k = l] own[c, :, :, k],  s_v(k) = slopes[support[c, v], :, k].
    """

    slopes: Float[Array, "sites sums 3 slots"]
    """Derivatives of the sums over neighbours that functions are made of."""
    support: Int[Array, "functions width"]
    """The sums of each function, padded with the number of all of them."""
    middle: Float[Array, "sites functions width width"]
    """Zero on padding."""
    own: Float[Array, "sites functions 3 3 slots"]


class PackedBasis(SiteEnergy):
    """A basis in which a site carries only the functions of its own species, and these are computed without the others."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of channels."""

    @abstractmethod
    def packed(self, stencil: Stencil) -> tuple[Float[Array, "sites functions"], Float[Array, "sites functions columns"]]:
        """Values of every function of the species of each site, and their derivatives in 3 slots + 12 columns (more are ignored):
        dB/dg, coordinates before slots; their sum over the slots; and sum_k g_k (x) dB/dg_k, coordinate of g first."""

    @abstractmethod
    def unpack(
        self, packed: Float[Array, "*batch species functions"], constants: Float[Array, "*batch species"] | None = None
    ) -> Float[Array, "*batch channels"]:
        """Packed functions of every species of the central atom moved to the channels, with given one-body constants."""

    def compiled_rows(
        self, stencil: Stencil, index: Int[Array, "rows slots"], live: Int[Array, ""]
    ) -> tuple[Float[Array, " channels"], Float[Array, "rows 3 channels"], Float[Array, "3 3 channels"]] | None:
        """Energy, forces and virial of every channel, summed over the first `live` sites, by a compiled kernel.

        None where there is none: then they are made of `packed`.
        """
        return None

    @abstractmethod
    def packed_hessian(self, stencil: Stencil) -> PackedHessian:
        """Second derivatives of every function of the species of each site, unit 1/A^2."""

    @abstractmethod
    def channels_of(self, kind: int) -> Int[np.ndarray, " functions"]:
        """The channel of every function of a central species, functions in the order of `packed`."""
