"""Where tasks run on one machine, in this process or in worker processes; and how a task is run, here or on a cluster."""

import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .._input import InputError, InputWarning
from .record import Record
from .stop import NeverStopped, Stop
from .task import Task

# One thread a worker. XLA sizes its thread pools by PJRT_NPROC (older versions: NPROC) and rejects any flag for it.
_ONE_THREAD = dict.fromkeys(
    [
        *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
        *("PJRT_NPROC", "NPROC", "DEFECTGEN_THREADS"),
    ],
    "1",
)
# Large arrays come and go with every evaluation. By default each is mapped anew and given back, and the system clears its pages
# again and again: as much work as the arithmetic. So freed memory is kept, up to 1 GiB at the end of the heap, in one heap with
# large pages. (Variables of glibc; other C libraries ignore them.)
_KEEP_MEMORY = (
    "GLIBC_TUNABLES",
    "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=1073741824:glibc.malloc.arena_max=1",
)
# Programs are cut into parts that are compiled side by side: with one thread this is a sixth more to do.
_ALONE = "--xla_cpu_multi_thread_eigen=false --xla_cpu_parallel_codegen_split_count=1"


@contextmanager
def worker_environment() -> Iterator[None]:
    """Within the block, processes that start inherit one-thread settings."""
    before = dict(os.environ)
    set_environment()
    os.environ.setdefault(*_KEEP_MEMORY)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def set_environment() -> None:
    """One-thread settings for this process and those it starts; libraries that were imported before keep what they began with."""
    os.environ.update(_ONE_THREAD)
    flags = os.environ.get("XLA_FLAGS", "")
    if _ALONE not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {_ALONE}".strip()
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # several workers may share one GPU


@dataclass(frozen=True)
class Crew:
    """An executor and how many tasks it works on at once."""

    executor: Executor
    size: int


@contextmanager
def crew(workers: int, stop: Stop | None = None) -> Iterator[Crew]:
    """A crew for the time of the block; on leaving it early, its processes end at once and what they were doing is dropped."""
    if workers <= 1:
        yield Crew(InThisProcess(NeverStopped() if stop is None else stop), 1)
    else:
        with _processes(workers) as found:
            yield found


class InThisProcess(Executor):
    """Runs each task when it is submitted; a stop interrupts it."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The finished future of ``fn(*args, **kwargs)``."""
        future: Future[Any] = Future()
        with self._stop.may_interrupt(True):
            future.set_result(fn(*args, **kwargs))
        return future


class _Pool(ProcessPoolExecutor):
    """Processes ignore Ctrl-C, which a terminal sends to all of them; their parent stops them."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As that of every pool; processes begin here."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _processes(workers: int) -> Iterator[Crew]:
    """Fresh interpreters (``spawn``): JAX has threads, which a fork would leave in a broken state."""
    others = {child.pid for child in multiprocessing.active_children()}
    with worker_environment():
        pool = _Pool(workers, multiprocessing.get_context("spawn"), initializer=_begin)
        try:
            yield Crew(pool, workers)
            pool.shutdown(wait=True)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in multiprocessing.active_children():
                if child.pid not in others:
                    child.terminate()
            for child in multiprocessing.active_children():
                if child.pid not in others:
                    child.join(5)
                    child.kill()
                    child.join(5)  # and taken note of: whoever asks next finds no child


def _begin() -> None:
    """A worker leaves Ctrl-C to its parent, and ends when the parent is gone (a killed parent cannot stop it)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


NAME = "DEFECTGEN_SCRATCH"
"""The environment variable that worker processes inherit."""


def scratch() -> Path | None:
    """Where a task may keep what it can compute again; None if there is no such place (a task then works in memory).

    The content of a record must not depend on what is in this folder.
    """
    value = os.environ.get(NAME)
    return Path(value) if value else None


@contextmanager
def scratch_folder(folder: str | Path) -> Iterator[None]:
    """Within the block, tasks of this process and of workers it starts may use the folder; it is made when it is used."""
    before = os.environ.get(NAME)
    os.environ[NAME] = str(Path(folder).absolute())
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(NAME, None)
        else:
            os.environ[NAME] = before


LIMIT = Path("/proc/sys/vm/max_map_count")
OWN = Path("/proc/self/maps")
SHARE = 0.6
"""Of the mappings a process may have; one task's compilations take some thousands of the usual 65,530."""


def release_kernels(limit: Path = LIMIT, own: Path = OWN) -> bool:
    """Clear JAX's caches if this process uses up its memory mappings; whether it did. Nothing to do where there are no limits.

    Parameters
    ----------
    limit : Path
        File with the number of mappings that a process may have.
    own : Path
        File with one line for each mapping of this process.

    Returns
    -------
    bool
    """
    jax = sys.modules.get("jax")
    if jax is None or not (limit.exists() and own.exists()):
        return False
    with own.open("rb") as lines:
        used = sum(1 for _ in lines)
    if used < SHARE * int(limit.read_bytes()):
        return False
    jax.clear_caches()
    return True


def resident() -> int | None:
    """Bytes of memory that this process occupies; None if the system does not report it."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


GROWTH = 64 << 20
"""Bytes by which a process grows before its garbage is collected."""
PERIOD = 2.0
"""Seconds between two collections; no process compiles so much in this time that it runs out of memory mappings."""


class Tidier:
    """Frees memory between tasks, if this is worth the time: a full garbage collection takes a tenth of a second.

    Iterative solvers leave their vectors in reference cycles, hundreds of MB in a large cell. Memory that has grown by less than
    `growth` is left alone, but not for longer than `period`, because memory on other devices is not measured here. What
    remains after a collection is frozen, so that the next collection takes some milliseconds only: it examines younger
    objects. If memory has grown, all objects are examined.
    """

    def __init__(self, growth: int = GROWTH, period: float = PERIOD, size: Callable[[], int | None] = resident) -> None:
        """`growth` in bytes, `period` in seconds; `size` gives the bytes of this process."""
        self._growth, self._period, self._resident = growth, period, size
        self._last, self._size = time.perf_counter(), size()

    def tidy(self) -> bool:
        """Collect garbage and let kernels go if memory has grown or it is time; whether that was done."""
        size = self._resident()
        grown = size is None or self._size is None or size >= self._size + self._growth
        if not grown and time.perf_counter() < self._last + self._period:
            return False
        if release_kernels() or grown:
            gc.unfreeze()
        gc.collect()
        gc.freeze()
        self._last, self._size = time.perf_counter(), self._resident()
        return True


_tidier = Tidier()


def execute(task: Task, needed: Mapping[str, Record]) -> Record:
    """The record of a task; an exception becomes a failed record with one sentence and the traceback.

    Parameters
    ----------
    task : Task
        What is computed.
    needed : mapping
        The records of what it needs, by key.

    Returns
    -------
    Record
        With ``seconds`` the wall time of the call (s).
    """
    start = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)  # what they say is in the results: messages, reasons, remarks
            record = task.compute(needed)
    except Exception as error:
        record = Record({"traceback": traceback.format_exc()}, failed=sentence(error))
    _tidier.tidy()
    return replace(record, seconds=time.perf_counter() - start)


def sentence(error: BaseException) -> str:
    """What went wrong, in one line: the message of an InputError; for any other error also its type."""
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else ""
    if isinstance(error, InputError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
