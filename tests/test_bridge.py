"""The bridge against codes it did not write: ASE, matscipy, phonopy; and against finite differences of itself."""

import copy
import pickle
from dataclasses import replace

import ase.io
import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator as ASECalculator
from ase.calculators.calculator import PropertyNotImplementedError, all_changes
from ase.calculators.emt import EMT
from ase.calculators.fd import calculate_numerical_stress
from ase.calculators.lj import LennardJones as ASELennardJones
from ase.constraints import FixAtoms
from ase.filters import FrechetCellFilter
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS
from matscipy.calculators.pair_potential import LennardJonesCut, PairPotential
from matscipy.numerical import numerical_hessian
from phonopy import Phonopy
from phonopy.file_IO import parse_FORCE_CONSTANTS, read_force_constants_hdf5, write_FORCE_CONSTANTS, write_force_constants_to_hdf5
from phonopy.structure.atoms import PhonopyAtoms

from defectgen._input import InputError
from defectgen.bridge import (
    ASEReference,
    Calculator,
    cell_from_ase,
    defect_from_atoms,
    fold_force_constants,
    from_ase,
    phonon_frequencies,
    primitive_sites,
    read_extxyz,
    read_force_constants,
    to_ase,
    write_extxyz,
    write_force_constants,
)
from defectgen.bridge import calculator as calculator_module
from defectgen.crystal.cell import ball, supercell
from defectgen.crystal.lattices import fcc, hcp, rocksalt, triangular
from defectgen.crystal.snapshot import Snapshot
from defectgen.energy.blackbox import blackbox_force_constants
from defectgen.energy.functional import evaluate, hessian
from defectgen.energy.perfect import force_constants
from defectgen.energy.site import SiteEnergy

TRACES = []
"""One entry for each time a stand-in is traced, that is, compiled."""


class Binding(SiteEnergy):
    """A smooth many-body stand-in of two species: repulsive pairs minus the root of a density, eight times differentiable."""

    cutoff: float = eqx.field(static=True, default=4.0)
    species: tuple[str, ...] = eqx.field(static=True, default=("Cu", "Ag"))

    def __call__(self, stencil):
        TRACES.append(stencil.g.shape)
        square = jnp.sum(stencil.g**2, axis=-1)
        inside = square < self.cutoff**2
        safe = jnp.where(inside, square, 1.0)
        size = 1.0 + 0.2 * (stencil.neighbour + stencil.centre[:, None])
        fade = jnp.where(inside, (1.0 - safe / self.cutoff**2) ** 9, 0.0)
        density = jnp.sum(size * fade * jnp.exp(-0.1 * safe), axis=-1)
        return jnp.sum(6.0 * size * fade * jnp.exp(-0.4 * safe), axis=-1) - jnp.sqrt(density + 0.01)


class Pairs(SiteEnergy):
    """Lennard-Jones pairs, half to each atom, as ASE has them (faded in r^2 from `onset`) or matscipy (cut and shifted)."""

    cutoff: float = eqx.field(static=True, default=5.5)
    onset: float | None = eqx.field(static=True, default=3.5)
    epsilon: float = eqx.field(static=True, default=0.1)
    sigma: float = eqx.field(static=True, default=2.3)
    species: tuple[str, ...] = eqx.field(static=True, default=("Cu",))

    def __call__(self, stencil):
        square = jnp.sum(stencil.g**2, axis=-1)
        inside = square < self.cutoff**2
        safe = jnp.where(inside, square, 1.0)

        def pair(s):
            return 4.0 * self.epsilon * ((self.sigma**2 / s) ** 6 - (self.sigma**2 / s) ** 3)

        if self.onset is None:
            value = pair(safe) - pair(self.cutoff**2)
        else:
            c, o = self.cutoff**2, self.onset**2
            value = pair(safe) * jnp.where(safe < o, 1.0, (c - safe) ** 2 * (c + 2 * safe - 3 * o) / (c - o) ** 3)
        return 0.5 * jnp.sum(jnp.where(inside, value, 0.0), axis=-1)


