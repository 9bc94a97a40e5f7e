"""Data sets: names and numbers, what is wrong with foreign ones, budgets and divisions, rows that are computed once."""

import sys
from dataclasses import replace

import ase.io
import h5py
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.units import Bohr, Hartree
from hypothesis import assume, given
from hypothesis import strategies as st

import defectgen as dg
from defectgen._input import InputError
from defectgen.bridge import cell_from_ase, dataset_from_extxyz, dataset_from_hdf5
from defectgen.crystal import Snapshot
from defectgen.dataset import (
    Configuration,
    Dataset,
    budget_grid,
    check_dataset,
    composition,
    divide,
    from_snapshots,
    one_body,
    relative,
)
from defectgen.training import dataset_rows, with_offsets
from defectgen.training.dataset_rows import live_columns

MODULE = sys.modules[dataset_rows.__module__]

SPECIES = ("H", "C", "N", "O")
NAMES = ("CH3OH", "CH3CN", "H2O", "C2H6", "HCOOH", "CH3CH2OH", "C6H6")
"""Molecules of ASE's collection: three sets of elements, sizes 3 to 12."""


def of_ase(name: str, number: int, seed: int = 0, amplitude: float = 0.05, law: str = "rattled", **labels) -> Configuration:
    atoms = molecule(name)
    x = atoms.positions + amplitude * np.random.default_rng([seed, number, len(atoms)]).normal(size=(len(atoms), 3))
    return Configuration(name, number, tuple(atoms.symbols), x, law, **labels)


def small_basis() -> dg.ACEBasis:
    return dg.ACEBasis(SPECIES, 4.0, 2, 3, pair_degree=4)


@pytest.fixture(scope="module")
def modelled():
    """Molecules labelled by a model in the span of the basis, the basis and the coefficients."""
    basis = small_basis()
    theta = np.random.default_rng(5).normal(size=basis.size)
    calculator = dg.Calculator(dg.LinearACE(basis, theta))
    found = []
    for name in NAMES:
        for number in range(8):
            c = of_ase(name, number, law="cold" if number < 6 else "hot", amplitude=0.05 if number < 6 else 0.1)
            atoms = Atoms(c.symbols, c.positions, calculator=calculator)
            found.append(replace(c, energy=float(atoms.get_potential_energy()), forces=atoms.get_forces()))
    return Dataset(tuple(found), "a model"), basis, theta


# configurations and their numbers ---------------------------------------------------------------------------------------


def test_numbers_choose_and_keep_their_order():
    data = Dataset(tuple(of_ase(name, k, law=law) for name in NAMES[:3] for law in ("a", "b") for k in range(2)))
    assert data.structures == NAMES[:3] and data.laws == ("a", "b") and data.species == ("H", "C", "N", "O")
    assert data.where("CH3CN").tolist() == [4, 5, 6, 7] and data.where(["H2O", "CH3OH"], "b").tolist() == [2, 3, 10, 11]
    assert data.where(laws="a", condition=lambda c: c.conformation == 1).tolist() == [1, 5, 9]
    assert [c.structure for c in data[[9, 0]].configurations] == ["H2O", "CH3OH"]
    assert data.sizes() == {"CH3OH": 2, "CH3CN": 3, "H2O": 1}
    assert len(data[[0]] + data[[1, 2]]) == 3 and data.atoms.tolist() == [6] * 8 + [3] * 4


