"""Notebooks run from top to bottom in a fresh kernel, and each is the same text as the percent-format file that is reviewed."""

import copy
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted((ROOT / "notebooks").glob("*.py"))
ALL = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)


def text(notebook) -> list[tuple[str, str]]:
    """What a reader sees, without outputs, counters and ids."""
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def test_there_are_notebooks():
    assert SCRIPTS and {path.with_suffix(".ipynb") for path in SCRIPTS} == set((ROOT / "notebooks").glob("*.ipynb"))


@ALL
def test_pair_is_in_sync(script):
    """To mend it: `jupytext --sync notebooks/NAME.py`, with the newer of the two as the source."""
    reviewed, shown = jupytext.read(script), nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    assert text(reviewed) == text(shown)
    assert not any(cell.get("outputs") for cell in shown.cells)  # they would change with every run and hide what did
    changed = copy.deepcopy(shown)
    changed.cells[-1].source += "\n1 + 1"
    assert text(reviewed) != text(changed)


@ALL
def test_asserts_a_number(script):
    code = [cell.source for cell in jupytext.read(script).cells if cell.cell_type == "code"]
    assert any(line.startswith("assert ") for source in code for line in source.splitlines())


@ALL
def test_runs(script, tmp_path, monkeypatch):
    """In a kernel of its own, made from the Python that runs the tests; any exception, its assertions included, fails here."""
    monkeypatch.delenv("MPLBACKEND", raising=False)  # figures are drawn into the notebook
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))  # no settings of whoever runs this
    notebook = jupytext.read(script)
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    complaints = [output.text for output in outputs if output.get("name") == "stderr"]
    assert complaints == []
