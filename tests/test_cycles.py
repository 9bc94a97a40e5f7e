"""No circle of modules: whoever reads a module reads only what lies below it, inside a room as between rooms.

The floor plan in pyproject.toml compares rooms; here every import of every module counts: inside functions and for type checkers
too. The names that a package passes on (its `__init__`) are no use of them, unless a module inside imports the package itself.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import defectgen

ROOT = Path(defectgen.__file__).parent


def sources(root: Path) -> dict[str, Path]:
    """Every module of a package by its dotted name."""
    files = {path.relative_to(root.parent).with_suffix(""): path for path in root.rglob("*.py")}
    return {".".join(name.parts).removesuffix(".__init__"): path for name, path in files.items()}


def imported(name: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    """The modules of the package that a module imports, wherever in it."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                yield from (found for found in [inner if inner in known else module] if found in known and found != name)


def circles(root: Path) -> list[list[str]]:
    """Groups of modules each of which imports, directly or not, all others of its group."""
    known = sources(root)
    reached = {name: set(imported(name, path, known)) for name, path in known.items()}
    while True:  # all that is imported by what is imported
        grown = {name: found.union(*(reached[other] for other in found)) for name, found in reached.items()}
        if grown == reached:
            break
        reached = grown
    groups = {
        tuple(sorted(other for other in found if name in reached[other])) for name, found in reached.items() if name in found
    }
    return [list(group) for group in sorted(groups)]


def test_no_module_is_imported_by_what_it_imports():
    assert not circles(ROOT)


def test_circles_are_found_inside_functions_and_for_type_checkers(tmp_path):
    package = tmp_path / "toy"
    package.mkdir()
    texts = {
        "__init__": "from .first import start",
        "first": "from . import second\ndef start():\n    from .third import end",
        "second": "import json",
        "third": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .first import start",
        "fourth": "from .third import end",
    }
    for name, text in texts.items():
        (package / f"{name}.py").write_text(text)
    assert circles(package) == [["toy.first", "toy.third"]]
