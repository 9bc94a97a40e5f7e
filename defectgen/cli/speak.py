"""What the program prints: results on stdout, errors on stderr in one sentence, an exit status that scripts can use."""

import json
import math
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import typer
from rich.console import Console

from .._input import InputError, InputWarning
from ..campaign.stop import STATUS, heeded

_prints = {"progress": True, "answers": True, "json": False}
"""What this call prints: everything, only its answer (--quiet), or only JSON (--json)."""


def console() -> Console:
    """The terminal, or plain text of 120 columns where there is none; silent with --quiet and --json."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120
    return Console(highlight=False, width=width, soft_wrap=False, quiet=not _prints["progress"])


def say(text: str, error: bool = False) -> None:
    """One line as it is, without markup and wrapping: an error, or progress, which --quiet leaves out."""
    if error or _prints["progress"]:
        print(text, file=sys.stderr if error else sys.stdout, flush=True)


def answer(text: str, data: Mapping[str, Any]) -> None:
    """The result of a call: the text (nothing if it is empty), or with --json the data in one object."""
    if _prints["json"]:
        print(json.dumps(_plain(data), allow_nan=False), flush=True)
    elif text and _prints["answers"]:
        print(text, flush=True)


def _plain(value: Any) -> Any:
    """The value in JSON's own types; numbers that are not finite become null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (str, int, bool)) or value is None else str(value)


@contextmanager
def spoken(quiet: bool = False, as_json: bool = False) -> Iterator[None]:
    """Bad input ends the program with one sentence and status 2; an interruption with a sentence and status 130.

    So does what the system refuses, such as a stdout that is a full disk or a pipe whose reader has left. Warnings about input
    are one sentence each, on stderr.
    """
    warnings.showwarning = _show
    _prints.update(progress=not (quiet or as_json), json=as_json)
    try:
        yield
    except InputError as error:
        say(f"error: {' '.join(str(error).split())}", error=True)
        raise typer.Exit(2) from None
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else what stdout still holds would complain again at the very end
        say(f"error: {error}; nothing that was finished is lost", error=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        heeded()
        say("stopped; what was finished is kept, and the same command goes on from there", error=True)
        raise typer.Exit(STATUS) from None


_python_shows = warnings.showwarning


def _show(message, category, filename, lineno, file=None, line=None) -> None:
    """A warning about input as one sentence; all others as Python shows them."""
    if issubclass(category, InputWarning) and file is None:
        say(f"warning: {' '.join(str(message).split())}", error=True)
    else:
        _python_shows(message, category, filename, lineno, file, line)
