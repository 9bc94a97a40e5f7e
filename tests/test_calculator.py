"""The calculator of a model against ASE, matscipy and finite differences; in dynamics; every change noticed."""

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.emt import EMT
from ase.calculators.fd import calculate_numerical_stress
from ase.calculators.lj import LennardJones as ASELennardJones
from ase.filters import FrechetCellFilter
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS
from matscipy.calculators.pair_potential import LennardJonesCut, PairPotential
from matscipy.numerical import numerical_hessian
from toy_calculators import FRAMES, TRACES, Basis, Binding, Pairs, frame

from defectgen._input import InputError
from defectgen.bridge import Calculator, cell_from_ase
from defectgen.bridge.hessian import dense_hessian, sparse_hessian
from defectgen.energy import bonds, hessian, pad


@pytest.mark.parametrize("name", FRAMES)
def test_calculator_equals_ase_lennard_jones(name):
    """The same pair potential through both codes: energies, forces and stress agree to rounding."""
    ours, theirs = frame(name), frame(name)
    p = Pairs()
    ours.calc = Calculator(p)
    theirs.calc = ASELennardJones(epsilon=p.epsilon, sigma=p.sigma, rc=p.cutoff, ro=p.onset, smooth=True)
    tight = {"rtol": 0, "atol": 1e-12}  # rounding of sums of a few hundred terms below 1 eV
    assert abs(theirs.get_potential_energy()) > 0.05
    np.testing.assert_allclose(ours.get_potential_energy(), theirs.get_potential_energy(), **tight)
    np.testing.assert_allclose(ours.get_potential_energies(), theirs.get_potential_energies(), **tight)
    np.testing.assert_allclose(ours.get_forces(), theirs.get_forces(), **tight)
    assert ours.get_potential_energy(force_consistent=True) == ours.get_potential_energy()
    if all(ours.pbc):
        assert np.abs(theirs.get_stress()).max() > 1e-4
        np.testing.assert_allclose(ours.get_stress(), theirs.get_stress(), **tight)
    else:
        with pytest.raises(PropertyNotImplementedError, match="periodic in all directions"):
            ours.get_stress()


def test_calculator_forces_are_minus_the_gradient():
    """Central differences of the energy over a sweep of steps: truncation falls as h^2, rounding rises as 1/h."""
    atoms = bulk("Cu", "fcc", a=3.4, cubic=True)
    atoms.symbols[1] = "Ag"
    atoms.rattle(0.1, seed=1)
    atoms.calc = Calculator(Binding())
    exact = atoms.get_forces()[1, 2]
    errors = []
    for step in (0.3, 0.1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8, 1e-10):
        energy = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[1, 2] += sign * step
            moved.calc = atoms.calc
            energy.append(moved.get_potential_energy())
        errors.append(abs((energy[1] - energy[0]) / (2 * step) - exact))
    assert np.argmin(errors) not in (0, len(errors) - 1) and min(errors) < 1e-3 * max(errors[0], errors[-1]), errors
    assert min(errors) < 1e-8 < 1e-3 < abs(exact)  # a wrong force would not be approached at all


def test_calculator_stress_is_the_strain_derivative():
    """Against ASE's numerical stress of the energy, all six components: sign, volume and Voigt order."""
    atoms = bulk("Cu", "fcc", a=3.4, cubic=True)
    atoms.symbols[0] = "Ag"
    atoms.set_cell(atoms.cell[:] @ [[1, 0.02, 0.03], [0, 1.01, 0.05], [0, 0, 0.98]], scale_atoms=True)
    atoms.rattle(0.05, seed=2)
    atoms.calc = Calculator(Binding())
    numerical = calculate_numerical_stress(atoms, eps=1e-4)
    assert len(np.unique(np.abs(numerical).round(5))) == 6  # six different numbers, so that no order or sign can be mistaken
    np.testing.assert_allclose(atoms.get_stress(), numerical, atol=1e-8)  # eps^2 truncation