class Basis(Binding):
    """Two channels per site: no potential."""

    def __call__(self, stencil):
        return jnp.stack([jnp.sum(stencil.g[..., 0], -1), jnp.sum(stencil.g[..., 1], -1)], axis=-1)


class Other(ASECalculator):
    """A foreign code of few words: a harmonic trap without a stress, optionally broken."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def __init__(self, broken=None):
        super().__init__()
        self.broken = broken

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)):
        super().calculate(atoms, properties, system_changes)
        x = self.atoms.positions
        self.results = {"energy": float((x**2).sum()), "forces": -2 * x}
        if self.broken is not None:
            self.results |= self.broken


class Noisy(ASECalculator):
    """Another calculator whose forces carry noise, as those of an electronic-structure code do."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def __init__(self, inner, noise):
        super().__init__()
        self.inner, self.noise, self.random = inner, noise, np.random.default_rng(0)

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)):
        super().calculate(atoms, properties, system_changes)
        forces = self.inner.get_property("forces", self.atoms)
        energy = self.inner.get_property("energy", self.atoms)
        self.results = {"energy": energy, "forces": forces + self.noise * self.random.standard_normal(forces.shape)}


def frame(name: str) -> Atoms:
    """Rattled atoms under every kind of boundary; the smallest cells see their own images."""
    atoms = {
        "one image cell": lambda: bulk("Cu", "fcc", a=3.6, cubic=True),
        "skewed primitive": lambda: bulk("Cu", "fcc", a=3.6) * (2, 1, 1),
        "several chunks": lambda: bulk("Cu", "fcc", a=3.6, cubic=True) * (3, 2, 2),
        "slab": lambda: Atoms(
            "Cu4", positions=[[0, 0, 0], [2.5, 0, 0.3], [1.2, 2, 0], [1.2, 0.8, 2]], cell=[5, 4.5, 0], pbc=[1, 1, 0]
        ),
        "wire": lambda: Atoms("Cu3", positions=[[0, 0, 0], [0.3, 0, 2.4], [2, 0.4, 1.2]], cell=[0, 0, 4.8], pbc=[0, 0, 1]),
        "molecule": lambda: Atoms("Cu4", positions=[[0, 0, 0], [2.4, 0, 0], [0, 2.4, 0], [1, 1, 2]]),
    }[name]()
    atoms.rattle(0.08, seed=3)
    return atoms


FRAMES = ["one image cell", "skewed primitive", "several chunks", "slab", "wire", "molecule"]


# ---------------------------------------------------------------- Calculator


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


def test_hessian_chunks_do_not_matter(monkeypatch):
    """One site at a time or all at once: the same matrix."""
    atoms = frame("several chunks")
    whole = Calculator(Binding()).get_property("hessian", atoms)
    monkeypatch.setattr("defectgen.bridge.hessian.BLOCK_BYTES", 2**18)
    parts = Calculator(Binding()).get_property("hessian", atoms)
    assert np.abs((whole - parts).toarray()).max() < 1e-13  # order of summation


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


def test_molecular_dynamics_keeps_energy_and_reuses_lists(monkeypatch):
    """Velocity Verlet: energy is conserved, the list is rebuilt a few times for many steps, one compilation serves them all."""
    built = []
    original = calculator_module.bonds
    monkeypatch.setattr(calculator_module, "bonds", lambda *a: built.append(1) or original(*a))
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
    assert 2 <= len(built) <= 20
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


# ---------------------------------------------------------------- ASEReference


