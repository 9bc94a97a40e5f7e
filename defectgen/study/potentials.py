"""A potential from one line of text: a reference with arguments, a model, a potential file, a LAMMPS pair style, or code."""

import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from .._input import InputError, did_you_mean, one_line
from ..campaign.files import digest, expanded

if TYPE_CHECKING:
    from ..energy import Potential
    from ..reference import NamedReference

FILES = {
    ".eam": "EAM",
    ".alloy": "EAM",
    ".fs": "EAM",
    ".setfl": "EAM",
    ".sw": "StillingerWeber",
    ".tersoff": "Tersoff",
}
"""References that read a file of this suffix."""

MODELS = (".json", ".yace")
"""Suffixes of files that `dg.load_model` reads."""

LAMMPS = "LAMMPS"
"""The name of what takes a pair style of LAMMPS."""

ABOUT = 'any pair style of LAMMPS: LAMMPS(pair_style="eam/alloy", pair_coeff="* * file.eam.alloy Cu")'
"""What it is, in one line."""

FORMS = (
    "CleriRosato(Cu, cutoff=4.2), model.json, model.yace, a .eam, .alloy, .fs, .sw or .tersoff file, or "
    'LAMMPS(pair_style="eam/alloy", pair_coeff="* * file.eam.alloy Cu")'
)

RUNS_CODE = re.compile(r"(^|[\s/])(python|mliap|kim)([\s/]|$)")
"""Pair styles of LAMMPS that run code which they are given."""


@dataclass(frozen=True)
class PotentialText:
    """A potential as text, its files found."""

    text: str
    """With absolute paths; `potential_from_spec` reads it."""
    files: dict[str, str]
    """Absolute path -> digest of the content."""

    @property
    def short(self) -> str:
        """The text without the folders of its files, for people."""
        text = self.text
        for path in sorted(self.files, key=len, reverse=True):
            text = text.replace(f'"{path}"', Path(path).name).replace(path, Path(path).name)
        return text


def potential_from_spec(text: str, code: bool = False) -> "Potential":
    """The potential that a text names.

    Parameters
    ----------
    text : str
        A reference with arguments, as `CleriRosato(Cu, cutoff=4.2)` or `EAM(file.eam.alloy, interpolation=lammps)`; the path of
        a model (`.json`) or of a potential of ML-PACE (`.yace`); the path of a potential file, which stands for the reference
        that reads it; a pair style, as `LAMMPS(pair_style="eam/alloy", pair_coeff="* * file.eam.alloy Cu")`; with `code`,
        `module:callable`, whose result is an ASE calculator or a potential.
    code : bool
        Whether `module:callable`, and pair styles that run code, are allowed. A text that comes from a data file must not be.

    Returns
    -------
    Potential
        A site energy, or `dg.ASEReference` around a calculator.

    Raises
    ------
    InputError
        If the text is none of these, a file cannot be read, or the code cannot be imported, fails or makes something else.
    """
    kind, given = _parsed(text, Path(), code)
    if kind == "model":
        from ..ace import load_model

        return load_model(given)
    if kind == "code":
        return _made(*given)
    if kind == LAMMPS:
        from ..bridge import lammps_reference

        return lammps_reference(**dict(given.options))
    return given.make()


def located(text: str, folder: Path, code: bool = False) -> PotentialText:
    """A potential as text with absolute paths, and the digests of its files; no potential is made.

    Parameters
    ----------
    text : str
        As for `potential_from_spec`.
    folder : Path
        What relative paths are relative to.
    code : bool
        Whether `module:callable`, and pair styles that run code, are allowed.

    Returns
    -------
    PotentialText
        Text and files; steps of a study that have both in their inputs are computed again when a file changes.

    Raises
    ------
    InputError
        If the text names nothing known, or a file that is not there.
    """
    kind, given = _parsed(text, folder, code)
    if kind == "model":
        return _with_files(str(_there(given, folder)), [_there(given, folder)])
    if kind == "code":
        with _importing():
            try:
                found = importlib.util.find_spec(given[0])
            except (ImportError, ValueError):
                found = None
        origin = None if found is None or found.origin is None else Path(found.origin)
        return _with_files(text.strip(), [origin] if origin is not None and origin.is_file() else [])
    if kind == LAMMPS:
        options, files = [], []
        for key, value in given.options:
            lines = (value,) if isinstance(value, str) else value
            if key in ("pair_style", "pair_coeff") and lines:
                words = [[_word(word, folder) for word in str(line).split()] for line in lines]
                files += [Path(word) for line in words for word, is_file in line if is_file]
                lines = tuple(" ".join(word for word, _ in line) for line in words)
                value = lines[0] if isinstance(value, str) else lines
            options.append((key, value))
        return _with_files(str(replace(given, options=tuple(options))), files)
    if given.path:
        path = _there(given.path, folder, given.name)
        return _with_files(str(given.with_path(str(path))), [path])
    return PotentialText(str(given) if _is_path(text) else text.strip(), {})


