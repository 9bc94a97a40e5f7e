"""Opening the potential files of LAMMPS: the text, the units that the first line states, and numbers word by word."""

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from .._input import InputError

LARGEST = 512 * 2**20
"""Bytes: larger files are refused before they are read. The largest published tables have about 50 MiB."""

KCAL_PER_MOL = 1.0 / 23.060549
"""eV, with the digits that LAMMPS converts `UNITS: real` with."""

ENERGY = {"metal": 1.0, "real": KCAL_PER_MOL}
"""Energy unit in eV of the unit systems that a file may state; lengths are in A in both."""

OTHER_STYLES = {
    ".adp": "adp",
    ".cdeam": "eam/cd",
    ".eam.cd": "eam/cd",
    ".eam.he": "eam/he",
    ".he": "eam/he",
    ".poly": "polymorphic",
    ".meam.spline": "meam/spline",
    ".meam.sw.spline": "meam/sw/spline",
    ".meam": "meam",
    ".msmeam": "meam/ms",
    ".eim": "eim",
    ".tersoff": "tersoff",
    ".tersoff.mod": "tersoff/mod",
    ".tersoff.zbl": "tersoff/zbl",
    ".sw.mod": "sw/mod",
    ".sw.quip": "quip",
    ".vashishta": "vashishta",
    ".bop.table": "bop",
    ".comb": "comb",
    ".comb3": "comb3",
    ".snapcoeff": "snap",
    ".snapparam": "snap",
    ".yace": "pace",
}
"""Pair styles of LAMMPS that are not read here, by the ends of their files' names."""

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eEdD][+-]?[0-9]+)?")
WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip"}


def read_lines(path: Path, what: str, styles: tuple[str, ...]) -> list[str]:
    """The lines of a potential file.

    Parameters
    ----------
    path
        The file.
    what
        What was expected, for messages, such as "an EAM table (.eam, .eam.alloy or .eam.fs)".
    styles
        The pair styles that the caller reads.

    Raises
    ------
    InputError
        For a file that is missing, empty, compressed, binary, larger than `LARGEST`, or that carries the name of another
        pair style.
    """
    if path.is_dir():
        raise InputError(f"{what} was expected; {str(path)!r} is a directory")
    try:
        if not path.is_file():
            raise InputError(f"{what} was expected; {str(path)!r} does not exist")
        name = path.name.lower()
        for end in sorted(OTHER_STYLES, key=len, reverse=True):
            if name.endswith(end) and OTHER_STYLES[end] not in styles:
                raise InputError(
                    f"{path} is by its name a file of the LAMMPS pair style {OTHER_STYLES[end]}; only {', '.join(styles)} "
                    f"{'is' if len(styles) == 1 else 'are'} read here"
                )
        size = path.stat().st_size
        if size > LARGEST:
            raise InputError(f"{path} has {size / 2**20:.0f} MiB; {what} has at most {LARGEST // 2**20} MiB")
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name, and InputError itself
        if isinstance(error, InputError):
            raise
        raise InputError(f"{what} was expected; {str(path)!r} cannot be read: {error}") from None
    for start, packer in PACKED.items():
        if content.startswith(start):
            raise InputError(f"{path} is compressed ({packer}); unpack it first")
    if b"\0" in content:
        raise InputError(f"{path} is no text file (it holds null bytes); {what} was expected")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # names of authors in old comments
    if not text.strip():
        raise InputError(f"{path} is empty; {what} was expected")
    return text.split("\n")  # not splitlines: it also breaks lines at characters that occur in comments


def energy_unit(path: Path, first: str) -> float:
    """The energy unit in eV that the first line of a file states (`UNITS: metal`, as LAMMPS reads it); eV if it states none.

    Raises InputError for units other than metal and real.
    """
    words = first.split()
    for word, unit in pairwise(words):
        if word == "UNITS:":
            if unit not in ENERGY:
                raise InputError(f"{path} states UNITS: {unit[:40]!r}; {' and '.join(ENERGY)} units are read: convert the file")
            return ENERGY[unit]
    return 1.0


def number(word: str, place: str) -> float:
    """A finite number, Fortran exponents included. Raises InputError, naming the place."""
    if NUMBER.fullmatch(word) is None:
        raise InputError(f"{place}: a number was expected; got {word[:40]!r}")
    value = float(word.replace("D", "e").replace("d", "e"))
    if not abs(value) < float("inf"):
        raise InputError(f"{place}: the number {word[:40]} is too large")
    return value


def positive(word: str, place: str, what: str) -> float:
    """A number above zero. Raises InputError, naming the place and the quantity."""
    value = number(word, place)
    if not value > 0.0:
        raise InputError(f"{place}: {what} must be positive; got {word[:40]}")
    return value


def whole(word: str, place: str, what: str) -> int:
    """A positive whole number. Raises InputError, naming the place and the quantity."""
    if WHOLE.fullmatch(word) is None or int(word) < 1:
        raise InputError(f"{place}: {what} must be a positive whole number; got {word[:40]!r}")
    return int(word)


Entries = dict[tuple[str, ...], dict[str, float]]
"""The numbers of each triplet of species."""


def read_triplets(
    path: Path, lines: list[str], kind: str, count: int, entry: Callable[[list[str], str], dict[str, float]]
) -> tuple[Entries, dict[tuple[str, ...], tuple[int, int]]]:
    """All entries of a file of triplets, three symbols and `count` numbers each, and the lines of those that are there twice.

    An entry starts on a new line and extends over as many lines as hold its words, as in LAMMPS. `entry` makes numbers of the
    words behind the symbols and of the place.

    Raises InputError for words that are left over, symbols that are none, and a file without a complete entry.
    """
    table: Entries = {}
    start: dict[tuple[str, ...], int] = {}
    repeated: dict[tuple[str, ...], tuple[int, int]] = {}
    words: list[str] = []
    first = 1
    for position, line in enumerate(lines, start=1):
        first = first if words else position
        words += line.split("#", 1)[0].split()
        place = f"{path}, line {position}"
        if len(words) > 3 + count:
            raise InputError(
                f"{place}: {' '.join(words[3 + count :])[:40]!r} is left over; an entry has three symbols and {count} numbers, "
                f"and the next one starts on a new line"
            )
        if len(words) == 3 + count:
            key = tuple(words[:3])
            if any(NUMBER.fullmatch(word) or len(word) > 16 or not word.isprintable() for word in key):
                raise InputError(f"{place}: no {kind} file: three chemical symbols were expected; got {' '.join(key)[:60]!r}")
            if key in table:
                repeated.setdefault(key, (start[key], first))
            else:
                table[key], start[key] = entry(words[3:], place), first
            words = []
    if words or not table:
        raise InputError(
            f"{path} is no {kind} file: entries of three symbols and {count} numbers were expected; got {' '.join(words)[:60]!r}"
        )
    return table, repeated


def chosen_species(species: Sequence[str], found: tuple[str, ...], source: object) -> tuple[str, ...]:
    """The chosen species of a potential. Raises InputError for one that it does not have, or that is named twice."""
    if not isinstance(species, Iterable):
        raise InputError(f"species are names of species, as ['Si', 'C']; got {species!r}")
    species = (species,) if isinstance(species, str) else tuple(species)
    for name in species:
        if name not in found:
            raise InputError(f"{source} has no species {name!r}; it has {', '.join(found)}")
    if not species or len(set(species)) < len(species):
        raise InputError(f"species must name each species once; got {', '.join(species) or 'none'}")
    return species
