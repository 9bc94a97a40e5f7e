"""The code blocks of pages in docs/ run as they are shown, at small size."""

import json
import os
import re
import shutil
from pathlib import Path

import ase.io
import ase.test
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from phonopy import Phonopy
from phonopy.file_IO import write_FORCE_SETS
from phonopy.structure.atoms import PhonopyAtoms
from toy_calculators import Binding

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


def alloys(count: int) -> list[Atoms]:
    """Cells of copper and silver with EMT, displaced."""
    found = []
    for k in range(count):
        atoms = Atoms("CuAg", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=[3.1 + 0.02 * k] * 3, pbc=True).repeat(
            (2, 1, 1)
        )
        atoms.rattle(0.05, seed=k)
        atoms.calc = EMT()
        found.append(atoms)
    return found


def write_data(folder: Path) -> None:
    """The files that the page on labels reads: extended XYZ with stresses in -kbar, an OUTCAR of ASE's tests, FitSNAP's JSON."""
    frames = []
    for atoms in alloys(3):
        frame = atoms.copy()
        frame.info = {"REF_energy": atoms.get_potential_energy(), "w": 2.0}
        frame.info["REF_stress"] = -atoms.get_stress(voigt=False) * 1602.1766
        frame.arrays["REF_forces"] = atoms.get_forces()
        frames.append(frame)
    ase.io.write(folder / "train.extxyz", frames)
    (folder / "relax").mkdir()
    shutil.copy(Path(ase.test.__file__).parent / "testdata" / "vasp" / "OUTCAR_example_1", folder / "relax" / "OUTCAR")
    (folder / "InP" / "JSON").mkdir(parents=True)
    atoms = alloys(4)[3]
    entry = {
        "Positions": atoms.positions.tolist(),
        "Lattice": np.asarray(atoms.cell).tolist(),
        "AtomTypes": list(atoms.symbols),
        "NumAtoms": len(atoms),
        "Energy": atoms.get_potential_energy(),
        "Forces": atoms.get_forces().tolist(),
    }
    styles = {"EnergyStyle": "electronvolt", "PositionsStyle": "angstrom", "ForcesStyle": "electronvoltperangstrom"}
    (folder / "InP" / "JSON" / "one.json").write_text(json.dumps({"Dataset": {**styles, "Data": [entry]}}))


def write_phonons(folder: Path) -> None:
    """phonopy.yaml with forces, and FORCE_SETS with a POSCAR of the unit cell, of rock salt."""
    unit = dg.to_ase(dg.supercell(dg.rocksalt("CuAg", 4.8), 1))
    peer = Phonopy(
        PhonopyAtoms(symbols=list(unit.symbols), cell=np.asarray(unit.cell), positions=unit.positions),
        supercell_matrix=np.diag([2, 2, 2]),
        primitive_matrix=[[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]],
    )
    peer.generate_displacements(distance=0.01)
    sets = []
    for displaced in peer.supercells_with_displacements:
        atoms = Atoms(list(displaced.symbols), positions=displaced.positions, cell=displaced.cell, pbc=True)
        atoms.calc = dg.Calculator(Binding())
        sets.append(atoms.get_forces())
    peer.forces = sets
    peer.save(folder / "phonopy.yaml")
    write_FORCE_SETS(peer.dataset, folder / "FORCE_SETS")
    ase.io.write(folder / "POSCAR", unit, format="vasp", direct=True)


def test_the_page_on_labels_runs(here):
    write_data(here)
    write_phonons(here)
    names: dict = {"dg": dg}
    reading, phonons = blocks("labels.md")
    exec(reading, names)
    assert len(names["data"]) >= 5 and names["data"][0].weight == 2.0 and set(names["data"].groups) >= {"train", "relax", "JSON"}
    names["data"] = names["data"][[0, 1, 2]]
    names["basis"] = dg.ACEBasis(["Cu", "Ag"], cutoff=4.0, order=2, degree=4)
    exec(phonons, names)
    assert {"E", "F", "FC"} <= set(names["blocks"].kinds) and (here / "FORCE_CONSTANTS").stat().st_size > 1000
