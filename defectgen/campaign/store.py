"""The directory of a run: its specification, one record a task, its log and its tables."""

import csv
import hashlib
import io
import json
import os
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np

from .._input import InputError
from .files import StorageError, complaint, guarded, locked, sweep, utf8, write_together, write_whole
from .provenance import origin, own_version, stamp
from .record import Origin, Record, canonical
from .task import Task

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
    "worker",
    "waiting",
    "lost",
    "interrupted",
    "end",
]


_APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Event:
    """One line of ``events.jsonl``.

    Attributes
    ----------
    event : str
        What happened; ``found`` is a record of an earlier run, ``outdated`` one of other code, which is computed again,
        ``reused`` one of other code that is kept on demand, ``skipped`` a task whose input failed, ``worker`` one that joined,
        left or was refused, ``waiting`` a time without a worker or without progress, ``lost`` a scheduler that is gone.
    label : str
        The task's label, empty for events of the whole run.
    seconds : float
        Wall time of the task, or of the run for ``end`` and ``interrupted`` (s).
    done, total : int
        Tasks settled so far, and all tasks.
    left : float or None
        Estimated time to the end (s), None while unknown.
    detail : str, dict or None
        A reason, or facts about the run (command line, versions).
    time : str
        UTC, ISO 8601.
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

    Raises
    ------
    StorageError
        The disk is full, or the file cannot be written.
    """
    line = json.dumps(vars(event)).encode() + b"\n"
    try:
        try:
            handle = os.open(path, _APPEND, 0o666)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, _APPEND, 0o666)
        with open(handle, "ab+") as stream:
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


FORMAT = 2
_TOGETHER = 128
"""Files of records that are written and flushed together, unless they are large."""
_BYTES = 64 << 20
"""Bytes of such files."""
_OURS = ("records", "results.csv", "rates.csv", "report.html")


class Damaged(Exception):
    """A record on disk is not what was written; it will be computed again."""


class Outdated(Exception):
    """A record on disk is whole, and other code computed it; the message names this code, and ``record`` is what was read."""

    def __init__(self, message: str, record: Record) -> None:
        super().__init__(message)
        self.record = record


