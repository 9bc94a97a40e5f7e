"""What a worker process must find in its environment before it imports numpy or JAX."""

import hashlib
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# One thread a worker. XLA sizes its thread pools by PJRT_NPROC (older versions: NPROC) and rejects any flag for it.
_ONE_THREAD = dict.fromkeys(
    ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "PJRT_NPROC", "NPROC"], "1"
)
# Large arrays come and go with every evaluation; in pages of 4 kB the kernel spends as long on them as the arithmetic takes.
_HUGE_PAGES = ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
# Programs are cut into parts that are compiled side by side: with one thread this is a sixth more to do.
_ALONE = "--xla_cpu_multi_thread_eigen=false --xla_cpu_parallel_codegen_split_count=1"


@contextmanager
def worker_environment() -> Iterator[None]:
    """Within the block, processes that start inherit one-thread settings and the shared compilation cache."""
    before = dict(os.environ)
    os.environ.update(_ONE_THREAD)
    os.environ["XLA_FLAGS"] = f"{before.get('XLA_FLAGS', '')} {_ALONE}".strip()
    os.environ.setdefault(*_HUGE_PAGES)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # several workers may share one GPU
    for name, value in _cache_settings().items():
        os.environ.setdefault(name, value)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def share_cache() -> None:
    """Let this process use the shared compilation cache too, unless the user chose one."""
    chosen = "JAX_COMPILATION_CACHE_DIR" in os.environ
    jax = sys.modules.get("jax")  # reads the environment when it is imported, so an imported one is told directly
    for name, value in ({} if chosen else _cache_settings()).items():
        if jax is None:
            os.environ.setdefault(name, value)
        elif name.endswith("SECS"):
            jax.config.update(name.lower(), float(value))
        elif not jax.config.jax_compilation_cache_dir:
            jax.config.update(name.lower(), value)


def compilation_cache() -> Path | None:
    """Where compiled code is kept: one folder a kind of processor, because machine code for one may not run on another.

    None for a user without a home.
    """
    try:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    except RuntimeError:
        return None
    return root / "defectgen" / "jax" / _processor()


def _cache_settings() -> dict[str, str]:
    """JAX's settings by the names of their environment variables; none where there is no folder that can be written."""
    folder = compilation_cache()
    try:
        if folder is None:
            return {}
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return {}
    if not os.access(folder, os.W_OK | os.X_OK):
        return {}
    return {"JAX_COMPILATION_CACHE_DIR": str(folder), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1"}


def _processor() -> str:
    """A short name of the instruction set."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        flags = next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, UnicodeDecodeError, StopIteration):
        flags = platform.processor()
    return f"{platform.machine()}-{hashlib.sha256(flags.encode()).hexdigest()[:8]}"
