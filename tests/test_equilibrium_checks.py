"""One check of the crystal's equilibrium at every door, and of what else makes a number that is not the one asked for."""

import warnings
from functools import cache

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from toy_energy import Elsewhere

import defectgen as dg
from defectgen._input import InputError, InputWarning
from defectgen.energy import crystal_state
from defectgen.energy.crystal_state import state_of
from defectgen.errors import compare_on_both_lattices
from defectgen.fit import fit
from defectgen.units import EV_PER_A3_IN_GPA

TRUTH = dg.reference.CleriRosato("Cu")


@cache
def copper():
    return dg.equilibrate(dg.fcc("Cu", 3.615), TRUTH)


def stretched(size=2):
    """A vacancy in a crystal whose lattice constant is 3.7 % too large."""
    return dg.vacancy().apply(dg.supercell(dg.fcc("Cu", 3.75), size))


def test_the_pressure_is_that_of_ase():
    """Two codes and two routes: EMT's stress, and energies at two volumes where a calculator has none."""
    atoms = bulk("Cu", a=3.65)
    atoms.calc = EMT()
    right = -np.trace(atoms.get_stress(voigt=False)) / 3 * EV_PER_A3_IN_GPA
    lattice = dg.fcc("Cu", 3.65)
    state = crystal_state(lattice, dg.ASEReference(EMT()))
    assert abs(right) > 3.0 and state.pressure == pytest.approx(right, rel=1e-9)
    assert not state.at_rest() and f"pressure {right:.3g} GPa" in state.unrest()
    blind = crystal_state(lattice, Elsewhere(TRUTH, has_stress=False))
    assert blind.pressure == pytest.approx(crystal_state(lattice, TRUTH).pressure, rel=0.02)  # truncation, see STRETCH
    assert crystal_state(copper(), Elsewhere(TRUTH, has_stress=False)).at_rest()


def test_a_layer_has_a_pressure_along_its_plane_only():
    """The pressure of a layer, N/m, is -dE/dA: a difference of energies."""
    lattice = dg.triangular("Cu", 2.6)

    def energy(factor):
        return dg.evaluate(TRUTH, dg.primitive_cell(lattice.deformed(np.diag([factor, factor, 1.0])))).energy

    area = abs(np.linalg.det(lattice.vectors[:2, :2]))
    right = -(energy(1 + 1e-5) - energy(1 - 1e-5)) / (4e-5 * area) * EV_PER_A3_IN_GPA * 0.1
    state = crystal_state(lattice, TRUTH)
    assert state.pressure == pytest.approx(right, rel=1e-6) and "N/m" in state.unrest() and not state.virial[2].any()


def test_what_is_no_number_is_not_at_rest():
    bad = np.full((3, 3), np.nan)
    for forces, virial in ((None, bad), (bad[:1], np.zeros((3, 3))), (np.zeros((1, 3)), bad)):
        state = state_of(copper(), 0.0, forces, virial, 1)
        assert not state.at_rest() and "nan" in state.unrest()
    assert state_of(copper(), 0.0, np.zeros((1, 3)), np.zeros((3, 3)), 1).at_rest()


def test_relaxing_off_equilibrium_is_told_and_what_is_undefined_there_is_refused():
    with pytest.warns(InputWarning, match=r"fcc Cu is not at equilibrium .*pressure -12\.4 GPa"):
        found = dg.relax(stretched(), TRUTH, eigenvalue=False)
    assert found.converged and "pressure -12.4 GPa" in found.message and found.unrest
    for quantity, name in ((dg.elastic_dipole, "an elastic dipole"), (dg.image_correction, "an image correction")):
        with pytest.raises(InputError, match=rf"{name} is defined in a crystal at equilibrium only.*-12\.4 GPa.*equilibrate"):
            quantity(found, TRUTH)
    with pytest.raises(InputError, match="a far field is defined in a crystal at equilibrium only"):
        dg.relax_far_field(dg.vacancy().apply(dg.ball(dg.fcc("Cu", 3.75), 6.0)), TRUTH)
    with pytest.raises(InputError, match="the bound is that of a defect in a crystal at equilibrium"):
        dg.bound(found, TRUTH, TRUTH, 2.0)
    with pytest.warns(InputWarning, match="errors are those under this pressure"):
        dg.compare(found, found)


def test_a_crystal_at_equilibrium_is_met_with_silence():
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        found = dg.relax(dg.vacancy().apply(dg.supercell(copper(), 2)), TRUTH, eigenvalue=False)
        dg.compare(found, found)
    assert found.message == "converged" and not found.unrest
    with pytest.warns(InputWarning, match="approximate equilibrium did not converge .* remain"):
        lazy = dg.relax(found.cell, TRUTH, tolerance=0.02, eigenvalue=False, max_newton=1)
        unfinished = dg.relax(found.cell, TRUTH, max_newton=1, eigenvalue=False)
        assert lazy.converged and not unfinished.converged
        assert not dg.compare(found, unfinished).same_basin