def _parsed(text: str, folder: Path, code: bool) -> tuple[str, Any]:
    """The kind of potential that a text names, and its parts: a path, module and name, or a reference with arguments."""
    from ..reference import NamedReference, Reference, parse_call, references

    if not isinstance(text, str) or not text.strip():
        raise InputError(f"a potential is {FORMS}; got {text!r}")
    text = text.strip()
    bare = "(" not in text or _is_path(text, folder)
    suffix = Path(text).suffix.lower()
    if bare and suffix in MODELS:
        return "model", text
    if bare and suffix in FILES:
        return "reference", NamedReference(FILES[suffix], text)
    module, colon, name = text.partition(":")
    if colon and module.replace(".", "").replace("_", "").isalnum() and "(" not in module:
        if not code:
            raise InputError(f"{text!r} names code, which only the command line may do; give {FORMS}")
        return "code", (module, name)
    if re.match(rf"{LAMMPS}\b", text):
        return LAMMPS, _pair_style(text, code)
    from ..bridge import lammps_reference

    return "reference", parse_call(text, {**references(), LAMMPS: Reference(lammps_reference, "", ())})


def _pair_style(text: str, code: bool) -> "NamedReference":
    """The arguments of LAMMPS(...), checked."""
    from ..bridge import lammps_reference
    from ..reference import Reference, parse_call

    given = parse_call(text, {LAMMPS: Reference(lammps_reference, "", ())})
    options = dict(given.options)
    if given.argument is not None:
        given = replace(given, argument=None, options=(("pair_style", given.argument), *given.options))
        options = dict(given.options)
    if missing := [key for key in ("pair_style", "pair_coeff") if not options.get(key)]:
        raise InputError(
            f'LAMMPS needs {missing[0]}, as in LAMMPS(pair_style="eam/alloy", pair_coeff="* * file.eam.alloy Cu"); got {text!r}'
        )
    if not code and RUNS_CODE.search(str(options["pair_style"])):
        raise InputError(f"the pair style of {text!r} can run code, which only the command line may name; use another style")
    return given


def _is_path(text: str, folder: Path = Path()) -> bool:
    """Whether the whole text is the path of a file."""
    try:
        return (folder / expanded(text.strip())).is_file()
    except (InputError, OSError):
        return False


def _there(path: str, folder: Path, reference: str | None = None) -> Path:
    """The absolute path of a file. Raises InputError if it is not there, with the sets of `reference` if it has some."""
    from ..reference import references

    found = (folder / expanded(path)).resolve()
    if not found.is_file():
        sets = references()[reference].species if reference in references() else ()
        if sets and not re.search(r"[./\\]", path):
            raise InputError(
                f"{reference} has parameters for {', '.join(sets)}, and {path!r} is neither one of these nor a file in "
                f"{str(folder.resolve())!r}; name a set or a file of parameters{did_you_mean(path, sets)}"
            )
        raise InputError(
            f"a potential names the file {path!r}, which is not there; give its path relative to {str(folder.resolve())!r}"
        )
    return found


def _word(word: str, folder: Path) -> tuple[str, bool]:
    """A word of a LAMMPS command; one that is the path of a file as an absolute path."""
    if not re.search(r"[./]", word) or not _is_path(word, folder):
        return word, False
    return str(_there(word, folder)), True


def _with_files(text: str, paths: list[Path]) -> PotentialText:
    return PotentialText(text, {str(path): digest(path) for path in paths})


@contextmanager
def _importing() -> Iterator[None]:
    """Modules of the working directory can be imported."""
    sys.path.insert(0, str(Path.cwd()))
    try:
        yield
    finally:
        sys.path.remove(str(Path.cwd()))


def _made(module: str, name: str) -> "Potential":
    """What a callable of a module makes, as a potential."""
    from ..bridge import ASEReference
    from ..energy.potential import check_potential

    where = f"{module}:{name}"
    try:
        with _importing():
            make: Any = importlib.import_module(module)
            for part in name.split("."):
                make = getattr(make, part)
    except (ImportError, AttributeError) as error:
        raise InputError(f"{where} cannot be imported ({one_line(error, 200)}); give module:callable") from None
    if not callable(make):
        raise InputError(f"{where} is no callable; it makes an ASE calculator or a potential when it is called")
    try:
        made = make()
    except (Exception, SystemExit) as error:
        raise InputError(
            f"{where}{'' if inspect.isclass(make) else '()'} failed ({type(error).__name__}: {one_line(error, 200)}); it must "
            "run without arguments"
        ) from error
    if callable(getattr(made, "get_property", None)):
        return ASEReference(made)
    check_potential(made)
    return cast("Potential", made)
