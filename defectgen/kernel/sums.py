"""Calls of the compiled kernel from Python: Hessian products of functions of sums over neighbours."""

import ctypes
from functools import lru_cache

import numpy as np

from .._typing import Float, Int
from . import library

MOST = 32
"""Sums of one site that its work arrays hold (MOST_SUMS in sums.h)."""


def product_of_sums(
    index: Int[np.ndarray, "rows slots"],
    factors: Float[np.ndarray, "sites numbers slots"],
    curvature: Float[np.ndarray, "sites sums sums"],
    v: Float[np.ndarray, "atoms 3"],
    sites: int,
) -> Float[np.ndarray, "atoms 3"]:
    """H v of the first `sites` sites, eV/A^2 times the unit of v: see sums.h for the order of the factors.

    The arrays are read as they lie in memory; all indices are below the number of atoms.
    """
    slots, sums = factors.shape[2], curvature.shape[1]
    out = np.zeros_like(v)
    arrays = (a.ctypes.data for a in (index, factors, curvature, v, out))
    if not _call()(sites, slots, sums, *arrays):
        raise MemoryError("no memory for the work arrays of the kernel")
    return out


@lru_cache(maxsize=1)
def _call():
    function = library().defectgen_product_of_sums
    function.argtypes = [ctypes.c_int64] * 3 + [ctypes.c_void_p] * 5
    function.restype = ctypes.c_int
    return function
