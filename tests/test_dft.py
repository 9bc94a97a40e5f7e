"""Density-functional theory in the loop: the page of docs/, and silicon with the labels of the repository."""

import importlib.util
import re
import shutil
import sys
from pathlib import Path

import pytest

import defectgen as dg
from defectgen.bridge import espresso, read_extxyz

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "examples" / "dft_silicon"
HAS_PW = shutil.which("pw.x") is not None


def test_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "dft.md").read_text(encoding="utf-8"), flags=re.S):
        if (HAS_PW or "Quantum ESPRESSO" not in block) and "# with GPAW" not in block:
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


def test_labels_of_silicon_pass_the_check(found):
    """Energies per atom of 2 and 8 atoms, forces, and the smooth cutoff: the pressure of energies is that of the stress."""
    assert found.checked.energy_spread < 1e-5
    assert found.checked.force_error < 1e-3
    assert abs(found.checked.stress_difference) < 0.2


def test_true_errors_against_the_certificate(found):
    """The geometry is within the estimate. The energy is not within the bound, since vacancies of 15 atoms interact; the
    estimate with a richer fit covers it."""
    plain, sharpened, errors = found.certificate, found.sharpened, found.errors
    assert len(found.exact.cell) == 31 and found.exact.residual <= 5e-3
    assert found.exact.energy == pytest.approx(3.644, abs=1e-3)
    assert found.approximate.energy == pytest.approx(3.098, abs=0.02)
    assert errors.same_basin
    assert errors.geometry < plain.geometry.estimate < plain.geometry.bound
    assert plain.energy.estimate < plain.energy.bound < errors.energy < sharpened.energy.estimate


@pytest.mark.skipif(not HAS_PW, reason="Quantum ESPRESSO is not installed")
def test_a_stored_label_is_what_the_program_gives(study, tmp_path):
    """The perfect crystal and a strained one of the repository, computed anew."""
    chosen = [f for f in read_extxyz(FOLDER / "labels.extxyz") if len(f.cell) == 2][-2:]
    s = study.SETTINGS
    pw = espresso(
        dg.diamond("Si", 5.43),
        {"Si": s["pseudopotential"]},
        s["cutoff"],
        s["grid"],
        smearing=s["smearing"],
        threshold=s["threshold"],
        system=s["system"],
        folder=tmp_path,
    )
    for frame in chosen:
        new = pw.evaluate(frame.cell.symbols, frame.positions, frame.vectors, frame.cell.periodic, True)
        assert new.energy == pytest.approx(frame.labels["energy"], abs=1e-5)
        assert abs(new.forces - frame.labels["forces"]).max() < 1e-3
        assert abs(new.virial - frame.labels["virial"]).max() < 1e-2


@pytest.mark.slow
def test_the_study_computes_its_labels_and_resumes(study, tmp_path, monkeypatch, capsys):
    """All steps of the study with Stillinger-Weber silicon in the place of pw.x; the second time nothing is computed."""
    truth = dg.ASEReference(dg.Calculator(dg.reference.StillingerWeber("Si")), step=0.02)
    monkeypatch.setattr(study, "espresso", lambda *args, **kwargs: truth)
    first = study.computed(tmp_path, "pw.x")
    count = len(list((tmp_path / "labels").glob("*.extxyz")))
    assert first.exact.converged and first.errors.same_basin
    again = study.computed(tmp_path, "pw.x")
    assert len(list((tmp_path / "labels").glob("*.extxyz"))) == count
    assert again.errors.energy == first.errors.energy
    assert "bound" in str(first) and "pw.x evaluation 1" in capsys.readouterr().out
    replayed = study.from_file(tmp_path / "labels.extxyz")
    assert replayed.errors.energy == pytest.approx(first.errors.energy, abs=1e-4)