def test_reference_virial_is_the_strain_derivative_of_its_energy():
    """Virial of EMT through the bridge = -dE/d(strain) by differences of its energy: the sign convention of the package."""
    atoms = bulk("Cu", "fcc", a=3.5, cubic=True)
    atoms.rattle(0.05, seed=4)
    reference = ASEReference(EMT())
    cell = cell_from_ase(atoms)
    virial = evaluate(reference, cell).virial
    h, numerical = 1e-4, np.zeros((3, 3))
    for a in range(3):
        for b in range(3):
            energy = []
            for sign in (1, -1):
                strain = np.eye(3)
                strain[a, b] += sign * h / 2
                strain[b, a] += sign * h / 2
                energy.append(evaluate(reference, cell, cell.positions @ strain, cell.vectors @ strain, stress=False).energy)
            numerical[a, b] = -(energy[0] - energy[1]) / (2 * h)
    assert np.trace(virial) > 1.0  # compressed: it pushes outwards
    np.testing.assert_allclose(virial, numerical, atol=2e-6)  # h^2 truncation


def test_reference_virial_of_a_plane_does_not_know_the_vacuum():
    """A two-dimensional crystal through ASE's Lennard-Jones, boxed with vacuum, against the same site energy summed here."""
    p = Pairs(cutoff=4.5, onset=3.0)
    cell = supercell(triangular("Cu", 2.45), 3)
    x = cell.positions + np.random.default_rng(1).normal(0, 0.05, (len(cell), 3)) * [1, 1, 0]
    theirs = evaluate(
        ASEReference(ASELennardJones(epsilon=p.epsilon, sigma=p.sigma, rc=p.cutoff, ro=p.onset, smooth=True)), cell, x
    )
    ours = evaluate(p, cell, x)
    assert np.abs(ours.virial[:2, :2]).min() > 1e-3
    np.testing.assert_allclose(theirs.virial, ours.virial, atol=1e-12)
    np.testing.assert_allclose(theirs.forces, ours.forces, atol=1e-12)
    np.testing.assert_allclose(theirs.energy, ours.energy, atol=1e-12)


def test_reference_answers_do_not_depend_on_history():
    """One calculator asked for different things in turn answers each like a fresh one, and never from a stale cache."""
    one, two = cell_from_ase(frame("one image cell")), cell_from_ase(frame("molecule"))
    used = ASEReference(EMT())
    first = evaluate(used, one)
    evaluate(used, two, stress=False)
    again = evaluate(used, one)
    assert again.energy == first.energy
    assert np.array_equal(again.forces, first.forces) and np.array_equal(again.virial, first.virial)
    changed = Other()
    evaluate(ASEReference(changed), one, stress=False)
    changed.broken = {"energy": 5.0}  # a setting changed behind ASE's back, the atoms the same
    assert evaluate(ASEReference(changed), one, stress=False).energy == 5.0


def test_reference_prefers_the_energy_that_forces_derive_from():
    """With electronic smearing `energy` is extrapolated; forces are the gradient of `free_energy`."""
    smeared = Other({"free_energy": -7.5})
    smeared.implemented_properties = ["energy", "free_energy", "forces"]
    assert evaluate(ASEReference(smeared), cell_from_ase(frame("molecule")), stress=False).energy == -7.5


@pytest.mark.parametrize("noise", [0.0, 1e-5], ids=["exact forces", "noisy forces"])
def test_force_constants_step_sweep(noise):
    """Central differences against the Hessian jets of the same potential: a V, whose bottom justifies the default step.

    Exact forces: truncation h^2 against rounding. Forces noisy at 1e-5 eV/A: the bottom moves to the default, 0.01 A.
    """
    lattice, potential = fcc("Cu", 3.5), Binding()
    cell = supercell(lattice, 2)
    exact = fold_force_constants(force_constants(lattice, potential), cell)[0]
    steps = np.array([3e-1, 1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 1e-4, 1e-6, 1e-9])
    errors = []
    for step in steps:
        calculator = Noisy(Calculator(potential), noise) if noise else Calculator(potential)
        found = blackbox_force_constants(lattice, ASEReference(calculator, step=float(step)), reach=7.0)
        assert found.step == step  # the label knows how it was made
        errors.append(np.abs(fold_force_constants(found, cell)[0] - exact).max())
    best = steps[int(np.argmin(errors))]
    assert min(errors) < 1e-3 * max(errors), dict(zip(steps, errors, strict=True))
    assert best not in (steps[0], steps[-1])
    if noise:
        assert best / 4 < ASEReference(EMT()).step < best * 4, dict(zip(steps, errors, strict=True))
        assert min(errors) < 1e-2 * np.abs(exact).max()
    else:
        assert min(errors) < 1e-6 * np.abs(exact).max()