def bad_inputs():
    good = of_ase("H2O", 0)
    moved = replace(good, conformation=1, positions=good.positions + 0.01)
    yield "shape", lambda: replace(good, positions=np.zeros((2, 3))), r"positions of configuration 0 of 'H2O' must be numbers of"
    yield "nan", lambda: replace(good, energy=float("nan")), r"energy of configuration 0 of 'H2O' must be finite; 1 of 1"
    yield "huge", lambda: replace(good, positions=good.positions * 1e200), r"positions of .* must be below 1e\+100.*leave this"
    yield "empty", lambda: replace(good, symbols=(), positions=np.zeros((0, 3))), r"has no atoms"
    yield "cell", lambda: replace(good, periodic=(True, True, True)), r"periodic and has no cell vectors"
    yield "same name", lambda: Dataset((good, good)), r"has two configurations of law 'rattled' with the number 0"
    yield "element", lambda: Dataset((replace(good, symbols=("Xx", "H", "H")),)), r"chemical symbol is needed.*'Xx'"
    yield "atoms", lambda: Dataset((good, replace(moved, symbols=("O", "H", "F")))), r"have different atoms, H2O and FHO"
    yield "number", lambda: Dataset((good,))[[1]], r"configurations 0 to 0; got numbers from 1 to 1"
    yield "structure", lambda: Dataset((good,)).where("water"), r"no structure 'water'; it has 1: 'H2O'"
    yield "truths", lambda: Dataset((good,), "one") + Dataset((moved,), "two"), r"one reference; got 'one' and 'two'"
    yield "no id", lambda: check_dataset(Dataset((replace(good, structure="", energy=1.0),))), r"has no structure id"
    yield "no forces", lambda: check_dataset(Dataset((replace(good, energy=1.0),))), r"'H2O' has no forces; compute it"
    yield "nothing", lambda: check_dataset(Dataset(())), r"the data set is empty"
    yield "offset", lambda: relative(Dataset((replace(good, energy=1.0),)), {"H": 1.0}), r"no one-body offset of O, only of H"
    yield "no rows", lambda: dataset_rows(Dataset(()), small_basis()), r"the data set is empty"
    yield "species", lambda: dataset_rows(Dataset((good,)), dg.ACEBasis(["O"], 4.0, 1, 2)), r"is for O; the cell contains H"


@pytest.mark.parametrize(("make", "sentence"), [pytest.param(m, s, id=i) for i, m, s in bad_inputs()])
def test_bad_input_is_said_in_one_sentence(make, sentence, unchecked):
    with pytest.raises(InputError, match=sentence) as error:
        make()
    assert "\n" not in str(error.value)


# what is wrong with foreign data ----------------------------------------------------------------------------------------


def labelled_water(*positions, energies=None):
    energies = [-100.0 - 0.01 * k for k in range(len(positions))] if energies is None else energies
    each = zip(positions, energies, strict=True)
    good = of_ase("H2O", 0)
    return Dataset(tuple(replace(good, conformation=k, positions=x, energy=e, forces=0 * x) for k, (x, e) in enumerate(each)))


@given(seed=st.integers(0, 1000), reflected=st.booleans())
def test_a_configuration_that_was_moved_turned_or_relabelled_is_the_same_one(seed, reflected):
    rng = np.random.default_rng(seed)
    x, y = of_ase("H2O", 0, seed).positions, of_ase("H2O", 1, seed).positions
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn = turn * np.sign(np.linalg.det(turn)) * (-1 if reflected else 1)
    copy = (x @ turn.T + rng.normal(size=3))[[0, 2, 1]]  # O stays, the hydrogens are exchanged
    with pytest.raises(InputError, match=r"the same configuration twice, numbers 0 \(rattled\) and 2 \(rattled\), and 1 such"):
        check_dataset(labelled_water(x, y, copy))
    check_dataset(labelled_water(x, y, copy), duplicates=False)
    check_dataset(labelled_water(x, y, copy + 0.01 * np.eye(3)))  # the check can pass


@pytest.mark.parametrize(
    ("factor", "units"),
    [(27.2114, "eV and hartree"), (627.51, "hartree and kcal/mol"), (23.06, "eV and kcal/mol"), (96.485, "eV and kJ/mol")],
)
def test_energies_in_mixed_units_are_noticed(factor, units):
    x = [of_ase("H2O", k).positions for k in range(4)]
    with pytest.raises(InputError, match=rf"differ by a factor of [\d.]+, which is that of {units}"):
        check_dataset(labelled_water(*x, energies=[-140.0, -140.2, -140.1 * factor, -140.3]))
    check_dataset(labelled_water(*x, energies=[0.1, 0.1 * factor, 0.02, 0.5]))  # energies of excitation have any ratio
    check_dataset(labelled_water(*x, energies=[-140.0, -141.2, -140.1, -140.3]))


