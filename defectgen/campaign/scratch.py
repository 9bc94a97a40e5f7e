"""A folder for what tasks can compute again: too large for records, and worth keeping while a run lasts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = "DEFECTGEN_SCRATCH"
"""The environment variable that worker processes inherit."""


def scratch() -> Path | None:
    """Where a task may keep what it can compute again; None if there is no such place (a task then works in memory).

    Nothing that a record says may depend on what is there.
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