def test_reference_refuses_stress_it_does_not_have():
    """A calculator without stress may label energies and forces, and says which it is when virials are wanted."""
    cell, plain = cell_from_ase(frame("one image cell")), ASEReference(Other(), name="trap")
    assert evaluate(plain, cell, stress=False).virial is None
    with pytest.raises(InputError, match="trap computes no stress") as caught:
        evaluate(plain, cell, stress=True)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda c: ASEReference(EMT), "instance.*EMT"),
        (lambda c: ASEReference(Binding()), "instance.*Binding"),
        (lambda c: ASEReference(EMT(), step=0.0), "step"),
        (lambda c: evaluate(ASEReference(EMT()), cell_from_ase(bulk("Fe"))), "EMT could not compute.*Fe"),
        (lambda c: evaluate(ASEReference(Other({"energy": np.nan})), c, stress=False), "energy that cannot be used"),
        (
            lambda c: evaluate(ASEReference(Other({"forces": np.full((4, 3), np.inf)})), c, stress=False),
            "forces that cannot be used",
        ),
        (lambda c: evaluate(ASEReference(Other({"forces": np.zeros((3, 3))})), c, stress=False), "shape"),
        (lambda c: evaluate(ASEReference(Other({"energy": None})), c, stress=False), "no energy"),
    ],
    ids=[
        "a class",
        "a site energy",
        "no step",
        "unknown species",
        "NaN energy",
        "infinite forces",
        "too few forces",
        "no energy",
    ],
)
def test_reference_refuses_in_one_sentence(make, words):
    with pytest.raises(InputError, match=words) as caught:
        make(cell_from_ase(frame("one image cell")))
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- structures


def holds(lattice, atoms) -> bool:
    """Whether every atom sits on a site of the lattice with its own symbol, nothing moved or turned."""
    t = np.linalg.solve(lattice.vectors.T, (atoms.positions[:, None] - lattice.motif).reshape(-1, 3).T).T.reshape(
        len(atoms), -1, 3
    )
    on = np.abs(t - np.rint(t)).max(-1) < 1e-5
    return all(on[i].sum() == 1 and lattice.species[int(np.argmax(on[i]))] == s for i, s in enumerate(atoms.symbols))


@pytest.mark.parametrize(
    ("atoms", "sublattices"),
    [
        (bulk("Cu", "fcc", a=3.6, cubic=True) * (2, 1, 1), 1),
        (bulk("Si", "diamond", a=5.43, cubic=True), 2),
        (bulk("NaCl", "rocksalt", a=5.6, cubic=True), 2),
        (bulk("Mg", "hcp", a=3.2, c=5.2) * (2, 2, 1), 2),
    ],
    ids=["fcc", "diamond", "rocksalt", "hcp"],
)
def test_from_ase_finds_the_primitive_cell_where_it_is(atoms, sublattices):
    """A rotated, shifted supercell: the primitive lattice has the right volume and passes through every atom."""
    atoms = atoms.copy()
    atoms.rotate(37, (1, 2, 3), rotate_cell=True)
    atoms.positions += [0.3, -0.2, 0.5]
    lattice = from_ase(atoms)
    assert lattice.sublattices == sublattices and lattice.dimension == 3
    np.testing.assert_allclose(lattice.volume, atoms.get_volume() / len(atoms) * sublattices, rtol=1e-6)
    assert holds(lattice, atoms)
    atoms.positions[0] += 0.1
    assert not holds(lattice, atoms)


