"""Care of a store: check every record, remove what no plan needs, write all records into one file."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from .._input import InputError
from .files import PARTIAL, replaced
from .store import Store, contents, unpacked

_CHUNK = 1000
"""Records that are in memory at a time while they are exported."""
_TEXTS = ("key", "function", "label", "failed", "spec", "values", "origin")


@dataclass(frozen=True)
class Checked:
    """What is in a store.

    Attributes
    ----------
    whole, failed : int
        Records that are what was written, and how many of these are of failed tasks.
    damaged : tuple of (str, str)
        File names and reasons.
    orphans : tuple of str
        Files of arrays without a record.
    partial : tuple of str
        Files that killed writers left.
    size : int
        Bytes of all files.
    versions : dict
        Version of the package -> number of records.
    """

    whole: int
    failed: int
    damaged: tuple[tuple[str, str], ...]
    orphans: tuple[str, ...]
    partial: tuple[str, ...]
    size: int
    versions: dict[str, int]


@dataclass(frozen=True)
class Swept:
    """What was removed from a store: records, orphans and partial files by name, and their size (bytes)."""

    records: tuple[str, ...]
    others: tuple[str, ...]
    size: int


def check(store: Store) -> Checked:
    """Read every record of a store, and compare it with its checksums. Nothing is changed; a run may go on.

    Parameters
    ----------
    store : Store
        The store.

    Returns
    -------
    Checked
        Counts, and what is damaged.

    Raises
    ------
    InputError
        The directory has no records.
    """
    names = _names(store)
    damaged: list[tuple[str, str]] = []
    versions: Counter[str] = Counter()
    failed = size = 0
    for name, bytes_ in names.items():
        size += bytes_
        if not name.endswith(".json") or name.startswith("."):
            continue
        try:
            content = contents(store.records / name)
            if content["arrays"] is not None:
                found = hashlib.sha256((store.records / name).with_suffix(".h5").read_bytes()).hexdigest()
                if found != content["arrays"]:
                    raise ValueError("the checksum of its arrays is wrong")
        except FileNotFoundError:
            damaged.append((name, "its arrays are missing"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            damaged.append((name, " ".join(str(error).split())[:200] or type(error).__name__))
        else:
            failed += content["failed"] is not None
            versions[content.get("origin", {}).get("version") or "not noted"] += 1
    whole = sum(versions.values())
    return Checked(whole, failed, tuple(damaged), _orphans(names), _partial(names), size, dict(versions))


def collect_garbage(store: Store, keep: Collection[str] | None = None, dry_run: bool = False) -> Swept:
    """Remove files that no record owns, and the records that a plan does not need; the caller holds the lock of the store.

    Parameters
    ----------
    store : Store
        The store.
    keep : collection of str, optional
        Keys of the records that stay; all of them if not given.
    dry_run : bool
        Remove nothing.

    Returns
    -------
    Swept
        Names and sizes.

    Raises
    ------
    InputError
        The directory has no records.
    """
    names = _names(store)
    records = [n for n in names if n.endswith(".json") and not n.startswith(".") and keep is not None and n[:-5] not in keep]
    arrays = [n[:-5] + ".h5" for n in records if n[:-5] + ".h5" in names]
    others = [*_orphans(names), *_partial(names)]
    if not dry_run:
        for name in [*records, *arrays, *others]:  # a record first: without it its arrays are an orphan
            (store.records / name).unlink(missing_ok=True)
    return Swept(tuple(records), tuple(others), sum(names[name] for name in [*records, *arrays, *others]))


def export(store: Store, path: str | Path) -> int:
    """Write all whole records into one HDF5 file, which appears when it is complete.

    Parameters
    ----------
    store : Store
        The store.
    path : path
        ``*.h5`` or ``*.hdf5``.

    Returns
    -------
    int
        How many records were written.

    Raises
    ------
    InputError
        The directory has no records, the suffix is another, or a record is damaged.
    StorageError
        The file cannot be written.

    Notes
    -----
    Datasets ``key, function, label, failed, spec, values, origin`` (text, one entry a record; ``spec``, ``values`` and
    ``origin`` are JSON, ``failed`` is empty for records with a result), ``seconds`` (float), and ``arrays/KEY/NAME``.
    """
    path = Path(path)
    if path.suffix not in (".h5", ".hdf5"):
        raise InputError(f"records are exported as HDF5, and '{path}' has another suffix; give a name that ends in .h5")
    names = sorted(name for name in _names(store) if name.endswith(".json") and not name.startswith("."))
    with replaced(path) as temporary, h5py.File(temporary, "w") as file:
        text = h5py.string_dtype()
        pieces = (min(_CHUNK, len(names)),) if names else None
        columns = {name: file.create_dataset(name, (len(names),), text, chunks=pieces) for name in _TEXTS}
        seconds = file.create_dataset("seconds", (len(names),), float)
        group = file.create_group("arrays")
        for start in range(0, len(names), _CHUNK):
            rows = [_content(store, name) for name in names[start : start + _CHUNK]]
            for name, column in columns.items():
                column[start : start + len(rows)] = [_text(row[name]) for row in rows]
            seconds[start : start + len(rows)] = [row["seconds"] for row in rows]
            for row in rows:
                if row["arrays"] is not None:
                    arrays = unpacked(store.records / f"{row['key']}.h5", row["arrays"])
                    own = group.create_group(row["key"])
                    for name, array in arrays.items():
                        own.create_dataset(name, data=array, track_times=False)
    return len(names)


def _content(store: Store, name: str) -> dict[str, Any]:
    try:
        return contents(store.records / name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"the record '{name}' is damaged ({error}); 'defectgen store check' lists all that are") from None


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _names(store: Store) -> dict[str, int]:
    """Files of the folder of records, and their sizes (bytes)."""

    def found() -> Iterator[tuple[str, int]]:
        with os.scandir(store.records) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False) and not entry.name.startswith(".lock"):
                    yield entry.name, entry.stat(follow_symlinks=False).st_size

    try:
        return dict(found())
    except OSError as error:
        raise InputError(
            f"'{store.directory}' has no records of a run ({error.strerror}); give the --out directory of 'defectgen run'"
        ) from None


def _orphans(names: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted(n for n in names if n.endswith(".h5") and not n.startswith(".") and n[:-3] + ".json" not in names))


def _partial(names: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted(n for n in names if n.startswith(".") and n.endswith(PARTIAL)))
