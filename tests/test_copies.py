"""Atoms that the symmetry of a defect makes of each other, and forces on one of each kind."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import defectgen as dg
from defectgen.ace import LinearACE
from defectgen.crystal import copies, defect_from_name
from defectgen.energy import cell_energy, total
from defectgen.energy.bonds import bonds, pad
from defectgen.energy.prepared import prepared_hessian
from defectgen.energy.some import SomeForces
from defectgen.energy.symmetric import SymmetricSum
from defectgen.energy.total import energy_forces_virial
from defectgen.reference import FinnisSinclair

COPPER = dg.fcc("Cu", 3.615)
CASES = {  # order of the point group of the defect in its cell
    "vacancy": (COPPER, "vacancy", 3, 48),
    "divacancy": (COPPER, "divacancy", 3, 8),
    "dumbbell": (COPPER, "dumbbell(100)", 3, 16),
    "oblong box": (COPPER, "vacancy", (3, 3, 4), 16),
    "interstitial in silicon": (dg.diamond("Si", 5.43), "interstitial(tetrahedral)", 2, 24),
    "vacancy in silicon": (dg.diamond("Si", 5.43), "vacancy", 2, 24),
    "layer": (dg.triangular("Cu", 2.5), "divacancy", 8, 4),
}
cases = pytest.mark.parametrize(("lattice", "name", "size", "order"), CASES.values(), ids=CASES.keys())


def defective(lattice, name, size):
    return defect_from_name(name).apply(dg.supercell(lattice, size))


@cases
def test_operations_bring_atoms_onto_atoms(lattice, name, size, order):
    """The known order of the group, and distances that every operation keeps."""
    cell = defective(lattice, name, size)
    for found, atoms in ((copies(cell), cell), (copies(cell, cell.perfect), cell.perfect)):
        assert len(found.rotations) == order and found.images.shape == (order, len(atoms))
        assert all(sorted(image) == list(range(len(atoms))) for image in found.images)
        away = atoms.distance_from_centre(cell.centre + atoms.minimum_image(atoms.positions - cell.centre))
        for turn, image in zip(found.rotations, found.images, strict=True):
            moved = atoms.minimum_image((atoms.positions - cell.centre) @ turn - (atoms.positions[image] - cell.centre))
            assert np.abs(moved).max() < 1e-9 and np.abs(turn @ turn.T - np.eye(3)).max() < 1e-9
        assert len(found.first) >= len(atoms) / order and len(away) == len(atoms)


@cases
def test_a_symmetric_field_is_known_from_one_atom_of_each_kind(lattice, name, size, order):
    """Of any field the mean is symmetric, and the first atoms give it back; the field itself they do not."""
    found = copies(defective(lattice, name, size))
    field = np.random.default_rng(0).normal(size=(found.images.shape[1], 3))
    mean = found.mean(field)
    assert found.spread(mean[found.first]) == pytest.approx(mean, abs=1e-12)
    assert found.mean(mean) == pytest.approx(mean, abs=1e-12)
    assert np.abs(found.spread(field[found.first]) - field).max() > 0.1


@pytest.mark.parametrize("name", ["divacancy", "dumbbell(100)"])
def test_forces_on_some_atoms_are_those_of_the_whole_cell(name):
    """Of a potential with compiled code and of one without, at positions away from equilibrium."""
    cell = defective(COPPER, name, 4)
    found, rng = copies(cell), np.random.default_rng(1)
    x = cell.positions + found.mean(0.05 * rng.normal(size=cell.positions.shape))
    basis = dg.ACEBasis(["Cu"], cutoff=4.0, order=2, degree=5)
    fitted = LinearACE(basis, rng.normal(size=basis.size))
    for potential in (dg.reference.CleriRosato("Cu", cutoff=4.2), fitted):
        whole = cell_energy(cell, potential).energy_forces(x)[1]
        some = SomeForces(cell, 4.2, found.first)(potential, x)
        assert np.abs(whole).max() > 1e-2
        assert found.spread(some) == pytest.approx(whole, abs=1e-10 * np.abs(whole).max() + 1e-12)
        few = SomeForces(cell, 4.2, np.array([7, 3]))(potential, x)  # any atoms, in any order
        assert few == pytest.approx(whole[[7, 3]], abs=1e-10 * np.abs(whole).max() + 1e-12)


def test_forces_of_some_sites_are_the_derivative_of_their_energies():
    """The first sites alone count: a bond to one that does not has no reverse. With compiled code and without."""
    cell, rng = defective(COPPER, "vacancy", 3), np.random.default_rng(2)
    x = cell.positions + 0.05 * rng.normal(size=cell.positions.shape)
    basis = dg.ACEBasis(["Cu"], cutoff=4.0, order=2, degree=5)
    fitted = LinearACE(basis, rng.normal(size=basis.size))
    listed = bonds(x, cell.vectors, cell.periodic, cell.symbols, fitted)
    few = eqx.tree_at(lambda each: each.real, listed, jnp.arange(len(listed.index)) < 20)
    moved = rng.normal(size=x.shape) * (np.arange(len(x)) < 20)[:, None]

    def energy(step):
        return float(np.sum(energy_forces_virial(fitted, pad(x + step * moved, len(few.index)), cell.vectors, few)[0][:20]))

    slope = (energy(1e-4) - energy(-1e-4)) / 2e-4
    for force in (energy_forces_virial, total._energy_forces_virial):
        forces = np.asarray(force(fitted, pad(x, len(few.index)), cell.vectors, few)[1])[: len(x)]
        assert -np.sum(forces * moved) == pytest.approx(slope, rel=1e-6)


def test_forces_follow_atoms_that_move_far():
    """By more than half the margin, towards the atom whose force is taken and away from it."""
    cell = defective(COPPER, "vacancy", 7)
    potential = dg.reference.CleriRosato("Cu", cutoff=4.2)
    some = SomeForces(cell, 4.2, np.array([0]))
    for scale in (0.1, 0.5, 0.0):
        x = cell.positions + scale * np.random.default_rng(2).normal(size=cell.positions.shape)
        whole = cell_energy(cell, potential).energy_forces(x)[1][:1]
        assert some(potential, x) == pytest.approx(whole, abs=1e-10 * max(np.abs(whole).max(), 1e-2))


def test_a_relaxed_defect_has_the_operations_that_keep_its_displacement():
    """A displacement of lower symmetry leaves a smaller group; a translation breaks nothing."""
    cell = defective(COPPER, "vacancy", 3)
    every = copies(cell)
    u = every.mean(0.05 * np.random.default_rng(3).normal(size=cell.positions.shape))
    assert len(copies(cell, displacement=u + np.array([0.1, 0.2, 0.3])).rotations) == len(every.rotations) == 48
    away = cell.minimum_image(cell.positions - cell.centre)
    bent = u + 0.02 * np.exp(-np.sum(away**2, axis=1, keepdims=True) / 9) * [0.0, 0.0, 1.0]
    fewer, sites = copies(cell, displacement=bent), copies(cell, cell.perfect, bent)
    assert len(fewer.rotations) == len(sites.rotations) == 8  # those that keep the axis
    assert fewer.mean(bent) - bent == pytest.approx((fewer.mean(bent) - bent).mean(axis=0) * np.ones_like(bent), abs=1e-12)


def test_a_broken_symmetry_is_counted_and_printed():
    """In a small cell of tungsten the <110> dumbbell turns to <111>, in one of two ways; a vacancy keeps its symmetry."""
    tungsten = FinnisSinclair("W")
    lattice = dg.equilibrate(dg.bcc("W", 3.165), tungsten)
    fallen, other, vacancy = (
        dg.relax(defective(lattice, name, 3), tungsten) for name in ("dumbbell(110)", "dumbbell(111)", "vacancy")
    )
    assert fallen.variants == 2 and "one of 2 equivalent states" in repr(fallen).replace("\n    ", " ")
    assert fallen.energy == pytest.approx(other.energy, abs=1e-9)
    assert vacancy.variants == 1 and "equivalent" not in repr(vacancy)
    assert replace(fallen, converged=False).variants is None


@pytest.mark.parametrize(("lattice", "name", "size"), [(COPPER, "dumbbell(100)", 4), (dg.diamond("Si", 5.43), "vacancy", 2)])
def test_the_symmetric_energy_is_that_of_the_whole_cell(lattice, name, size):
    """Energy and forces as the whole cell gives them, also after the atoms have moved; at other positions they differ."""
    cell = defective(lattice, name, size)
    found, rng = copies(cell), np.random.default_rng(4)
    potential = dg.reference.CleriRosato("Cu", cutoff=4.2) if lattice is COPPER else dg.reference.StillingerWeber()
    one, whole = SymmetricSum(cell, potential, found), cell_energy(cell, potential)
    noise = rng.normal(size=cell.positions.shape)
    for scale in (0.02, 0.03, 0.3):  # within the kept list, and beyond it
        x = cell.positions + found.mean(scale * noise)
        (energy, forces), (expected, total) = one.energy_forces(x), whole.energy_forces(x)
        assert energy == pytest.approx(expected, rel=1e-12) and expected > 0.1
        assert forces == pytest.approx(total, abs=1e-11 * np.abs(total).max())
    x = cell.positions + 0.02 * noise  # what breaks the symmetry has no effect
    assert one.energy_forces(x)[0] == pytest.approx(one.energy_forces(one.symmetric(x))[0], rel=1e-12)
    assert abs(one.energy_forces(x)[0] - whole.energy_forces(x)[0]) > 1e-6


def test_a_relaxation_with_the_symmetric_energy_ends_at_the_same_place():
    """From positions that have the symmetry, with a tenth of the atoms evaluated."""
    potential = dg.reference.CleriRosato("Cu", cutoff=4.2)
    cell = defective(dg.equilibrate(COPPER, potential), "dumbbell(100)", 4)
    energy = SymmetricSum(cell, potential, copies(cell))
    one = dg.relax(cell, potential, eigenvalue=False, energy=energy)
    whole = dg.relax(cell, potential, eigenvalue=False)
    apart = energy.symmetric(one.positions) - whole.positions
    assert one.converged and one.energy == pytest.approx(whole.energy, abs=1e-9)
    assert np.abs(apart - apart.mean(axis=0)).max() < 1e-9


def test_an_energy_of_another_cell_or_potential_is_refused():
    """Also where the number of atoms agrees, so that nothing else would notice."""
    short, wide = dg.reference.CleriRosato("Cu", cutoff=4.2), dg.reference.CleriRosato("Cu", cutoff=4.5)
    cell, other = defective(COPPER, "vacancy", 2), defective(COPPER, "vacancy", 2)
    for energy in (cell_energy(cell, wide), cell_energy(other, short)):
        with pytest.raises(dg.InputError, match="another cell or potential"):
            dg.relax(cell, short, energy=energy)


def test_positions_that_are_not_numbers_are_refused_and_not_followed():
    """Also where another atom moves far, whose new neighbours the kept list does not have."""
    cell = defective(COPPER, "vacancy", 4)
    some = SomeForces(cell, 4.2, np.array([0, 1]), keep=True)
    some(dg.reference.CleriRosato("Cu", cutoff=4.2), cell.positions)
    x = np.array(cell.positions)
    x[0] += (1.0, 0.3, 0.2)
    x[-1] = np.nan
    with pytest.raises(dg.InputError, match="finite"):
        some(dg.reference.CleriRosato("Cu", cutoff=4.2), x)


def test_no_sites_and_no_vectors_give_nothing_and_single_precision_is_converted():
    """No slopes are no lack of memory; arrays of other precision or order are copied before compiled code reads them."""
    cell = defective(COPPER, "vacancy", 2)
    basis = dg.ACEBasis(["Cu"], cutoff=4.0, order=2, degree=5)
    fitted, short = LinearACE(basis, np.ones(basis.size)), dg.reference.CleriRosato("Cu", cutoff=4.2)
    near = bonds(cell.positions, cell.vectors, cell.periodic, cell.symbols, fitted)
    x, v = pad(cell.positions, len(near.index)), np.ones((len(near.index), 3))
    nobody = np.zeros(5, dtype=bool)
    assert not np.asarray(total.hessian_product(fitted, x, cell.vectors, near, v, nobody)).any()
    assert total.hessian_product(fitted, x, cell.vectors, near, np.zeros((0, *v.shape))).shape == (0, *v.shape)
    listed = bonds(cell.positions, cell.vectors, cell.periodic, cell.symbols, short)
    product = prepared_hessian(short, pad(cell.positions, len(listed.index)), cell.vectors, listed)
    field = np.arange(3 * len(listed.index)).reshape(-1, 3) % 7
    exact = product(field.astype(float))
    assert np.abs(exact).max() > 0.1
    for other in (field.astype(np.float32), np.asfortranarray(field, dtype=float)):
        assert product(other) == pytest.approx(exact, abs=1e-12)
