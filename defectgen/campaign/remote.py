"""What a worker of a cluster runs: it introduces itself, then computes batches of tasks. No dask here."""

import os
import pickle
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .. import kernel
from .files import replaced
from .provenance import code, libraries, own_version
from .record import Record
from .task import Task
from .workers import NAME, execute, set_environment

ENOUGH = 1.0
"""Seconds after which a batch returns its finished records; its other tasks go to the next free worker."""
OVERTIME = 86
"""Exit status of a process that ends because a task took too long."""


@dataclass(frozen=True)
class Introduction:
    """The information that a worker sends when it joins.

    Attributes
    ----------
    python, version : str
        Versions of Python and of this package.
    code : dict
        Module, or function of a step -> digest of the sources behind it.
    libraries : dict
        Versions of the numerical libraries.
    scratch : str or None
        Folder for what can be computed again; None if no folder can be written.
    process : str
        Host and number of the process.
    """

    python: str
    version: str
    code: dict[str, str]
    libraries: dict[str, str]
    scratch: str | None
    process: str


class Stranger(Exception):
    """A process that has not introduced itself is to compute: it has taken the address of one that ended."""


_introduced = threading.Event()


def introduce(functions: Sequence[str], folder: str | None) -> Introduction:
    """Set the environment of this worker, and describe it.

    Parameters
    ----------
    functions : sequence of str
        Of which the code is compared.
    folder : str, optional
        Scratch folder of the run; where this machine does not have it, a folder of the worker is used.
    """
    if not _holds_a_scheduler():  # else it is a process of the user's
        set_environment()
        kernel.use_threads()
    python = ".".join(str(part) for part in sys.version_info[:3])
    found = {name: code(name) for name in functions}
    _introduced.set()
    return Introduction(python, own_version(), found, libraries(), _scratch(folder), process())


def process() -> str:
    """Host and number of this process."""
    return f"{socket.gethostname()} {os.getpid()}"


def _scratch(folder: str | None) -> str | None:
    """The folder of the run where it is shared, else one that the system keeps for temporary files; None if neither works."""
    shared = [Path(folder)] if folder is not None and Path(folder).parent.is_dir() else []
    temporary = Path(os.environ.get("TMPDIR") or "/tmp")
    for path in (*shared, temporary / f"defectgen-{os.getuid() if hasattr(os, 'getuid') else 0}"):
        try:
            path.mkdir(parents=True, exist_ok=True)
            with replaced(path / ".written"):
                pass
            (path / ".written").unlink(missing_ok=True)
            return str(path)
        except OSError:
            continue
        except ValueError:  # a StorageError: the folder is there and cannot be written
            continue
    return None


def compute(payload: bytes, limit: float | None, folder: str | None) -> bytes:
    """The records of a batch, by key, as pickled bytes; those that were not reached within `ENOUGH` are not among them.

    Parameters
    ----------
    payload : bytes
        Pickled tasks, and the records that they need by key.
    limit : float, optional
        Seconds that a task may take; then this process ends.
    folder : str, optional
        Scratch folder.

    Raises
    ------
    Stranger
        This process has not introduced itself.
    """
    if not _introduced.is_set():
        raise Stranger
    tasks: Sequence[Task]
    needed: Mapping[str, Record]
    tasks, needed = pickle.loads(payload)
    if folder is not None:
        os.environ[NAME] = folder
    start, found = time.perf_counter(), {}
    for task in tasks:
        found[task.key] = execute_within(task, {other.key: needed[other.key] for other in task.after}, limit)
        if time.perf_counter() - start > ENOUGH:
            break
    return pickle.dumps(found, protocol=5)


def execute_within(task: Task, needed: Mapping[str, Record], limit: float | None) -> Record:
    """`execute` in a process that ends if this takes longer than ``limit`` seconds."""
    with ended_after(limit, task.label):
        return execute(task, needed)


@contextmanager
def ended_after(limit: float | None, label: str) -> Iterator[None]:
    """A process whose block takes longer than ``limit`` seconds ends: compiled code cannot be interrupted in another way.

    A process that also holds a scheduler is spared.
    """
    if limit is None or _holds_a_scheduler():
        yield
        return
    timer = threading.Timer(limit, _end, (limit, label))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end(limit: float, label: str) -> None:
    print(f"defectgen: {label!r} took longer than {limit:g} s; this worker process ends", file=sys.stderr, flush=True)
    os._exit(OVERTIME)


def _holds_a_scheduler() -> bool:
    module = sys.modules.get("distributed.scheduler")
    return module is not None and len(getattr(module.Scheduler, "_instances", ())) > 0
