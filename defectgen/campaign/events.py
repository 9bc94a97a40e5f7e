"""What happened, line by line: the log of a run, which the progress display and the report read."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from .files import StorageError, complaint

Kind = Literal[
    "command",
    "begin",
    "start",
    "found",
    "reused",
    "outdated",
    "damaged",
    "done",
    "failed",
    "skipped",
    "retry",
    "interrupted",
    "end",
]


@dataclass(frozen=True)
class Event:
    """One line of ``events.jsonl``.

    Attributes:
        event: what happened; ``found`` is a record of an earlier run, ``outdated`` one of other code, which is computed again,
            ``reused`` one of other code that is kept on demand, ``skipped`` a task whose input failed.
        label: the task's label, empty for events of the whole run.
        seconds: wall time of the task, or of the run for ``end`` and ``interrupted`` (s).
        done, total: tasks settled so far, and all tasks.
        left: estimated time to the end (s), None while unknown.
        detail: a reason, or facts about the run (command line, versions).
        time: UTC, ISO 8601.
    """

    event: Kind
    label: str = ""
    seconds: float = 0.0
    done: int = 0
    total: int = 0
    left: float | None = None
    detail: Any = None
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))


def append(path: Path, event: Event) -> None:
    """Add one line; a line cut short by a kill stays alone on its line.

    Raises:
        StorageError: the disk is full, or the file cannot be written.
    """
    line = json.dumps(asdict(event)).encode() + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666), "ab+") as stream:
            if stream.tell() and _last_byte(stream.fileno()) != b"\n":
                line = b"\n" + line
            stream.write(line)
    except OSError as error:
        raise StorageError(complaint(path, error)) from None


def read(path: Path) -> Iterator[Event]:
    """The events of a log in order; unreadable lines (a write cut short) are passed over."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            yield Event(**json.loads(line))
        except (ValueError, TypeError):
            continue


def _last_byte(descriptor: int) -> bytes:
    return os.pread(descriptor, 1, os.fstat(descriptor).st_size - 1)
