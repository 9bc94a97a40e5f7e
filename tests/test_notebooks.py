"""Notebooks: each runs from top to bottom with its own assertions, opens anywhere, and both of its files have the same cells."""

import ast
import copy
import re

import nbformat
import notebook_outputs
import pages
import pytest
from nbclient.exceptions import CellExecutionError
from notebook_outputs import FOLDER, PAIRS

import defectgen as dg

ALL = pytest.mark.parametrize("path", PAIRS, ids=lambda path: path.stem)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Executes all cells of a notebook."""
    monkeypatch.delenv("MPLBACKEND", raising=False)  # figures are drawn into the notebook
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))  # no settings of whoever runs this
    return notebook_outputs.execute


def stored(path):
    return nbformat.read(path.with_suffix(".ipynb"), as_version=4)


def cells(notebook) -> list[tuple[str, str]]:
    """What a reader sees, without outputs, counters and ids."""
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def code(path) -> list[str]:
    return [cell.source for cell in notebook_outputs.read(path).cells if cell.cell_type == "code"]


@ALL
def test_runs_and_prints_what_is_stored(run, path):
    """`python tests/notebook_outputs.py NAME` runs a notebook and stores its outputs."""
    notebook = run(notebook_outputs.read(path))
    assert any("image/png" in output.get("data", {}) for output in notebook_outputs.outputs(notebook))
    assert [output.text for output in notebook_outputs.outputs(notebook) if output.get("name") == "stderr"] == []
    for was, now in zip(notebook_outputs.printed(stored(path)), notebook_outputs.printed(notebook), strict=True):
        assert pages.alike(was, now, relative=0.05, rounding=1e-5), f"{path.stem} prints\n{now}\nand has stored\n{was}"


@ALL
def test_stored_outputs_are_those_of_a_complete_run(path):
    notebook = stored(path)
    nbformat.validate(notebook)
    assert [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"] == list(range(1, len(code(path)) + 1))
    assert any("image/png" in output.get("data", {}) for output in notebook_outputs.outputs(notebook))
    assert all(output.output_type != "error" for output in notebook_outputs.outputs(notebook))


@ALL
def test_asserts_a_number(path):
    assert any(line.startswith("assert ") for source in code(path) for line in source.splitlines())


def test_a_wrong_number_is_noticed(run):
    with pytest.raises(CellExecutionError, match="AssertionError"):
        run(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("c11 = 150.0\nassert abs(c11 - 151.4) < 0.5")]))


@ALL
def test_pair_is_in_sync(path):
    reviewed, paired = notebook_outputs.read(path), stored(path)
    assert cells(reviewed) == cells(paired)
    changed = copy.deepcopy(paired)
    changed.cells[-1].source += "\n1 + 1"
    assert cells(reviewed) != cells(changed)


def not_public(source: str) -> list[str]:
    """Names of the package that a cell uses and that are not public."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "defectgen":
            found += [f"{node.module}.{alias.name}" for alias in node.names]
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "dg":
            found += [f"dg.{node.attr}"] * (node.attr not in dg.__all__)
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Attribute)
            and node.value.attr in ("dataset", "reference")
        ):
            found += [f"dg.{node.value.attr}.{node.attr}"] * (node.attr not in getattr(dg, node.value.attr).__all__)
    return found


@ALL
def test_uses_public_names_only(path):
    assert [name for source in code(path) for name in not_public(source)] == []


def test_a_name_that_is_not_public_is_noticed():
    assert not_public("from defectgen.errors.domain import auroc") == ["defectgen.errors.domain.auroc"]
    assert sorted(not_public("dg.kernel.load(); dg.fit; dg.dataset.Gone")) == ["dg.dataset.Gone", "dg.kernel"]


@ALL
def test_asks_one_question_installs_and_answers(path):
    text = [source for kind, source in cells(notebook_outputs.read(path)) if kind == "markdown"]
    assert len(re.findall(r"\*\*Question\.\*\*", "\n".join(text))) == 1 and "**Question.**" in text[0]
    assert len(re.findall(r"^## Answer$", "\n".join(text), re.M)) == 1
    assert "pip" in code(path)[0] and "find_spec" in code(path)[0]


def test_every_notebook_is_paired():
    assert PAIRS and {path.stem for path in PAIRS} == {path.stem for path in FOLDER.glob("*.ipynb")}
