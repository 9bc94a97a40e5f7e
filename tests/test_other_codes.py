"""Another code as the reference: labels that resume, labels that agree, equivalent k-points, relaxation from a model."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from ase.calculators.emt import EMT
from toy_calculators import Other

import defectgen as dg
from defectgen.bridge import common_kpoints, espresso, irreducible_kpoints
from defectgen.reference import CleriRosato

SMALL = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
LARGE = np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])


@pytest.fixture(scope="module")
def copper():
    return dg.equilibrate(dg.fcc("Cu", 3.6), dg.ASEReference(EMT()))


class Counting(EMT):
    """EMT that counts, and stops like a killed program after some evaluations."""

    done, most = 0, 10**9

    def calculate(self, *args, **kwargs):
        if self.done >= self.most:
            raise KeyboardInterrupt
        type(self).done += 1
        super().calculate(*args, **kwargs)


class Scaled(EMT):
    """EMT with one result scaled."""

    def __init__(self, key, factor):
        super().__init__()
        self.key, self.factor = key, factor

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.results[self.key] = self.results[self.key] * self.factor


class Sized(EMT):
    """EMT whose energy per atom depends on the number of atoms, as that of a code at the Gamma point."""

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        count = len(self.atoms)
        self.results["energy"] += 1.0 * count / (1 + count)
        self.results["free_energy"] = self.results["energy"]


# ------ k-points


def bands(lattice, cell, k):
    """Energy per atom of a half-filled band of s orbitals, hopping -1 between nearest neighbours, Bloch phases exp(i k T)."""
    n, x = len(cell), cell.positions
    images = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3, indexing="ij"), -1).reshape(-1, 3)
    away = x[None, :, None] + (images @ cell.vectors)[None, None] - x[:, None, None]
    near = np.abs(np.linalg.norm(away, axis=-1) - lattice.nearest_neighbour) < 0.1
    total = 0.0
    for point, weight in zip(k.points, k.weights, strict=True):
        phase = np.exp(2j * np.pi * images @ point)
        values = np.linalg.eigvalsh(-(near * phase).sum(axis=-1))
        total += weight * np.abs(values).sum() / n
    return total


@pytest.mark.parametrize("grid", [(2, 2, 2), (4, 4, 4)], ids=str)
def test_equivalent_k_points_give_one_energy_per_atom_in_every_cell(grid):
    """A tight-binding crystal, diagonalised cell by cell: its energy per atom is the same to rounding, and is not with Gamma."""
    lattice = dg.diamond("Si", 5.4)
    cells = [dg.primitive_cell(lattice), *(dg.supercell(lattice, size) for size in (1, SMALL, LARGE, (2, 1, 1)))]
    energies = [bands(lattice, cell, common_kpoints(lattice, cell.vectors, grid)) for cell in cells]
    np.testing.assert_allclose(energies, energies[0], atol=1e-12)
    strained = common_kpoints(lattice, cells[2].vectors @ (np.eye(3) + 0.03 * np.diag([1, -1, 0.5])), grid)
    np.testing.assert_array_equal(strained.points, common_kpoints(lattice, cells[2].vectors, grid).points)

    class Gamma:
        points, weights = np.zeros((1, 3)), np.ones(1)

    assert abs(bands(lattice, cells[1], Gamma) - bands(lattice, cells[2], Gamma)) > 0.05


def test_k_points_of_a_cubic_cell_are_a_grid():
    lattice = dg.diamond("Si", 5.4)
    k = common_kpoints(lattice, dg.supercell(lattice, 2).vectors, (4, 4, 4))
    assert (k.grid, k.offset) == ((2, 2, 2), (1, 1, 1))
    assert len(k.points) == 4 and k.weights.sum() == 1.0  # of 8 points, k and -k count once


@pytest.mark.parametrize("shifted", [True, False], ids=["shifted", "with Gamma"])
@pytest.mark.parametrize("cell", [SMALL, LARGE, 2], ids=["16", "32", "64"])
def test_all_points_of_a_mesh_weigh_the_same(shifted, cell):
    """With both k and -k, except where they are one point: the weights of the listed ones, counted."""
    lattice = dg.diamond("Si", 5.4)
    k = common_kpoints(lattice, dg.supercell(lattice, cell).vectors, (4, 4, 4), shifted)
    volume = round(64 / (len(dg.supercell(lattice, cell)) / 8))
    assert len(k.every) == volume and len(np.unique(np.round(k.every % 1.0, 6) % 1.0, axis=0)) == volume
    folded = [np.all(np.abs((k.every - p + 0.5) % 1 - 0.5) < 1e-6, axis=1) for p in k.points]
    opposite = [np.all(np.abs((k.every + p + 0.5) % 1 - 0.5) < 1e-6, axis=1) for p in k.points]
    np.testing.assert_allclose([np.sum(f | o) / volume for f, o in zip(folded, opposite, strict=True)], k.weights)


def test_one_k_point_of_every_class_gives_the_same_energy():
    """Of perfect crystals and a vacancy, diagonalised; with the weights of other classes it is another."""
    lattice = dg.diamond("Si", 5.4)
    cells = [dg.primitive_cell(lattice), *(dg.supercell(lattice, size) for size in (SMALL, LARGE))]
    for cell, count in zip([*cells, dg.vacancy().apply(cells[1])], (10, 2, 2, 2), strict=True):
        k = common_kpoints(lattice, cell.vectors, (4, 4, 4))
        few = irreducible_kpoints(k, cell.vectors)
        assert few is not None and few.grid is None and len(few.points) == count < len(k.points)
        assert bands(lattice, cell, few) == pytest.approx(bands(lattice, cell, k), abs=1e-12)
        assert abs(bands(lattice, cell, replace(few, weights=few.weights[::-1])) - bands(lattice, cell, k)) > 1e-3 or count == 2
    box = cells[0].vectors @ np.diag([1.02, 1.0, 1.0])
    few = irreducible_kpoints(common_kpoints(lattice, box, (4, 4, 4)), box)
    assert few is not None and len(few.points) == 20 and few.weights.sum() == pytest.approx(1)
    turned = cells[0].vectors @ np.linalg.qr(np.arange(9).reshape(3, 3) + np.eye(3))[0]
    assert irreducible_kpoints(common_kpoints(lattice, cells[0].vectors, (4, 4, 4)), turned) is None


@pytest.mark.parametrize(
    ("size", "grid", "words"),
    [
        (3, (4, 4, 4), "divide a mesh of 4 x 4 x 4"),
        (1.4, (4, 4, 4), "no supercell of diamond Si"),
        (1, (4, 4), "three numbers"),
        (1, (0, 1, 1), "whole number from 1"),
    ],
    ids=["a cell that does not fit", "another crystal", "two numbers", "zero"],
)
def test_k_points_are_refused_in_one_sentence(size, grid, words):
    lattice = dg.diamond("Si", 5.4)
    with pytest.raises(dg.InputError, match=words):
        common_kpoints(lattice, size * dg.supercell(lattice, 1).vectors, grid)


# ------ The store


def test_stored_labels_resume_after_a_kill_and_are_those_of_the_calculator(tmp_path, copper):
    Counting.done, Counting.most = 0, 7
    cells = dg.training_cells(copper, dg.vacancy(), 1, rattle=dg.Rattle(2, 0.05), strains=0.01)
    basis = dg.ACEBasis(["Cu"], 4.5, 2, 6)
    with pytest.raises(KeyboardInterrupt):
        dg.label(cells, dg.StoredReference(dg.ASEReference(Counting()), tmp_path), basis, "E+F+V")
    assert len(list(tmp_path.glob("*.extxyz"))) == 7
    Counting.most = 10**9
    stored = dg.StoredReference(dg.ASEReference(Counting()), tmp_path)
    blocks = dg.label(cells, stored, basis, "E+F+V")
    assert Counting.done == len(stored.labels) == 7 + len(stored.computed)
    direct = dg.label(cells, dg.ASEReference(EMT()), basis, "E+F+V")
    for one, other in zip(blocks.items, direct.items, strict=True):
        np.testing.assert_allclose(np.abs(one.factor), np.abs(other.factor), atol=1e-9)
    dg.label(cells, dg.StoredReference(dg.ASEReference(Counting()), tmp_path), basis, "E+F+V")
    assert Counting.done == len(stored.labels)  # nothing is computed twice


def test_stored_images_under_the_space_group_are_not_computed_again(tmp_path, copper):
    stored = dg.StoredReference(dg.ASEReference(EMT()), tmp_path, crystal=copper)
    measured = dg.finite_difference_force_constants(stored, copper, 2)
    assert len(stored.computed) == 1  # of six displacements
    plain = dg.finite_difference_force_constants(dg.ASEReference(EMT()), copper, 2)
    np.testing.assert_allclose(measured.array(), plain.array(), atol=1e-8)
    assert np.abs(plain.array()).max() > 1.0


def test_nearly_equal_configurations_are_computed_each(tmp_path, copper):
    """A relaxation ends in steps below the rounding of most files; a store that answers from a neighbour would stall it."""
    stored, cell = dg.StoredReference(dg.ASEReference(EMT()), tmp_path, crystal=copper), dg.supercell(copper, 1)
    for shift in (0.0, 1e-6, 1e-4):
        x = cell.positions.copy()
        x[0, 0] += shift
        dg.evaluate(stored, cell, x)
    assert len(stored.computed) == 3


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda f: dg.StoredReference(EMT(), f), "dg.ASEReference"),
        (lambda f: dg.StoredReference(dg.ASEReference(EMT()), f, {"cutoff": 20}), "other settings: 'cutoff' is '12' there"),
        (lambda f: dg.StoredReference(dg.ASEReference(EMT(), step=0.02), f, {"cutoff": 12}), "other settings: 'step'"),
        (lambda f: dg.StoredReference(dg.ASEReference(EMT()), f / "file"), "cannot be kept"),
        (lambda f: dg.StoredReference(dg.ASEReference(Counting()), f, {"cutoff": 12}), "'reference' is 'EMT' there"),
        (lambda f: dg.StoredReference(dg.ASEReference(EMT()), f, "EMT"), "values by name"),
        (lambda f: dg.StoredReference(dg.ASEReference(EMT()), f, {1: 2}), "values by name"),
        (lambda f: dg.StoredReference(dg.ASEReference(EMT()), 3), "is a path; got 3"),
        (lambda f: dg.StoredReference(dg.ASEReference(EMT()), f, crystal="Cu"), "crystal is a lattice"),
        (lambda f: dg.StoredReference(dg.ASEReference(EMT()), f / "bare"), "no stored label"),
    ],
    ids=[
        "a calculator",
        "another cutoff",
        "another step",
        "a file",
        "another calculator",
        "settings as text",
        "a number as a name",
        "a number as a folder",
        "a symbol as a crystal",
        "a frame without forces",
    ],
)
def test_store_refuses_in_one_sentence(tmp_path, make, words, unchecked):
    dg.StoredReference(dg.ASEReference(EMT()), tmp_path, {"cutoff": 12})
    (tmp_path / "file").write_text("")
    dg.StoredReference(dg.ASEReference(EMT()), tmp_path / "bare")
    (tmp_path / "bare" / "0.extxyz").write_text('1\nLattice="9 0 0 0 9 0 0 0 9" REF_energy=1.0 pbc="T T T"\nCu 0 0 0\n')
    with pytest.raises(dg.InputError, match=words) as caught:
        make(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_store_is_found_again_with_settings_that_are_not_equal_to_themselves(tmp_path):
    for _ in range(2):
        dg.StoredReference(dg.ASEReference(EMT()), tmp_path, {"smearing": float("nan")})


# ------ The check of labels


def test_labels_of_a_consistent_code_pass_with_their_numbers(copper):
    found = dg.check_labels(dg.ASEReference(EMT()), copper, (1, 2))
    assert [atoms for atoms, _ in found.energies] == [1, 4, 32]
    assert found.energy_spread < 1e-9 and found.force_error < 1e-3 and abs(found.stress_difference) < 1e-2
    assert abs(found.energy_change) > 0.01  # there is something to compare


@pytest.mark.parametrize(
    ("calculator", "words"),
    [
        (Sized(), r"has 0.1930 eV per atom in the cell of 4 atoms and 0.4930 eV.*300 meV .tolerance 2 meV."),
        (Scaled("forces", 0.9), "forces of Scaled are not minus the gradient.*tolerance 3%"),
        (Scaled("stress", -1.0), "stresses of Scaled are not the derivative"),
    ],
    ids=["energy per atom", "forces", "stress"],
)
def test_inconsistent_labels_are_refused_with_their_numbers(copper, calculator, words):
    with pytest.raises(dg.InputError, match=words) as caught:
        dg.check_labels(dg.ASEReference(calculator), copper, (1,))
    assert "\n" not in str(caught.value)


class Shaped(EMT):
    """Its energy depends on which way a cell is long, as with k-points along one direction only."""

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        length = np.linalg.norm(self.atoms.cell.array, axis=1)
        self.results["energy"] += 0.1 * len(self.atoms) * (length[0] / length[1] > 1.5)
        self.results["free_energy"] = self.results["energy"]


def test_cells_with_as_many_atoms_are_compared_too(copper):
    with pytest.raises(dg.InputError, match=r"depend on the size.* 100 meV"):
        dg.check_labels(dg.ASEReference(Shaped()), copper, ((2, 1, 1), (1, 2, 1)), stress=False)


@pytest.mark.parametrize("calculator", [Sized(), Scaled("forces", 0.7)], ids=["energy per atom", "forces"])
def test_labelling_refuses_labels_that_cannot_be_fitted_together(copper, calculator):
    cells = dg.training_cells(copper, dg.vacancy(), 1, rattle=dg.Rattle(2, 0.05), strains=0.01)
    with pytest.raises(dg.InputError, match=r"depend on the size|not minus the gradient"):
        dg.label(cells, dg.ASEReference(calculator), dg.ACEBasis(["Cu"], 4.5, 2, 6), "E+F")


def test_tight_binding_at_the_gamma_point_is_refused():
    """tblite's periodic energies of silicon differ by eV per atom between the primitive cell and 8 atoms."""
    tblite = pytest.importorskip("tblite.ase")
    with pytest.raises(dg.InputError, match="depend on the size of the cell"):
        dg.check_labels(dg.ASEReference(tblite.TBLite(method="GFN1-xTB", verbosity=0)), dg.diamond("Si", 5.43))


