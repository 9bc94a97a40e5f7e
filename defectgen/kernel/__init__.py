"""The compiled kernel: ACE, embedded-atom and Stillinger-Weber potentials, Hessian products, lists of bonds.

Functions of `calls` are called from within JAX programs, those of `host` on arrays of NumPy. Without it everything works, more
slowly.

It works with several threads, see `threads`; `DEFECTGEN_THREADS=1` in the environment keeps it to one.

`kernel.c` is built with the package where there is a C compiler (`hatch_build.py`). It serves on processors only, and only if it
was built from the sources next to it; `DEFECTGEN_KERNEL=0` in the environment leaves it out.
"""

import ctypes
import os
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

from .._door import door
from .._input import InputError
from .opened import FOLDER, LIBRARY, opened

if TYPE_CHECKING:
    from .calls import gradient, hessian_products, rows
    from .host import (
        MOST,
        HostCell,
        ace,
        ace_products,
        eam,
        eam_factors,
        pairing,
        product_of_sums,
        stillinger_weber,
        stillinger_weber_factors,
    )

__all__ = [
    "FOLDER",
    "HIGHEST_L",
    "LIBRARY",
    "MOST",
    "HostCell",
    "ace",
    "ace_products",
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
    "threads",
    "use_threads",
]

HIGHEST_L = 24
"""Highest angular momentum that its work arrays hold (MAX_L in program.h)."""

MOST_THREADS = 64
"""Threads at most (MOST_THREADS in parallel.h)."""


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

    use_threads()
    if jax.default_backend() != "cpu":
        return f"computing on {jax.default_backend()}"
    try:
        for name in TARGETS:
            jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(getattr(library(), name)), platform="cpu")
    except (AttributeError, RuntimeError, ValueError) as error:
        return f"JAX does not take it ({error}): install the package again"
    return None


def threads() -> tuple[int, int]:
    """Threads of one call for energies, forces and Hessian products, and for design rows, by the environment.

    `DEFECTGEN_THREADS` is for both. Without it design rows, of which the last digits depend on the number of threads, are made
    by one; everything else, which does not depend on it, by as many as `OMP_NUM_THREADS`, or as the process has processors.
    """
    given = os.environ.get("DEFECTGEN_THREADS", "").strip()
    if given:
        if not 1 <= (number := _whole(given)) <= MOST_THREADS:
            raise InputError(f"DEFECTGEN_THREADS is a whole number from 1 to {MOST_THREADS}; got {given[:40]!r}")
        return number, number
    of_others = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if of_others:
        return min(max(_whole(of_others), 1), MOST_THREADS), 1
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(processors, MOST_THREADS), 1


def _whole(text: str) -> int:
    """The whole number of a text of digits; 0 for another text, and a number above any limit for very long ones."""
    digits = text.lstrip("0")
    return int(digits[:9] or "0") if text.isascii() and text.isdigit() else 0


def use_threads() -> None:
    """Have the library, if there is one, use as many threads as the environment says now."""
    numbers = threads()
    if refused() is None:
        library().defectgen_use_threads(*numbers)


def library() -> ctypes.CDLL:
    """The library; check `missing` first."""
    return opened(LIBRARY)


__getattr__, __dir__ = door(__name__)
