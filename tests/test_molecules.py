"""Molecules: the list, geometries drawn by laws, labels of another code, kept and found again. Needs RDKit and tblite."""

import itertools
from collections import Counter

import numpy as np
import pytest

pytest.importorskip("rdkit")
pytest.importorskip("tblite")

from ase import Atoms
from ase.build import molecule
from ase.units import kB
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdMolAlign
from rdkit.Chem.EnumerateStereoisomers import GetStereoisomerCount, StereoEnumerationOptions

import defectgen as dg
from defectgen._input import InputError
from defectgen.bridge.molecules import (
    ForceField,
    Law,
    Molecule,
    TightBinding,
    conformers,
    free_atoms,
    gather,
    heavy_atoms,
    label_dataset,
    label_molecules,
    library,
    sample,
    scaffold,
    tasks,
)
from defectgen.dataset import Configuration, Dataset, check_dataset, one_body, relative
from defectgen.training import dataset_rows

EVERY = ("H", "C", "N", "O", "F", "S", "Cl")


# the list ---------------------------------------------------------------------------------------------------------------


def test_every_molecule_of_the_list_is_another_small_neutral_one():
    found, names = {}, Counter(m.name for m in library(EVERY))
    assert names.most_common(1)[0][1] == 1 and len(names) > 600
    for m in library(EVERY):
        parsed = Chem.MolFromSmiles(m.smiles)
        assert parsed is not None, m
        canonical = Chem.MolToSmiles(parsed)
        assert found.setdefault(canonical, m.name) == m.name, m
        assert 3 <= parsed.GetNumHeavyAtoms() <= 14 and Chem.GetFormalCharge(parsed) == 0, m
        assert {a.GetSymbol() for a in parsed.GetAtoms()} <= set(EVERY), m
        assert not any(a.GetNumRadicalElectrons() or a.GetIsotope() for a in parsed.GetAtoms()), m


def test_the_list_is_wide_in_scaffolds_and_families():
    chosen = library()
    scaffolds, families = Counter(scaffold(m.smiles) for m in chosen), Counter(m.family for m in chosen)
    assert len(chosen) > 600 and len(scaffolds) > 250 and len(families) > 35
    assert scaffolds[""] < 0.35 * len(chosen) and scaffolds["c1ccccc1"] < 0.2 * len(chosen)
    assert sum(count == 1 for count in scaffolds.values()) > 200
    rows = [m.family for m in library(EVERY)]
    assert [family for family, _ in itertools.groupby(rows)] == list(dict.fromkeys(rows))  # filed in one place each


def test_stereocentres_of_the_list_are_given():
    """But in cages, whose bridgeheads have no choice, and at cumulated bonds, which RDKit counts."""
    for m in library(EVERY):
        if m.family != "bridged" and "=C=" not in m.smiles:
            options = StereoEnumerationOptions(onlyUnassigned=True)
            assert GetStereoisomerCount(Chem.MolFromSmiles(m.smiles), options) == 1, m


def test_the_list_is_chosen_by_elements_and_size():
    chosen = library(("C", "O"), (5, 6))
    assert chosen and all(set(m.smiles) <= set("cCoO[]@H()=#1234/\\") and 5 <= heavy_atoms(m.smiles) <= 6 for m in chosen)
    with pytest.raises(InputError, match="no molecule of the list has only H, Si and 3 to 14 heavy atoms"):
        library(("Si",))


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [("CCO", ""), ("CC(=O)Nc1ccc(O)cc1", "c1ccccc1"), ("CC1CCN(CC1)c1ncccn1", "c1cnc(N2CCCCC2)nc1")],
    ids=["chain", "paracetamol", "two rings and their link"],
)
def test_scaffolds(smiles, expected):
    assert scaffold(smiles) == expected


# geometries -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("smiles", ["NCCO", "CCCCC", "CSCC[C@H](N)C(=O)O"], ids=["ethanolamine", "pentane", "methionine"])
def test_conformers_are_distinct_minima_inside_the_window(smiles):
    found = conformers(smiles, 6, seed=1, window=0.2, distance=0.3)
    again, other = conformers(smiles, 6, seed=1, window=0.2), conformers(smiles, 6, seed=2, window=0.2)
    assert np.array_equal(found.positions, again.positions) and not np.array_equal(found.positions, other.positions)
    assert 2 <= len(found) <= 6 and not found.failures and found.symbols.count("H") > 3
    assert found.energies[0] == 0 and np.all(np.diff(found.energies) >= 0) and found.energies[-1] <= 0.2
    parsed = with_geometry(smiles, found.positions)
    field = ForceField(parsed)
    for x in found.positions:  # RDKit stops at about 1e-4 kcal/mol/A times the root of the number of coordinates
        assert np.abs(field.energy_forces(x)[1]).max() < 1e-3
    for a, b in itertools.combinations(range(len(found)), 2):  # all atoms, aligned by RDKit: more than of the skeleton alone
        assert rdMolAlign.AlignMol(Chem.Mol(parsed), parsed, prbCid=a, refCid=b) > 0.2


