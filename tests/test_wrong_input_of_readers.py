"""What readers and potentials refuse in one sentence: other types, numbers without bound, files that repeat themselves."""

import json

import fuzz
import numpy as np
import pytest

import defectgen as dg

R = np.linspace(1.0, 3.0, 10)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: dg.ZBL(3), "each once"),
        (lambda: dg.ZBL(["Cu", "Cu"]), "each once"),
        (lambda: dg.ZBL("Cu", outer=1e308), "finite and symmetric"),
        (lambda: dg.TabulatedPairs("Cu", R[::-1], {"Cu-Cu": 3 - R}), "equally spaced"),
        (lambda: dg.TabulatedPairs("Cu", "abc", {}), "an array of numbers"),
        (lambda: dg.TabulatedPairs("Cu", R, {"Cu-Cu": lambda r: 1 / 0}), "failed on the distances: division by zero"),
        (lambda: dg.TabulatedPairs(["Cu", "Ni"], R, {"Cu-Ni": 3 - R, "Ni-Cu": 6 - 2 * R}), "given twice"),
        (lambda: dg.reference.Tersoff(3), "path of its file"),
        (lambda: dg.reference.Tersoff("a" * 5000), "cannot be read"),
        (lambda: dg.estimate_rate([1, 2, 3, 4], [1, 2, 3, 4], repeats=3), "the name or number of the repeat"),
        (lambda: dg.estimate_rate([1, 2, 3, 4], [1, 2, 3, 4], repeats=[[1]] * 4), "the name or number of the repeat"),
        (lambda: dg.enumerate_defects(dg.fcc("Cu", 3.6), 3), "chemical symbols"),
        (lambda: dg.read_dataset(3), "from paths of files"),
        (lambda: dg.read_dataset("a" * 5000), "cannot be read"),
    ],
)
def test_arguments_of_another_kind(make, said, unchecked):
    with pytest.raises(dg.InputError, match=said):
        make()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[3.6, 0, 0]", "[0, 0, 0]", "no volume"),
        ("phonopy: {", "phonopy: [1]\nq: {", "'phonopy' is no table"),
        ("displacement: [0.01, 0, 0]", "displacement: [0.01]", "do not fit its 4 atoms"),
        ("displacement: [0.01", "displacement: [.nan", "displacements of .* must be finite"),
        ("[-0.03, 0, 0]", "[.nan, 0, 0]", "forces of .* must be finite"),
        ("atom: 1", "atom: 1, atom: 2", "a second time"),
        ("atom: 1", "<<: {atom: 1}", "merges another table"),
    ],
)
def test_phonopy_yaml(tmp_path, old, new, said):
    text = fuzz.phonopy_yaml()[1].decode()
    assert old in text
    path = tmp_path / "phonopy.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(dg.InputError, match=said):
        dg.read_force_constants(path)


def test_a_supercell_without_bound(tmp_path):
    (tmp_path / "FORCE_SETS").write_bytes(fuzz.force_sets()[0])
    (tmp_path / "POSCAR.vasp").write_text(fuzz.POSCAR)
    with pytest.raises(dg.InputError, match="more than 100000 atoms"):
        dg.read_force_constants(tmp_path / "FORCE_SETS", tmp_path / "POSCAR.vasp", supercell=(10**6,) * 3)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [("AtomTypes", [1, 1, 1, 2], "chemical symbols"), ("Energy", True, "expected a number"), ("Forces", [[1e308] * 3] * 4, "1e")],
)
def test_fitsnap(tmp_path, key, value, said):
    content = json.loads(fuzz.fitsnap()[0])
    content["Dataset"]["Data"][1][key] = value
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    with pytest.raises(dg.InputError, match=said):
        dg.read_dataset(path)


def test_frames_in_one_box_show_nothing_of_a_stress(tmp_path):
    """Energies that the forces do not explain are no contradiction of the stresses where nothing is strained."""
    content = json.loads(fuzz.fitsnap()[0])
    content["Dataset"]["Data"][1]["Energy"] -= 0.1
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    assert len(dg.read_dataset(path)) == 2
