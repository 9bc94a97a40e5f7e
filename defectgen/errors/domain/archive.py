"""A header and arrays as one file of NumPy arrays: without pickled objects, with a checksum, complete or not there at all.

A file of another hand is looked at before it is believed: the shapes that it announces are judged before an array is read.
"""

import hashlib
import io
import json
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..._input import InputError, InputWarning, reading, save_whole

FORMAT, OLDER = "defectgen domain 2", "defectgen domain 1"
"""Files of the older format have no checksum."""
HEADER = 16_000_000
"""Bytes of the longest header that is read."""
ADVICE = "give a file written by domain.save, or save the domain again"

Shape = tuple[int, ...]


def write(path: Path, header: dict[str, Any], arrays: dict[str, np.ndarray]) -> Path:
    """Write the file; floats keep every bit. Raises InputError if it cannot be written."""
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    head = {"format": FORMAT, **header}
    head["checksum"] = _checksum(head, arrays)
    content: dict[str, Any] = {"header": np.array(json.dumps(head)), **arrays}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **content)
    return save_whole(path, buffer.getvalue(), "the domain")


class Archive:
    """An open file: its header, the shape of every array, and the arrays when they are requested."""

    def __init__(self, path: Path, file: Any):
        self.path, self._file = path, file
        self.shapes: dict[str, Shape] = {}
        for name in file.files:
            shape, dtype = _announced(file, name)
            if name != "header" and (dtype.kind not in "fiu" or dtype.itemsize > 8):
                raise InputError(f"the array {name!r} of {str(path)!r} holds no plain numbers ({dtype}); {ADVICE}")
            if name == "header" and (shape != () or dtype.kind != "U" or dtype.itemsize > HEADER):
                raise InputError(f"the header of {str(path)!r} is no text of a plausible length; {ADVICE}")
            self.shapes[name] = shape
        text = str(file["header"]) if self.shapes.pop("header", None) == () else "null"
        self.header = json.loads(text)
        known = isinstance(self.header, dict) and self.header.get("format") in (FORMAT, OLDER)
        if not known:
            raise InputError(
                f"{str(path)!r} is no domain of this package (format {FORMAT!r} was expected); give a file written by domain.save"
            )

    def arrays(self, wanted: Mapping[str, Shape]) -> dict[str, np.ndarray]:
        """The arrays, once those announced are those wanted.

        Raises InputError for shapes other than `wanted`, numbers that are not finite, and a checksum that is wrong; an
        InputWarning says that an older file has none.
        """
        if self.shapes != dict(wanted):
            name = next(n for n in [*wanted, *self.shapes] if wanted.get(n) != self.shapes.get(n))
            raise InputError(
                f"{str(self.path)!r} is damaged: its array {name!r} has the shape {self.shapes.get(name)}, and its basis and "
                f"measures need {wanted.get(name)}; save the domain again"
            )
        found = {name: self._file[name] for name in wanted}
        stated = self.header.get("checksum")
        if stated is None and self.header["format"] == OLDER:
            warnings.warn(
                f"the domain {self.path.name} was written without a checksum; save it again to have one",
                InputWarning,
                stacklevel=4,
            )
        elif stated != _checksum({k: v for k, v in self.header.items() if k != "checksum"}, found):
            raise InputError(f"the domain {str(self.path)!r} was changed after it was written (its checksum is wrong); {ADVICE}")
        for name, array in found.items():
            if not np.all(np.isfinite(array)):
                bad = int(np.sum(~np.isfinite(array)))
                raise InputError(
                    f"{str(self.path)!r} is damaged: {bad} of {array.size} numbers of {name!r} are not finite; save the "
                    "domain again"
                )
        return found


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """An open file. Raises InputError if it is missing, damaged, or was not written by `write`, within the block too."""
    if not path.is_file():
        raise InputError(f"there is no domain file {str(path)!r}; write it with domain.save(path) where the model is saved")
    with reading(path, "a domain, NumPy arrays in one file", ADVICE):
        if not zipfile.is_zipfile(path):
            raise InputError(f"{str(path)!r} holds no NumPy arrays, or damaged ones; give a file written by domain.save")
        with np.load(path, allow_pickle=False) as file:
            yield Archive(path, file)


def _announced(file: Any, name: str) -> tuple[Shape, np.dtype]:
    """Shape and type of an array from the head of its entry, without reading it."""
    with file.zip.open(f"{name}.npy") as entry:
        version = np.lib.format.read_magic(entry)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(entry)
    return shape, dtype


def _checksum(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of the header and of every array: its name, type, shape and bytes."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(json.dumps([name, array.dtype.newbyteorder("<").str, list(arrays[name].shape)]).encode())
        digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()
