"""How notebooks are run, and how their outputs are stored.

``python tests/notebook_outputs.py quickstart`` runs notebooks/quickstart.py and writes notebooks/quickstart.ipynb with its
outputs; without names it runs all.
"""

import os
import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
PAIRS = sorted(FOLDER.glob("*.py"))


class ThisPython(AsyncKernelManager):
    """A kernel of the interpreter that runs this, whatever kernels are registered."""

    @property
    def kernel_spec(self):
        spec = super().kernel_spec
        spec.argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return spec


def execute(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook after all cells were run. Raises CellExecutionError at the first cell that fails."""
    where = {"metadata": {"path": str(FOLDER)}}
    client = NotebookClient(notebook, timeout=900, kernel_manager_class=ThisPython, resources=where, record_timing=False)
    return client.execute()


def read(path: Path) -> nbformat.NotebookNode:
    """The script as a notebook without outputs."""
    return jupytext.read(path)


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """All outputs, in order."""
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def printed(notebook: nbformat.NotebookNode) -> list[str]:
    """What every code cell prints, and the text of the value that it ends with."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            texts = [o.get("text") or o.get("data", {}).get("text/plain", "") for o in cell.outputs]
            found.append("".join(text for text in texts if not text.startswith("<Figure")))
    return found


def store(path: Path) -> None:
    """Run a script and write the paired notebook with its outputs."""
    notebook = execute(read(path))
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    notebook.metadata.pop("language_info", None)
    nbformat.validate(notebook)
    nbformat.write(notebook, path.with_suffix(".ipynb"))


if __name__ == "__main__":
    os.environ.pop("MPLBACKEND", None)  # figures are drawn into the notebook
    with tempfile.TemporaryDirectory() as settings:
        os.environ["IPYTHONDIR"] = settings
        for each in PAIRS:
            if len(sys.argv) == 1 or each.stem in sys.argv[1:]:
                store(each)
                print(each.stem, flush=True)