class Store:
    """Records of tasks in ``directory/records``: ``<key>.h5`` (arrays), then ``<key>.json`` (values), which is the commit.

    A record is found by its key, which depends on the content of the task. After a change of a study, all records that the
    change does not affect are found again. Every record carries the version and a digest of the code it comes from
    (`provenance`).

    Parameters
    ----------
    directory
        The output directory of the run.
    reuse_old
        Whether a run keeps records that other code computed.

    Raises
    ------
    InputError
        The path exists and is no directory.
    """

    def __init__(self, directory: str | Path, reuse_old: bool = False) -> None:
        self.directory, self.reuse_old = Path(directory), reuse_old
        if self.directory.exists() and not self.directory.is_dir():
            raise InputError(f"{self.directory} is a file; the output of a run is a directory: use another --out")
        self.records = self.directory / "records"
        self.events = self.directory / "events.jsonl"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory for one writer (see ``lock.locked``), who clears away what killed ones left."""
        with locked(self.records / ".lock"):
            for folder in (self.directory, self.records, self.directory / "figures"):
                sweep(folder)
            yield

    def claim(self, name: str, specification: str) -> None:
        """Write ``spec.toml`` for the study ``name``; its earlier versions may be there, another study's may not.

        Raises
        ------
        InputError
            The directory holds another study, or results without a specification.
        """
        path = self.directory / "spec.toml"
        if path.exists():
            found = _study_name(path)
            if found != name:
                raise InputError(
                    f"{self.directory} holds the study {found!r}, not {name!r}; use another --out, or remove it first"
                )
        elif taken := [entry for entry in _OURS[1:] if (self.directory / entry).exists()]:
            raise InputError(
                f"{self.directory} has a {taken[0]} but no spec.toml: it is no run of this program; use another --out"
            )
        write_whole(path, utf8(specification))

    def save(self, task: Task, record: Record) -> None:
        """Write the record of ``task``.

        Raises
        ------
        StorageError
            The disk is full, or the directory cannot be written.
        """
        self.save_all([(task, record)])

    def save_all(self, outcome: Iterable[tuple[Task, Record]]) -> None:
        """Write the records of several tasks, which is faster than one after the other.

        Raises
        ------
        StorageError
            The disk is full, or the directory cannot be written.
        """
        files: list[tuple[Path, bytes]] = []
        for task, record in outcome:
            files += self._files(task, record)
            if len(files) > _TOGETHER or sum(len(content) for _, content in files) > _BYTES:
                write_together(files)
                files = []
        if files:
            write_together(files)

    def _files(self, task: Task, record: Record) -> Iterator[tuple[Path, bytes]]:
        """Paths and contents of a record: the arrays first, the rest, which makes it valid, last."""
        arrays = _pack(record.arrays) if record.arrays else None
        content = {
            "format": FORMAT,
            "key": task.key,
            "function": task.function,
            "label": task.label,
            "spec": task.spec,
            "values": record.values,
            "failed": record.failed,
            "seconds": record.seconds,
            "origin": (record.origin or origin(task)).plain(),
            "arrays": None if arrays is None else hashlib.sha256(arrays).hexdigest(),
        }
        content["checksum"] = _checksum(content)
        if arrays is not None:
            yield self.records / f"{task.key}.h5", arrays
        yield self.records / f"{task.key}.json", json.dumps(content, indent=1).encode()

    def load(self, task: Task) -> Record | None:
        """The record of ``task``, or None if it was never finished.

        Raises
        ------
        Damaged
            The files are there but are not what was written, or belong to another task.
        Outdated
            Other code computed it.
        """
        path = self.records / f"{task.key}.json"
        try:
            content = contents(path)
            if content["function"] != task.function:
                raise ValueError(f"it is that of {str(content['label'])!r} under another name")
            arrays = {} if content["arrays"] is None else unpacked(path.with_suffix(".h5"), content["arrays"])
            source = Origin(**content["origin"]) if content["format"] == FORMAT else Origin()
            told = {"failed": content["failed"], "seconds": content["seconds"], "origin": source}
            record = Record.stored(content["values"], arrays, **told)
        except FileNotFoundError:
            if path.exists():
                raise Damaged(f"the arrays of {task.label!r} are missing; computing them again") from None
            return None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
            raise Damaged(f"the record of {task.label!r} cannot be read ({error}); computing it again") from None
        if source.stamp != stamp(task):
            raise Outdated(_why(source), record)
        return record

    def log(self, event: Event) -> None:
        """Add a line to ``events.jsonl``."""
        append(self.events, event)

    def table(self, name: str, rows: Sequence[Mapping[str, Any]], columns: Collection[str]) -> Path:
        """Write ``rows`` as CSV with ``columns`` first and whatever else the rows hold after them; floats by repr, None empty."""
        extra = dict.fromkeys(key for row in rows for key in row if key not in columns)
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, [*columns, *extra], restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
        path = self.directory / name
        write_whole(path, utf8(text.getvalue()))
        return path


def _cell(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        value = " ".join(str(item) for item in value)
    return guarded(value.replace("\r\n", "\n").replace("\r", "\n")) if isinstance(value, str) else value


def _why(source: Origin) -> str:
    """Why a record is that of other code."""
    if not source.stamp:
        return "from a version of defectgen that did not note its code"
    if source.version != own_version():
        return f"from defectgen {source.version}, and this is {own_version()}"
    return "from code that has changed since"


def _study_name(path: Path) -> str:
    try:
        return str(tomllib.loads(path.read_text(encoding="utf-8-sig"))["name"])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError):
        raise InputError(f"{path} is no specification of a study; use another --out, or remove it first") from None


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(content, "a record").encode()).hexdigest()


def _pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, track_times=False)
    return buffer.getvalue()


class _Packed(Mapping[str, np.ndarray]):
    """Arrays of a record as the content of their file, read when one of them is first requested."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __reduce__(self) -> tuple[type["_Packed"], tuple[bytes]]:
        return _Packed, (self._content,)  # sent to other processes as it is in the file

    @cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        with h5py.File(io.BytesIO(self._content), "r") as file:
            return {name: np.asarray(file[name][()]) for name in file}

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


def contents(path: Path) -> dict[str, Any]:
    """The content of the JSON file of a record.

    Raises
    ------
    ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError
        It is not what was written, or that of another record.
    """
    content = json.loads(path.read_bytes())
    if not isinstance(content, dict) or "checksum" not in content:
        raise ValueError("it is no record: it has no checksum")
    if content.pop("checksum") != _checksum(content) or content["format"] not in (1, FORMAT):
        raise ValueError("its checksum is wrong")
    if content["key"] != path.stem:
        raise ValueError(f"it is that of {str(content['label'])!r} under another name")
    return content


def unpacked(path: Path, digest: str) -> Mapping[str, np.ndarray]:
    """Arrays of a record; ValueError if the file is not what was written."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError("the checksum of its arrays is wrong")
    return _Packed(content)
