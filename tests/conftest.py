"""What every test needs: one thread a process, a compilation cache that outlives it, property tests that repeat themselves."""

import ctypes
import gc
import os
import sys
import time
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # before NumPy is imported: the test processes share the cores, threads would fight
os.environ.setdefault("MPLBACKEND", "Agg")  # no window
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path.home() / ".cache" / "defectgen" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.02")  # as in users' processes

import jaxtyping  # noqa: E402  (the environment comes first)
import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

settings.register_profile(
    "defectgen",
    deadline=None,  # the first example of a shape compiles for seconds
    max_examples=15,
    derandomize=True,  # the same examples every time: a failure can be run again
    database=None,
)
settings.load_profile("defectgen")


LOOK = 5.0
"""Seconds between two looks at the memory mappings, of which there are some ten thousand to count."""
_looked = [0.0]


@pytest.fixture(autouse=True)
def kernels():
    """Between tests, as between tasks: a long test process must not run out of memory mappings."""
    yield
    if time.monotonic() > _looked[0] + LOOK:
        from defectgen.campaign.workers import release_kernels  # not above: what is imported there has no shapes checked

        release_kernels()
        _looked[0] = time.monotonic()


MEMORY, MORE = 2 << 30, 1 << 30
"""Bytes of a test process from which it forgets its programs between two files, and by which it grows until it does so again."""
_most = [MEMORY]


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    """Programs and objects of earlier files are of little use for the next one, and took five gigabytes a process."""
    if nextitem is None or nextitem.path == item.path or "jax" not in sys.modules:
        return
    from defectgen.campaign.workers import resident

    if (resident() or 0) > _most[0]:
        sys.modules["jax"].clear_caches()
        gc.unfreeze()  # what a campaign in this process froze
        gc.collect()
        if sys.platform == "linux":
            ctypes.CDLL(None).malloc_trim(0)
        _most[0] = max(MEMORY, (resident() or 0) + MORE)


@pytest.fixture
def unchecked():
    """Calls without the run-time type checker, as users make them: wrong types must meet a sentence of the package's own."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
