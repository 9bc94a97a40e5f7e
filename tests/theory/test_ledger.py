"""The ledger of `theory/` keeps prose, code and checks together: no name may be stale, no statement unchecked."""

import ast
import importlib
import importlib.util
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
THEORY = ROOT / "theory"


def load_ledger():
    spec = importlib.util.spec_from_file_location("ledger", THEORY / "ledger.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["ledger"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


LEDGER = load_ledger()
STATEMENTS = LEDGER.statements()  # raises for a header that does not parse, an unknown use, or a circle
EVERY = pytest.mark.parametrize("path", list(STATEMENTS))


def test_the_ledger_is_not_empty():
    assert len(STATEMENTS) >= 20


@EVERY
def test_header_is_complete(path):
    s = STATEMENTS[path]
    assert s.id == path  # the identifier is the place, so identifiers are unique
    assert s.status in LEDGER.STATUSES
    assert s.sections == LEDGER.SECTIONS
    assert s.check or s.status in ("cited", "observed"), "a statement that is proved or stated needs a numerical check"


@EVERY
def test_no_statement_is_firmer_than_what_it_uses(path):
    status, due_to = LEDGER.effective(STATEMENTS)[path]
    assert status == STATEMENTS[path].status, f"{path} is called {STATEMENTS[path].status}, and {', '.join(due_to)} only {status}"


def test_weakness_is_inherited_through_every_chain():
    def made(status, *uses):
        return replace(STATEMENTS["bounds/rates"], status=status, uses=uses)

    chain = {
        "a": made("stated"),
        "b": made("proved", "a"),
        "c": made("cited", "b"),
        "d": made("proved", "c", "e"),
        "e": made("observed"),
    }
    found = LEDGER.effective({name: chain[name] for name in "abecd"})
    assert found == {
        "a": ("stated", ()),
        "b": ("stated", ("a",)),
        "e": ("observed", ()),
        "c": ("stated", ("b",)),
        "d": ("observed", ("e",)),
    }


@EVERY
def test_code_exists(path):
    for name in STATEMENTS[path].code:
        module, _, attribute = name.partition(":")
        target = importlib.import_module(module)
        for part in attribute.split("."):
            target = getattr(target, part)


def functions(file: Path) -> set[str]:
    return {node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)}


@EVERY
def test_checks_exist(path):
    for node in STATEMENTS[path].check:
        file, _, function = node.partition("::")
        assert function.startswith("test_") and function in functions(ROOT / file), f"{node} is no test"


def test_every_check_of_this_folder_belongs_to_a_statement():
    named = {node for s in STATEMENTS.values() for node in s.check}
    here = Path(__file__)
    for file in here.parent.glob("test_*.py"):
        if file != here:
            for function in functions(file):
                if function.startswith("test_"):
                    assert f"tests/theory/{file.name}::{function}" in named, f"{function} checks no statement"


def test_index_is_fresh():
    assert (THEORY / "README.md").read_text(encoding="utf-8") == LEDGER.page(), "run `make docs`"


def test_code_cites_pages_that_exist():
    """A docstring that says `theory: a/b` or `theory/a/b` means a file of the ledger."""
    known = set(STATEMENTS)
    for file in (ROOT / "defectgen").rglob("*.py"):
        for page in re.findall(r"theory(?:/|: )([a-z]+/[a-z-]+)", file.read_text(encoding="utf-8")):
            assert page in known, f"{file.relative_to(ROOT)} cites theory/{page}, which is not there"


def test_references_are_in_the_bibliography():
    bibliography = (THEORY / "refs.bib").read_text(encoding="utf-8")
    keys = {re.sub(r"[^a-z]", "", key.lower()) for key in re.findall(r"@\w+\{(\w+),", bibliography)}
    brackets = [b for s in STATEMENTS.values() for b in re.findall(r"\[([A-Z][^\]$]*\d{4}[^\]$]*)\]", s.text)]
    cited = [c for b in brackets for c in re.findall(r"([A-Z][\w ,.-]*?)\d{4}", b)]
    assert len(cited) >= 5
    for citation in cited:
        names = re.sub(r"[^a-z]", "", citation.lower().replace("et al", "").replace(" and ", ""))
        assert names in keys, f"[{citation}] is not in refs.bib"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("no header at all", "header"),
        ("---\nid: a\n---\n", "id, title, status"),
        ("---\nid: a\ntitle: b\nstatus: proved\nx: 1\n---\n", "at most"),
    ],
    ids=["none", "incomplete", "unknown-key"],
)
def test_a_bad_header_is_refused(tmp_path, text, complaint):
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(ValueError, match=complaint):
        LEDGER.read(page)