@pytest.mark.parametrize("suffix", ["cif", "vasp", "extxyz"])
def test_from_ase_reads_files(tmp_path, suffix):
    path = tmp_path / f"salt.{suffix}"
    bulk("NaCl", "rocksalt", a=5.6, cubic=True).write(path)
    lattice = from_ase(str(path))
    assert sorted(lattice.species) == ["Cl", "Na"]
    np.testing.assert_allclose(lattice.volume, 5.6**3 / 4, rtol=1e-6)


def test_from_ase_reads_planes():
    """Atoms open along z make a two-dimensional crystal in z = 0, whatever vacuum they came with."""
    honeycomb = Atoms(
        "C2", positions=[[0, 0, 7], [0, 1.42, 7]], cell=[[2.4595, 0, 0], [1.22975, 2.13, 0], [0, 0, 15]], pbc=[1, 1, 0]
    ) * (3, 2, 1)
    lattice = from_ase(honeycomb)
    assert lattice.dimension == 2 and lattice.sublattices == 2
    assert np.array_equal(lattice.vectors[2], [0, 0, 1]) and not lattice.motif[:, 2].any()
    np.testing.assert_allclose(lattice.volume, 2.4595 * 2.13, rtol=1e-6)


def test_to_ase_and_back_keeps_everything():
    """Order, positions, box, boundaries and clamped atoms survive the door in both directions, bit by bit."""
    for cell in (
        supercell(rocksalt("NaCl", 5.6), 1),
        ball(hcp("Mg", 3.2, 5.2), 4.0, clamp=3.0),
        supercell(triangular("Cu", 2.5), 3),
    ):
        back = cell_from_ase(to_ase(cell))
        assert back.symbols == cell.symbols and back.periodic == cell.periodic
        assert back.lattice.dimension == cell.lattice.dimension
        for name in ("positions", "vectors", "free"):
            assert np.array_equal(getattr(back, name), getattr(cell, name)), name
    moved = to_ase(cell, positions=cell.positions + 0.1, vectors=2 * cell.vectors, calculator=Calculator(Binding()))
    assert np.array_equal(moved.positions, cell.positions + 0.1) and np.array_equal(moved.cell, 2 * cell.vectors)
    assert moved.calc is not None


def test_cell_from_ase_boxes_molecules_and_honours_constraints():
    atoms = molecule("CH3CH2OH")
    atoms.set_constraint(FixAtoms([1, 3]))
    cell = cell_from_ase(atoms)
    assert cell.periodic == (False, False, False) and len(cell) == 9
    assert np.all(np.diag(cell.vectors) >= np.ptp(cell.positions, axis=0))
    assert np.flatnonzero(~cell.free).tolist() == [1, 3]
    wire = cell_from_ase(frame("wire"))
    assert wire.periodic == (False, False, True) and wire.vectors[2, 2] == 4.8
    assert cell_from_ase(frame("slab")).lattice.dimension == 3  # open along z, but no plane


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: from_ase(path / "none.cif"), "no file"),
        (lambda path: from_ase(str((path / "bad.cif").write_text("nonsense") and path / "bad.cif")), "bad.cif"),
        (lambda path: from_ase(molecule("H2O")), "pbc"),
        (lambda path: from_ase(Atoms("Cu", pbc=True)), "zero"),
        (lambda path: from_ase(Atoms(pbc=True, cell=np.eye(3))), "no atoms"),
        (lambda path: from_ase(Atoms("C", cell=[2, 2, 9], pbc=[1, 0, 1])), "pbc"),
    ],
    ids=["missing file", "no structure", "molecule", "no cell", "no atoms", "wrong open direction"],
)
def test_structures_refuse_in_one_sentence(make, words, tmp_path):
    with pytest.raises(InputError, match=words) as caught:
        make(tmp_path)
    assert "\n" not in str(caught.value)


