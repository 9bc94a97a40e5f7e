"""The list of references, and a reference from its name: "CleriRosato(Cu)", "EAM(file.eam.alloy, interpolation=lammps)"."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from typing import NamedTuple, cast

from .._input import InputError
from ..energy.potential import Potential
from ..energy.site import SiteEnergy
from . import pair, second_moment, stillinger_weber, tersoff_parameters
from .descriptions import DESCRIPTIONS, description, installed
from .eam import EAM
from .pair import LennardJones, Morse
from .potential_file import NUMBER
from .second_moment import CleriRosato, FinnisSinclair
from .stillinger_weber import StillingerWeber
from .tersoff import Tersoff


class Reference(NamedTuple):
    """One line of the list."""

    make: Callable[..., Potential]
    description: str
    species: tuple[str, ...]
    """Symbols with published parameters; empty if the potential comes from a file."""


REFERENCES: dict[str, Reference] = {
    "CleriRosato": Reference(CleriRosato, DESCRIPTIONS["CleriRosato"], tuple(second_moment.CLERI_ROSATO)),
    "StillingerWeber": Reference(StillingerWeber, DESCRIPTIONS["StillingerWeber"], tuple(stillinger_weber.PUBLISHED)),
    "Tersoff": Reference(Tersoff, DESCRIPTIONS["Tersoff"], tuple(tersoff_parameters.PUBLISHED)),
    "FinnisSinclair": Reference(FinnisSinclair, DESCRIPTIONS["FinnisSinclair"], tuple(second_moment.FINNIS_SINCLAIR)),
    "EAM": Reference(EAM, DESCRIPTIONS["EAM"], ()),
    "LennardJones": Reference(LennardJones, DESCRIPTIONS["LennardJones"], tuple(pair.LENNARD_JONES)),
    "Morse": Reference(Morse, DESCRIPTIONS["Morse"], tuple(pair.MORSE)),
}
"""The reference potentials of this package by name; `references` has those of installed packages too."""

FROM_FILES = ("EAM", "StillingerWeber", "Tersoff")
"""Those whose argument may be a path."""


@cache
def references() -> dict[str, Reference]:
    """Every reference potential by name: those of this package, then those of installed packages.

    Returns
    -------
    dict
        What makes each of them, its description, and the symbols it has parameters for.

    Raises
    ------
    InputError
        An installed package registers a reference that cannot be imported, cannot be called, or takes the name of another one.

    Notes
    -----
    An entry point names a class, or any function that makes a potential; its arguments are those that a run file may give.
    """
    return REFERENCES | {name: Reference(make, description(make), ()) for name, make in installed().items()}


ARGUMENT = re.compile(
    r"""\s*(?:(?P<key>\w+)\s*=\s*)?(?P<value>"[^"]*"|'[^']*'|\[[^\]]*\]|[^,]*?)\s*(?P<end>,|$)""",
)
"""One argument: a word or a path, in quotes if it holds a comma, or a list in brackets; NAME= may precede it."""

Value = str | float | bool | None | tuple[str | float, ...]


@dataclass(frozen=True)
class NamedReference:
    """A reference as text gives it, checked but not made."""

    name: str
    """One of `references()`."""
    argument: str | tuple[str | float, ...] | None
    """A symbol, symbols, or a path; None if there is none."""
    options: tuple[tuple[str, Value], ...] = ()
    """Arguments with names."""

    @property
    def path(self) -> str | None:
        """The file that it names; None if it names a symbol."""
        if self.name not in FROM_FILES or not isinstance(self.argument, str) or self.argument in references()[self.name].species:
            return None
        return self.argument

    def with_path(self, path: str) -> "NamedReference":
        """The same with another path.

        Parameters
        ----------
        path : str
            Path of a potential file.

        Returns
        -------
        NamedReference
            The copy.
        """
        return replace(self, argument=path)

    def __str__(self) -> str:
        """Text that gives the same reference."""
        parts = [] if self.argument is None else [_written(self.argument)]
        if self.path is not None:  # always in quotes, so that the text around a path does not depend on it
            parts = [f"'{self.path}'" if '"' in self.path else f'"{self.path}"']
        return f"{self.name}({', '.join([*parts, *(f'{key}={_written(value)}' for key, value in self.options)])})"

    def make(self) -> SiteEnergy:
        """The potential."""
        given = () if self.argument is None else (self.argument,)
        return cast(SiteEnergy, references()[self.name].make(*given, **dict(self.options)))


def parse_reference(text: str) -> NamedReference:
    """What a reference's text says.

    Parameters
    ----------
    text : str
        A name, or a name with arguments: `CleriRosato(Cu)`, `CleriRosato(Cu, cutoff=4.2)`,
        `EAM("my file.eam.alloy", interpolation=lammps)`, `LennardJones(Ar, epsilon=0.01)`. The first argument is a symbol
        or a path; the others have the names of the Python arguments. Values are numbers, words, true, false or none,
        and lists of them in brackets. A path with a comma is in quotes.

    Returns
    -------
    NamedReference
        Checked, but not made.

    Raises
    ------
    InputError
        For an unknown reference or argument, saying which are known, and for a value of another kind than is expected.
    """
    return parse_call(text, references())