def with_geometry(smiles: str, positions: np.ndarray) -> Chem.Mol:
    parsed = Chem.AddHs(Chem.MolFromSmiles(smiles))
    for x in positions:
        there = Chem.Conformer(parsed.GetNumAtoms())
        there.SetPositions(np.ascontiguousarray(x))
        parsed.AddConformer(there, assignId=True)
    return parsed


def test_a_rigid_molecule_has_one_conformer_and_mirror_images_count_once():
    assert len(conformers("c1ccccc1", 5)) == 1
    butane = conformers("CCCC", 10, window=1.0)  # anti, and gauche of either sign
    assert len(butane) == 2 and 0.02 < butane.energies[1] < 0.06  # MMFF94: 0.78 kcal/mol, 0.034 eV (Halgren 1996, part IV)


def test_what_has_no_geometry_is_said_and_skipped(monkeypatch):
    boron = conformers("CB(C)C", 2)
    assert len(boron) == 0 and boron.failures == ("MMFF94 has no parameters for CB(C)C; leave it out",)
    assert sample(boron, Law(300, 2)).failures == ("there is no conformer to start from",)
    embed, calls = rdDistGeom.EmbedMolecule, []

    def sometimes(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("Invariant Violation")
        return -1 if len(calls) == 3 else embed(*arguments)

    monkeypatch.setattr(rdDistGeom, "EmbedMolecule", sometimes)
    found = conformers("CCO", 2)
    assert found.failures == ("2 of 6 embeddings failed",) and len(found) > 0
    monkeypatch.setattr(rdDistGeom, "EmbedMolecule", lambda *_: -1)
    assert conformers("CCO", 1).failures == ("3 of 3 embeddings failed",)
    monkeypatch.undo()
    unfinished = conformers("CCO", 1, iterations=1)
    assert len(unfinished) == 0 and unfinished.failures[0] == "embedding 0 did not reach a minimum of MMFF94"


@pytest.mark.parametrize("seed", [0, 1])
def test_the_force_field_is_the_derivative_of_its_energy_wherever_it_was_before(seed):
    found = conformers("NCCO", 1)
    field = ForceField(with_geometry("NCCO", found.positions))
    rng = np.random.default_rng(seed)
    x = found.positions[0] + 0.1 * rng.normal(size=found.positions[0].shape)
    v = rng.normal(size=x.shape)
    errors = []
    for h in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6):
        high, low = field.energy_forces(x + h * v)[0], field.energy_forces(x - h * v)[0]
        errors.append(abs((high - low) / (2 * h) + np.sum(field.energy_forces(x)[1] * v)))
    assert min(errors) < 1e-3 * max(errors) and min(errors) < 1e-7


def test_a_law_is_that_of_equipartition():
    """Mean energy above the minimum: kT/2 a vibration, and somewhat more where MMFF94's cubic terms soften the wells.

    12 modes and 200 runs leave a statistical error of (2 / (12 * 200))^(1/2) = 2.9 %; the bounds are four of these.
    """
    found = conformers("CC#N", 1)
    field = ForceField(with_geometry("CC#N", found.positions))
    rest = field.energy_forces(found.positions[0])[0]
    modes = 3 * len(found.symbols) - 6
    for temperature in (300.0, 1000.0):
        draws = sample(found, Law(temperature, 200), seed=3).positions
        energies = np.array([field.energy_forces(x)[0] for x in draws]) - rest
        assert np.mean(energies) / (modes / 2 * kB * temperature) == pytest.approx(1.0, abs=4 * np.sqrt(2 / (modes * 200)))


def test_draws_repeat_grow_and_are_wider_when_hotter():
    found = conformers("CCCO", 5)
    few, many = sample(found, Law(300, 3), 7), sample(found, Law(300, 6), 7)
    assert np.array_equal(few.positions, many.positions[:3]) and np.array_equal(few.conformer, many.conformer[:3])
    assert not np.array_equal(few.positions, sample(found, Law(300, 3), 8).positions)
    assert len(set(many.conformer.tolist())) > 1 and not many.failures
    hot = sample(found, Law(1000, 6), 7)

    def spread(draws):
        bonds = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in Chem.AddHs(Chem.MolFromSmiles("CCCO")).GetBonds()]
        i, j = np.array(bonds).T
        lengths = np.linalg.norm(draws.positions[:, i] - draws.positions[:, j], axis=2)
        rest = np.linalg.norm(found.positions[0][i] - found.positions[0][j], axis=1)
        return np.std(lengths - rest)

    assert 1.4 < spread(hot) / spread(many) < 2.4  # sqrt(1000 / 300) = 1.8
    centre = np.average(hot.positions[0], axis=0, weights=Atoms(found.symbols).get_masses())
    assert np.allclose(centre, np.average(found.positions[hot.conformer[0]], axis=0, weights=Atoms(found.symbols).get_masses()))


