"""Calls of the compiled kernel from within JAX programs."""

import jax

from .._typing import Anywhere, Array, Float, Int

TARGETS = GRADIENT, HESSIAN, ROWS = tuple(f"defectgen_ace_{what}" for what in ("gradient", "hessian_products", "rows"))
"""Names of the functions of the library that JAX programs call."""


def gradient(
    g: Float[Array, "sites slots 3"], centre: Int[Array, " sites"], neighbour: Int[Array, "sites slots"], model: tuple
) -> tuple[Float[Array, " sites"], Float[Array, "sites slots 3"]]:
    """Energies of the sites (eV) and dV/dg (eV/A) of a model, given as the arrays of `ace.program`."""
    values, forces = _call(GRADIENT, centre.shape, g.shape)(g, centre, neighbour, *model)
    return values, forces


def hessian_products(
    g: Float[Array, "sites slots 3"],
    centre: Int[Array, " sites"],
    neighbour: Int[Array, "sites slots"],
    dg: Float[Array, "vectors sites slots 3"],
    model: tuple,
) -> Float[Array, "vectors sites slots 3"]:
    """V'' dg for every vector, eV/A^2 times the unit of dg."""
    return _call(HESSIAN, dg.shape)(g, centre, neighbour, dg, *model)[0]


def rows(
    g: Float[Array, "rows slots 3"],
    centre: Int[Array, " rows"],
    neighbour: Int[Array, "rows slots"],
    index: Int[Anywhere, "rows slots"],
    live: Int[Anywhere, ""],
    basis: tuple,
    channels: int,
) -> tuple[Float[Array, " channels"], Float[Array, "rows 3 channels"], Float[Array, "3 3 channels"]]:
    """Energy, forces (1/A) and virial of every channel of a basis, summed over the first `live` sites."""
    call = _call(ROWS, (channels,), (len(g), 3, channels), (3, 3, channels))
    energy, forces, virial = call(g, centre, neighbour, index, live, *basis)
    return energy, forces, virial


def _call(name: str, *shapes: tuple[int, ...]):
    """A call of the kernel with results of these shapes."""
    return jax.ffi.ffi_call(name, [jax.ShapeDtypeStruct(shape, float) for shape in shapes], vmap_method="sequential")