def parse_call(text: str, known: Mapping[str, Reference]) -> NamedReference:
    """The same for any functions that make potentials.

    Parameters
    ----------
    text : str
        A name of `known`, with arguments as in `parse_reference`.
    known : mapping
        What makes each of them; the names and annotations of its arguments are read.

    Returns
    -------
    NamedReference
        Checked, but not made.

    Raises
    ------
    InputError
        As `parse_reference`.
    """
    match = re.fullmatch(r"\s*(\w+)\s*(?:\(\s*(.*?)\s*\))?\s*", text)
    if match is None or match[1] not in known:
        near = get_close_matches(match[1], known, 1) if match else []
        meant = f"; did you mean {near[0]}?" if near else ""
        raise InputError(
            f"a reference is one of {', '.join(known)}, with a symbol or a path as in CleriRosato(Cu); got {text!r}{meant}"
        )
    name, inside = match[1], match[2] or ""
    parameters = {key: str(p.annotation) for key, p in inspect.signature(known[name].make).parameters.items()}
    first = next(iter(parameters), None)
    argument: str | None = None
    raw: dict[str, str] = {}
    position = 0
    while position < len(inside):
        found = ARGUMENT.match(inside, position)
        assert found is not None  # the last form of a value fits any text
        key, value = found["key"], found["value"]
        if key is not None and key not in parameters and argument is None and not raw and re.search(r"[./]", value):
            key, value = None, found[0].rstrip(",").strip()  # a path with = in it
        if key is not None:
            if key not in parameters:
                near = get_close_matches(key, parameters, 1)
                meant = f"; did you mean {near[0]}?" if near else ""
                raise InputError(f"{name} takes {', '.join(parameters)}; got {key!r} in {text!r}{meant}")
            if key in raw or (key == first and argument is not None):
                raise InputError(f"{text!r} gives {key} twice")
            raw[key] = value
        elif argument is None and not raw:
            argument = value
        elif not raw and name in FROM_FILES and argument is not None and argument[:1] not in ("'", '"', "["):
            argument = inside[: found.end("value")]  # a path with a comma, as far as no name follows
        else:
            example = f"{name}({argument or '...'}, {list(parameters)[-1]}=...)"
            raise InputError(f"{name} takes one argument without a name; name the others as in {example}; got {text!r}")
        position = found.end()
        if found["end"] == "":
            break
    if first in raw:
        argument = raw.pop(first)
    if not argument and name in FROM_FILES and not known[name].species:
        raise InputError(f"{name} reads a file: write {name}(path); got {text!r}")
    options = tuple((key, _value(value, parameters[key], f"{key} in {text!r}")) for key, value in raw.items())
    if argument and first is not None and "Sequence" in parameters[first] and argument.startswith("["):
        return NamedReference(name, _list(argument, parameters[first], f"{first} in {text!r}"), options)
    argument = _unquoted(argument) if argument else None
    return NamedReference(name, argument or None, options)


def reference_from_name(text: str) -> SiteEnergy:
    """The potential that a text names.

    Parameters
    ----------
    text : str
        As for `parse_reference`: "CleriRosato(Cu)", "EAM(Cu.eam.alloy, interpolation=lammps)".

    Returns
    -------
    SiteEnergy
        The potential.

    Raises
    ------
    InputError
        For an unknown name or argument, saying which are known, and for a file that cannot be used.
    """
    return parse_reference(text).make()


def _value(text: str, annotation: str, what: str) -> Value:
    """The value of an argument, of the kind that its annotation says."""
    if text.lower() == "none" and "None" in annotation:
        return None
    if text.startswith("[") or annotation.startswith("collections.abc.Sequence"):
        return _list(text, annotation, what)
    return _item(text, annotation, what)


def _list(text: str, annotation: str, what: str) -> tuple[str | float, ...]:
    """A list in brackets, or one entry without."""
    if "Sequence" not in annotation:
        raise InputError(f"{what}: one value was expected; got {text!r}")
    entries = text.removeprefix("[").removesuffix("]").split(",")
    return tuple(_item(entry.strip(), annotation, what) for entry in entries)  # type: ignore[misc] - no bool in a Sequence


def _item(text: str, annotation: str, what: str) -> str | float | bool:
    """A number, a word or a truth value."""
    if "float" in annotation:
        if NUMBER.fullmatch(text) is None:
            raise InputError(f"{what}: a number was expected; got {text!r}")
        return float(text)
    if "bool" in annotation:
        if text.lower() not in ("true", "false"):
            raise InputError(f"{what}: true or false was expected; got {text!r}")
        return text.lower() == "true"
    word = _unquoted(text)
    if not word:
        raise InputError(f"{what}: a word was expected; got nothing")
    return word


def _unquoted(text: str) -> str:
    """Without the quotes around it."""
    return text.strip("'\"")


def _written(value: Value) -> str:
    """A value as `parse_reference` reads it."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_written, value))}]"
    if not isinstance(value, str):
        return str(value).lower() if value is None or isinstance(value, bool) else repr(float(value))
    if not re.search(r"[,='\"\[\]]", value) and value == value.strip():
        return value
    return f"'{value}'" if '"' in value else f'"{value}"'
