"""A site energy V(g) and its jet: value, gradient and Hessian in the stencil g of relative neighbour positions."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import fields
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._display import shown
from .._typing import Array, Float, Int


class Stencil(eqx.Module):
    """The surroundings of a batch of sites.

    A padded slot holds a vector of twice the cutoff, where every site energy is blind: no mask is needed.
    """

    g: Float[Array, "sites slots 3"]
    """Positions of the neighbours relative to the site, A."""
    centre: Int[Array, " sites"]
    """Species of the site, as an index into the `species` of the site energy."""
    neighbour: Int[Array, "sites slots"]
    """Species of the neighbours."""


class SiteEnergy(eqx.Module):
    """A map from stencils to numbers: one energy per site (a potential), or one per channel and site (a basis).

    Must not depend on neighbours at or beyond `cutoff`, must not couple the sites of a batch, and must be finite with
    finite derivatives for every stencil of distinct atoms.
    """

    cutoff: eqx.AbstractVar[float]
    """A; the radius of the stencil."""
    species: eqx.AbstractVar[tuple[str, ...]]
    """Chemical symbols of the energy."""
    chunk: ClassVar[int] = 64
    """Sites evaluated at once: the work arrays of a chunk stay in cache, and memory does not grow with the cell."""
    on_host: ClassVar[bool] = False
    """Whether compiled code serves for everything that is done often: then neighbour lists stay arrays of NumPy."""

    def __repr__(self) -> str:
        words = {f.name: value for f in fields(self) if isinstance(value := getattr(self, f.name), str)}
        return shown(self, " ".join(self.species), f"cutoff {self.cutoff:.6g} A", *(f"{n}={w!r}" for n, w in words.items()))

    @property
    def correlation_order(self) -> int | None:
        """Number of neighbours that one term of the energy depends on at once: 1 for a pair potential, 2 for an angular one.

        None: not bounded (embedding functions), or not known.
        """
        return None

    @property
    def compact(self) -> "SiteEnergy":
        """The same energy with nothing but what its gradients and Hessian products need, which is passed at every call."""
        return self

    @abstractmethod
    def __call__(self, stencil: Stencil) -> Float[Array, " sites *channels"]:
        """Energies of the sites.

        Parameters
        ----------
        stencil : Stencil
            The surroundings of a batch of sites.

        Returns
        -------
        array, (sites, ...)
            eV; with trailing channels for a basis.
        """

    def gradient(self, stencil: Stencil) -> tuple[Float[Array, " sites *channels"], Float[Array, " sites slots 3 *channels"]]:
        """Values and first derivatives dV/dg.

        Parameters
        ----------
        stencil : Stencil
            The surroundings of a batch of sites.

        Returns
        -------
        values : array, (sites, ...)
            eV.
        gradients : array, (sites, slots, 3, ...)
            eV/A.
        """
        return autodiff_gradient(self, stencil)

    def hessian_operator(
        self, stencil: Stencil
    ) -> Callable[[Float[Array, "sites slots 3"]], Float[Array, "sites slots 3 *channels"]]:
        """The map from a motion of the neighbours to the change of dV/dg.

        Parameters
        ----------
        stencil : Stencil
            The surroundings of a batch of sites.

        Returns
        -------
        callable
            dg, (sites, slots, 3), to an array (sites, slots, 3, ...), eV/A^2 times the unit of dg.
        """

        def gradient(g):
            return self.gradient(Stencil(g, stencil.centre, stencil.neighbour))[1]

        return lambda dg: jax.jvp(gradient, (stencil.g,), (dg,))[1]

    def hessian_products(
        self, stencil: Stencil, dg: Float[Array, "vectors sites slots 3"]
    ) -> Float[Array, "vectors sites slots 3 *channels"]:
        """The changes of dV/dg for many motions of the neighbours, one by one.

        Parameters
        ----------
        stencil : Stencil
            The surroundings of a batch of sites.
        dg : array, (vectors, sites, slots, 3)
            The motions.

        Returns
        -------
        array, (vectors, sites, slots, 3, ...)
            eV/A^2 times the unit of dg.
        """
        return jax.lax.map(self.hessian_operator(stencil), dg)

    def hessian(self, stencil: Stencil) -> Float[Array, "sites slots 3 slots 3 *channels"]:
        """Second derivatives d2V/dg dg.

        Parameters
        ----------
        stencil : Stencil
            The surroundings of a batch of sites.

        Returns
        -------
        array, (sites, slots, 3, slots, 3, ...)
            eV/A^2.
        """
        return autodiff_hessian(self, stencil)


def has_channels(energy: SiteEnergy) -> bool:
    """Whether a site has a channel for every function of a basis and not one energy. Traced once for energies of one kind."""
    leaves, structure = jax.tree.flatten(energy)
    kind = structure, tuple(leaf.shape if eqx.is_array(leaf) or isinstance(leaf, np.ndarray) else leaf for leaf in leaves)
    try:
        return _CHANNELS[kind]
    except KeyError:
        return _CHANNELS.setdefault(kind, _has_channels(energy))
    except TypeError:  # fields that cannot be compared
        return _has_channels(energy)


_CHANNELS: dict[Any, bool] = {}


def _has_channels(energy: SiteEnergy) -> bool:
    """The same, traced."""
    nowhere = Stencil(jnp.full((1, 1, 3), 2.0 * energy.cutoff), jnp.zeros(1, dtype=int), jnp.zeros((1, 1), dtype=int))
    return jax.eval_shape(energy, nowhere).ndim > 1


def autodiff_gradient(
    energy: SiteEnergy, stencil: Stencil
) -> tuple[Float[Array, " sites *channels"], Float[Array, " sites slots 3 *channels"]]:
    """Values and gradients of any site energy by reverse differentiation, one sweep per channel.

    Parameters
    ----------
    energy : SiteEnergy
        A potential or a basis.
    stencil : Stencil
        The surroundings of a batch of sites.

    Returns
    -------
    values : array, (sites, ...)
        eV.
    gradients : array, (sites, slots, 3, ...)
        eV/A.
    """

    def value(g):
        return energy(Stencil(g, stencil.centre, stencil.neighbour))

    values, pullback = jax.vjp(value, stencil.g)
    if values.ndim == 1:
        return values, pullback(jnp.ones_like(values))[0]
    channels = values.shape[1]
    one_hot = jnp.broadcast_to(jnp.eye(channels, dtype=values.dtype)[:, None, :], (channels, *values.shape))
    gradients = jax.vmap(lambda seed: pullback(seed)[0])(one_hot)
    return values, jnp.moveaxis(gradients, 0, -1)


def autodiff_hessian(energy: SiteEnergy, stencil: Stencil) -> Float[Array, "sites slots 3 slots 3 *channels"]:
    """Hessians of any site energy: the gradient differentiated forward along every stencil direction.

    Parameters
    ----------
    energy : SiteEnergy
        A potential or a basis.
    stencil : Stencil
        The surroundings of a batch of sites.

    Returns
    -------
    array, (sites, slots, 3, slots, 3, ...)
        eV/A^2.
    """
    sites, slots, _ = stencil.g.shape
    directions = jnp.eye(slots * 3, dtype=stencil.g.dtype).reshape(slots * 3, 1, slots, 3)
    directions = jnp.broadcast_to(directions, (slots * 3, sites, slots, 3))

    columns = jax.vmap(energy.hessian_operator(stencil))(directions)
    columns = jnp.moveaxis(columns, 0, 1)  # sites, (slots 3), slots, 3, *channels
    return columns.reshape(sites, slots, 3, *columns.shape[2:])
