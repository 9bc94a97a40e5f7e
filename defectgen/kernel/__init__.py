"""The compiled kernel of the ACE potential, called from within JAX programs; everything works without it, more slowly.

`kernel.c` is built with the package where there is a C compiler (`hatch_build.py`). It serves on processors only, and only if it
was built from the sources that stand beside it; `DEFECTGEN_KERNEL=0` in the environment leaves it out.
"""

import ctypes
import os
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import jax

from .._typing import Array, Float, Int

FOLDER = Path(__file__).parent
LIBRARY = FOLDER / "kernel.so"
GRADIENT, HESSIAN, ROWS = (f"defectgen_ace_{what}" for what in ("gradient", "hessian_products", "rows"))

HIGHEST_L = 24
"""Highest angular momentum that its work arrays hold (MAX_L in one_particle.h)."""


def sources() -> str:
    """A fingerprint of the sources, which the library was built with too."""
    content = b"".join(path.read_bytes() for path in sorted(FOLDER.glob("*.[ch]")))
    return sha256(content).hexdigest()[:16]


@lru_cache(maxsize=1)
def refused() -> str | None:
    """Why the library beside the sources is not used, in words; None if it can be. Asks nothing of JAX."""
    if os.environ.get("DEFECTGEN_KERNEL") == "0":
        return "DEFECTGEN_KERNEL=0 is set"
    if not LIBRARY.exists():
        return "it was not built: install the package again where there is a C compiler"
    try:
        if _library().defectgen_sources().decode() != sources():
            return "it was built from other sources: install the package again"
    except (OSError, AttributeError) as error:
        return f"it cannot be loaded ({error}): install the package again"
    return None


@lru_cache(maxsize=1)
def missing() -> str | None:
    """Why the kernel is not used, in words; None if it is."""
    if refused() is not None:
        return refused()
    if jax.default_backend() != "cpu":
        return f"computing on {jax.default_backend()}"
    try:
        for name in (GRADIENT, HESSIAN, ROWS):
            jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(getattr(_library(), name)), platform="cpu")
    except (AttributeError, RuntimeError, ValueError) as error:
        return f"JAX does not take it ({error}): install the package again"
    return None


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(LIBRARY))
    library.defectgen_sources.restype = ctypes.c_char_p
    return library


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
    index: Int[Array, "rows slots"],
    live: Int[Array, ""],
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