def test_a_broken_bond_is_said_and_skipped(monkeypatch):
    found = conformers("CCO", 1)
    draws = sample(found, Law(30000, 3, duration=100))
    assert len(draws.positions) < 3 and draws.failures[0].endswith("at 30000 K broke a bond")


# labels -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["CH3SH", "CH3CONH2"])
def test_forces_are_the_derivative_of_the_energy(name):
    atoms, reference = molecule(name), TightBinding()
    rng = np.random.default_rng(0)
    x, v = atoms.positions + 0.05 * rng.normal(size=(len(atoms), 3)), rng.normal(size=(len(atoms), 3))
    symbols = tuple(atoms.symbols)
    slope = -np.sum(reference.label(symbols, x)[1] * v)
    errors = []
    for h in (3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4):
        high, low = reference.label(symbols, x + h * v)[0], reference.label(symbols, x - h * v)[0]
        errors.append(abs((high - low) / (2 * h) - slope))
    assert min(errors) < 1e-3 * max(errors) and min(errors) < 3e-5  # forces of accuracy 0.1 are good to 6e-6 eV/A each


def test_labels_do_not_depend_on_what_was_asked_before_nor_on_the_route():
    atoms, reference = molecule("C2H6CHOH"), TightBinding()
    symbols = tuple(atoms.symbols)
    one = reference.label(symbols, atoms.positions)
    reference.label(symbols, atoms.positions + 0.3)
    two = reference.label(symbols, atoms.positions)
    assert one[0] == two[0] and np.array_equal(one[1], two[1])
    box, open_ = np.eye(3) * 20, (False, False, False)
    found = reference.evaluate(symbols, atoms.positions, box, open_, False)
    assert found.energy == one[0] and np.array_equal(found.forces, one[1])
    moved = reference.label(symbols, atoms.positions @ np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0].T)
    assert moved[0] == pytest.approx(one[0], abs=1e-6)


def test_the_ase_calculator_of_tblite_is_a_second_route():
    ase_interface = pytest.importorskip("tblite.ase")
    atoms = molecule("CH3OH")
    atoms.calc = ase_interface.TBLite(method="GFN2-xTB", accuracy=0.1, verbosity=0)
    energy, forces = TightBinding().label(tuple(atoms.symbols), atoms.positions)
    # the two convert hartree and bohr by constants of different years, which differ in the eighth digit
    assert energy == pytest.approx(atoms.get_potential_energy(), rel=1e-7)
    assert np.allclose(forces, atoms.get_forces(), atol=1e-5)


LAWS = (Law(300, 2), Law(1000, 1))
SMALL = (Molecule("ethanol", "CCO"), Molecule("acetonitrile", "CC#N"), Molecule("borane", "CB(C)C"), Molecule("nothing", "C1CC"))


def test_labels_are_kept_and_found_again(tmp_path):
    first = label_molecules(SMALL[:1], LAWS, tmp_path / "labels")
    events = []
    whole = label_molecules(SMALL, LAWS, tmp_path / "labels", progress=lambda e: events.append((e.event, e.label)))
    assert ("found", "ethanol labels") in events and ("done", "acetonitrile labels") in events
    seen = []
    again = label_molecules(SMALL, LAWS, tmp_path / "labels", progress=lambda e: seen.append(e.event))
    assert set(seen) == {"begin", "found", "end"}  # nothing is computed any more
    assert whole.dataset.structures == ("ethanol", "acetonitrile") and whole.dataset.laws == ("300 K", "1000 K")
    assert len(whole.dataset) == 6 and whole.dataset.truth == "GFN2-xTB"
    assert np.array_equal(again.dataset.energies, whole.dataset.energies)
    assert np.array_equal(first.dataset.energies, whole.dataset.energies[:3])
    assert whole.failures["borane"][0].startswith("MMFF94 has no parameters")
    assert whole.failures["nothing"] == ("a molecule is a SMILES string such as CCO or c1ccccc1; RDKit cannot read 'C1CC'",)
    check_dataset(whole.dataset)
    assert len({c.positions.tobytes() for c in whole.dataset.configurations}) == 6