@pytest.mark.parametrize("name", ["one image cell", "several chunks", "slab", "wire", "molecule"])
def test_hessian_equals_finite_differences_and_the_dense_route(name):
    """Sparse Hessian: matscipy's finite differences of the forces, column products of the energy room, symmetry, sum rule."""
    atoms = frame(name)
    atoms.calc = Calculator(Binding())
    sparse = atoms.calc.get_property("hessian", atoms)
    n = len(atoms)
    assert sparse.shape == (3 * n, 3 * n) and sparse.format == "bsr"
    full = sparse.toarray()
    assert np.abs(full).max() > 0.05
    rounding = 1e-12 * np.abs(full).max()
    np.testing.assert_allclose(full, full.T, atol=rounding)
    np.testing.assert_allclose(full.reshape(3 * n, n, 3).sum(1), 0.0, atol=n * rounding)
    np.testing.assert_allclose(full, hessian(Binding(), cell_from_ase(atoms)).reshape(3 * n, 3 * n), atol=rounding)
    some = [0, n - 1]
    difference = numerical_hessian(atoms, d=1e-4, indices=some).toarray()
    rows = np.concatenate([np.arange(3 * i, 3 * i + 3) for i in some])
    np.testing.assert_allclose(full[rows], difference, atol=1e-6)  # step^2 times fourth derivatives of about 10 eV/A^4


def test_hessian_chunks_do_not_matter():
    """A few sites at a time or all at once: the same matrix."""
    atoms = frame("several chunks")
    whole = Calculator(Binding()).get_property("hessian", atoms)
    cell = cell_from_ase(atoms)
    near = bonds(cell.positions, cell.vectors, cell.periodic, cell.symbols, Binding())
    padded = pad(cell.positions, near.index.shape[0])
    parts = sparse_hessian(Binding(), padded, cell.vectors, near, len(atoms), block_bytes=2**18)
    assert np.abs((whole - parts).toarray()).max() < 1e-13  # order of summation


@pytest.mark.parametrize("name", ["one image cell", "several chunks", "molecule"])
def test_the_dense_hessian_is_the_sparse_one(name):
    """Also where an atom is its own neighbour, so that several entries of one stencil add up."""
    atoms = frame(name)
    cell = cell_from_ase(atoms)
    near = bonds(cell.positions, cell.vectors, cell.periodic, cell.symbols, Binding())
    at = Binding(), pad(cell.positions, near.index.shape[0]), cell.vectors, near, len(atoms)
    sparse, dense = sparse_hessian(*at).toarray(), dense_hessian(*at, block_bytes=2**18)
    assert np.abs(sparse).max() > 0.05
    np.testing.assert_allclose(dense, sparse, atol=1e-12 * np.abs(sparse).max())


def test_hessian_equals_the_analytic_one_of_matscipy():
    """A cut and shifted Lennard-Jones crystal: matscipy's own analytic Hessian, in type, sign and order."""
    p = Pairs(onset=None, cutoff=4.1)
    atoms = bulk("Cu", "fcc", a=3.5, cubic=True) * (3, 3, 3)
    atoms.rattle(0.02, seed=5)
    oracle = PairPotential({(29, 29): LennardJonesCut(p.epsilon, p.sigma, p.cutoff)}).get_property("hessian", atoms)
    ours = Calculator(p).get_property("hessian", atoms)
    assert type(ours) is type(oracle)
    np.testing.assert_allclose(ours.toarray(), oracle.toarray(), atol=1e-11)


def test_calculator_in_optimiser_and_cell_filter():
    """ASE's BFGS relaxes a strained, rattled crystal to zero force and stress, back to equal distances."""
    atoms = bulk("Cu", "fcc", a=3.5, cubic=True)
    atoms.rattle(0.05, seed=7)
    atoms.calc = Calculator(Pairs())
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-4, steps=100)
    assert np.abs(atoms.get_forces()).max() < 1e-4
    assert np.abs(atoms.get_stress()).max() < 1e-5  # the filter's fmax is stress times volume, 40 A^3
    distances = atoms.get_all_distances(mic=True)[0, 1:]
    np.testing.assert_allclose(distances, distances[0], rtol=1e-3)


