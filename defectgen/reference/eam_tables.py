"""Reading embedded-atom tables: DYNAMO funcfl (`.eam`), setfl (`.eam.alloy`) and Finnis-Sinclair setfl (`.eam.fs`).

Files are read by lines, as LAMMPS reads them: a header line holds at least the words that its format names, a table
starts on a new line and extends over as many lines as hold its values, blank lines are skipped, and what follows # is
a comment.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._input import InputError, InputWarning
from .._typing import Float
from ..crystal.elements import ELEMENTS, element_of_number
from .potential_file import NUMBER, WHOLE, energy_unit, number, positive, read_lines, whole

HARTREE_BOHR = 27.2 * 0.529
"""eV A: the rounded constants that funcfl tables are read with everywhere (DYNAMO, LAMMPS)."""

FEWEST = 8
"""Values that a table must have: the interpolations take six of them at once, and LAMMPS drops one of a funcfl table."""

CUTOFFS = (0.5, 100.0)
"""A: shorter or longer ones are a mistake of units or of columns."""

STYLES = ("eam", "eam/alloy", "eam/fs")
WHAT = "an EAM table (.eam, .eam.alloy or .eam.fs)"


@dataclass(frozen=True, eq=False)
class Tables:
    """Tabulated functions on uniform grids that start at zero."""

    species: tuple[str, ...]
    cutoff: float
    """A."""
    spacing: float
    """Grid step of the distance, A."""
    density_spacing: float
    """Grid step of the electron density."""
    embedding: Float[np.ndarray, "species densities"]
    """F(rho), eV."""
    density: Float[np.ndarray, "species species distances"]
    """Electron density at the first species (the site) from an atom of the second."""
    pair: Float[np.ndarray, "species species distances"]
    """r phi(r), eV A."""
    single: bool
    """True for funcfl."""


@dataclass(frozen=True)
class _Grid:
    """The grid line of a file: numbers of values, spacings and cutoff (A)."""

    densities: int
    density_spacing: float
    distances: int
    spacing: float
    cutoff: float


class _Reader:
    """The lines of a file from one position on."""

    def __init__(self, path: Path, lines: list[str], start: int):
        self.path, self.lines, self.position = path, lines, start
        self.surplus: list[tuple[int, int]] = []  # line, number of values that a table leaves on its last line

    @property
    def place(self) -> str:
        """Where the reader is, for messages."""
        return f"{self.path}, line {self.position}"

    def words(self, at_least: int, what: str) -> list[str]:
        """The words of the next line that is not blank, and of as many more as hold `at_least` words."""
        found: list[str] = []
        while len(found) < at_least:
            if self.position >= len(self.lines):
                raise InputError(f"{self.path} is no complete EAM file: it ends before {what}")
            found += self.lines[self.position].split("#", 1)[0].split()
            self.position += 1
        return found

    def table(self, count: int, what: str) -> Float[np.ndarray, " n"]:
        """The next `count` numbers, from the next line on; more on the last line are dropped, as LAMMPS does."""
        start = self.position
        values = self._values(count, what, _quick)
        if not np.all(np.isfinite(values)):
            self.position = start
            values = self._values(count, what, _checked)  # raises, and names the line
        if len(values) > count:
            self.surplus.append((self.position, len(values) - count))
        return np.array(values[:count])

    def _values(self, count: int, what: str, read: Callable[..., float]) -> list[float]:
        """At least `count` numbers."""
        values: list[float] = []
        while len(values) < count:
            if self.position >= len(self.lines):
                hint = "; a table must start on a new line" if self.surplus else ""
                raise InputError(
                    f"{self.path} is no complete EAM file: it ends after {len(values)} of the {count} values of {what}{hint}"
                )
            words = self.lines[self.position].split("#", 1)[0].split()
            self.position += 1
            values += [read(word, self) for word in words]
        return values

    def rest(self) -> list[list[str]]:
        """The words of the remaining lines that are not blank."""
        return [words for line in self.lines[self.position :] if (words := line.split("#", 1)[0].split())]

    def finish(self) -> None:
        """Raises InputError for content after the last table; warns of values that were dropped."""
        if self.rest():
            line = self.position + 1
            while not self.lines[line - 1].split("#", 1)[0].split():
                line += 1
            raise InputError(
                f"{self.path}, line {line}: the file goes on after its last table; the numbers of values in its header do not "
                f"match its content, or it belongs to another pair style"
            )
        if self.surplus:
            line, count = self.surplus[0]
            more = f", and {len(self.surplus) - 1} more tables like that" if len(self.surplus) > 1 else ""
            warnings.warn(
                f"{self.path}, line {line}: {count} more values than the header announces end a table{more}; "
                f"they are dropped, as in LAMMPS",
                InputWarning,
                stacklevel=5,
            )


def _quick(word: str, reader: _Reader) -> float:
    """A number, which may still be infinite or none (both are left to `_checked`)."""
    try:
        return float(word) if word.isascii() and "_" not in word else _checked(word, reader)
    except ValueError:
        return _checked(word, reader)


def _checked(word: str, reader: _Reader) -> float:
    """A finite number. Raises InputError, naming the line."""
    return number(word, reader.place)


def read_tables(path: str | Path) -> Tables:
    """The tables of a file.

    funcfl and setfl are distinguished by the fourth line. A setfl file with one density per element (alloy) and one with a
    density per pair of elements (fs) are distinguished by which of them the content fits to its end.

    Parameters
    ----------
    path
        A funcfl, setfl or eam.fs file in metal or real units (`UNITS:` in its first line; real units are converted).

    Returns
    -------
    Tables
        In eV and A.

    Raises
    ------
    InputError
        If the file cannot be read, belongs to another pair style, is cut short or too long for its header, or holds
        something other than finite numbers, positive spacings and known elements.

    Warns
    -----
    InputWarning
        If values are dropped at the end of a line, or if the extension names another layout than the file has.
    """
    if not isinstance(path, (str, Path)):
        raise InputError(f"{WHAT} was expected, as a path; got {type(path).__name__}")
    path = Path(path)
    lines = read_lines(path, WHAT, STYLES)
    energy = energy_unit(path, lines[0])
    extension = _extension(path)
    try:
        head = _Reader(path, lines, 3).words(1, "its header")
    except InputError:
        head = []
    if any(NUMBER.fullmatch(word) is None for word in head):
        return _setfl(path, lines, energy, extension)
    try:
        tables = _funcfl(path, lines, energy)
    except InputError:
        if extension is None:
            raise
        return _setfl(path, lines, energy, extension)  # raises, in the words of the layout that the name states
    if extension is not None:
        _warn_of_name(path, "funcfl (eam)", extension)
    return tables


def _extension(path: Path) -> str | None:
    """The pair style that the name of a file states."""
    name = path.name.lower()
    if name.endswith(".fs"):
        return "eam/fs"
    return "eam/alloy" if name.endswith(".alloy") else None


def _warn_of_name(path: Path, layout: str, extension: str) -> None:
    """Warns that the content decides."""
    sentence = f"{path} has the layout of {layout}, not of {extension} as its name says; it is read as {layout}"
    warnings.warn(sentence, InputWarning, stacklevel=5)


def _funcfl(path: Path, lines: list[str], energy: float) -> Tables:
    """One element: F(rho), effective charge Z(r) with r phi = 27.2 x 0.529 Z^2, density."""
    reader = _Reader(path, lines, 1)
    symbol = _element_line(reader, "its element (atomic number and mass)")
    try:
        species = element_of_number(symbol).symbol
    except InputError as error:
        raise InputError(f"{reader.place}: {error}") from None
    grid = _grid(reader)
    _check_room(reader, grid, grid.densities + 2 * grid.distances)
    embedding = reader.table(grid.densities, f"F of {species}") * energy
    charge = reader.table(grid.distances, f"the effective charge of {species}")
    density = reader.table(grid.distances, f"the density of {species}")
    reader.finish()
    pair = HARTREE_BOHR * energy * charge**2
    return Tables(
        (species,), grid.cutoff, grid.spacing, grid.density_spacing, embedding[None], density[None, None], pair[None, None], True
    )


def _setfl(path: Path, lines: list[str], energy: float, extension: str | None) -> Tables:
    """Several elements; with one density per element (alloy) or one per pair of elements (fs)."""
    reader = _Reader(path, lines, 3)
    head = reader.words(1, "the line with its elements")
    count = whole(head[0], reader.place, "the number of elements")
    if len(head) != count + 1:
        raise InputError(f"{reader.place}: the line announces {count} elements; {len(head) - 1} names follow")
    species = tuple(head[1:])
    for name in species:
        if name not in ELEMENTS:
            raise InputError(f"{reader.place}: {name[:40]!r} is no chemical symbol that is known here (H to Cm)")
    if len(set(species)) < count:
        raise InputError(f"{reader.place}: an element is named twice: {' '.join(species)}")
    grid = _grid(reader)
    start = reader.position
    _check_room(reader, grid, count * (grid.densities + grid.distances) + count * (count + 1) // 2 * grid.distances)
    tried = {}
    order = ["eam/alloy"] if count == 1 else ["eam/fs", "eam/alloy"] if extension == "eam/fs" else ["eam/alloy", "eam/fs"]
    for style in order:
        reader = _Reader(path, lines, start)
        try:
            tables = _body(reader, species, grid, energy, count if style == "eam/fs" else 1)
        except InputError as error:
            tried[style] = (reader.position, error)
            continue
        if extension is not None and style != extension and count > 1:
            _warn_of_name(path, style, extension)
        return tables
    _name_other_style(path, lines, start, species, grid)
    best = extension if extension in tried else max(tried, key=lambda style: tried[style][0])
    raise tried[best][1]


def _body(reader: _Reader, species: tuple[str, ...], grid: _Grid, energy: float, kinds: int) -> Tables:
    """The tables of a setfl file with `kinds` densities per element."""
    count = len(species)
    embedding, density = [], np.zeros((count, count, grid.distances))
    for source, name in enumerate(species):
        _element_line(reader, f"the line of {name} (atomic number and mass)")
        embedding.append(reader.table(grid.densities, f"F of {name}") * energy)
        # an alloy density is the same at every site
        block = [reader.table(grid.distances, f"the density of {name}") for _ in range(kinds)]
        density[:, source] = np.array(block)
    pair = np.zeros((count, count, grid.distances))
    for row, column in zip(*np.tril_indices(count), strict=True):
        table = reader.table(grid.distances, f"r phi of {species[row]}-{species[column]}") * energy
        pair[row, column] = pair[column, row] = table
    reader.finish()
    return Tables(species, grid.cutoff, grid.spacing, grid.density_spacing, np.array(embedding), density, pair, False)


def _name_other_style(path: Path, lines: list[str], start: int, species: tuple[str, ...], grid: _Grid) -> None:
    """Raises InputError if the file holds a setfl body followed by the extra tables of another pair style."""
    reader = _Reader(path, lines, start)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)
            _body(reader, species, grid, 1.0, 1)
    except InputError:
        rest = reader.rest()
    else:
        return
    pairs = len(species) * (len(species) + 1) // 2
    style = None
    if sum(map(len, rest)) == 2 * pairs * grid.distances:
        style = "adp (its dipole and quadrupole tables follow those of eam/alloy)"
    elif 1 <= len(rest) <= 2 and all(WHOLE.fullmatch(words[0]) and len(words) == int(words[0]) + 2 for words in rest):
        style = "eam/cd (the coefficients of h(x) follow the tables of eam/alloy)"
    if style is not None:
        raise InputError(f"{path} is a file of the LAMMPS pair style {style}; only {', '.join(STYLES)} are read here")


def _element_line(reader: _Reader, what: str) -> int:
    """The atomic number of an element's line; mass, lattice constant and lattice are checked as far as they are there."""
    words = reader.words(2, what)
    place = reader.place
    atomic = whole(words[0], place, "the atomic number")
    positive(words[1], place, "the mass (u)")
    if len(words) > 2 and words[2].lower().lstrip("+-") in ("nan", "inf", "infinity"):
        raise InputError(f"{place}: the lattice constant must be a number; got {words[2]}")
    if len(words) > 4 and all(NUMBER.fullmatch(word) for word in words[4:]):  # among words, a number may be a year
        raise InputError(f"{place}: more numbers than atomic number, mass and lattice constant; a table must start on a new line")
    return atomic