def test_a_label_that_fails_is_said_and_the_others_are_kept(tmp_path):
    """The second geometry has all its atoms in one place."""
    atoms = molecule("H2O")
    places = [("300 K", 0, atoms.positions), ("300 K", 1, np.zeros((3, 3))), ("1000 K", 0, atoms.positions + 1.0)]
    water = tuple(Configuration("water", number, tuple(atoms.symbols), x, law) for law, number, x in places)
    found = label_dataset(Dataset(water), tmp_path)
    assert [(c.law, c.conformation) for c in found.dataset.configurations] == [("300 K", 0), ("1000 K", 0)]
    (said,) = found.failures["water"]
    assert said.startswith("configuration 1 of 300 K: GFN2-xTB ") and said.endswith("leave the geometry out")


def test_a_data_set_can_be_labelled_anew(tmp_path):
    found = label_molecules(SMALL[:2], LAWS, tmp_path / "one").dataset
    blank = Dataset(tuple(type(c)(c.structure, c.conformation, c.symbols, c.positions, c.law) for c in found.configurations))
    again = label_dataset(blank, tmp_path / "two")
    assert np.array_equal(again.dataset.energies, found.energies) and not again.failures
    assert [c.law for c in again.dataset.configurations] == [c.law for c in found.configurations]


def test_tasks_are_few_and_their_records_are_gathered_in_order():
    plan = tasks(SMALL[:2], LAWS, seed=3)
    assert len(plan) == 2 and all(len(task.after) == 1 for task in plan)
    assert plan[0].key != tasks(SMALL[:2], LAWS, seed=4)[0].key and plan[0].key == tasks(SMALL[:1], LAWS, seed=3)[0].key
    assert gather([None]).dataset.structures == ()


def bad_input():
    yield "smiles", lambda: conformers("C1CC"), "RDKit cannot read 'C1CC'"
    yield "count", lambda: conformers("CCO", 0), "conformers need a count from 1"
    yield "temperature", lambda: Law(0, 3), r"a law needs a temperature \(K\), step and duration"
    yield "draws", lambda: Law(300, -1), "a number of configurations for each molecule; got -1"
    yield "nobody", lambda: tasks((), LAWS), "molecules to be labelled need different names; got none"
    yield "twice", lambda: tasks(SMALL[:1] * 2, LAWS), "need different names; got 'ethanol' twice"
    yield "laws", lambda: tasks(SMALL, LAWS[:1] * 2), "laws to be labelled need different names; got '300 K' twice"
    yield "method", lambda: TightBinding("DFT"), "the tight-binding methods are GFN2-xTB and GFN1-xTB; got 'DFT'"
    yield "atoms", lambda: free_atoms(["Xe"]), "free atoms are listed for H, C, N, O, F, S, Cl; got 'Xe'"
    yield "overlap", lambda: TightBinding().label(("C", "C"), np.zeros((2, 3))), "could not label 2 atoms|gave no numbers"
    yield "crystal", lambda: dg.evaluate(TightBinding(), dg.supercell(dg.fcc("Cu", 3.6), 1)), "labels molecules here"


@pytest.mark.parametrize(("make", "sentence"), [pytest.param(m, s, id=i) for i, m, s in bad_input()])
def test_bad_input_is_said_in_one_sentence(make, sentence, unchecked):
    with pytest.raises(InputError, match=sentence) as error:
        make()
    assert "\n" not in str(error.value)


# all of it together -----------------------------------------------------------------------------------------------------


def test_a_fit_to_labels_predicts_conformations_it_has_not_seen(tmp_path):
    chosen = [m for m in library(("C", "O", "H"), (3, 4)) if m.family in ("alcohol", "ether", "alkane")]
    data = label_molecules(chosen, (Law(300, 8),), tmp_path).dataset
    assert len(data.structures) == len(chosen) >= 8
    basis = dg.ACEBasis(data.species, 4.0, 2, 4, w_l=0.5, pair_degree=6)
    rows = dataset_rows(data, basis)
    train = data.where(condition=lambda c: c.conformation < 6)
    test = np.setdiff1d(np.arange(len(data)), train)
    offsets = one_body(data[train])
    model = dg.fit(rows.blocks(train, offsets), "E+F", prior=1e-3).model
    errors, spread = rows.errors(model, test, offsets), rows.errors(0 * model.coefficients, test, offsets)
    assert errors.rmse_forces < 0.3 * spread.rmse_forces and errors.rmse_energy < 0.3 * spread.rmse_energy
    assert np.abs(relative(data, free_atoms(data.species))).max() > 10 * np.abs(relative(data, offsets)).max()  # atomisation