# ------ Relaxation from the model's equilibrium


def test_relaxation_from_a_model_ends_where_relaxation_does(copper):
    """A vacancy of one second-moment potential from that of another, against `dg.relax`, in fewer evaluations than Newton's."""
    truth, model = CleriRosato("Cu"), CleriRosato("Cu", cutoff=4.2)
    lattice = dg.equilibrate(dg.fcc("Cu", 3.6), truth)
    cell = dg.vacancy().apply(dg.supercell(lattice, 2))
    with pytest.warns(dg.InputWarning, match="pressure"):  # the crystal is that of the other potential
        rest = dg.relax(cell, model)
    exact = dg.relax(cell, truth)
    found = dg.relax_from(rest, model, truth, tolerance=1e-6)
    apart = np.abs(rest.displacement - exact.displacement).max()
    assert found.converged and found.energy_evaluations <= 10
    assert np.abs(found.displacement - exact.displacement).max() < 1e-5 < 1e-2 * apart
    assert abs(found.energy - exact.energy) < 1e-8
    assert not dg.relax_from(rest, model, truth, tolerance=1e-6, max_evaluations=1).converged
    with pytest.raises(dg.InputError, match="not that of the fitted model, whose forces there are up to"):
        dg.relax_from(exact, model, truth)


def test_relaxation_from_a_model_keeps_the_chemical_potentials():
    """Of an atom in copper, 0.5 eV above the reference's crystal: a vacancy costs 0.5 eV more."""
    truth = CleriRosato("Cu", cutoff=4.2)
    lattice = dg.equilibrate(dg.fcc("Cu", 3.6), truth)
    cell = dg.vacancy().apply(dg.supercell(lattice, 2))
    plain = dg.relax(cell, truth)
    given = {"Cu": plain.bulk_energy + 0.5}
    with pytest.warns(dg.InputWarning, match=r"add up to \+0.5 eV per atom more"):
        rest = dg.relax(cell, truth, chemical_potentials=given)
    with pytest.warns(dg.InputWarning, match=r"add up to \+0.5 eV per atom more"):
        found = dg.relax_from(rest, truth, truth)
    assert found.chemical_potentials == given and found.energy_evaluations == 1
    assert found.formation_energy == pytest.approx(plain.formation_energy + 0.5, abs=1e-8)