def _grid(reader: _Reader) -> _Grid:
    """The grid line. Raises InputError for numbers that cannot be, and for the grid line of eam/he."""
    words = reader.words(5, "the line with its grids")
    place = reader.place
    if len(words) == 6 and NUMBER.fullmatch(words[5]):
        raise InputError(
            f"{place}: six numbers, as in a file of the LAMMPS pair style eam/he; only {', '.join(STYLES)} are read here"
        )
    if len(words) > 5:
        raise InputError(
            f"{place}: five numbers were expected (Nrho drho Nr dr cutoff); {' '.join(words[5:])[:40]!r} is left over"
        )
    found = _Grid(
        whole(words[0], place, "the number of densities"),
        positive(words[1], place, "the density spacing"),
        whole(words[2], place, "the number of distances"),
        positive(words[3], place, "the distance spacing (A)"),
        positive(words[4], place, "the cutoff (A)"),
    )
    if min(found.densities, found.distances) < FEWEST:
        raise InputError(f"{place}: tables of at least {FEWEST} values are needed; got {min(found.densities, found.distances)}")
    low, high = CUTOFFS
    if not low <= found.cutoff <= high:
        raise InputError(f"{place}: a cutoff between {low} and {high} A was expected; got {found.cutoff:g} A")
    if found.cutoff < FEWEST * found.spacing:
        raise InputError(f"{place}: the cutoff, {found.cutoff:g} A, spans fewer than {FEWEST} steps of {found.spacing:g} A")
    if not 1e-30 < found.density_spacing < 1e30:
        raise InputError(f"{place}: a density spacing of {found.density_spacing:g} cannot be used")
    return found


def _check_room(reader: _Reader, grid: _Grid, values: int) -> None:
    """Raises InputError if the rest of the file has not room for so many numbers, before memory for them is taken."""
    room = sum(map(len, reader.lines)) // 2 + 1  # a digit and a separator each
    if values > room:
        raise InputError(
            f"{reader.path} is no complete EAM file: its header announces tables of {grid.densities} and {grid.distances} "
            f"values, more than a file of its size can hold"
        )
