"""What every case needs: one thread, the machine in words, two sides timed in turns, the limits of the machine, one table.

Import this first: threads are pinned by the environment, which NumPy and JAX read once.
"""

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "PJRT_NPROC", "NPROC"):
    os.environ[_variable] = "1"  # the last two size the thread pools of XLA
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false".strip()

import ctypes  # noqa: E402  (the environment comes first)
import gc  # noqa: E402
import json  # noqa: E402
import platform  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from importlib.metadata import PackageNotFoundError, version  # noqa: E402
from pathlib import Path  # noqa: E402
from time import gmtime, process_time, strftime  # noqa: E402

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


def peak(call: Callable[[], object]) -> float:
    """MB by which the process grows during a call (Linux; NaN elsewhere)."""
    status, refs = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not status.exists():
        return float("nan")
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    refs.write_text("5")  # the high-water mark starts again

    def kilobytes(name):
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(name))

    before = kilobytes("VmRSS")
    call()
    return (kilobytes("VmHWM") - before) / 1e3


_versions: dict[str, str | None] = {}
"""Of the packages that a case named, None for those that are not installed."""


def processor() -> str:
    """Its name, and the number of cores."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return f"{name}, {os.cpu_count()} cores"


def load() -> float:
    """Processes that wanted a core in the last minute (NaN where the system does not count them)."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


def machine(*packages: str) -> str:
    """One line: processor, load before the case ran, threads, versions, whether the package has its compiled kernel."""
    _versions.update({p: installed(p) for p in ("jax", "numpy", "scipy", *packages)})
    versions = ", ".join(f"{p} {v or 'missing'}" for p, v in _versions.items())
    from defectgen import kernel  # after a case has had the chance to choose a device

    compiled = f"no compiled kernel: {kernel.missing()}" if kernel.missing() else "compiled kernel"
    return f"# {processor()}, load {load():.1f}, one thread a process, Python {platform.python_version()}, {versions}; {compiled}"


def skipped(*packages: str) -> bool:
    """Whether one of the packages that a case compares with is missing; then one line says which, and how to get it."""
    missing = [p for p in packages if installed(p) is None]
    _versions.update(dict.fromkeys(missing))
    if missing:
        print(f"left out, because not installed: {', '.join(missing)} (pip install {' '.join(missing)})", flush=True)
    return bool(missing)


def installed(package: str) -> str | None:
    """The version of a package, None if it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def dgemm_rate(size: int = 1024) -> float:
    """Operations a second of a matrix product on this core, now: what a counted number of operations is divided by."""
    a = np.random.default_rng(0).normal(size=(size, size))
    a @ a
    return 2 * size**3 / min(seconds(lambda: a @ a) for _ in range(5))


def bandwidth(megabytes: int = 256) -> float:
    """Bytes a second that a copy from memory to memory reads and writes on this core, now."""
    a = np.ones(megabytes << 17)
    b = np.empty_like(a)
    np.copyto(b, a)
    return 2 * a.nbytes / min(seconds(lambda: np.copyto(b, a)) for _ in range(5))


def summary(
    work: str,
    unit: str,
    ours: float,
    peer: str = "",
    theirs: float | None = None,
    limit: float | None = None,
    error: str = "",
) -> None:
    """One line of the table that `make bench` prints at its end (see summary.py): times in `unit`, the limit in the same unit."""
    if path := os.environ.get("DEFECTGEN_BENCH_SUMMARY"):
        with Path(path).open("a") as file:
            line = {"work": work, "unit": unit, "ours": ours, "peer": peer, "theirs": theirs, "limit": limit, "error": error}
            case = {"case": Path(sys.argv[0]).stem, "time": strftime("%Y-%m-%d %H:%M", gmtime()), "load": load()}
            place = {"machine": f"{processor()}, Python {platform.python_version()}", "versions": _versions}
            file.write(json.dumps(line | case | place) + "\n")
