"""What every case needs: one thread, the machine in words, and two sides timed in turns.

Import this first: threads are pinned by the environment, which NumPy and JAX read once.
"""

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "PJRT_NPROC", "NPROC"):
    os.environ[_variable] = "1"  # the last two size the thread pools of XLA
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false".strip()

import platform  # noqa: E402  (the environment comes first)
from collections.abc import Callable  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from importlib.metadata import PackageNotFoundError, version  # noqa: E402
from pathlib import Path  # noqa: E402
from time import process_time  # noqa: E402

import numpy as np  # noqa: E402


@dataclass(frozen=True)
class Pair:
    """Two sides timed in turns; processor seconds a call. Times are medians, the ratio is theirs over ours within one turn."""

    ours: float
    theirs: float
    ratio: float
    low: float
    high: float
    """Smallest and largest ratio of the turns: what the machine's other work can do to the result."""

    def __str__(self) -> str:
        return f"ratio {self.ratio:.2f} ({self.low:.2f} to {self.high:.2f})"


def seconds(call: Callable[[], object]) -> float:
    """Processor time of one call, s: with one thread that is the wall time of an idle machine, and stays so on a busy one."""
    start = process_time()
    call()
    return process_time() - start


def in_turns(ours: Callable[[], object], theirs: Callable[[], object], turns: int = 5) -> Pair:
    """Ours, theirs, ours, theirs ...: whatever else the machine does meets both. Both have been warmed up by the caller."""
    times = np.array([(seconds(ours), seconds(theirs)) for _ in range(turns)])
    ratios = times[:, 1] / times[:, 0]
    return Pair(*np.median(times, axis=0).tolist(), float(np.median(ratios)), float(ratios.min()), float(ratios.max()))


def machine(*packages: str) -> str:
    """One line: processor, load before the case ran, threads, versions."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores" if hasattr(os, "getloadavg") else f"{os.cpu_count()} cores"
    versions = ", ".join(f"{p} {installed(p) or 'missing'}" for p in ("jax", *packages))
    return f"# {name}, {load}, one thread a process, Python {platform.python_version()}, {versions}"


def installed(package: str) -> str | None:
    """The version of a package, None if it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
