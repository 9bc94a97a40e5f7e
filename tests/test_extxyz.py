"""Extended XYZ: exact round trips, every spelling of labels, and files that are refused by name."""

from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones as ASELennardJones

from defectgen._input import InputError
from defectgen.bridge import ASEReference, cell_from_ase, read_dataset, read_extxyz, write_extxyz
from defectgen.crystal import Snapshot, ball, fcc, supercell, triangular
from defectgen.energy import evaluate


def labelled() -> list[Snapshot]:
    """Snapshots with every combination of labels, boundary and group; numbers with all their digits."""
    random = np.random.default_rng(5)
    result = []
    for k, cell in enumerate(
        [supercell(fcc("Cu", 3.6), 1), ball(fcc("Cu", 3.6), 3.0, clamp=2.0), supercell(triangular("Cu", 2.5), 2)]
    ):
        virial = random.normal(size=(3, 3))
        virial += virial.T
        full = {"energy": float(random.normal() * 1e3), "forces": random.normal(size=(len(cell), 3)), "virial": virial}
        x = cell.positions + 0.1 * random.normal(size=(len(cell), 3)) * [1, 1, k < 2]
        strain = np.diag([1.01, 1.0, 1.0])
        for labels in (full, {"energy": full["energy"]}, {"forces": full["forces"], "virial": full["virial"]}, None):
            result.append(Snapshot(cell, x @ strain, cell.vectors @ strain, f'rattled "{k}" cells' if k else "", labels, "test"))
    return result


def test_extxyz_round_trip_is_exact(tmp_path):
    """What is written comes back to the last bit: labels, those that are missing, geometry, boundary, group, order."""
    path, snapshots = tmp_path / "set.extxyz", labelled()
    write_extxyz(path, snapshots)
    back = read_extxyz(path)
    assert len(back) == len(snapshots) == 12
    for number, (old, new) in enumerate(zip(snapshots, back, strict=True)):
        assert new.group == old.group and new.source == f"set.extxyz:{number}"
        assert new.cell.symbols == old.cell.symbols and new.cell.periodic == old.cell.periodic
        assert np.array_equal(new.cell.free, old.cell.free)
        assert np.array_equal(new.positions, old.positions) and np.array_equal(new.vectors, old.vectors)
        assert set(new.labels or {}) == set(old.labels or {})
        for key, value in (old.labels or {}).items():
            assert np.array_equal(new.labels[key], value), key
    write_extxyz(tmp_path / "again.extxyz", back)
    assert (tmp_path / "again.extxyz").read_text() == path.read_text()


def test_columns_and_weights_come_back(tmp_path):
    """Numbers of one's own and weights, for the configuration and for its atoms, to the last bit; others are refused."""
    path, first = tmp_path / "own.extxyz", labelled()[0]
    trust, weights = np.linspace(0, 1, len(first.cell)) / 3, np.linspace(1, 2, len(first.cell))
    full = replace(first, columns={"temperature": 300 / 7, "trust": trust}, weight=0.1, atom_weights=weights)
    write_extxyz(path, [full, replace(first, positions=first.positions * 1.001)])
    names = {"weight": "weight", "atom_weights": "atom_weights"}
    one, other = read_dataset(path, keys=names, columns=["temperature", "trust"])
    assert one.columns["temperature"] == 300 / 7 and np.array_equal(one.columns["trust"], trust)
    assert one.weight == 0.1 and np.array_equal(one.atom_weights, weights)
    assert other.columns is None and other.weight == 1.0 and other.atom_weights is None
    for name in ("two words", "Energy", "config_type", "weight"):
        with pytest.raises(InputError, match=r"a column (of an extended XYZ file|is called)"):
            write_extxyz(path, [replace(full, columns={name: 1.0})])


def test_extxyz_is_what_ase_users_expect(tmp_path):
    """The file through ASE: the field's keys in info and arrays, a stress of the right sign, nothing lost to a calculator."""
    path, snapshot = tmp_path / "one.xyz", replace(labelled()[0], group="bulk")
    write_extxyz(path, [snapshot])
    atoms = ase.io.read(path)
    assert atoms.calc is None and set(atoms.info) == {"REF_energy", "REF_virial", "REF_stress", "config_type"}
    assert atoms.info["REF_energy"] == snapshot.labels["energy"] and atoms.info["config_type"] == snapshot.group
    assert np.array_equal(atoms.arrays["REF_forces"], snapshot.labels["forces"])
    stress = np.reshape(atoms.info["REF_stress"], (3, 3), order="F")
    np.testing.assert_allclose(-stress * atoms.get_volume(), snapshot.labels["virial"], rtol=1e-12)


def emt_frame() -> Atoms:
    atoms = bulk("Cu", "fcc", a=3.5, cubic=True)
    atoms.rattle(0.05, seed=4)
    atoms.calc = EMT()
    return atoms


def foreign(energy="REF_energy", forces="REF_forces", virial=None, stress=None, flat=False, unit=1.0) -> Atoms:
    """A frame as some other code would write it: labels of EMT under the given keys."""
    atoms = emt_frame()
    result = atoms.copy()
    tensor = atoms.get_stress(voigt=False) * unit
    if energy:
        result.info[energy] = atoms.get_potential_energy()
    if forces:
        result.arrays[forces] = atoms.get_forces()
    if virial:
        result.info[virial] = -tensor * atoms.get_volume()
    if stress:
        result.info[stress] = tensor[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] if flat else tensor
    return result


