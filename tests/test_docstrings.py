"""Docstrings of the lower rooms: public functions document what they take and return, and the examples in them run."""

import doctest
import importlib
import inspect
import re
from pathlib import Path

import pages
import pytest

import defectgen as dg

ROOMS = ("crystal", "energy", "reference", "ace", "observe", "relax", "elastic")
PACKAGE = Path(dg.__file__).parent
EXAMPLES = sorted(
    ".".join(("defectgen", *path.relative_to(PACKAGE).with_suffix("").parts))
    for path in PACKAGE.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


def section(doc: str, title: str) -> str:
    """The text of a section of a NumPy-style docstring; empty if there is none."""
    found = re.search(rf"^{title}\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)", doc, re.S | re.M)
    return found[1] if found else ""


def undocumented(function) -> list[str]:
    """Parameters that the docstring leaves out, and the result if it does."""
    doc = inspect.getdoc(function) or ""
    headings = re.findall(r"^([\w*][\w, *]*?)(?: : .*)?$", section(doc, "Parameters"), re.M)
    named = {name.strip(" *") for line in headings for name in line.split(",")}
    signature = inspect.signature(function)
    missing = [name for name in signature.parameters if name not in named]
    returns = signature.return_annotation not in (None, "None") and not section(doc, "Returns")
    return [*missing, *(["what it returns"] if returns else [])]


@pytest.mark.parametrize("room", ROOMS)
def test_public_functions_document_what_they_take_and_return(room):
    door = importlib.import_module(f"defectgen.{room}")
    functions = {name: getattr(door, name) for name in door.__all__ if inspect.isroutine(getattr(door, name))}
    assert functions
    assert {name: found for name, each in functions.items() if (found := undocumented(each))} == {}


def methods(cls):
    """Public methods of a class, each with the definitions of it that its bases have."""
    for name in vars(cls):
        found = [vars(base)[name] for base in cls.__mro__ if name in vars(base)]
        found = [each.__func__ if isinstance(each, staticmethod | classmethod) else each for each in found]
        if not name.startswith("_") and inspect.isfunction(found[0]):
            yield name, [each for each in found if inspect.isfunction(each)]


def test_public_names_of_the_package_document_what_they_take_and_return():
    """A method may leave that to the base class whose method it is."""
    missing = {}
    for name in dg.__all__:
        value = getattr(dg, name)
        if inspect.isclass(value):
            for method, definitions in methods(value):
                lacking = ({*undocumented(each)} - {"self", "cls"} for each in definitions)
                if found := min(lacking, key=len):
                    missing[f"{name}.{method}"] = found
        elif inspect.isroutine(value) and (found := undocumented(value)):
            missing[name] = found
    assert missing == {}


def test_an_undocumented_parameter_is_found():
    def scaled(x: float, factor: float) -> float:
        """Something times a factor.

        Parameters
        ----------
        x : float
            A.
        """
        return factor * x

    assert undocumented(scaled) == ["factor", "what it returns"]


def test_every_public_name_has_an_example():
    """In its docstring, or in a block of Python of a page, to which the reference links."""
    code = "\n".join(block.code for page in pages.DOCS.glob("*.md") for block in pages.blocks(page.read_text(encoding="utf-8")))
    lacking = []
    for name in dg.__all__:
        value = getattr(dg, name)
        docs = [inspect.getdoc(value) or ""]
        if inspect.isclass(value):
            docs += [inspect.getdoc(method) or "" for _, method in inspect.getmembers(value, inspect.isroutine)]
        if not any(">>> " in doc for doc in docs) and not re.search(rf"\bdg\.{name}\b", code):
            lacking.append(name)
    assert lacking == []


@pytest.mark.parametrize("module", EXAMPLES)
def test_examples_in_docstrings_run(module):
    found = doctest.testmod(importlib.import_module(module))
    assert found.attempted > 0 and found.failed == 0