def test_molecular_dynamics_keeps_energy_and_reuses_lists():
    """Velocity Verlet: energy is conserved, the list is rebuilt a few times for many steps, one compilation serves them all."""
    atoms = bulk("Cu", "fcc", a=3.5, cubic=True) * (2, 2, 1)
    atoms.calc = Calculator(Binding())
    atoms.set_momenta(np.random.default_rng(0).normal(0, np.sqrt(1200 * units.kB * atoms.get_masses())[:, None], (len(atoms), 3)))
    start, compiled = atoms.get_total_energy(), len(TRACES)
    assert atoms.get_kinetic_energy() > 0.5
    energies = []
    VelocityVerlet(atoms, 2 * units.fs).run(1)
    dynamics = VelocityVerlet(atoms, 2 * units.fs)
    dynamics.attach(lambda: energies.append(atoms.get_total_energy()))
    dynamics.run(80)
    assert np.ptp([start, *energies]) < 5e-3 * atoms.get_kinetic_energy()  # the O(dt^2) ripple of Verlet
    assert 2 <= atoms.calc.list_updates <= 20
    assert len(TRACES) - compiled <= 2  # at most one change of the slot bucket
    fresh = atoms.copy()
    fresh.calc = Calculator(Binding())
    np.testing.assert_allclose(fresh.get_forces(), atoms.get_forces(), atol=1e-13)  # the reused list missed no bond


@pytest.mark.parametrize("change", ["positions", "cell", "pbc", "species", "count"])
def test_calculator_notices_every_change(change):
    """A used calculator answers like a fresh one after any edit of the atoms."""
    atoms = frame("one image cell")
    used = Calculator(Binding())
    atoms.calc = used
    before = atoms.get_potential_energy()
    if change == "positions":
        atoms.positions[0] += [0.7, 0.1, 0.0]
    elif change == "cell":
        atoms.set_cell(atoms.cell[:] * 0.85)
    elif change == "pbc":
        atoms.pbc = [True, True, False]
    elif change == "species":
        atoms.symbols[2] = "Ag"
    else:
        del atoms[0]
        atoms.calc = used
    fresh = Calculator(Binding())
    assert abs(atoms.get_potential_energy() - before) > 1e-3
    np.testing.assert_allclose(atoms.get_potential_energy(), fresh.get_property("energy", atoms), atol=1e-13)
    np.testing.assert_allclose(atoms.get_forces(), fresh.get_property("forces", atoms), atol=1e-13)
    atoms.positions[0, 0] += 0.05
    used.calculate(atoms)  # as some drivers call it, past ASE's own cache
    np.testing.assert_allclose(used.results["energy"], fresh.get_property("energy", atoms), atol=1e-13)


def test_calculator_ignores_wrapping_and_survives_copying():
    """Whole box vectors added to atoms change nothing; copies and pickles answer alike; the Hessian leaves energies in place."""
    atoms = frame("one image cell")
    atoms.calc = Calculator(Binding())
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    stale = atoms.calc.get_property("hessian", atoms)
    assert atoms.calc.results["energy"] == energy
    shifted = atoms.copy()
    shifted.positions[1] += 2 * atoms.cell[0] - 3 * atoms.cell[2]
    shifted.calc = pickle.loads(pickle.dumps(copy.deepcopy(atoms.calc)))
    np.testing.assert_allclose(shifted.get_forces(), forces, atol=1e-12)
    shifted.positions[0] += 0.1
    assert abs(shifted.calc.get_property("hessian", shifted) - stale).max() > 1e-3


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Calculator(EMT()), "site energy"),
        (lambda: Calculator(Basis()), "LinearACE"),
        (lambda: Calculator(Binding()).get_property("energy", Atoms("Fe")), "Fe"),
        (lambda: Calculator(Binding()).get_property("energy", Atoms("Cu", cell=[3, 0, 3], pbc=True)), "zero"),
        (lambda: Calculator(Binding()).get_property("energy", Atoms("Cu2", positions=[[0, 0, 0], [0, 0, np.nan]])), "finite"),
        (lambda: Calculator(Binding()).get_property("energy", Atoms()), "no atoms"),
    ],
    ids=["a calculator", "a basis", "unknown species", "no cell", "NaN position", "no atoms"],
)
def test_calculator_refuses_in_one_sentence(make, words):
    with pytest.raises(InputError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_energies_that_differ_in_a_function_only_are_each_looked_at():
    """One energy a site and two: whether a potential has channels is not read off its class."""
    import equinox as eqx
    import jax.numpy as jnp

    from defectgen.energy import SiteEnergy

    class Shaped(SiteEnergy):
        shape: Callable
        cutoff: float = 3.0
        species: tuple = eqx.field(static=True, default=("Cu",))

        def __call__(self, stencil):
            return self.shape(jnp.sum(stencil.g**2, axis=(1, 2)))

    one, two = Shaped(lambda x: x), Shaped(lambda x: jnp.stack([x, x**2], axis=-1))
    for _ in range(2):
        Calculator(one)
        with pytest.raises(InputError, match="a basis has many"):
            Calculator(two)
