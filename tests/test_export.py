"""`defectgen export` and the potentials that one line of text names."""

import sys

import numpy as np
import pytest

import defectgen as dg
from defectgen.bridge import phonon_frequencies
from defectgen.cli import main
from defectgen.study import potential_from_spec


def call(*arguments) -> int:
    """The exit status of the command line."""
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    return int(stop.value.code or 0)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The file of a small model of copper."""
    basis = dg.ACEBasis(["Cu"], 3.2, order=1, degree=3)
    return dg.LinearACE(basis, [0.0, 0.004, -0.009, 0.003]).save(tmp_path_factory.mktemp("model") / "m.json")


def test_a_model_is_written_for_lammps(model, tmp_path, capsys):
    assert call("export", model, "--format", "yace", "--out", tmp_path / "m.yace") == 0
    assert "pair_style pace" in capsys.readouterr().out
    assert potential_from_spec(str(tmp_path / "m.yace")).species == ("Cu",)


def test_structures_are_labelled(model, tmp_path):
    cell = dg.supercell(dg.fcc("Cu", 3.6), 1)
    dg.write_extxyz(tmp_path / "in.xyz", [dg.Snapshot(cell, cell.positions + 0.0, cell.vectors, group="bulk")])
    arguments = "export", model, "--format", "extxyz", "--structures", tmp_path / "in.xyz", "--out", tmp_path / "out.xyz"
    assert call(*arguments) == 0
    (frame,) = dg.read_extxyz(tmp_path / "out.xyz")
    assert frame.group == "bulk" and set(frame.labels) == {"energy", "forces", "virial"}
    assert frame.labels["energy"] == pytest.approx(dg.evaluate(dg.load_model(model), cell).energy, abs=1e-12)


def test_phonopy_reads_its_force_constants(tmp_path):
    """Frequencies of phonopy from the two files are those of the potential."""
    phonopy = pytest.importorskip("phonopy")
    assert (
        call("export", "LennardJones(Ar)", "--format", "phonopy", "--material", "Ar", "--size", "2", "--out", tmp_path / "p") == 0
    )
    loaded = phonopy.load(
        unitcell_filename=str(tmp_path / "p" / "SPOSCAR"),
        supercell_matrix=np.eye(3, dtype=int),
        primitive_matrix="auto",
        force_constants_filename=str(tmp_path / "p" / "FORCE_CONSTANTS"),
        log_level=0,
    )
    lattice = dg.equilibrate(dg.fcc("Ar", 5.26), dg.reference.LennardJones("Ar"))
    constants = dg.crystal_force_constants(lattice, dg.reference.LennardJones("Ar"))
    points = np.array([[0.5, 0.0, 0.5]])  # a wave that fits into the supercell
    loaded.run_qpoints(points)
    np.testing.assert_allclose(
        np.sort(phonon_frequencies(lattice, constants, points)[0]), loaded.qpoints.frequencies[0], atol=1e-4
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("LennardJones(Ar)", "--format", "vasp"), "the format is yace, phonopy, extxyz"),
        (("LennardJones(Ar)", "--format", "phonopy"), "takes --material"),
        (("LennardJones(Ar)", "--format", "extxyz"), "takes --structures"),
        (("nothing.json", "--format", "yace"), "there is no file of this name"),
        (("Lenard(Ar)", "--format", "phonopy", "--material", "Ar"), "a reference is one of"),
        (("nomodule:make", "--format", "phonopy", "--material", "Ar"), "cannot be imported"),
    ],
)
def test_wrong_calls_are_one_sentence(arguments, said, tmp_path, capsys):
    assert call("export", *arguments, "--out", tmp_path / "x") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and said in error and error.count("\n") == 1


def test_potentials_from_text(tmp_path, monkeypatch):
    (tmp_path / "toy.py").write_text(
        "from ase.calculators.emt import EMT\nmake = EMT\ndef fails():\n    raise RuntimeError('no')\nnumber = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    assert potential_from_spec("Tersoff(SiC)").species == ("Si", "C")
    assert potential_from_spec("toy:make", code=True).name == "EMT"
    for text, allowed, said in (
        ("toy:make", False, "only the command line"),
        ("toy:fails", True, "failed"),
        ("toy:number", True, "no callable"),
        ("toy:nothing", True, "cannot be imported"),
        ("", True, "a potential is"),
        ("missing.yace", True, "there is no file"),
        ("missing.tersoff", True, "neither"),
    ):
        with pytest.raises(dg.InputError, match=said):
            potential_from_spec(text, allowed)
    sys.modules.pop("toy", None)
