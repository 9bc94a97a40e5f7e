"""Notebooks: each runs from top to bottom, with its own assertions, and both of its files say the same."""

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


class ThisPython(AsyncKernelManager):
    """A kernel of the interpreter that runs the tests, whatever kernels are registered."""

    @property
    def kernel_spec(self):
        spec = super().kernel_spec
        spec.argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return spec


def run(notebook) -> None:
    """Executes all cells. Raises CellExecutionError at the first that fails."""
    NotebookClient(
        notebook, timeout=300, kernel_manager_class=ThisPython, resources={"metadata": {"path": str(FOLDER)}}
    ).execute()


def cells(notebook) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


@pytest.mark.parametrize("path", PAIRS, ids=lambda p: p.stem)
def test_runs(path):
    run(jupytext.read(path))


@pytest.mark.parametrize("path", PAIRS, ids=lambda p: p.stem)
def test_pair_is_in_sync(path):
    """`jupytext --to ipynb notebooks/NAME.py` refreshes the second file, which carries no outputs."""
    paired = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(paired)
    assert cells(paired) == cells(jupytext.read(path))
    assert not any(cell.get("outputs") for cell in paired.cells)


def test_every_notebook_is_paired():
    assert PAIRS and {p.stem for p in PAIRS} == {p.stem for p in FOLDER.glob("*.ipynb")}


def test_a_wrong_number_is_noticed():
    with pytest.raises(CellExecutionError, match="AssertionError"):
        run(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("c11 = 150.0\nassert abs(c11 - 151.4) < 0.5")]))