def test_offsets_are_the_part_that_counts_atoms():
    truth = {"H": -10.5, "C": -49.0, "N": -71.0, "O": -103.0}
    data = Dataset(tuple(of_ase(name, k) for name in NAMES for k in range(3)))
    counts = composition(data, SPECIES)
    assert np.array_equal(counts[0], [4, 1, 0, 1]) and np.linalg.matrix_rank(counts) == 4
    small = np.random.default_rng(0).normal(size=len(data))
    whole = counts @ list(truth.values()) + small
    data = Dataset(tuple(replace(c, energy=float(e)) for c, e in zip(data.configurations, whole, strict=True)))
    assert np.allclose(relative(data, truth), small)
    fitted = relative(data, one_body(data))
    assert np.allclose(counts.T @ fitted, 0, atol=1e-8)  # what is left is orthogonal to counting: a least-squares fit
    assert np.linalg.norm(fitted) < np.linalg.norm(small)


# files ------------------------------------------------------------------------------------------------------------------


def frame(number: int, name: str = "CH3OH", **info) -> Atoms:
    c = of_ase(name, number)
    atoms = Atoms(c.symbols, c.positions, info={"mol": name, "REF_energy": -20.0 - 0.1 * number, "config_type": "hot", **info})
    atoms.arrays["REF_forces"] = 0.1 * c.positions
    return atoms


def test_extended_xyz_is_read_in_its_units(tmp_path):
    path = tmp_path / "frames.xyz"
    ase.io.write(path, [frame(0), frame(1), frame(0, "H2O")], format="extxyz")
    data = dataset_from_extxyz(path, "mol", energy_unit="hartree", length_unit="A")
    assert data.structures == ("CH3OH", "H2O") and data.laws == ("hot",)
    assert [c.conformation for c in data.configurations] == [0, 1, 0]
    assert np.allclose(data.energies, np.array([-20.0, -20.1, -20.0]) * Hartree, rtol=1e-12)
    first = data.configurations[0]
    assert np.allclose(first.forces, 0.1 * of_ase("CH3OH", 0).positions * Hartree, atol=1e-6)  # the writer keeps eight decimals
    assert first.vectors is None and first.periodic == (False, False, False)


def test_extended_xyz_of_a_crystal_keeps_its_cell(tmp_path):
    atoms = Atoms("Cu", cell=[2.0, 3.0, 4.0], pbc=True, info={"phase": "p", "REF_energy": -3.0})
    ase.io.write(tmp_path / "c.xyz", atoms, format="extxyz")
    (c,) = dataset_from_extxyz(tmp_path / "c.xyz", "phase").configurations
    assert np.allclose(c.vectors, np.diag([2.0, 3.0, 4.0])) and all(c.periodic) and c.forces is None


def unforced(k):
    atoms = frame(k)
    del atoms.arrays["REF_forces"]
    return atoms


@pytest.mark.parametrize(
    ("frames", "options", "sentence"),
    [
        ([frame(0)], {"structure": "smiles"}, r"frame 0 .* has no structure id 'smiles'; its keys are: config_type, mol"),
        ([frame(0), unforced(1)], {}, r"configuration 1 of 'CH3OH' has no forces"),
        ([frame(0), frame(1, REF_energy=-20.0 * 27.2)], {}, r"differ by a factor of 27.2, which is that of eV and hartree"),
        ([frame(0), frame(0)], {}, r"the same configuration twice"),
        ([frame(0), frame(0, "H2O", mol="CH3OH")], {}, r"have different atoms, COH4 and OH2|have different atoms"),
        ([frame(0)], {"energy_unit": "kcal"}, r"units of energy are eV, meV, hartree, Ry, mRy, kcal/mol, kJ/mol; got 'kcal'"),
    ],
    ids=["no id", "missing forces", "mixed units", "twice", "two molecules of one name", "unit"],
)
def test_bad_extended_xyz_is_said_in_one_sentence(frames, options, sentence, tmp_path):
    ase.io.write(tmp_path / "frames.xyz", frames, format="extxyz")
    with pytest.raises(InputError, match=sentence):
        dataset_from_extxyz(tmp_path / "frames.xyz", **{"structure": "mol", **options})


def write_hdf5(path, **changes):
    with h5py.File(path, "w") as file:
        for name in ("CH3OH", "H2O"):
            x = np.array([of_ase(name, k).positions for k in range(3)])
            content = {
                "conformations": x / Bohr,
                "atomic_numbers": Atoms(molecule(name)).numbers,
                "dft_total_energy": -5.0 - 0.001 * np.arange(3),
                "dft_total_gradient": 0.01 * x,
                "smiles": np.array([name.encode()]),
            }
            group = file.create_group(f"set/{name}")
            for key, value in {**content, **changes}.items():
                if value is not None:
                    group[key] = value


