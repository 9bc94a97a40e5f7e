"""Call one task's function and turn whatever happens into a Record; this is all that a worker process does."""

import gc
import importlib
import time
import traceback
from dataclasses import replace
from typing import Any

from defectgen._input import InputError
from defectgen.campaign.kernels import release_kernels
from defectgen.campaign.record import Record


def execute(function: str, spec: dict[str, Any], needed: tuple[Record, ...] = ()) -> Record:
    """The record of ``function(spec, *needed)``; an exception becomes a failed record with one sentence and the traceback.

    Args:
        function: ``"package.module:name"``.
        spec: plain data.
        needed: the records the function reads.

    Returns:
        The record, with ``seconds`` the wall time of the call (s).
    """
    start = time.perf_counter()
    try:
        module, _, name = function.partition(":")
        record = getattr(importlib.import_module(module), name)(spec, *needed)
        if not isinstance(record, Record):
            raise TypeError(f"{function} gave a {type(record).__name__}, not a Record")
    except Exception as error:
        record = Record({"traceback": traceback.format_exc()}, failed=sentence(error))
    release_kernels()
    gc.collect()  # iterative solvers leave their vectors in reference cycles, hundreds of MB in a large cell
    return replace(record, seconds=time.perf_counter() - start)


def sentence(error: BaseException) -> str:
    """What went wrong, in one line; an InputError speaks for itself, anything else is named."""
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else ""
    if isinstance(error, InputError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