def test_a_certificate_is_taken_at_the_equilibrium_of_its_model():
    cells = dg.training_cells(
        copper(), dg.vacancy(), 2, seed=0, rattle=dg.Rattle(2, 0.05), strains=dg.Strains((0.01,), pairs=False)
    )
    made = fit(dg.label(cells, TRUTH, dg.ACEBasis(["Cu"], cutoff=4.0, order=2, degree=5), "E+F+V"), "E+F+V")
    cell = dg.vacancy().apply(dg.supercell(copper(), 2))
    other = dg.relax(cell, TRUTH, eigenvalue=False)
    with pytest.raises(InputError, match=r"not that of the fitted model, whose forces there are up to .* eV/A"):
        dg.certify(made, other)
    own = dg.relax(cell, made.model, eigenvalue=False)
    certificate = dg.certify(made, own)
    assert certificate.energy.bound > 0
    far = dg.relax(dg.vacancy().apply(dg.supercell(copper(), 3)), made.model, eigenvalue=False)
    with pytest.raises(InputError, match="certificate is that of another equilibrium"):
        dg.predict(made, far, certificate)


def test_swapped_sizes_and_errors_of_a_rate_are_named():
    sizes, errors = [2, 3, 4, 6, 8], [0.1, 0.03, 0.01, 3e-3, 1e-3]
    assert -4.0 < dg.estimate_rate(sizes, errors).slope < -2.0
    with pytest.raises(InputError, match=r"these seem swapped: sizes 0\.001 to 0\.1, errors 2 to 8"):
        dg.estimate_rate(errors, sizes)
    with pytest.raises(InputError, match="sizes come first, then errors"):
        dg.estimate_rate([0.1, float("nan"), -1.0], [2, 3, 4])
    with pytest.raises(InputError, match=r"a window is the smallest and the largest size"):
        dg.estimate_rate(sizes, errors, window=(8, 2))
    assert dg.estimate_rate(sizes[::-1], errors[::-1]).slope == dg.estimate_rate(sizes, errors).slope


def test_both_conventions_of_comparing_potentials_are_reported():
    """EMT against the second-moment potential: its vacancy in the reference's cell, and in a cell of its own lattice constant."""
    emt = dg.ASEReference(EMT(), step=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)  # the model's pressure belongs to the first convention
        found = compare_on_both_lattices(dg.vacancy(), copper(), 2, TRUTH, emt, tolerance=1e-8)
    own = dg.relax(dg.vacancy().apply(dg.supercell(dg.equilibrate(copper(), emt), 2)), emt, tolerance=1e-8, eigenvalue=False)
    exact = dg.relax(dg.vacancy().apply(dg.supercell(copper(), 2)), TRUTH, eigenvalue=False)
    assert found.energy_own == pytest.approx(own.formation_energy - exact.formation_energy, abs=1e-8)
    with pytest.warns(InputWarning, match="GPa"):
        held = dg.relax(exact.cell, emt, tolerance=1e-8, eigenvalue=False)
    assert found.held.energy_signed == pytest.approx(held.energy - exact.energy, abs=1e-8)
    assert found.held.energy_signed - found.energy_own > 0.01  # the conventions differ, and by the work of the pressure:
    atoms = bulk("Cu", a=found.exact.cell.lattice.nearest_neighbour * 2**0.5)
    atoms.calc = EMT()
    assert found.pressure == pytest.approx(-atoms.get_stress()[0] * EV_PER_A3_IN_GPA, rel=1e-6)
    assert "on the reference's lattice constant" in str(found) and f"{found.energy_own:+.4f} eV" in str(found)
    same = compare_on_both_lattices(dg.vacancy(), copper(), 2, TRUTH, TRUTH)
    assert same.held.energy == 0.0 == pytest.approx(same.energy_own, abs=1e-9) and same.lengths == pytest.approx(1.0, abs=1e-9)


def test_training_cells_beyond_the_simulation_cell_are_told():
    from defectgen.study import check, load

    spec = load("choices-3d")
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        check(spec)
    small = spec.model_copy(update={"cases": tuple(c.model_copy(update={"simulation_size": 2}) for c in spec.cases)})
    with pytest.warns(InputWarning, match="larger than the simulation cell"):
        try:
            check(small)
        except InputError:  # the cutoff does not fit either
            pass