def test_hdf5_groups_are_read_in_their_units(tmp_path):
    write_hdf5(tmp_path / "a.h5")
    data = dataset_from_hdf5(tmp_path / "a.h5", law="MD")
    assert data.structures == ("set/CH3OH", "set/H2O") and len(data) == 6 and data.laws == ("MD",)
    assert np.allclose(data.configurations[4].positions, of_ase("H2O", 1).positions)
    assert np.allclose(data.energies[:3], (-5.0 - 0.001 * np.arange(3)) * Hartree)
    expected = -0.01 * of_ase("H2O", 1).positions * Hartree / Bohr  # a gradient is minus the forces
    assert np.allclose(data.configurations[4].forces, expected) and np.abs(expected).max() > 0
    part = dataset_from_hdf5(tmp_path / "a.h5", structures=["set/H2O"], most=2, structure="smiles", forces=None)
    assert part.structures == ("H2O",) and len(part) == 2 and part.configurations[0].forces is None


@pytest.mark.parametrize(
    ("changes", "options", "sentence"),
    [
        ({}, {"positions": "xyz"}, r"has 0 groups with 'xyz', at its top are set"),
        ({}, {"structures": ["set/CH4"]}, r"has 2 groups with 'conformations', and 'set/CH4' is none of them"),
        ({"dft_total_energy": None}, {}, r"group set/CH3OH .* has no 'dft_total_energy'; its keys are: atomic_numbers"),
        ({"atomic_numbers": np.array([0] * 6)}, {}, r"has an atom of number 0, which is no element"),
        ({"dft_total_energy": np.zeros(2)}, {}, r"has positions of shape \(3, 6, 3\), 6 atomic numbers, 2 energies"),
        ({"dft_total_energy": np.array([1.0, np.nan, 1.0])}, {}, r"energy of configuration 1 .* must be finite"),
    ],
    ids=["positions", "group", "energy", "element", "shape", "nan"],
)
def test_bad_hdf5_is_said_in_one_sentence(changes, options, sentence, tmp_path):
    write_hdf5(tmp_path / "a.h5", **changes)
    with pytest.raises(InputError, match=sentence):
        dataset_from_hdf5(tmp_path / "a.h5", **options)


def test_a_file_that_is_no_hdf5_is_said(tmp_path):
    (tmp_path / "a.h5").write_text("text")
    with pytest.raises(InputError, match="cannot be read as a data set, in HDF5"):
        dataset_from_hdf5(tmp_path / "a.h5")


# budgets and divisions --------------------------------------------------------------------------------------------------


