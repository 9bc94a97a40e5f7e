"""Notebooks: each runs from top to bottom, with its own assertions, and both of its files say the same."""

import copy
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

FOLDER = Path(__file__).parents[1] / "notebooks"
PAIRS = sorted(FOLDER.glob("*.py"))
ALL = pytest.mark.parametrize("path", PAIRS, ids=lambda path: path.stem)


class ThisPython(AsyncKernelManager):
    """A kernel of the interpreter that runs the tests, whatever kernels are registered."""

    @property
    def kernel_spec(self):
        spec = super().kernel_spec
        spec.argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return spec


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Executes all cells and returns their outputs. Raises CellExecutionError at the first cell that fails."""
    monkeypatch.delenv("MPLBACKEND", raising=False)  # figures are drawn into the notebook
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))  # no settings of whoever runs this

    def execute(notebook):
        where = {"metadata": {"path": str(FOLDER.parent)}}
        NotebookClient(notebook, timeout=300, kernel_manager_class=ThisPython, resources=where).execute()
        return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]

    return execute


def cells(notebook) -> list[tuple[str, str]]:
    """What a reader sees, without outputs, counters and ids."""
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


@ALL
def test_runs_and_draws_without_complaint(run, path):
    outputs = run(jupytext.read(path))
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []


@ALL
def test_asserts_a_number(path):
    code = [cell.source for cell in jupytext.read(path).cells if cell.cell_type == "code"]
    assert any(line.startswith("assert ") for source in code for line in source.splitlines())


def test_a_wrong_number_is_noticed(run):
    with pytest.raises(CellExecutionError, match="AssertionError"):
        run(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("c11 = 150.0\nassert abs(c11 - 151.4) < 0.5")]))


@ALL
def test_pair_is_in_sync(path):
    """`jupytext --sync notebooks/NAME.py` refreshes the second file, which carries no outputs."""
    reviewed, paired = jupytext.read(path), nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(paired)
    assert cells(reviewed) == cells(paired)
    assert not any(cell.get("outputs") for cell in paired.cells)
    changed = copy.deepcopy(paired)
    changed.cells[-1].source += "\n1 + 1"
    assert cells(reviewed) != cells(changed)


def test_every_notebook_is_paired():
    assert PAIRS and {path.stem for path in PAIRS} == {path.stem for path in FOLDER.glob("*.ipynb")}
