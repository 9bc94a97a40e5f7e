"""Density-functional theory in the loop: the page of docs/, and silicon with the labels of the repository."""

import importlib.util
import re
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "examples" / "dft_silicon"
HAS_PW = shutil.which("pw.x") is not None


def test_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "dft.md").read_text(encoding="utf-8"), flags=re.S):
        if HAS_PW or "Quantum ESPRESSO" not in block:
            exec(block, names)
    assert names["exact"].converged and names["exact"].energy_evaluations <= 8
    assert "work of forces" in capsys.readouterr().out
    assert len(list((tmp_path / "labels").glob("*.extxyz"))) == len(names["stored"].labels)


@pytest.fixture(scope="module")
def study():
    spec = importlib.util.spec_from_file_location("dft_silicon", FOLDER / "dft_silicon.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def found(study):
    return study.from_file()