@given(
    labels=st.integers(1, 3000),
    structures=st.integers(1, 400),
    conformations=st.integers(1, 400),
    ratio=st.sampled_from([1.5, 2, 4]),
)
def test_every_pair_of_a_grid_costs_the_budget_and_both_extremes_are_there(labels, structures, conformations, ratio):
    feasible = [s for s in range(1, labels + 1) if labels % s == 0 and s <= structures and labels // s <= conformations]
    if len(feasible) < 3:
        with pytest.raises(InputError, match="a budget of"):
            budget_grid(labels, structures, conformations, ratio)
        return
    grid = budget_grid(labels, structures, conformations, ratio)
    assert all(s * c == labels and s <= structures and c <= conformations for s, c in grid)
    assert (grid[0][0], grid[-1][0]) == (feasible[0], feasible[-1])
    assert len(grid) >= 3 and [s for s, _ in grid] == sorted({s for s, _ in grid})


def test_a_power_of_two_has_the_even_grid():
    assert budget_grid(64, 100, 100) == ((1, 64), (2, 32), (4, 16), (8, 8), (16, 4), (32, 2), (64, 1))
    assert budget_grid(64, 100, 16) == ((4, 16), (8, 8), (16, 4), (32, 2), (64, 1))
    assert budget_grid(256, 1000, 1000, ratio=4) == ((1, 256), (4, 64), (16, 16), (64, 4), (256, 1))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((97, 200, 200), r"97 labels splits into S x C .* in 2 ways \(1 x 97, 97 x 1\), .*; use 128"),
        ((1000, 20, 20), r"1000 labels is more than 20 structures x 20 configurations hold"),
        ((0, 20, 20), r"number of labels is a whole number from 1 on; got 0"),
        ((64, 20, 20, 1.0), r"ratio of neighbours .* larger than 1"),
    ],
    ids=["prime", "too much", "nothing", "ratio"],
)
def test_a_budget_that_cannot_be_split_is_said(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        budget_grid(*arguments)


def population(structures: int, conformations: int, seed: int):
    """Chains of 1 to 9 carbon atoms with a scaffold each, some shared, a few configurations under two laws."""
    rng = np.random.default_rng(seed)
    found, scaffolds = [], {}
    for k in range(structures):
        name, size = f"s{k}", int(rng.integers(1, 10))
        scaffolds[name] = int(rng.integers(structures // 2 + 1))
        for law in ("cold", "hot"):
            found += [Configuration(name, c, ("C",) * size, rng.normal(size=(size, 3)), law) for c in range(conformations)]
    return Dataset(tuple(found)), scaffolds


@given(structures=st.integers(20, 40), seed=st.integers(0, 100), reserve=st.integers(1, 3))
def test_nobody_who_tests_has_trained(structures, seed, reserve):
    data, scaffolds = population(structures, 5, seed)
    smallest = min(list(scaffolds.values()).count(s) for s in scaffolds.values())
    assume(smallest <= 0.1 * structures)
    division = divide(data, scaffolds, seed, law="cold", wider="hot", reserve=reserve, structural=0.2, scaffold=0.3, size=0.3)
    train = np.concatenate(list(division.pool.values()))
    sizes, pool = data.sizes(), set(division.pool)

    def of(test):
        return {data.configurations[n].structure for n in division.tests.get(test, [])}

    every = [set(numbers.tolist()) for numbers in division.tests.values()]
    assert len(set().union(*every)) == sum(map(len, every)) and not set().union(*every) & set(train.tolist())
    assert all(data.configurations[n].law == "cold" for n in train)
    assert not (of("structural") | of("scaffold") | of("size")) & pool
    assert not {scaffolds[s] for s in of("scaffold")} & {scaffolds[s] for s in pool | of("structural")}
    assert all(sizes[s] > max(sizes[p] for p in pool | of("scaffold") | of("structural")) for s in of("size"))
    assert len(of("structural")) == round(0.2 * structures) and len(of("scaffold")) <= 0.3 * structures
    assert of("in-distribution") == of("wider") == pool
    assert {data.configurations[n].law for n in division.tests["wider"]} == {"hot"}
    assert all(len(m) == 5 - reserve and len(division.reserved[s]) == reserve for s, m in division.pool.items())


def test_designs_of_one_seed_are_nested_and_share_their_tests():
    data, scaffolds = population(30, 8, 0)

    def again(seed):
        return divide(data, scaffolds, seed, law="cold", wider="hot", scaffold=0.2, size=0.3)

    one, two, other = again(1), again(1), again(2)
    assert all(np.array_equal(one.tests[k], two.tests[k]) for k in one.tests)
    assert not np.array_equal(one.design(4, 2), other.design(4, 2))
    small, more, deep = one.design(2, 2), one.design(4, 2), one.design(2, 4)
    assert set(small) <= set(more) and set(small) <= set(deep) and len(more) == len(deep) == 8
    structures = list(dict.fromkeys(data.configurations[n].structure for n in small))
    tests = one.conformational(structures)
    assert {data.configurations[n].structure for n in tests} == set(structures) and len(tests) == 8
    assert np.array_equal(one.tests["size"], other.tests["size"])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"law": "warm"}, r"no law 'warm'; it has 2: 'cold', 'hot'"),
        ({"reserve": 8}, r"nothing is left to train on"),
        ({"size": 0.9}, r"the parts held out are from 0 to 1 and leave something"),
        ({"scaffold": 0.001}, r"no whole scaffold fits into 0.0 structures"),
    ],
    ids=["law", "reserve", "parts", "scaffold"],
)
def test_a_division_that_leaves_nothing_is_said(settings, sentence):
    data, scaffolds = population(30, 8, 0)
    with pytest.raises(InputError, match=sentence):
        divide(data, scaffolds, 0, **{"law": "cold", **settings})
    with pytest.raises(InputError, match=r"29 structures have no scaffold, the first is 's1'"):
        divide(data, {"s0": 1}, 0, law="cold")
    with pytest.raises(InputError, match=r"99 structures with 2 configurations each was requested, and \d+ structures"):
        divide(data, scaffolds, 0, law="cold").design(99, 2)


