"""Data sets of other codes: read, looked at, split, fitted, and their errors."""

import json
import warnings
from dataclasses import replace
from pathlib import Path

import ase.db
import ase.io
import ase.test
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from jaxtyping import config

import defectgen as dg
from defectgen import InputError, InputWarning
from defectgen.dataset import LabelledSnapshots, OneBody, one_body_energies


@pytest.fixture
def as_users_call_it():
    """Without the type checker of the tests, which would speak before the package does."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


VASP = Path(ase.test.__file__).parent / "testdata" / "vasp"
"""Outputs of VASP that come with ASE."""


def alloys(count: int = 6, seed: int = 0) -> list[Atoms]:
    """EMT alloys of several compositions with labels in a calculator."""
    rng, found = np.random.default_rng(seed), []
    for k in range(count):
        atoms = bulk("Cu", "fcc", a=3.7 + 0.02 * (k % 3), cubic=True)
        atoms.symbols = rng.permutation(["Cu"] * (1 + k % 3) + ["Ag"] * (3 - k % 3))
        atoms.rattle(0.05, seed=seed + k)
        atoms.calc = EMT()
        labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces(), "stress": atoms.get_stress()}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        found.append(atoms)
    return found


def with_keys(frames, **keys) -> list[Atoms]:
    """The same with labels under REF keys."""
    found = []
    for atoms in frames:
        frame = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        results = atoms.calc.results
        frame.info = {"REF_energy": results["energy"], "REF_stress": results["stress"], **keys}
        frame.arrays["REF_forces"] = results["forces"]
        found.append(frame)
    return found


def fitsnap(atoms: Atoms) -> dict:
    """A configuration as FitSNAP writes it: stress in kbar, positive under compression."""
    r = atoms.calc.results
    stress = -SinglePointCalculator(atoms, **r).get_property("stress", atoms) / 1e3 / ase.units.bar
    voigt = stress[[0, 5, 4, 5, 1, 3, 4, 3, 2]].reshape(3, 3)
    entry = {"AtomTypes": list(atoms.symbols), "Positions": atoms.positions.tolist(), "Lattice": atoms.cell.tolist()}
    return {**entry, "NumAtoms": len(atoms), "Energy": r["energy"], "Forces": r["forces"].tolist(), "Stress": voigt.tolist()}


STYLES = {
    "EnergyStyle": "electronvolt",
    "ForcesStyle": "electronvoltperangstrom",
    "StressStyle": "kB",
    "PositionsStyle": "angstrom",
    "LatticeStyle": "angstrom",
}


def write_fitsnap(path: Path, entries: list[dict], **changed) -> Path:
    path.parent.mkdir(exist_ok=True)
    styles = {k: v for k, v in {**STYLES, **changed}.items() if v is not None}
    path.write_text("# Header\n\n" + json.dumps({"Dataset": {**styles, "Data": entries}}))
    return path


def write_db(path: Path, frames) -> Path:
    with ase.db.connect(path) as rows:
        for atoms in frames:
            rows.write(atoms, config_type="alloy")
    return path


def write_ase(path: Path, frames) -> Path:
    ase.io.write(path, frames)
    return path


@pytest.mark.parametrize(
    ("write", "group"),
    [
        (lambda at, frames: write_ase(at / "set.extxyz", with_keys(frames, config_type="alloy")), "alloy"),
        (lambda at, frames: write_ase(at / "set.traj", frames), "set"),
        (lambda at, frames: write_db(at / "set.db", frames), "alloy"),
        (lambda at, frames: write_db(at / "set.json", frames), "alloy"),
        (lambda at, frames: write_fitsnap(at / "melt" / "set.json", [fitsnap(a) for a in frames]), "melt"),
        (lambda at, frames: write_fitsnap(at / "melt" / "set.json", [fitsnap(a) for a in frames]).parent, "melt"),
    ],
    ids=["extxyz", "traj", "db", "json of ASE", "json of FitSNAP", "folder of FitSNAP"],
)
def test_every_format_gives_the_same_labels(tmp_path, write, group):
    frames = alloys(3)
    data = dg.read_dataset(write(tmp_path, frames))
    assert len(data) == 3 and data.groups == (group,) and data.species == ("Cu", "Ag")
    for snapshot, atoms in zip(data, frames, strict=True):
        labels = snapshot.labels or {}
        assert labels["energy"] == pytest.approx(atoms.get_potential_energy(), rel=1e-9)
        np.testing.assert_allclose(labels["forces"], atoms.get_forces(), atol=2e-8)  # extxyz keeps eight digits
        np.testing.assert_allclose(labels["virial"], -atoms.get_stress(voigt=False) * atoms.get_volume(), atol=1e-6)
        assert snapshot.role == "" and np.abs(labels["forces"]).max() > 0.1


@pytest.mark.parametrize("name", ["OUTCAR_example_1", "vasprun_pstress.xml"])
def test_outputs_of_vasp_are_read(tmp_path, name):
    folder = tmp_path / "relaxed"
    folder.mkdir()
    path = folder / ("OUTCAR" if "OUTCAR" in name else "vasprun.xml")
    path.write_bytes((VASP / name).read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        data = dg.read_dataset(path)
    peer = ase.io.read(path, index=":")
    labels = data[0].labels or {}
    assert len(data) == len(peer) and data.groups == ("relaxed",) and data[0].source.startswith("relaxed/")
    assert labels["energy"] == pytest.approx(peer[0].calc.results.get("free_energy", peer[0].get_potential_energy()), rel=1e-12)
    np.testing.assert_allclose(labels["forces"], peer[0].get_forces(apply_constraint=False))
    assert labels["energy"] < -1.0


def test_a_run_of_vasp_that_was_cut_short_is_told(tmp_path):
    text = (VASP / "OUTCAR_example_1").read_text()
    (tmp_path / "OUTCAR").write_text(text.split("General timing")[0])
    with pytest.warns(InputWarning, match="cut short"):
        dg.read_dataset(tmp_path / "OUTCAR")
    (tmp_path / "OUTCAR").write_text(text[: len(text) // 10])
    with pytest.raises(InputError, match="OUTCAR"):
        dg.read_dataset(tmp_path / "OUTCAR")


def test_several_files_are_one_set_with_what_each_carries(tmp_path):
    frames = with_keys(alloys(4), config_type="alloy")
    del frames[1].info["REF_stress"], frames[2].info["REF_energy"]
    atom = Atoms("Cu", positions=[[0, 0, 0]])
    atom.info = {"REF_energy": -0.5, "config_type": "isolated"}
    other = Atoms("Ag", positions=[[0, 0, 0]], cell=[12, 12, 12], pbc=True)
    other.info = {"REF_energy": -0.3, "config_type": "isolated"}
    ase.io.write(tmp_path / "a.xyz", frames, format="extxyz")
    ase.io.write(tmp_path / "b.xyz", [atom, other], format="extxyz")
    data = dg.read_dataset([tmp_path / "a.xyz", tmp_path / "b.xyz"])
    assert data.carries("energy").tolist() == [True, True, False, True, True, True]
    assert data.carries("virial").tolist() == [True, False, True, True, False, False]
    assert data.isolated_atoms == {"Cu": -0.5, "Ag": -0.3}
    told = str(data)
    assert "1 of 6 snapshots carry no energy" in told and "3 of 6 snapshots carry no virial or stress" in told
    assert "Cu -0.5000 eV" in told and "alloy" in told
    table = data.table()
    assert table["source"].tolist()[4] == "b.xyz:0" and np.isnan(table["energy"][2]) and table["formula"][4] == "Cu"
    assert isinstance(data[1:3], LabelledSnapshots) and len(data[1:3] + data[:1]) == 3
    basis = dg.ACEBasis(["Cu", "Ag"], cutoff=4.0, order=2, degree=3)
    blocks = dg.label(data, None, basis, "E+F+V")  # per frame: nothing is missing where others have it
    assert blocks.rows("E") == 5 and blocks.rows("V") == 18 and blocks.rows("F") == 3 * (4 * 4 + 0)


def test_weights_of_configurations_and_atoms_multiply_rows(tmp_path):
    """A configuration of weight 2 counts as four copies; an atom of weight 0 is not fitted; errors are without weights."""
    frames = with_keys(alloys(3), config_type="alloy")
    frames[0].info["trust"] = 2.0
    for atoms in frames:
        atoms.arrays["per_atom"] = np.array([0.0, 1.0, 1.0, 1.0])
        atoms.info.setdefault("trust", 1.0)
    ase.io.write(tmp_path / "a.xyz", frames, format="extxyz")
    plain = dg.read_dataset(tmp_path / "a.xyz")
    heavy = dg.read_dataset(tmp_path / "a.xyz", keys={"weight": "trust", "atom_weights": "per_atom"})
    basis = dg.ACEBasis(["Cu", "Ag"], cutoff=4.0, order=2, degree=3)
    for subdivide in (False, True):
        a = dg.label(plain, None, basis, "E+F+V", subdivide=subdivide)
        b = dg.label(heavy, None, basis, "E+F+V", subdivide=subdivide)
        theta = np.linspace(-1, 1, basis.size)
        error = {}
        for name, blocks in (("plain", a), ("heavy", b)):
            for block in blocks.items:
                error[name, block.kind] = error.get((name, block.kind), 0.0) + block.squared_error(theta)
        weighted = {k: sum(float(np.sum((c.factor @ np.append(theta, -1)) ** 2)) for c in b.items if c.kind == k) for k in "EFV"}
        each = [dg.label([s], None, basis, "E+F+V") for s in plain]
        own = {k: [sum(c.squared_error(theta) for c in e.items if c.kind == k) for e in each] for k in "EFV"}
        for kind in "EFV":
            assert error["heavy", kind] == pytest.approx(error["plain", kind], rel=1e-9)
        for kind in "EV":
            assert weighted[kind] == pytest.approx(4 * own[kind][0] + own[kind][1] + own[kind][2], rel=1e-9)
        assert 0 < weighted["F"] < 4 * own["F"][0] + own["F"][1] + own["F"][2]
    assert "weights of configurations: 1 to 2" in str(heavy)


def test_splits_are_seeded_and_keep_whole_what_they_promise(tmp_path):
    frames = [a for k in range(4) for a in with_keys(alloys(6, 10 * k), config_type=f"set {k}")]
    ase.io.write(tmp_path / "a.xyz", frames, format="extxyz")
    data = dg.read_dataset(tmp_path / "a.xyz")
    first, again, other = (data.split(0.3, "frame", seed) for seed in (1, 1, 2))
    assert [s.source for s in first.test] == [s.source for s in again.test] != [s.source for s in other.test]
    assert len(first.training) + len(first.test) == 24 and len(first.test) == 8 and set(first.test.groups) == set(data.groups)
    by_group = data.split(0.3, "group", 0)
    assert not set(by_group.training.groups) & set(by_group.test.groups)
    named = data.split(["set 2"], "group")
    assert named.test.groups == ("set 2",) and len(named.test) == 6
    by_structure = data.split(0.4, "structure", 0)

    def kinds(part):
        return {(s.group, tuple(sorted(s.cell.symbols))) for s in part}

    assert not kinds(by_structure.training) & kinds(by_structure.test) and len(by_structure.test) > 0
    for wrong, said in [
        ((1.0, "group"), "leaves"),
        ((0.3, "atom"), "frame, structure, group"),
        ((["x"], "group"), "no group 'x'"),
        ((0.0,), "positive"),
    ]:
        with pytest.raises(InputError, match=said):
            data.split(*wrong)


def test_one_body_energies_and_what_compositions_leave_open(as_users_call_it):
    counts = np.array([[2, 2, 0], [4, 4, 1], [1, 1, 3]])
    energies = [2 * -3.0 + 2 * -1.0, 4 * -4.0 + 5.0, -4.0 + 15.0]
    found = one_body_energies(("In", "P", "Ga"), counts, energies, "least-squares", {})
    assert (
        found.undetermined == ("In - P",)
        and found["Ga"] == pytest.approx(5.0)
        and found["In"] + found["P"] == pytest.approx(-4.0)
    )
    assert "In - P" in str(found) and isinstance(found, OneBody)
    whole = one_body_energies(("In", "P"), np.array([[1, 2], [2, 1]]), [-5.0, -4.0], "least-squares", {})
    assert not whole.undetermined and dict(whole) == pytest.approx({"In": -1.0, "P": -2.0})
    for method, said in [
        ("isolated", "isolated atom of Ga"),
        ({"In": 1.0}, "no one-body energy of P"),
        ("x", "least-squares"),
        ({"In": "a", "P": 1, "Ga": 1}, "finite number"),
    ]:
        with pytest.raises(InputError, match=said):
            one_body_energies(("In", "P", "Ga"), counts, energies, method, {"In": 0.0, "P": 0.0})


def test_repeated_frames_are_told_and_contradictions_refused(tmp_path):
    frames = with_keys(alloys(3), config_type="alloy")
    moved = frames[1].copy()
    moved.positions += 0.5
    moved.info["REF_energy"] = frames[1].info["REF_energy"]
    ase.io.write(tmp_path / "a.xyz", [*frames, moved], format="extxyz")
    with pytest.warns(InputWarning, match="1 of 4 snapshots occur twice"):
        data = dg.read_dataset(tmp_path / "a.xyz")
    assert len(data) == 3
    moved.info["REF_energy"] += 0.1
    ase.io.write(tmp_path / "b.xyz", [*frames, moved], format="extxyz")
    with pytest.raises(InputError, match=r"same configuration of 4 atoms, and their energy differ by 0\.025 eV/atom"):
        dg.read_dataset(tmp_path / "b.xyz")


@pytest.mark.parametrize(
    ("make", "options", "said"),
    [
        (lambda at: [], {}, "got none"),
        (lambda at: [3], {}, "paths of files; got int"),
        (lambda at: at / "none.xyz", {}, "there is no file"),
        (lambda at: at / "none.traj", {}, "there is no file"),
        (lambda at: at, {}, "folder without FitSNAP files"),
        (lambda at: write_ase(at / "a.traj", alloys(1)), {"units": {"stress": "GPa"}}, "state their own"),
        (
            lambda at: write_ase(at / "a.traj", alloys(1)),
            {"keys": {"energy": "mine"}},
            "no frame of a.traj has the energy key 'mine'",
        ),
        (lambda at: write_ase(at / "a.traj", alloys(1)), {"keys": {"energi": "mine"}}, "did you mean 'energy'"),
        (lambda at: write_ase(at / "a.traj", bulk("Cu")), {}, "carries an energy"),
        (lambda at: write_fitsnap(at / "a.json", [fitsnap(alloys(1)[0])], StressStyle=None), {}, "states no StressStyle"),
        (lambda at: write_fitsnap(at / "a.json", [fitsnap(alloys(1)[0])], EnergyStyle="erg"), {}, "EnergyStyle 'erg'"),
        (lambda at: write_fitsnap(at / "a.json", [{**fitsnap(alloys(1)[0]), "NumAtoms": 5}]), {}, "says 5 of their number"),
        (lambda at: write_fitsnap(at / "a.json", [{**fitsnap(alloys(1)[0]), "Forces": [[1, 2]]}]), {}, "a.json"),
        (lambda at: (at / "a.json").write_text('{"Dataset": 1') and at / "a.json", {}, "cannot be read as a JSON file"),
        (lambda at: (at / "a.h5").write_text("x") and at / "a.h5", {}, "dataset_from_hdf5"),
        (lambda at: (at / "a.tar.xz").write_text("x") and at / "a.tar.xz", {}, "unpack"),
        (lambda at: (at / "OUTCAR").write_text("once upon a time") and at / "OUTCAR", {}, "OUTCAR"),
    ],
    ids=lambda v: "" if callable(v) or isinstance(v, dict) else v[:30],
)
def test_what_cannot_be_read_is_said_in_a_sentence(as_users_call_it, tmp_path, make, options, said):
    with pytest.raises(InputError, match=said):
        dg.read_dataset(make(tmp_path), **options)


def test_errors_by_split_group_and_species():
    """Against the sums written out, for a model that is no fit at all."""
    basis = dg.ACEBasis(["Cu", "Ag"], cutoff=4.0, order=2, degree=3)
    model = dg.LinearACE(basis, np.linspace(-0.1, 0.1, basis.size))
    frames = alloys(3)
    snapshots = []
    for k, atoms in enumerate(frames):
        cell = dg.bridge.cell_from_ase(Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True))
        r = atoms.calc.results
        labels = {"energy": r["energy"], "forces": r["forces"], "virial": -atoms.get_stress(voigt=False) * atoms.get_volume()}
        snapshots.append(dg.Snapshot(cell, cell.positions, cell.vectors, f"g{k % 2}", labels, f"f:{k}"))
    snapshots[2] = replace(snapshots[2], labels={"forces": snapshots[2].labels["forces"]})
    found = dg.label_errors(model, {"training": snapshots[:1], "test": snapshots[1:]})
    calculator = dg.Calculator(model)
    energy, force = [], []
    for atoms, snapshot in zip(frames, snapshots, strict=True):
        free = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True, calculator=calculator)
        energy.append((free.get_potential_energy() - atoms.get_potential_energy()) / 4)
        force.append(free.get_forces() - atoms.get_forces())
        if snapshot is snapshots[1]:
            stress = free.get_stress() - atoms.get_stress()
    table = found.table().set_index(["split", "group", "kind"])
    assert table.loc["test", "g1", "E"]["rmse"] == pytest.approx(abs(energy[1])) and table.loc["test", "g1", "E"]["rows"] == 1
    both = np.concatenate([force[1], force[2]])
    row = table.loc["test", "all", "F"]
    assert row["rmse"] == pytest.approx(np.sqrt(np.mean(both**2))) and row["rows"] == 24
    assert row["mae"] == pytest.approx(np.abs(both).mean()) and row["max"] == pytest.approx(np.abs(both).max())
    copper = np.concatenate([force[k][np.array(frames[k].symbols) == "Cu"] for k in (1, 2)])
    assert table.loc["test", "all", "F:Cu"]["rmse"] == pytest.approx(np.sqrt(np.mean(copper**2)))
    assert found.rmse("S", "test") == pytest.approx(np.sqrt(np.mean(stress**2)) * 160.21766, rel=1e-6)
    assert found.worst(1, "test")[0].energy_error == pytest.approx(4 * energy[1])
    label, predicted = found.pairs("F", "test")
    np.testing.assert_allclose(predicted - label, both.ravel(), atol=1e-12)
    assert "meV/atom" in str(found) and "f:1 (g1, 4 atoms)" in str(found)
    with pytest.raises(InputError, match="no labels E of 'g0' in 'test'"):
        found.rmse("E", "test", "g0")
    with pytest.raises(InputError, match="carries a label"):
        dg.label_errors(model, [replace(snapshots[0], labels=None)])
