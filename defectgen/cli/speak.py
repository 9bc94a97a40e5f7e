"""How the program speaks: results on stdout, complaints on stderr in one sentence, an exit status that scripts can use."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from .._input import InputError, InputWarning
from ..campaign.stop import STATUS, heeded


def console() -> Console:
    """The terminal, or plain text of 120 columns where there is none."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120, soft_wrap=False)


def say(text: str, error: bool = False) -> None:
    """One line as it is: no markup, no wrapping."""
    print(text, file=sys.stderr if error else sys.stdout, flush=True)


@contextmanager
def spoken() -> Iterator[None]:
    """Bad input ends the program with one sentence and status 2; an interruption with a sentence and status 130.

    So does what the system refuses, such as a stdout that is a full disk or a pipe whose reader has left. Warnings about input
    are one sentence each, on stderr.
    """
    warnings.showwarning = _show
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