# rows -------------------------------------------------------------------------------------------------------------------


def test_rows_times_coefficients_are_the_model(modelled):
    """O(basis) @ theta == O(basis @ theta); the right-hand side is the ASE calculator of the model."""
    data, basis, theta = modelled
    rows = dataset_rows(data, basis)
    errors = rows.errors(theta, np.arange(len(data)))
    # rounding of sums of some hundred terms of order one
    assert np.abs(errors.energy).max() < 1e-11 and errors.forces.max() < 1e-11
    assert np.abs(data.energies).max() > 1 and rows.errors(1.1 * theta, [0, 9]).rmse_forces > 1e-3


def test_dropped_columns_are_zero_and_only_these_are_dropped(modelled):
    data, basis, _ = modelled
    for c in (data.configurations[n] for n in (0, 8, 16, 24)):
        full = MODULE._rows(c, basis)
        live = live_columns(basis, set(c.symbols))
        dead = np.setdiff1d(np.arange(basis.size), live)
        assert len(dead) and not full[:, dead].any()
    assert len(live_columns(basis, SPECIES)) == basis.size
    assert len({id(columns) for columns in dataset_rows(data, basis).columns}) == 4  # CHO, CHN, HO, CH


def test_blocks_of_a_choice_are_those_of_label(modelled):
    """Two routes to one fit: rows kept by configuration, and snapshots of molecules through `label`."""
    data, basis, _ = modelled
    rng = np.random.default_rng(0)
    noisy = [
        replace(c, energy=c.energy + rng.normal(), forces=c.forces + rng.normal(size=(len(c), 3))) for c in data.configurations
    ]
    data = Dataset(tuple(noisy), "noise")
    chosen, snapshots = np.array([0, 3, 9, 17, 30, 33, 50, 7, 15]), []
    for c in data[chosen].configurations:
        cell = cell_from_ase(Atoms(c.symbols, c.positions))
        snapshots.append(Snapshot(cell, c.positions, cell.vectors, c.law, {"energy": c.energy, "forces": c.forces}))
    weights = {"E": 3.0, "F": {"cold": 1.0, "hot": 0.5}}
    ours = dg.fit(dataset_rows(data, basis).blocks(chosen), "E+F", weights, prior=0.1)
    theirs = dg.fit(dg.label(snapshots, None, basis, "E+F"), "E+F", weights, prior=0.1)
    assert np.allclose(ours.coefficients, theirs.coefficients, rtol=1e-7, atol=1e-9)
    for kind in "EF":
        assert ours.rmse[kind] == pytest.approx(theirs.rmse[kind], rel=1e-8) and ours.rmse[kind] > 0.01
        assert ours.rmse_by_group[kind] == pytest.approx(theirs.rmse_by_group[kind], rel=1e-8)


def test_a_reference_in_the_span_is_found_again_from_part_of_the_data(modelled):
    data, basis, _ = modelled
    rows = dataset_rows(data, basis)
    train = data.where(condition=lambda c: c.conformation < 5)
    offsets = {"H": 1.0, "C": -2.0, "N": 0.5, "O": 3.0}
    fitted = dg.fit(rows.blocks(train, offsets), "E+F", prior=1e-8)
    test = np.setdiff1d(np.arange(len(data)), train)
    found = rows.errors(fitted.model, test, offsets)
    whole = rows.errors(with_offsets(fitted.model, offsets), test)
    # the prior moves directions that the rows hardly see, by about its square over theirs
    assert found.rmse_forces < 1e-5 and found.rmse_energy < 1e-5
    assert np.allclose(found.energy, whole.energy, atol=1e-10) and np.array_equal(found.forces, whole.forces)
    assert rows.errors(fitted.model, test).rmse_energy > 0.1  # without its offsets the model is wrong


