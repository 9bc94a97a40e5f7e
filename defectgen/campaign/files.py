"""Files that are whole or absent: written beside their place, flushed to disk, then moved there in one step."""

import errno
import os
from pathlib import Path

from defectgen._input import InputError


class StorageError(InputError):
    """A file could not be written; what was finished before is safe on disk."""


def write_whole(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` so that a reader, at any moment, sees the old file or the new one.

    The temporary name is fixed: a directory has one writer, and what a killed writer left is overwritten by the next.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
        _flush_folder(path.parent)
    except OSError as error:
        try:
            temporary.unlink(missing_ok=True)
        except OSError:
            pass  # the folder itself refuses us; the sentence below says why
        raise StorageError(complaint(path, error)) from None


def complaint(path: Path, error: OSError) -> str:
    """One sentence for a write that failed."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full: {path} could not be written; free some space and give the same command again, it resumes"
    return f"cannot write {path}: {error.strerror or error}; choose another directory or mend its permissions"


def _flush_folder(folder: Path) -> None:
    """Make the new name itself durable; some network file systems cannot, and lose nothing by it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