# ------ Programs, and calculators that are made for each cell


def test_a_function_makes_a_calculator_for_each_cell(copper):
    asked = []

    def made(atoms):
        asked.append(len(atoms))
        return EMT()

    one, other = dg.ASEReference(made), dg.ASEReference(EMT())
    cell = dg.supercell(copper, 1)
    np.testing.assert_array_equal(dg.evaluate(one, cell).virial, dg.evaluate(other, cell).virial)
    assert asked == [4] and one.name == "made"
    with pytest.raises(dg.InputError, match="must return an ASE calculator"):
        dg.evaluate(dg.ASEReference(lambda atoms: 3), cell)
    with pytest.raises(dg.InputError, match="computes no stress"):
        dg.evaluate(dg.ASEReference(lambda atoms: Other()), cell)


class Absent(EMT):
    """A calculator whose program is not installed."""

    def calculate(self, *args, **kwargs):
        raise FileNotFoundError(2, "No such file or directory", "pw.x")


def test_missing_programs_are_named_with_the_command_that_installs_them(copper, tmp_path):
    with pytest.raises(dg.InputError, match=r"'pw.x', which is not installed: .*apt-get install quantum-espresso") as caught:
        dg.evaluate(dg.ASEReference(Absent()), dg.supercell(copper, 1))
    assert "\n" not in str(caught.value)
    silicon = dg.diamond("Si", 5.4)
    with pytest.raises(dg.InputError, match=r"not installed: .*apt-get install"):
        espresso(silicon, {"Si": "Si.UPF"}, 20, (2, 2, 2), command=str(tmp_path / "pw.x"))
    with pytest.raises(dg.InputError, match=r"'Si.UPF' of Si is not in"):
        espresso(silicon, {"Si": "Si.UPF"}, 20, (2, 2, 2), command="true", pseudo_folder=tmp_path)


@pytest.mark.skipif(shutil.which("pw.x") is None, reason="Quantum ESPRESSO is not installed")
def test_equivalent_k_points_in_a_real_code(tmp_path):
    """pw.x: energies per atom of 2 and 8 atoms agree to 0.1 meV, one with a list of k-points, the other with a grid."""
    silicon = dg.diamond("Si", 5.4)
    pw = espresso(silicon, {"Si": "Si.pz-vbc.UPF"}, 8, (2, 2, 2), folder=tmp_path)
    energies = [dg.evaluate(pw, c).energy / len(c) for c in (dg.primitive_cell(silicon), dg.supercell(silicon, 1))]
    assert abs(energies[0] - energies[1]) < 1e-4
    assert -110 < energies[0] < -100
