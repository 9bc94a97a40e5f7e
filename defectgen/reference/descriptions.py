"""What references there are, in one line each: those of this package without importing them, and those of installed packages."""

import inspect
from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from .._input import InputError

DESCRIPTIONS: dict[str, str] = {
    "CleriRosato": "second-moment tight binding, fcc metals (1993)",
    "StillingerWeber": "angular potentials of silicon (1985) and GaN (2006), or any LAMMPS .sw file",
    "Tersoff": "bond-order potentials by name (Si, SiC, SiC-Erhart, BCN, AlN, PtC, FeC, WCH, ...), or any LAMMPS .tersoff file",
    "FinnisSinclair": "N-body potential of bcc metals (1984) with rounded ends",
    "EAM": "embedded atom from a funcfl, setfl or eam.fs file: EAM(path, interpolation=lammps)",
    "LennardJones": "12-6 pair potential of the noble gases, smooth end",
    "Morse": "Morse pair potential (1959), two or three dimensions, smooth end",
}
"""The reference potentials of this package by name."""

GROUP = "defectgen.references"
"""Entry-point group of references; the name of an entry is the name of the reference."""


@cache
def installed() -> dict[str, Callable[..., Any]]:
    """What makes the reference potentials of installed packages, by name.

    Returns
    -------
    dict
        A class, or any function that makes a potential, for every entry point of `GROUP`.

    Raises
    ------
    InputError
        An installed package registers a reference that cannot be imported, cannot be called, or takes the name of another one.
    """
    found: dict[str, Callable[..., Any]] = {}
    for entry in entry_points(group=GROUP):
        try:
            make = entry.load()
        except Exception as error:
            raise InputError(
                f"the reference {entry.name!r} of an installed package ({entry.value}) cannot be loaded "
                f"({type(error).__name__}: {error}); repair or uninstall that package"
            ) from None
        if not callable(make):
            raise InputError(f"{entry.value} is registered as the reference {entry.name!r}, but it makes no potential")
        if entry.name in found or entry.name in DESCRIPTIONS:
            raise InputError(f"{entry.value} is registered as the reference {entry.name!r}, but there is one of this name")
        found[entry.name] = make
    return found


def description(make: Callable[..., Any]) -> str:
    """The first line of the docstring of what makes a reference potential."""
    return (inspect.getdoc(make) or "of an installed package").splitlines()[0]


def descriptions() -> dict[str, str]:
    """Every reference potential by name, in one line.

    Returns
    -------
    dict
        Those of this package, then those of installed packages, which are imported: their docstrings describe them.

    Raises
    ------
    InputError
        As `installed`.
    """
    return DESCRIPTIONS | {name: description(make) for name, make in installed().items()}
