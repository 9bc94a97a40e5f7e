"""How values are shown: the name of the class and a few facts with units, in place of arrays."""

import html
import textwrap
from collections import Counter
from collections.abc import Iterable
from dataclasses import fields

import numpy as np

WIDTH = 100
"""Characters a line."""
FEW = 8
"""Entries of a sequence that are shown one by one."""


def shown(value: object, *facts: str) -> str:
    """`Class(fact, fact)` in lines of at most WIDTH characters.

    Parameters
    ----------
    value : object
        What is shown.
    *facts : str
        Short, with units; empty ones are left out.

    Returns
    -------
    str
        A few lines.
    """
    text = f"{type(value).__name__}({', '.join(fact for fact in facts if fact)})"
    return textwrap.fill(text, WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def counted(symbols: Iterable[str]) -> str:
    """Atoms by species.

    Parameters
    ----------
    symbols : iterable of str
        One symbol an atom.

    Returns
    -------
    str
        "26 atoms of Cu", or "54 atoms (27 Al, 27 Ti)".
    """
    found = Counter(symbols)
    total = sum(found.values())
    atoms = f"{total:,} atom{'s' * (total != 1)}"
    if len(found) == 1:
        return f"{atoms} of {next(iter(found))}"
    return f"{atoms} ({', '.join(f'{n:,} {symbol}' for symbol, n in found.items())})" if found else "no atoms"


def preformatted(value: object) -> str:
    """What `print` shows, as HTML: the representation of a result in a notebook.

    Parameters
    ----------
    value : object
        Whose ``str`` is a table.

    Returns
    -------
    str
        One `pre` element.
    """
    return f'<pre style="line-height: 1.3">{html.escape(str(value))}</pre>'


def brief(self: object) -> str:
    """The fields of a dataclass, with shapes in place of arrays and numbers of entries in place of long sequences.

    Parameters
    ----------
    self : object
        A value of a dataclass.

    Returns
    -------
    str
        A few lines.
    """
    kept = [f for f in fields(self) if f.repr]  # type: ignore[arg-type]
    return shown(self, *(f"{f.name} {_brief(getattr(self, f.name))}" for f in kept))


def _brief(value: object) -> str:
    """One field."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"({', '.join(map(str, shape))})"
    if isinstance(value, float | np.floating):
        return f"{value:.6g}"
    if isinstance(value, tuple | list | dict) and len(value) > FEW:
        return f"of {len(value)} entries"
    return repr(value)
