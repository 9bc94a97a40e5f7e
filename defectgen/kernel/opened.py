"""The library of the compiled kernel, opened once."""

import ctypes
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent
LIBRARY = FOLDER / "kernel.so"


@lru_cache(maxsize=4)
def opened(path: Path = LIBRARY) -> ctypes.CDLL:
    """The library in a file. Raises OSError if it cannot be loaded, AttributeError if it is none of ours."""
    library = ctypes.CDLL(str(path))
    library.defectgen_sources.restype = ctypes.c_char_p
    return library
