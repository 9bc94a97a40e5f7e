"""Where compiled programs are kept between processes: a folder in the user's cache directory, shared by scripts and workers.

JAX compiles every program again in every process unless it has such a folder; `DEFECTGEN_CACHE=0` in the environment disables it.
"""

import hashlib
import os
import platform
import sys
from pathlib import Path


def share_cache() -> None:
    """Let this process, and those it starts, use the folder, unless the user chose another one or none."""
    jax = sys.modules.get("jax")  # reads the environment when it is imported; one that is imported is told directly
    if "JAX_COMPILATION_CACHE_DIR" in os.environ or (jax is not None and jax.config.jax_compilation_cache_dir):
        return
    for name, value in cache_settings().items():
        os.environ.setdefault(name, value)
        if jax is not None:
            jax.config.update(name.lower(), float(value) if name.endswith("SECS") else value)


def cache_settings() -> dict[str, str]:
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
    return {"JAX_COMPILATION_CACHE_DIR": str(folder), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.02"}


def compilation_cache() -> Path | None:
    """The folder: one for each kind of processor, because machine code for one may not run on another.

    None for a user without a home, and where DEFECTGEN_CACHE is 0.
    """
    if os.environ.get("DEFECTGEN_CACHE") == "0":
        return None
    try:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    except RuntimeError:
        return None
    return root / "defectgen" / "jax" / _processor()


def _processor() -> str:
    """A short name of the instruction set."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            flags = next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, UnicodeDecodeError, StopIteration):
        flags = platform.processor()
    return f"{platform.machine()}-{hashlib.sha256(flags.encode()).hexdigest()[:8]}"
