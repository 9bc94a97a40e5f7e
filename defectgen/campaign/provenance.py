"""The code that a record comes from: version of this package, digest of the sources, numerical libraries.

The code of a step is the module of its function and all that this module imports, directly or not, from its own top-level package
and from this one; a string that names a module counts as an import. Comments and docstrings of this package do not count, nor
does `campaign`: the code that stores records does not affect their content. An edit of the report or of the command line
changes no digest.
"""

import hashlib
import importlib.util
import platform
import re
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path

from .record import Origin, canonical
from .task import Task

_PACKAGE = "defectgen"
_PLUGGED = ("defectgen.references", "defectgen.sources")
"""Entry points whose code is behind the numbers of a task that names them; the steps of a study import their own."""
_APART = "defectgen.campaign"
_DATA = {".c", ".h", ".csv", ".json"}
"""Files beside a module of this package that it may read. What is built from them and run files are not among them."""
_LIBRARIES = ("jax", "jaxlib", "numpy", "scipy", "vesin", "ase", "rdkit", "tblite")
_OTHERS = ("equinox", "h5py", "pandas", "matplotlib")

_PROSE = re.compile(r'^[ \t]*#[^\n]*$|(^[ \t]*)?[rR]?"""[\s\S]*?"""(?=([ \t]*(?:#[^\n]*)?$)?)', re.MULTILINE)
_FROM = re.compile(r"^[ \t]*from[ \t]+([.\w]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)", re.MULTILINE)
_IMPORT = re.compile(r"^[ \t]*import[ \t]+([^\n]+)", re.MULTILINE)
_NAMED = re.compile(r"""["'](\w+(?:\.\w+)+)(?::\w+)?["']""")


def origin(task: Task, needed: Iterable[str] | None = None) -> Origin:
    """What a record of ``task`` comes from if it is computed now.

    Parameters
    ----------
    task : Task
        The task.
    needed : iterable of str, optional
        Stamps of the records that it reads; those of records that are computed now if not given.
    """
    stamps = [stamp(other) for other in task.after] if needed is None else list(needed)
    return Origin(_stamp(task, stamps), own_version(), libraries())


def stamp(task: Task) -> str:
    """The stamp of a record of ``task`` if it and all it needs are computed now."""
    known = _STAMPS.get(task.key)
    if known is None:
        known = _STAMPS[task.key] = _stamp(task, [stamp(other) for other in task.after])
    return known


_STAMPS: dict[str, str] = {}


def _stamp(task: Task, needed: list[str]) -> str:
    others = [code(value) for value in (*task.modules, *named_plugins(task))]
    return _sha("\n".join([own_version(), code(task.function), *others, *needed]))[:32]


def named_plugins(task: Task) -> list[str]:
    """``module:name`` of the references and sources of other packages whose names are in the inputs of a task."""
    installed = _plugins()
    if not installed:
        return []
    words = set(re.findall(r"[\w-]+", canonical(task.spec, "the inputs of a task")))
    return sorted({value for name, value in installed if name in words})


@lru_cache
def _plugins() -> tuple[tuple[str, str], ...]:
    """(name, ``module:name``) of what other packages register for this one."""
    return tuple(
        (entry.name, entry.value)
        for group in _PLUGGED
        for entry in entry_points(group=group)
        if entry.value.partition(":")[0].split(".")[0] != _PACKAGE
    )


@lru_cache
def code(function: str) -> str:
    """Digest of the sources behind ``"module:name"``; found once a process, as code is imported once."""
    module = function.partition(":")[0]
    sources = closure(module)
    folders = {path.parent for name, path in sources.items() if name.split(".")[0] == _PACKAGE}
    data = sorted(path for folder in folders for path in folder.iterdir() if path.suffix in _DATA)
    parts = [module, *(f"{name} {_sha(_text(name, sources[name]))}" for name in sorted(sources))]
    return _sha("\n".join([*parts, *(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in data)]))


def closure(module: str) -> dict[str, Path]:
    """Module name -> file of the module and all it imports from its own top-level package and from this one."""
    followed = {module.split(".")[0], _PACKAGE}
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or name.split(".")[0] not in followed or f"{name}.".startswith(f"{_APART}."):
            continue
        path = _file(name)
        if path is not None:
            found[name] = path
            waiting += _imports(_text(name, path), name, path.name == "__init__.py")
    return found


def _imports(text: str, name: str, package: bool) -> Iterator[str]:
    """The modules that a text imports or names."""
    inside = name.split(".") if package else name.split(".")[:-1]
    for match in _FROM.finditer(text):
        module = match[1].lstrip(".")
        up = len(match[1]) - len(module)
        parts = [*inside[: len(inside) - up + 1], *filter(None, [module])] if up else [module]
        for imported in re.findall(r"(\w+)(?:[ \t]+as[ \t]+\w+)?[ \t]*(?:,|\)|\n|#|$)", match[2]):
            whole = ".".join([*parts, imported])
            yield whole if _file(whole) is not None else ".".join(parts)
    for match in _IMPORT.finditer(text):
        yield from (part.split()[0] for part in match[1].split("#")[0].split(",") if part.strip())
    for match in _NAMED.finditer(text):
        yield match[1]


@lru_cache(maxsize=4096)
def _text(name: str, path: Path) -> str:
    """The source, of this package without what cannot change a number: comments and docstrings (tests prove the rule)."""
    text = path.read_text(encoding="utf-8", errors="replace")
    return code_only(text) if name.split(".")[0] == _PACKAGE else text


def code_only(text: str) -> str:
    """A source without comment lines, docstrings and empty lines."""

    def kept(match: re.Match) -> str:
        prose = match[0].lstrip().startswith("#") or (match[1] is not None and match[2] is not None)
        return "" if prose else match[0].replace("\n", "\0")  # empty lines of a string are data

    return "\n".join(line for line in _PROSE.sub(kept, text).splitlines() if line.strip()).replace("\0", "\n")


@lru_cache(maxsize=4096)
def _file(name: str) -> Path | None:
    """The source file of a module, without importing it; None if there is none."""
    top, *rest = name.split(".")
    root = _root(top)
    if root is None or (rest and not root.is_dir()):
        return None
    path = root.joinpath(*rest)
    return next((found for found in (path.with_name(f"{path.name}.py"), path / "__init__.py", path) if found.is_file()), None)


@lru_cache
def _root(top: str) -> Path | None:
    """The folder of a top-level package, or the file of a top-level module."""
    if top in ("__main__", "__mp_main__"):
        found = getattr(sys.modules.get(top), "__file__", None)
        return Path(found) if found else None
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@lru_cache
def own_version() -> str:
    """Of this package; 'source' when it is not installed."""
    return installed(_PACKAGE) or "source"


def installed(distribution: str) -> str | None:
    """The installed version of a distribution, or None."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


@lru_cache
def libraries() -> dict[str, str]:
    """Python, and those libraries whose version may change the last digits of a number."""
    found = {name: installed(name) for name in _LIBRARIES}
    return {"python": platform.python_version()} | {name: v for name, v in found.items() if v}


def versions() -> dict[str, str]:
    """This package, Python, and the libraries it builds on."""
    others = {name: installed(name) for name in _OTHERS}
    return {"defectgen": own_version()} | libraries() | {name: v for name, v in others.items() if v}