def test_defect_from_atoms_returns_to_any_cell():
    """A relaxed, shuffled, wrapped vacancy and antisite from ASE, applied to another supercell of the same crystal."""
    perfect = bulk("NaCl", "rocksalt", a=5.6, cubic=True) * (2, 2, 2)
    broken = perfect.copy()
    broken.symbols[9] = "K"
    del broken[8]
    broken = broken[np.random.default_rng(0).permutation(len(broken))]
    broken.rattle(0.1, seed=0)
    broken.wrap()
    defect = defect_from_atoms(perfect, broken)
    cell = defect.apply(supercell(from_ase(perfect), (3, 3, 2)))
    assert len(cell) == 3 * 3 * 2 * len(bulk("NaCl", "rocksalt", a=5.6, cubic=True)) - 1
    assert cell.symbols.count("K") == 1
    lost = {perfect.symbols[8], perfect.symbols[9]}
    gap = cell.perfect.site_positions[np.setdiff1d(np.arange(len(cell.host.sublattices)), cell.sites)]
    potassium = cell.positions[cell.symbols.index("K")]
    np.testing.assert_allclose(
        np.linalg.norm(cell.minimum_image(gap - potassium)), perfect.get_distance(8, 9, mic=True), atol=1e-9
    )
    assert lost == {"Na", "Cl"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda atoms: None, "perfect"),
        (lambda atoms: atoms.set_cell(atoms.cell[:] * 1.02, scale_atoms=True), "one box"),
        (lambda atoms: atoms.set_pbc([True, True, False]), "one box"),
    ],
    ids=["no defect", "another box", "another boundary"],
)
def test_defect_from_atoms_refuses_in_one_sentence(change, words):
    perfect = bulk("Cu", "fcc", a=3.6, cubic=True) * 2
    defective = perfect.copy()
    change(defective)
    with pytest.raises(InputError, match=words) as caught:
        defect_from_atoms(perfect, defective)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- extended XYZ


def labelled() -> list[Snapshot]:
    """Snapshots with every combination of labels, boundary and group; numbers with all their digits."""
    random = np.random.default_rng(5)
    result = []
    for k, cell in enumerate(
        [supercell(fcc("Cu", 3.6), 1), ball(fcc("Cu", 3.6), 3.0, clamp=2.0), supercell(triangular("Cu", 2.5), 2)]
    ):
        virial = random.normal(size=(3, 3))
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


# ---------------------------------------------------------------- phonopy


def phonopy_of(cell) -> Phonopy:
    """Phonopy on exactly this supercell, atoms in this order."""
    unit = PhonopyAtoms(symbols=list(cell.symbols), cell=cell.vectors, positions=cell.positions)
    return Phonopy(unit, supercell_matrix=np.eye(3, dtype=int), primitive_matrix=np.linalg.inv(cell.host.matrix.T))


def test_force_constants_and_frequencies_equal_phonopy():
    """Finite displacements of EMT by phonopy (its displacements, its symmetry) and by ASEReference: one set of numbers."""
    lattice, step = fcc("Cu", 3.6), 1e-3
    cell = supercell(lattice, 2)
    peer = phonopy_of(cell)
    peer.generate_displacements(distance=step, is_plusminus=True, is_diagonal=False)
    sets = []
    for displaced in peer.supercells_with_displacements:
        atoms = to_ase(cell, positions=displaced.positions, calculator=EMT())
        sets.append(atoms.get_forces())
    peer.forces = sets
    peer.produce_force_constants()
    constants = blackbox_force_constants(lattice, ASEReference(EMT(), step=step), reach=7.0)
    ours = fold_force_constants(constants, cell)
    assert np.abs(ours).max() > 1.0
    np.testing.assert_allclose(ours, peer.force_constants, atol=1e-9)  # forces of 1e-13 eV/A over twice the step
    assert np.array_equal(primitive_sites(cell), peer.primitive.p2s_map)
    np.testing.assert_allclose(fold_force_constants(constants, cell, primitive_sites(cell)), ours[primitive_sites(cell)])
    points = np.array([[0.5, 0.5, 0.0], [0.0, 0.25, 0.25], [0.1, 0.2, 0.3]])
    peer.run_qpoints(points)
    frequencies = phonon_frequencies(lattice, constants, points)
    assert frequencies.min() > 1.0
    np.testing.assert_allclose(frequencies, peer.qpoints.frequencies, atol=1e-5)  # digits of their constants and masses
    np.testing.assert_allclose(phonon_frequencies(lattice, constants, np.zeros((1, 3))), 0.0, atol=1e-3)  # root of rounding


