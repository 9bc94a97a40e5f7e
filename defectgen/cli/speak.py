"""How the program speaks: results on stdout, complaints on stderr in one sentence, an exit status that scripts can use."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from defectgen._input import InputError


def console() -> Console:
    """The terminal, or plain text of 120 columns where there is none."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120, soft_wrap=False)


def say(text: str, error: bool = False) -> None:
    """One line as it is: no markup, no wrapping."""
    print(text, file=sys.stderr if error else sys.stdout, flush=True)


@contextmanager
def spoken() -> Iterator[None]:
    """Bad input ends the program with one sentence and status 2; an interruption with a sentence and 128 + the signal."""
    try:
        yield
    except InputError as error:
        say(f"error: {' '.join(str(error).split())}", error=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        say("stopped", error=True)
        raise typer.Exit(130) from None
