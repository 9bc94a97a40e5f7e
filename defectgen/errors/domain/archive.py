"""A header and arrays as one file of NumPy arrays: without pickled objects, complete or not there at all."""

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ..._input import InputError

FORMAT = "defectgen domain 1"


def write(path: Path, header: dict[str, Any], arrays: dict[str, np.ndarray]) -> Path:
    """Write the file; floats keep every bit. Raises InputError if it cannot be written."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    content: dict[str, Any] = {"header": np.array(json.dumps({"format": FORMAT, **header})), **arrays}
    try:
        with open(partial, "wb") as file:
            np.savez_compressed(file, **content)
        os.replace(partial, path)
    except OSError as error:
        raise InputError(f"the domain cannot be written to {path}: {error.strerror}; choose another folder") from None
    finally:
        partial.unlink(missing_ok=True)
    return path


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays. Raises InputError if the file is missing, damaged, or was not written by `write`."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise InputError(f"there is no domain file {path}; write it with domain.save(path) beside the model") from None
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile):
        raise InputError(f"{path} holds no NumPy arrays, or damaged ones; give a file written by domain.save") from None
    try:
        header = json.loads(str(arrays.pop("header")))
    except (KeyError, json.JSONDecodeError):
        header = {}
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise InputError(f"{path} is no domain of this package (format {FORMAT!r} wanted); give a file written by domain.save")
    return header, arrays
