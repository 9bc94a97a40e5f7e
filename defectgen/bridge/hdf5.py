"""HDF5 files of others: opened and read with what they announce looked at first, so that no file can fill the memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .._input import InputError, reading

PACKED = 200
"""How many times larger than what is stored a dataset may be: compressed measurements reach about 20, a file that holds nothing
but zeros a thousand, and a dataset without any stored chunk infinity."""
SMALL = 1_000_000
"""Bytes below which that is not looked at."""


@contextmanager
def opened(path: str | Path, what: str) -> Iterator[h5py.File]:
    """The open file; within the block, an exception of the library becomes an InputError that names `what` it should be."""
    if not Path(path).is_file():
        raise InputError(f"there is no file {str(path)!r}; give the path of {what}")
    with reading(path, f"{what}, in HDF5"), h5py.File(path, "r") as file:
        yield file


def dataset(group: h5py.Group, key: str, where: str, kinds: str = "fiu") -> h5py.Dataset:
    """The dataset of this key, not yet read. `kinds` are the kinds of NumPy types that it may have.

    Raises InputError if there is none, for links to other files, and for another type or a size that nothing is stored for.
    """
    if key not in group:
        raise InputError(f"{where} has no {key!r}; its keys are: {', '.join(list(group)[:20]) or 'none'}")
    if isinstance(group.get(key, getlink=True), h5py.ExternalLink):
        raise InputError(f"{key!r} of {where} is a link to another file; copy the data into this one")
    item: Any = group[key]
    if not isinstance(item, h5py.Dataset) or item.shape is None:
        raise InputError(f"{key!r} of {where} holds no array; name the right key")
    if item.external is not None or item.is_virtual:
        raise InputError(f"{key!r} of {where} is stored in another file; copy the data into this one")
    kind = "S" if h5py.check_string_dtype(item.dtype) is not None else item.dtype.kind
    if kind not in kinds:
        raise InputError(f"{key!r} of {where} has the type {item.dtype}, which is not what it should hold; name the right key")
    size = float(np.prod([float(n) for n in item.shape])) * item.dtype.itemsize
    if size > SMALL and size > PACKED * item.id.get_storage_size():
        raise InputError(
            f"{key!r} of {where} announces {size:.2g} bytes, and the file stores {item.id.get_storage_size()} for it; "
            "write the data again"
        )
    return item
