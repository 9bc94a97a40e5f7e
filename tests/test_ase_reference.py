"""Any ASE calculator as a reference: its virial, its force constants, and what it does not have."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones as ASELennardJones
from toy_calculators import Binding, Noisy, Other, Pairs, frame

from defectgen._input import InputError
from defectgen.bridge import ASEReference, Calculator, cell_from_ase, fold_force_constants
from defectgen.crystal import fcc, supercell, triangular
from defectgen.energy import blackbox_force_constants, evaluate, force_constants


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


@pytest.mark.parametrize("announced", [True, False])
def test_an_energy_that_is_no_number_next_to_a_free_energy_is_refused(announced):
    smeared = Other({"energy": np.nan, "free_energy": -7.5})
    smeared.implemented_properties = ["energy", *["free_energy"] * announced, "forces"]
    with pytest.raises(InputError, match=r"an energy that is nan next to a free energy of -7.5 eV"):
        evaluate(ASEReference(smeared), cell_from_ase(frame("molecule")), stress=False)


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
