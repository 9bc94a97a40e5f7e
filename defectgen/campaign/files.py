"""Files that are whole or absent: written under a new name in the same folder, flushed to disk, then moved to their place.

No link is followed: the new name is random and made exclusively, and moving a file to the place of a link replaces the link.
Locks are those of the operating system, which drops them when their holder dies.
"""

import errno
import fcntl
import hashlib
import os
import re
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .._input import InputError

PARTIAL = ".part"
"""Suffix of files that are being written."""


class StorageError(InputError):
    """A file could not be written; what was finished before is safe on disk."""


def write_whole(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` so that a reader, at any moment, sees the old file or the new one.

    Raises
    ------
    StorageError
        The disk is full, or the folder cannot be written.
    """
    with replaced(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def replaced(path: Path, folders: bool = True) -> Iterator[Path]:
    """A new, empty file in the folder of ``path``, which takes its place when the block ends, and is gone if the block fails.

    ``folders``: whether folders that are missing are made.

    Raises
    ------
    StorageError
        The disk is full, or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}{PARTIAL}")
    try:
        if folders:
            path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666))
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
        _flush(path.parent)
    except OSError as error:
        raise StorageError(complaint(path, error)) from None
    finally:
        with suppress(OSError):  # the folder itself refuses us; the sentence above says why
            temporary.unlink(missing_ok=True)


def utf8(text: str) -> bytes:
    """Text as UTF-8; what the system could not decode, as a path in another locale, as its bytes, other oddities as '?'."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def sweep(folder: Path) -> None:
    """Remove what killed writers left in a folder that has one writer."""
    for path in folder.glob(f".*{PARTIAL}"):
        with suppress(OSError):
            path.unlink()


def complaint(path: Path, error: OSError) -> str:
    """One sentence for a write that failed."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full: {path} could not be written; free some space and give the same command again, it resumes"
    if error.errno == errno.ELOOP:
        return f"{path} is a symbolic link, and a run is not written through links; remove it, or choose another directory"
    return f"cannot write {path}: {error.strerror or error}; choose another directory or correct its permissions"


def digest(path: str | Path) -> str:
    """SHA-256 of the content of a file."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def expanded(path: str | Path) -> Path:
    """A path with the home of its user in place of ``~``; as it is where nobody knows that home.

    Raises
    ------
    InputError
        It cannot be a path.
    """
    try:
        found = Path(path).expanduser()
    except RuntimeError:
        found = Path(path)
    try:
        found.stat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass
    except (OSError, ValueError) as error:
        raise InputError(
            f"{str(path)[:60]!r} cannot be a path ({getattr(error, 'strerror', '') or error}); give another one"
        ) from None
    return found


def unchanged(files: Mapping[str, str]) -> None:
    """Raises InputError if a file is not there or its content is not that of the digest."""
    for path, known in files.items():
        try:
            found = digest(path)
        except OSError as error:
            raise InputError(
                f"{path} cannot be read ({error.strerror or error}); put it back and give the command again"
            ) from None
        if found != known:
            raise InputError(f"{path} was changed after the run had begun; give the command again")


def _flush(path: Path) -> None:
    """Make the content of a file, or the names in a folder, durable; some network file systems cannot, and lose nothing by it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
    finally:
        os.close(handle)


def _lock_file(path: Path) -> int:
    """The open file that a lock is on; raises StorageError if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise StorageError(complaint(path, error)) from None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold ``path`` for this process. Nothing can go stale: a file left by a dead process is not locked.

    Raises
    ------
    InputError
        Another live process holds it, or the file system offers no locks.
    StorageError
        The file cannot be written.
    """
    handle = _lock_file(path)
    try:
        _take(handle, path)
        yield
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def held(path: Path) -> bool | None:
    """Whether a live process of this machine holds ``path``; None if it cannot be known."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except OSError as error:
        return True if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
    finally:
        os.close(handle)


@contextmanager
def queued(path: Path) -> Iterator[None]:
    """Wait until ``path`` is free and lock it; where the file system offers no locks, return at once.

    Raises
    ------
    StorageError
        The file cannot be written.
    """
    handle = _lock_file(path)
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


_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBERS = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+|inf|nan)([eE][+-]?\d+)?(\s+[+-]?(\d+\.?\d*|\.\d+|inf|nan)([eE][+-]?\d+)?)*\s*")
_MARK = "'"


def guarded(value: Any) -> Any:
    """Text that would be taken for a formula with an apostrophe in front; numbers, and text made of numbers, as they are."""
    if isinstance(value, str) and value.lstrip(_MARK).startswith(_FORMULA) and not _NUMBERS.fullmatch(value):
        return _MARK + value
    return value


def unguarded(value: Any) -> Any:
    """What `guarded` was given."""
    if isinstance(value, str) and value.startswith(_MARK) and value.lstrip(_MARK).startswith(_FORMULA):
        return value[1:]
    return value
