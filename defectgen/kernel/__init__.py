"""The compiled kernel: ACE, embedded-atom and Stillinger-Weber potentials, Hessian products, lists of bonds.

Functions of `calls` are called from within JAX programs, those of `host` on arrays of NumPy. Without it everything works, more
slowly.

`kernel.c` is built with the package where there is a C compiler (`hatch_build.py`). It serves on processors only, and only if it
was built from the sources next to it; `DEFECTGEN_KERNEL=0` in the environment leaves it out.
"""

import ctypes
import os
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

from .._door import door
from .opened import FOLDER, LIBRARY, opened

if TYPE_CHECKING:
    from .calls import gradient, hessian_products, rows
    from .host import MOST, HostCell, eam, eam_factors, pairing, product_of_sums, stillinger_weber, stillinger_weber_factors

__all__ = [
    "FOLDER",
    "HIGHEST_L",
    "LIBRARY",
    "MOST",
    "HostCell",
    "eam",
    "eam_factors",
    "gradient",
    "hessian_products",
    "library",
    "missing",
    "pairing",
    "product_of_sums",
    "refused",
    "rows",
    "sources",
    "stillinger_weber",
    "stillinger_weber_factors",
]

HIGHEST_L = 24
"""Highest angular momentum that its work arrays hold (MAX_L in one_particle.h)."""


def sources() -> str:
    """A fingerprint of the sources, which the library was built with too."""
    content = b"".join(path.read_bytes() for path in sorted(FOLDER.glob("*.[ch]")))
    return sha256(content).hexdigest()[:16]


@lru_cache(maxsize=1)
def refused() -> str | None:
    """Why the library next to the sources is not used, in words; None if it can be. Does not use JAX."""
    if os.environ.get("DEFECTGEN_KERNEL") == "0":
        return "DEFECTGEN_KERNEL=0 is set"
    if not LIBRARY.exists():
        return "it was not built: install the package again where there is a C compiler"
    try:
        if library().defectgen_sources().decode() != sources():
            return "it was built from other sources: install the package again"
    except (OSError, AttributeError) as error:
        return f"it cannot be loaded ({error}): install the package again"
    return None


@lru_cache(maxsize=1)
def missing() -> str | None:
    """Why the kernel is not used, in words; None if it is."""
    if refused() is not None:
        return refused()
    import jax  # here: `refused` is needed before JAX reads its environment

    from .calls import TARGETS

    if jax.default_backend() != "cpu":
        return f"computing on {jax.default_backend()}"
    try:
        for name in TARGETS:
            jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(getattr(library(), name)), platform="cpu")
    except (AttributeError, RuntimeError, ValueError) as error:
        return f"JAX does not take it ({error}): install the package again"
    return None


def library() -> ctypes.CDLL:
    """The library; check `missing` first."""
    return opened(LIBRARY)


__getattr__, __dir__ = door(__name__)
