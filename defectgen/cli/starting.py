"""``defectgen list`` and ``defectgen init``: what there is, and a first run file."""

from pathlib import Path

from rich.table import Table
from rich.text import Text

from .. import study
from .._input import InputError, did_you_mean
from ..campaign.files import utf8, write_whole
from .speak import answer, console

NARROW = 70
"""Columns of a terminal up to which long names are wrapped too."""


def start_file(name: str) -> Path:
    """Write ``NAME.toml`` in the working directory.

    Raises
    ------
    InputError
        The study is unknown, or the file is there already.
    """
    stem = name.removesuffix(".toml")
    if stem == "fit":
        from .fitting import start_fit

        return start_fit()
    text = study.template(Path(stem).name)
    path = Path(f"{stem}.toml")
    if path.exists():
        raise InputError(f"{path} is there already; rename it, or start in another directory")
    write_whole(path, utf8(text))
    return path


def show_catalogue(section: str | None) -> None:
    """Print the names and what they mean.

    Raises
    ------
    InputError
        There is no such section.
    """
    catalogue = study.catalogue()
    if section is not None and section not in catalogue:
        raise InputError(f"there is no section {section!r}; choose from {', '.join(catalogue)}{did_you_mean(section, catalogue)}")
    shown = {heading: entries for heading, entries in catalogue.items() if section in (None, heading)}
    screen = console()
    for heading, entries in shown.items():
        table = Table(title=heading, title_justify="left", title_style="bold", box=None, show_header=False, pad_edge=False)
        table.add_column(no_wrap=screen.width > NARROW, overflow="fold", ratio=None if screen.width > NARROW else 2)
        table.add_column(ratio=None if screen.width > NARROW else 3)
        for name, meaning in entries.items():
            table.add_row(Text(f"  {name}"), Text(meaning))
        screen.print(table)
        screen.print()
    answer("", shown)