@pytest.mark.parametrize(
    ("atoms", "named"),
    [
        (foreign(virial="REF_virial"), {}),
        (foreign(stress="REF_stress"), {}),
        (foreign(stress="REF_stress", flat=True), {}),
        (foreign(virial="REF_virial", stress="REF_stress"), {}),
        (foreign("dft_energy", "dft_force", "dft_virial"), {}),
        (foreign("DFT_Energy", "DFT_Forces", stress="DFT_STRESS"), {}),
        (foreign("energy", "forces", "virial"), {}),
        (foreign("energy", "forces", stress="stress"), {}),
        (foreign("Energy", "force", "virials"), {}),
        (foreign("U", "dU", "W"), {"energy_key": "U", "forces_key": "dU", "virial_key": "W"}),
        (foreign("U", "REF_forces", stress="sigma"), {"energy_key": "u", "stress_key": "sigma"}),
        (emt_frame(), {}),
    ],
    ids="REF REF_stress Voigt both dft dft_case bare bare_stress odd_case named half_named calculator".split(),
)
def test_extxyz_reads_every_spelling(tmp_path, atoms, named):
    """EMT's labels, written by ASE under the keys that people use, all mean the same."""
    path = tmp_path / "foreign.xyz"
    if atoms.calc is not None:
        atoms.get_stress()
    atoms.write(path, format="extxyz")
    (snapshot,) = read_extxyz(path, **named)
    expected = evaluate(ASEReference(EMT()), cell_from_ase(emt_frame()))
    assert set(snapshot.labels) == {"energy", "forces", "virial"} and snapshot.group == ""
    np.testing.assert_allclose(snapshot.labels["energy"], expected.energy, atol=1e-12)
    np.testing.assert_allclose(snapshot.labels["forces"], expected.forces, atol=1e-8)  # ASE writes eight decimals
    np.testing.assert_allclose(snapshot.labels["virial"], expected.virial, atol=1e-12)


def test_extxyz_prefers_reference_keys_to_a_calculator(tmp_path):
    """A frame that also carries another calculator's results keeps its reference labels, all of them."""
    atoms = foreign(virial="REF_virial")
    atoms.calc = ASELennardJones(sigma=2.0)
    atoms.get_stress()
    atoms.write(tmp_path / "mixed.xyz", format="extxyz")
    assert ase.io.read(tmp_path / "mixed.xyz").get_potential_energy() != atoms.info["REF_energy"]  # ASE gives the other one
    (snapshot,) = read_extxyz(tmp_path / "mixed.xyz")
    assert snapshot.labels["energy"] == atoms.info["REF_energy"]


def spoiled(**changes) -> Atoms:
    atoms = foreign(virial="REF_virial")
    for key, value in changes.items():
        (atoms.arrays if np.ndim(value) == 2 and len(value) == 4 else atoms.info)[key] = value
    return atoms


WRONG_UNIT = foreign(stress="stress_in_GPa", unit=160.2).info["stress_in_GPa"]
NAN_FORCES = np.where(np.eye(4, 3) > 0, np.nan, 0.0)


@pytest.mark.parametrize(
    ("frames", "named", "words"),
    [
        ([foreign(), spoiled(REF_energy=np.nan)], {}, "frame 1 .*energy.*not finite"),
        ([foreign(), foreign(), spoiled(REF_forces=NAN_FORCES)], {}, "frame 2 .*forces.*not finite"),
        ([spoiled(REF_virial=np.full((3, 3), np.inf))], {}, "frame 0 .*virial.*not finite"),
        ([spoiled(REF_energy="much")], {}, "'much' as energy"),
        ([spoiled(REF_virial=np.ones(4))], {}, "shape"),
        ([foreign(virial="REF_virial"), spoiled(REF_stress=np.eye(3))], {}, "frame 1 .*contradict"),
        (
            [foreign(virial="REF_virial", stress="REF_stress"), spoiled(REF_stress=WRONG_UNIT)],
            {},
            "contradict",
        ),
        ([foreign(forces="dft_forces")], {}, "forces_key='dft_forces'"),
        ([foreign()], {"energy_key": "total"}, "no frame .*'total'.*ref_energy"),
        ([Atoms("Cu", info={"REF_stress": np.eye(3)})], {}, "no volume"),
    ],
    ids="nan_energy nan_forces inf_virial text shape contradiction wrong_unit mixed_families no_such_key no_volume".split(),
)
def test_extxyz_refuses_labels_in_one_sentence(tmp_path, frames, named, words):
    path = tmp_path / "bad.xyz"
    ase.io.write(path, frames, format="extxyz")
    with pytest.raises(InputError, match=words) as caught:
        read_extxyz(path, **named)
    assert "bad.xyz" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "two\nwords\n",
        "2\n\nCu 0 0 0\n",
        "1\nenergy=1\nCu 0 0\n",
        "1\n\nCu 0 0 0\n\n1\n\nCu 0 0 0\n",
        "1\n\nCu 0 0 nan\n",
        "1\n\nXy 0 0 0\n",
    ],
    ids="empty no_header cut_short lost_column blank_line nan_position no_element".split(),
)
def test_extxyz_refuses_malformed_files_by_name(tmp_path, text):
    path = tmp_path / "torn.xyz"
    path.write_text(text)
    with pytest.raises(InputError, match=r"torn\.xyz") as caught:
        read_extxyz(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="no file"):
        read_extxyz(tmp_path / "absent.xyz")
