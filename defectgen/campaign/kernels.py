"""Compiled kernels are let go before a process runs out of memory mappings, which ends it without a word."""

import sys
from pathlib import Path

LIMIT = Path("/proc/sys/vm/max_map_count")
OWN = Path("/proc/self/maps")
SHARE = 0.6
"""Of the mappings a process may have; one task's compilations take some thousands of the usual 65,530."""


def release_kernels() -> bool:
    """Clear JAX's caches if this process uses up its memory mappings; whether it did. Nothing to do where there are no limits."""
    jax = sys.modules.get("jax")
    if jax is None or not (LIMIT.exists() and OWN.exists()):
        return False
    with OWN.open("rb") as lines:
        used = sum(1 for _ in lines)
    if used < SHARE * int(LIMIT.read_bytes()):
        return False
    jax.clear_caches()
    return True
