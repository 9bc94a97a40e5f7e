"""A basis of site energies whose derivatives come packed: function by function in its own order, directions contiguous."""

from abc import abstractmethod

from .._typing import Array, Float
from .site import SiteEnergy, Stencil


class PackedBasis(SiteEnergy):
    """A basis in which a site carries only the functions of its own species, and these are computed without the others."""

    @abstractmethod
    def packed(self, stencil: Stencil) -> tuple[Float[Array, "sites functions"], Float[Array, "sites functions columns"]]:
        """Values of every function of the species of each site, and their derivatives in 3 slots + 12 columns (more are ignored):
        dB/dg, coordinates before slots; their sum over the slots; and sum_k g_k (x) dB/dg_k, coordinate of g first."""

    @abstractmethod
    def unpack(
        self, packed: Float[Array, "*batch species functions"], constants: Float[Array, "*batch species"] | None = None
    ) -> Float[Array, "*batch channels"]:
        """Packed functions of every species of the central atom moved to the channels, with given one-body constants."""
