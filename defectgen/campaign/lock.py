"""One writer at a time in a run directory: a lock that the operating system drops when its holder dies."""

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .._input import InputError
from .files import StorageError, complaint


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold ``path`` for this process. Nothing can go stale: a file left by a dead process is not locked.

    Raises:
        InputError: another live process holds it, or the file system offers no locks.
        StorageError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise StorageError(complaint(path, error)) from None
    try:
        _take(handle, path)
        yield
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


@contextmanager
def queued(path: Path) -> Iterator[None]:
    """Hold ``path`` once whoever holds it now is done; where the file system offers no locks, at once.

    Raises:
        StorageError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise StorageError(complaint(path, error)) from None
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _take(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise InputError(f"the file system of {path.parent} offers no locks ({error.strerror}); use another --out") from None
        holder = os.pread(handle, 200, 0).decode(errors="replace").strip() or "another process"
        raise InputError(f"{path.parent.parent} is being written by {holder}; wait for it, or use another --out") from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
