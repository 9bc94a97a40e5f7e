"""Files that are whole or absent: written under a new name in the same folder, flushed to disk, then moved to their place.

No link is followed: the new name is random and made exclusively, and moving a file to the place of a link replaces the link.
Locks are those of the operating system, which drops them when their holder dies; where a file system has none, files that name
their holder.
"""

import errno
import fcntl
import hashlib
import os
import re
import secrets
import socket
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .._input import InputError

PARTIAL = ".part"
"""Suffix of files that are being written."""
_SIDE_BY_SIDE = 16
"""Files that are flushed at the same time."""


class StorageError(InputError):
    """A file could not be written; what was finished before is safe on disk."""


def write_whole(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` so that a reader, at any moment, sees the old file or the new one.

    Raises
    ------
    StorageError
        The disk is full, or the folder cannot be written.
    """
    write_together([(path, content)])


def write_together(contents: Sequence[tuple[Path, bytes]]) -> None:
    """`write_whole` of several files of one folder, which take their places in this order once all of them are on disk.

    They are flushed side by side: a file system writes what is flushed at the same time at once, and a file costs less than half.

    Raises
    ------
    StorageError
        The disk is full, or the folder cannot be written.
    """
    drafts: list[tuple[Path, Path]] = []
    path = contents[0][0]
    try:
        for path, content in contents:
            drafts.append((_draft(path, True), path))
            drafts[-1][0].write_bytes(content)
        if len(drafts) == 1:
            _flush(drafts[0][0])
        else:
            with ThreadPoolExecutor(min(_SIDE_BY_SIDE, len(drafts))) as pool:
                list(pool.map(_flush, [draft for draft, _ in drafts]))
        for draft, path in drafts:
            os.replace(draft, path)
        _flush(path.parent)
    except OSError as error:
        raise StorageError(complaint(path, error)) from None
    finally:
        for draft, _ in drafts:
            with suppress(OSError):  # the folder itself refuses us; the sentence above says why
                draft.unlink(missing_ok=True)


@contextmanager
def replaced(path: Path, folders: bool = True) -> Iterator[Path]:
    """A new, empty file in the folder of ``path``, which takes its place when the block ends, and is gone if the block fails.

    ``folders``: whether folders that are missing are made.

    Raises
    ------
    StorageError
        The disk is full, or the folder cannot be written.
    """
    temporary = None
    try:
        temporary = _draft(path, folders)
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
        _flush(path.parent)
    except OSError as error:
        raise StorageError(complaint(path, error)) from None
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def _draft(path: Path, folders: bool) -> Path:
    """A new, empty file in the folder of ``path``, under a random name."""
    draft = path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}{PARTIAL}")
    if folders:
        path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666))
    return draft


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
    """A path with the home of its user in place of ``~``; unchanged if that home is not known.

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

    Where the file system offers no locks, a file next to it names the holder (see `_noted`).

    Raises
    ------
    InputError
        Another process holds it.
    StorageError
        The file cannot be written.
    """
    handle = _lock_file(path)
    try:
        if _take(handle, path):
            yield
        else:
            with _noted(path):
                yield
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def held(path: Path) -> bool | None:
    """Whether a live process holds ``path``; None if it cannot be known."""
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
        return True if error.errno in _TAKEN else _named(path)
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


_TAKEN = (errno.EWOULDBLOCK, errno.EACCES)
HOLDER = ".holder"
"""Suffix of the file that names the holder of a lock, where the file system offers no locks."""


_TURNS = 20
"""Tries to make that file while others make and remove it."""


def _take(handle: int, path: Path) -> bool:
    """Lock an open file and note its holder; False where the file system offers no locks. InputError if it is locked."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _TAKEN:
            return False
        holder = os.pread(handle, 200, 0).decode(errors="replace").strip() or "another process"
        raise InputError(f"{path.parent.parent} is being written by {holder}; wait for it, or use another --out") from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
    return True


@contextmanager
def _noted(path: Path) -> Iterator[None]:
    """Hold ``path`` by a file that only one process can make, also on network file systems.

    The file remains when its holder is killed. On the same machine this is detected, and the file is replaced. If the holder
    was on another machine, the lock is refused, because it cannot be determined whether that process is alive.

    Raises
    ------
    InputError
        Another process holds it, or may do so.
    StorageError
        The file cannot be written.
    """
    note = path.with_name(path.name + HOLDER)
    own = f"process {os.getpid()} on {socket.gethostname()}\n{_beginning(os.getpid())}\n{secrets.token_hex(8)}\n"
    for _ in range(_TURNS):
        if _made(note, own):
            break
        found = _content(note)
        alive = _alive(found)
        if alive is False:
            _remove(note, found)
        elif found:
            holder = found.splitlines()[0]
            doubt = "" if alive else f"; if that process has ended, remove {note}"
            raise InputError(f"{path.parent.parent} is being written by {holder}; wait for it, or use another --out{doubt}")
    else:
        raise InputError(f"{note} cannot be replaced, and its process has ended; remove it, or use another --out")
    try:
        yield
    finally:
        _remove(note, own)


def _made(note: Path, content: str) -> bool:
    """Whether the file was made, with this content; False if it is there. Raises StorageError if it cannot be written."""
    draft = note.with_name(f"{note.name}.{secrets.token_hex(8)}")
    try:
        draft.write_text(content, encoding="utf-8")
        try:
            os.link(draft, note)  # with its content, or not at all
        except FileExistsError:
            return draft.stat().st_nlink == 2  # a network file system may repeat a call that had succeeded
        return True
    except OSError as error:
        raise StorageError(complaint(note, error)) from None
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def _content(note: Path) -> str:
    """The content of a file; empty if it was just removed."""
    try:
        return note.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise StorageError(complaint(note, error)) from None


def _remove(note: Path, content: str) -> None:
    """Remove the file if it has this content; one that was made meanwhile stays."""
    aside = note.with_name(f"{note.name}.{secrets.token_hex(8)}")
    with suppress(OSError):
        os.rename(note, aside)  # one process succeeds
        if _content(aside) != content:
            os.link(aside, note)
        aside.unlink()


def _named(path: Path) -> bool | None:
    """Whether the process that the file of the holder names is alive; None if it cannot be known."""
    note = path.with_name(path.name + HOLDER)
    try:
        return _alive(note.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return False
    except OSError:
        return None


def _alive(note: str) -> bool | None:
    """Whether a process of this machine is the one that wrote a note; None for those of other machines."""
    found = re.match(r"process (\d+) on (.*)\n(.*)\n", note)
    if found is None or found[2] != socket.gethostname():
        return None
    return _beginning(int(found[1])) == found[3] != ""


def _beginning(process: int) -> str:
    """What distinguishes a process from a later one of the same number: boot of the machine and start; '' if it has ended."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else f"{boot} {fields[19]}"


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
