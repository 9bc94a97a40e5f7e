"""Public names of a package that are imported when they are first used, so that `import defectgen` stays fast."""

import ast
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import resolve_name
from pathlib import Path
from types import ModuleType
from typing import Any


class _Package(ModuleType):
    """A package whose public names win over modules of the same name, which the import system would set in their place."""

    def __setattr__(self, name: str, value: Any) -> None:
        hidden = isinstance(value, ModuleType) and vars(self)["_behind_the_door"].get(name)
        if not hidden:
            super().__setattr__(name, value)


def door(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package, for names that it imports ``if TYPE_CHECKING`` and not when it is run.

    Only public names, those of ``__all__``, are listed.

    These imports are written once: editors and type checkers read them as they are, and this function reads them from the
    source. ``from .module import name`` is imported from the module, ``from . import module`` is the module.

    Parameters
    ----------
    package : str
        Its ``__name__``.

    Returns
    -------
    tuple of callables
        ``__getattr__``, ``__dir__``.
    """
    found = sys.modules[package]
    assert found.__file__ is not None
    names = dict(_promised(ast.parse(Path(found.__file__).read_text(encoding="utf-8")), package))
    vars(found)["_behind_the_door"] = names
    found.__class__ = _Package

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = names[name]
        value = getattr(import_module(module), name) if module else import_module(f"{package}.{name}")
        vars(found)[name] = value
        return value

    def listed() -> list[str]:
        return sorted(vars(found).get("__all__", {*vars(found), *names}))

    return get, listed


def _promised(tree: ast.Module, package: str) -> Iterator[tuple[str, str]]:
    """(name, the module that it comes from, empty for a module of the package) of the imports for type checkers."""
    for statement in tree.body:
        if isinstance(statement, ast.If) and isinstance(statement.test, ast.Name) and statement.test.id == "TYPE_CHECKING":
            for line in statement.body:
                if isinstance(line, ast.ImportFrom):
                    module = resolve_name("." * line.level + line.module, package) if line.module else ""
                    yield from ((each.name, module) for each in line.names)