@pytest.mark.parametrize("size", [1, 2], ids=["narrow cell", "wide cell"])
def test_folded_force_constants_are_the_hessian_of_the_cell(size):
    """Jets of one primitive cell folded into a supercell = sparse Hessian of that supercell, also where atoms see images."""
    lattice = rocksalt("CuAg", 4.8)
    cell = supercell(lattice, size)
    folded = fold_force_constants(force_constants(lattice, Binding()), cell)
    atoms = to_ase(cell)
    direct = Calculator(Binding()).get_property("hessian", atoms).toarray().reshape(len(cell), 3, len(cell), 3)
    assert np.abs(direct).max() > 0.1
    np.testing.assert_allclose(folded, direct.swapaxes(1, 2), atol=1e-12)


@pytest.mark.parametrize("compact", [False, True], ids=["full", "compact"])
@pytest.mark.parametrize("name", ["FORCE_CONSTANTS", "force_constants.hdf5"])
def test_force_constant_files_are_phonopys(tmp_path, name, compact):
    """Written here and read by phonopy, written by phonopy and read here."""
    cell = supercell(rocksalt("CuAg", 4.8), 1)
    sites = primitive_sites(cell) if compact else None
    phi = fold_force_constants(force_constants(cell.lattice, Binding()), cell, sites)
    assert phi.shape == (2 if compact else 8, 8, 3, 3) and np.abs(phi).max() > 0.1
    exact = 0.0 if name.endswith("hdf5") else 5.1e-16  # the text holds 15 decimals
    write_force_constants(tmp_path / name, phi, sites)
    text = name == "FORCE_CONSTANTS"
    read = parse_FORCE_CONSTANTS if text else read_force_constants_hdf5
    np.testing.assert_allclose(read(tmp_path / name, p2s_map=sites), phi, rtol=0, atol=exact)
    theirs = tmp_path / f"peer_{name}"
    (write_FORCE_CONSTANTS if text else write_force_constants_to_hdf5)(phi, theirs, p2s_map=sites)
    for path in (theirs, tmp_path / name):
        back, rows = read_force_constants(path)
        np.testing.assert_allclose(back, phi, rtol=0, atol=exact)
        assert np.array_equal(rows, np.arange(8) if sites is None else sites)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: read_force_constants(path / "none"), "no file"),
        (lambda path: read_force_constants(str((path / "bad").write_text("2 2\n1 1\n0 0 0\n") and path / "bad")), "neither"),
        (lambda path: read_force_constants(str((path / "bad").write_text("once upon a time") and path / "bad")), "neither"),
        (lambda path: write_force_constants(path / "F", np.zeros((2, 4, 3, 3))), "p2s_map"),
        (lambda path: write_force_constants(path / "F", np.zeros((2, 4, 3, 3)), np.arange(3)), "p2s_map"),
        (lambda path: fold_force_constants(force_constants(fcc("Cu", 3.6), Binding()), ball(fcc("Cu", 3.6), 4.0)), "ball"),
    ],
    ids=["missing", "cut short", "prose", "compact without map", "wrong map", "ball"],
)
def test_phonopy_files_refuse_in_one_sentence(make, words, tmp_path):
    with pytest.raises(InputError, match=words) as caught:
        make(tmp_path)
    assert "\n" not in str(caught.value)