def test_errors_are_averaged_over_atoms_components_and_structures(modelled):
    data, basis, theta = modelled
    rows = dataset_rows(data, basis)
    shifted = theta.copy()
    shifted[0] += 0.5  # one-body energy of H
    chosen = [0, 1, 17, 18]  # CH3OH twice, H2O twice
    errors = rows.errors(shifted, chosen)
    assert errors.structures == ("CH3OH", "CH3OH", "H2O", "H2O")
    assert np.allclose(errors.energy, [0.5 * 4 / 6, 0.5 * 4 / 6, 0.5 * 2 / 3, 0.5 * 2 / 3])
    assert errors.rmse_energy_within < 1e-10 and errors.rmse_energy == pytest.approx(1 / 3)
    wrong = rows.errors(0 * theta, chosen)
    forces = np.concatenate([data.configurations[n].forces.ravel() for n in chosen])
    assert wrong.rmse_forces == pytest.approx(np.sqrt(np.mean(forces**2)))


def test_crystals_have_rows_too():
    lattice = dg.fcc("Cu", 3.6)
    cells = [c for c in dg.training_cells(lattice, dg.vacancy(), 2, seed=0) if c.group == "defect"]
    truth = dg.ASEReference(EMT())
    labelled = []
    for c in cells:
        found = dg.evaluate(truth, c.cell, c.positions, c.vectors, False)
        labelled.append(replace(c, labels={"energy": found.energy, "forces": found.forces}))
    data = from_snapshots(labelled, "fcc 2 vacancy", truth="EMT")
    assert data.structures == ("fcc 2 vacancy",) and data.laws == ("defect",) and all(data.configurations[0].periodic)
    basis = dg.ACEBasis(["Cu"], 4.0, 2, 5)
    ours = dg.fit(dataset_rows(data, basis).blocks(np.arange(len(data))), "E+F", prior=0.1)
    theirs = dg.fit(dg.label(labelled, None, basis, "E+F"), "E+F", prior=0.1)
    assert np.allclose(ours.coefficients, theirs.coefficients, rtol=1e-6, atol=1e-9)
    assert ours.rmse == pytest.approx(theirs.rmse, rel=1e-8)


def test_kept_rows_are_found_again(modelled, tmp_path):
    data, basis, theta = modelled
    data = data[np.arange(0, len(data), 8)]

    def interrupt(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dataset_rows(data, basis, tmp_path / "rows", interrupt)
    kept = np.memmap(tmp_path / "rows" / "rows.f64", np.float64, "r+")
    whole = dataset_rows(data, basis)
    done = whole.starts[3]
    assert np.array_equal(kept[:done], whole.values[:done]) and not kept[done:].any()
    kept[:done] *= 2  # what was kept is read, and not computed again
    seen = []
    rows = dataset_rows(data, basis, tmp_path / "rows", progress=lambda done, total: seen.append((done, total)))
    assert np.array_equal(rows.values[:done], 2 * whole.values[:done]) and seen[-1] == (len(NAMES), len(NAMES))
    kept[:done] /= 2
    assert np.array_equal(rows.values, whole.values) and rows.errors(theta, np.arange(len(data))).rmse_forces < 1e-11
    kept[:] *= 2
    again = dataset_rows(Dataset(data.configurations, "other labels"), basis, tmp_path / "rows")
    assert np.array_equal(again.values, 2 * whole.values)
    with pytest.raises(InputError, match="holds the rows of other configurations or another basis"):
        dataset_rows(data[[0, 1]], basis, tmp_path / "rows")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="rows cannot be kept in"):
        dataset_rows(data, basis, tmp_path / "file")


def test_molecules_of_all_sizes_share_few_shapes():
    from defectgen.energy import bonds

    shapes = set()
    for atoms in range(2, 41):
        x = np.random.default_rng(atoms).permutation(40)[:atoms, None] * [1.5, 0, 0]
        near = bonds(x, np.eye(3), (False,) * 3, ("C",) * atoms, small_basis(), bucket=8)
        shapes.add(near.index.shape)
        assert near.index.shape[0] >= atoms
    assert len(shapes) == 5


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [([], "at least one; got 0 numbers"), ([0, 0], "different configurations"), ([0, 999], "got numbers from 0 to 999")],
    ids=["none", "twice", "unknown"],
)
def test_a_choice_that_makes_no_fit_is_said(modelled, numbers, sentence):
    data, basis, _ = modelled
    with pytest.raises(InputError, match=sentence):
        dataset_rows(data, basis).blocks(np.array(numbers, dtype=int))
