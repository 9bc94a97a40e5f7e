"""Radial building blocks: distances that stay differentiable everywhere, species tables, and a smooth way to end at a cutoff."""

import jax
import jax.numpy as jnp

from .._typing import Array, Bool, Float
from ..energy.site import Stencil


def distances(
    stencil: Stencil, cutoff: float | Float[Array, "..."]
) -> tuple[Float[Array, "sites slots"], Bool[Array, "sites slots"]]:
    """Distances of the neighbours, and whether they are inside the cutoff.

    Parameters
    ----------
    stencil : Stencil
        The surroundings of a batch of sites.
    cutoff : float or array, (sites, slots)
        A.

    Returns
    -------
    r : array, (sites, slots)
        A; outside, half the cutoff (1 A if the cutoff is zero: a pair that does not interact).
    inside : bool array, (sites, slots)
        Whether the neighbour is nearer than the cutoff.

    Notes
    -----
    The replacement keeps every later formula away from its singular points: a function of r is evaluated at the safe value and
    then
    discarded by `jnp.where(inside, ..., 0)`, so that derivatives of all orders are finite and zero there.
    """
    r2 = jnp.sum(stencil.g**2, axis=-1)
    cutoff = jnp.asarray(cutoff)
    # of the root, not of the square: sqrt rounds, and a pair at the cutoff itself would meet 1 / (r - cutoff)
    inside = jnp.sqrt(jax.lax.stop_gradient(r2)) < cutoff
    safe = jnp.where(cutoff > 0.0, 0.25 * cutoff**2, 1.0)
    return jnp.sqrt(jnp.where(inside, r2, safe)), inside


def per_pair(table: Float[Array, "species species *extra"], stencil: Stencil) -> Float[Array, "..."]:
    """The entry of a table for every (site, neighbour) pair.

    Parameters
    ----------
    table : array, (species, species, ...)
        One entry for each pair of species.
    stencil : Stencil
        The surroundings of a batch of sites.

    Returns
    -------
    array, (sites, slots, ...), or (...)
        Without the leading axes if there is one species.
    """
    if table.shape[0] == 1:
        return table[0, 0]
    return table[stencil.centre[:, None], stencil.neighbour]


def fade(r: Float[Array, "*n"], onset: float | Float[Array, "..."], cutoff: float | Float[Array, "..."]) -> Float[Array, "*n"]:
    """One up to an onset, zero from the cutoff, a C5 polynomial between.

    Parameters
    ----------
    r : array, (...)
        Distances, A.
    onset, cutoff : float or array
        A.

    Returns
    -------
    array, (...)
        Between 0 and 1.

    Notes
    -----
    With y the remaining fraction of the window, y^6 (462 - 1980 y + 3465 y^2 - 3080 y^3 + 1386 y^4 - 252 y^5), whose first five
    derivatives vanish at both ends.
    """
    y = jnp.clip((cutoff - r) / (cutoff - onset), 0.0, 1.0)
    return y**6 * (462.0 + y * (-1980.0 + y * (3465.0 + y * (-3080.0 + y * (1386.0 - 252.0 * y)))))


def safe_sqrt(density: Float[Array, "*n"], floor: float = 1e-10) -> Float[Array, "*n"]:
    """rho / sqrt(rho + floor), which is smooth at rho = 0, where an isolated atom sits.

    Parameters
    ----------
    density : array, (...)
        rho, not negative.
    floor : float
        In the unit of the density.

    Returns
    -------
    array, (...)
        sqrt(rho) up to floor / (2 sqrt(rho)).
    """
    return density / jnp.sqrt(density + floor)


def ramp(y: Float[Array, "*n"], half_width: float) -> Float[Array, "*n"]:
    """max(y, 0) with its corner rounded (C6): the integral of the polynomial step of `fade`.

    Parameters
    ----------
    y : array, (...)
        Any length.
    half_width : float
        The corner is rounded over |y| < half_width, in the same unit.

    Returns
    -------
    array, (...)
        In the unit of y.

    Notes
    -----
    With w the half width and u = (y + w) / 2w in [0, 1] it is 2w u^7 (66 - 247.5 u + 385 u^2 - 308 u^3 + 126 u^4 - 21 u^5).
    """
    u = jnp.clip((y + half_width) / (2.0 * half_width), 0.0, 1.0)
    corner = 2.0 * half_width * u**7 * (66.0 + u * (-247.5 + u * (385.0 + u * (-308.0 + u * (126.0 - 21.0 * u)))))
    return jnp.where(y >= half_width, y, corner)
