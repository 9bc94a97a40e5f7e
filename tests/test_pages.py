"""The code blocks of pages in docs/ run as they are shown, at small size."""

import os
import re
from pathlib import Path

import pytest

import defectgen as dg

DOCS = Path(__file__).parent.parent / "docs"


def blocks(page: str, language: str = "python") -> list[str]:
    """The code blocks of a page in one language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), flags=re.S)


@pytest.fixture
def here(tmp_path):
    """A folder of its own to run in."""
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


def test_the_page_on_defects_computed_elsewhere_runs(here):
    names: dict = {}
    for block in blocks("defects-from-elsewhere.md"):
        exec(block, names)
    assert names["exact"].cell.defect == "v_Cu" and names["exact"].formation_energy == pytest.approx(1.224, abs=2e-3)
    assert names["dipole"].relaxation_volume == pytest.approx(-1.39, abs=0.02)
    assert names["error"].same_basin and 0 < names["error"].geometry < 0.5
    assert names["found"].cell.defect == "Al_Ni" and names["found"].formation_energy > 0
    assert (here / "displacement.png").stat().st_size > 1000
    (case,) = blocks("defects-from-elsewhere.md", "toml")
    table = '[materials.NiAl]\ncrystal = "cscl"\nspecies = ["Ni", "Al"]\na = 2.9\nreference = "LennardJones(Ar)"\n'
    spec = dg.study.parse(f'name = "page"\n{table}{case}basis = {{ cutoff = 4.0 }}\n[cell_size]\nsizes = [3]\n', here)
    assert spec.cases[0].material.potentials == {"Ni": -5.1, "Al": -3.4}
