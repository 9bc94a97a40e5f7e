"""Where tasks run: here, in local worker processes, or on a dask cluster, all behind ``concurrent.futures.Executor``."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .._input import InputError
from .environment import share_cache, worker_environment
from .stop import NeverStopped, Stop


@dataclass(frozen=True)
class Crew:
    """An executor and how many tasks it works on at once."""

    executor: Executor
    size: int


@contextmanager
def crew(workers: int, scheduler: str | None, stop: Stop | None = None) -> Iterator[Crew]:
    """A crew for the time of the block; on leaving it early, its processes end at once and what they were doing is dropped.

    Raises:
        InputError: the scheduler cannot be reached, or dask.distributed is not installed.
    """
    if scheduler is not None:
        with _cluster(scheduler) as found:
            yield found
    elif workers <= 1:
        share_cache()
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
    """Processes begin without hearing Ctrl-C, which a terminal sends to all of them: it is their parent that stops them."""

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


def _begin() -> None:
    """A worker leaves Ctrl-C to its parent, and ends when the parent is gone (a killed parent cannot tell it)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


@contextmanager
def _cluster(address: str) -> Iterator[Crew]:
    try:
        from dask.distributed import Client
    except ImportError:
        raise InputError("--scheduler needs dask.distributed: pip install distributed") from None
    try:
        client = Client(address, timeout=10)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"no dask scheduler answers at {address!r} ({reason}); start one with 'dask scheduler'") from None
    with client:
        executor = client.get_executor(pure=False)
        try:
            threads: Any = client.nthreads()  # worker address -> threads
            yield Crew(executor, max(1, sum(threads.values())))
        finally:
            executor.shutdown(wait=False)
