"""Call one task's function and turn whatever happens into a Record; this is all that a worker process does."""

import gc
import time
import traceback
import warnings
from collections.abc import Mapping
from dataclasses import replace

from .._input import InputError, InputWarning
from .kernels import release_kernels
from .record import Record
from .task import Task


def execute(task: Task, needed: Mapping[str, Record]) -> Record:
    """The record of a task; an exception becomes a failed record with one sentence and the traceback.

    Args:
        task: what is computed.
        needed: the records of what it needs, by key.

    Returns:
        The record, with ``seconds`` the wall time of the call (s).
    """
    start = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)  # what they say is in the results: messages, reasons, remarks
            record = task.compute(needed)
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
