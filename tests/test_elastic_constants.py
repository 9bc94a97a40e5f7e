"""Elastic constants of any potential, against matscipy, by jets and by differences; layers count what lies in the plane."""

import pickle
import warnings

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from matscipy.elasticity import fit_elastic_constants

import defectgen as dg
from defectgen._input import InputError, InputWarning

COPPER = dg.reference.CleriRosato("Cu")
SILICON = dg.reference.StillingerWeber("Si")


def peer(a: float) -> np.ndarray:
    """EMT's 6 x 6 constants by matscipy: slopes of the Cauchy stress, eV/A^3."""
    atoms = bulk("Cu", "fcc", a=a, cubic=True)
    atoms.calc = EMT()
    return fit_elastic_constants(atoms, symmetry="cubic", verbose=False, N_steps=5, delta=1e-3)[0]


def side(lattice) -> float:
    return float(np.linalg.norm((lattice.conventional @ lattice.vectors)[0]))


@pytest.fixture(scope="module")
def at_rest():
    return dg.equilibrate(dg.fcc("Cu", 3.6), dg.ASEReference(EMT()))


def test_a_calculator_has_the_elastic_constants_that_matscipy_finds(at_rest):
    found = dg.elastic_constants(at_rest, dg.ASEReference(EMT()))
    np.testing.assert_allclose(found, peer(side(at_rest)), atol=1e-4 * found[0, 0])  # matscipy's own truncation: 2e-5
    np.testing.assert_allclose(found.stress_strain, found, atol=1e-9)  # no stress: one kind only
    assert found.route == "stress differences" and found.step == pytest.approx(0.01 / at_rest.nearest_neighbour)
    assert 0 < found.error < 1e-3 * found[0, 0] and "stress differences" in found.sentence
    assert type(2 * found) is np.ndarray and isinstance(found[0, 0], float)
    again = pickle.loads(pickle.dumps(found))
    assert again.step == found.step and np.array_equal(again, found)


def test_under_pressure_they_say_which_ones_they_are(at_rest):
    """9 GPa: slopes of the Cauchy stress, as of matscipy, are Birch's coefficients; the energy's second derivatives differ."""
    squeezed = at_rest.deformed(0.98 * np.eye(3))
    with pytest.warns(InputWarning, match=r"pressure 9\.24\).*second derivatives of the energy.*stress_strain"):
        found = dg.elastic_constants(squeezed, dg.ASEReference(EMT()))
    wanted = peer(side(squeezed))
    np.testing.assert_allclose(found.stress_strain, wanted, atol=3e-4 * found[0, 0])  # the range of strains of matscipy's fit
    assert np.abs(found - wanted).max() > 0.02 * found[0, 0]  # the other definition is told apart
    assert found.pressure * 160.21766 == pytest.approx(9.24, abs=0.01)
    with pytest.warns(InputWarning, match="second derivatives"):
        jets = dg.elastic_constants(dg.fcc("Cu", 3.5), COPPER)
    with pytest.warns(InputWarning):
        differenced = dg.elastic_constants(dg.fcc("Cu", 3.5), dg.ASEReference(dg.Calculator(COPPER), step=3e-3))
    np.testing.assert_allclose(differenced, jets, atol=1e-5 * jets[0, 0])


def test_stress_strain_coefficients_are_slopes_of_the_stress_under_any_load():
    """A triclinic crystal under shear: B = d(Cauchy stress)/d(strain) by central differences, column by column, not symmetric."""
    turn = np.random.default_rng(0).normal(size=(3, 3))
    lattice, h = dg.fcc("Cu", 3.6).deformed(np.eye(3) + 0.015 * (turn + turn.T)), 1e-4
    places = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
    with pytest.warns(InputWarning, match="second derivatives"):
        found = dg.elastic_constants(lattice, COPPER)
    slopes = np.zeros((6, 6))
    for column, (i, j) in enumerate(places):
        e = np.zeros((3, 3))
        e[i, j] += h / 2
        e[j, i] += h / 2
        ends = [dg.primitive_cell(lattice.deformed(np.eye(3) + s * e)) for s in (1, -1)]
        plus, minus = (-dg.evaluate(COPPER, end).virial / abs(np.linalg.det(end.vectors)) for end in ends)
        slopes[:, column] = [(plus - minus)[a, b] / (2 * h) for a, b in places]
    np.testing.assert_allclose(found.stress_strain, slopes, atol=1e-5)  # h^2 times the fourth derivative
    assert np.abs(found - slopes).max() > 0.03 and np.abs(slopes - slopes.T).max() > 0.03


@pytest.mark.parametrize("stress", [True, False], ids=["stress", "energy"])
def test_internal_relaxation_is_in_the_differences_too(stress):
    """Diamond: C44 of fixed sublattices is almost twice the relaxed one. By stress and, where there is none, by energy."""
    lattice = dg.equilibrate(dg.diamond("Si", 5.43), SILICON)
    box = dg.ASEReference(dg.Calculator(SILICON))
    object.__setattr__(box, "has_stress", stress)
    jets, found = dg.elastic_constants(lattice, SILICON), dg.elastic_constants(lattice, box)
    assert jets.step is None and jets.error is None and "analytic" in jets.sentence
    np.testing.assert_allclose(found, jets, atol=1e-6)
    assert np.abs(found - jets).max() < found.error < 1e-4
    assert found.route == ("stress differences" if stress else "energy differences")
    assert not found.stress.any() or np.abs(found.stress).max() < 1e-6
    single = [e.energy for e in (dg.evaluate(SILICON, dg.primitive_cell(lattice.deformed(np.eye(3) + s))) for s in shears(1e-3))]
    frozen = (single[0] - 2 * single[1] + single[2]) / 1e-6 / lattice.volume
    assert frozen > 1.3 * found[3, 3]


def shears(h):
    e = np.zeros((3, 3))
    e[1, 2] = e[2, 1] = 0.5 * h
    return e, 0 * e, -e


def test_unrelaxed_sublattices_are_warned_of():
    lattice = dg.equilibrate(dg.diamond("Si", 5.43), SILICON)
    shifted = lattice.with_motif(lattice.motif + np.array([[0, 0, 0], [0.05, 0, 0]]))
    with pytest.warns(InputWarning, match=r"not relaxed .*stress up to 3\.\d+ GPa") as caught:
        dg.elastic_constants(shifted, SILICON)  # and of the shear stress that this makes, in one line
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dg.elastic_constants(lattice, SILICON)


def test_errors_of_a_black_box_are_differenced(at_rest):
    lattice = dg.equilibrate(dg.fcc("Cu", 3.6), COPPER)
    softer = dg.reference.CleriRosato("Cu", cutoff=4.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)  # the softer one is not at rest here
        exact = dg.elastic_constant_error(lattice, COPPER, softer)
        found = dg.elastic_constant_error(lattice, dg.ASEReference(dg.Calculator(COPPER)), softer)
    assert exact.uncertainty is None and exact.max > 0.01
    np.testing.assert_allclose(found.difference, exact.difference, atol=found.uncertainty)


@pytest.mark.usefixtures("unchecked")
def test_what_is_no_potential_or_no_lattice_is_refused(at_rest):
    for wrong in (EMT(), None):
        with pytest.raises(InputError, match="a potential is a reference"):
            dg.elastic_constants(at_rest, wrong)
    for function in (dg.elastic_constants, dg.crystal_force_constants):
        with pytest.raises(InputError, match="those of a lattice"):
            function(dg.primitive_cell(at_rest), COPPER)


# ------------------------------------------------------------------------------------------------ layers
@pytest.fixture(scope="module")
def layer():
    return dg.equilibrate(dg.triangular("Cu", 2.5), COPPER)


def test_elastic_constants_of_a_layer_lie_in_its_plane(layer):
    """By jets, by energies behind ASE (which gives an open box no stress), and by isotropy: C66 = (C11 - C12)/2."""
    jets, found = dg.elastic_constants(layer, COPPER), dg.elastic_constants(layer, dg.ASEReference(dg.Calculator(COPPER)))
    np.testing.assert_allclose(found, jets, atol=1e-5)
    assert found.route == "energy differences" and jets[0, 0] > 1
    assert jets[5, 5] == pytest.approx((jets[0, 0] - jets[0, 1]) / 2, rel=1e-9)
    with pytest.warns(InputWarning, match=r"eV/A\^2"):
        stretched = dg.elastic_constants(layer.deformed(np.diag([1.02, 1.02, 1.0])), COPPER)
    assert not np.asarray(stretched)[2:5].any() and not np.asarray(stretched)[:, 2:5].any()
    assert stretched.pressure < 0 and not stretched.stress[2].any()


def test_force_constant_errors_of_a_layer_count_what_moves(layer):
    """sum over pairs of the entries in the plane, from the differences themselves; those out of the plane are not zero."""
    basis = dg.ACEBasis(["Cu"], cutoff=4.5, order=2, degree=6)
    model = dg.LinearACE(basis, np.random.default_rng(0).normal(size=basis.size) / 100)
    a, b = (
        {tuple(np.round(s, 4)): p for s, p in zip(c.separations, c.phi, strict=True)}
        for c in (dg.crystal_force_constants(layer, p) for p in (COPPER, model))
    )
    zero = np.zeros((3, 3))
    difference = np.array([a.get(k, zero) - b.get(k, zero) for k in {*a, *b}])
    found = dg.force_constant_error(layer, COPPER, model)
    assert found.l2 == pytest.approx(np.linalg.norm(difference[:, :2, :2]), rel=1e-9)
    assert found.max == pytest.approx(np.abs(difference[:, :2, :2]).max(), rel=1e-9)
    assert np.linalg.norm(difference) > 1.001 * found.l2  # out-of-plane entries would be seen
    error = dg.elastic_constant_error(layer, COPPER, COPPER)
    with pytest.raises(InputError, match=r"eV/A\^2 and have no value in GPa"):
        _ = error.max_gpa


def test_the_dipole_of_a_layer_is_minus_the_strain_derivative_and_its_volume_an_area(layer):
    """E_f of the vacancy under strains in the plane, relaxed again; relaxation area = tr P / (C11 + C12)."""
    n, h = 5, 2e-4
    rest = dg.relax(dg.vacancy().apply(dg.supercell(layer, n)), COPPER, eigenvalue=False)
    found = dg.elastic_dipole(rest, COPPER)
    energies = []
    for e in (h, -h):
        strained = dg.vacancy().apply(dg.supercell(layer.deformed(np.diag([1 + e, 1.0, 1.0])), n))
        energies.append(dg.relax(strained, COPPER, eigenvalue=False).energy)
    assert found.dipole[0, 0] == pytest.approx(-(energies[0] - energies[1]) / (2 * h), rel=1e-4)
    c = dg.elastic_constants(layer, COPPER)
    assert found.relaxation_volume == pytest.approx(np.trace(found.dipole) / (c[0, 0] + c[0, 1]), rel=1e-9)
    assert found.route == "stress" and not found.dipole[2].any() and not found.relaxation_volume_tensor[2].any()


# ------------------------------------------------------------------------------------------------ dipoles
def test_the_stress_route_is_near_the_limit_where_the_forces_are_not():
    """P(N) = P + c N^-3 from the stress: three sizes lie on it; the forces miss the limit by 8 %, the stress by 2 %."""
    lattice = dg.equilibrate(dg.fcc("Cu", 3.615), COPPER)
    sizes = np.array([3, 4, 5])
    relaxed = [dg.relax(dg.vacancy().apply(dg.supercell(lattice, int(n))), COPPER, eigenvalue=False) for n in sizes]
    found = [dg.elastic_dipole(equilibrium, COPPER) for equilibrium in relaxed]
    trace = np.array([np.trace(p.from_stress) for p in found])
    slope, limit = np.polyfit(1.0 / sizes[1:] ** 3, trace[1:], 1)
    assert trace[0] == pytest.approx(limit + slope / 27, rel=2e-3)  # the third point confirms the power
    assert np.trace(found[0].dipole) == pytest.approx(limit, rel=0.02)
    assert abs(np.trace(found[0].from_forces) / limit - 1) > 0.08
    assert np.trace(found[2].from_forces) == pytest.approx(limit, rel=5e-3)  # both have one limit
    assert [p.route for p in found] == ["stress"] * 3


def test_a_black_box_has_dipole_and_images_of_a_multilattice():
    lattice = dg.equilibrate(dg.diamond("Si", 5.43), SILICON)
    relaxed = dg.relax(dg.interstitial("tetrahedral").apply(dg.supercell(lattice, 2)), SILICON, eigenvalue=False)
    box = dg.ASEReference(dg.Calculator(SILICON), step=3e-3)
    exact, found = dg.elastic_dipole(relaxed, SILICON), dg.elastic_dipole(relaxed, box)
    np.testing.assert_allclose(found.dipole, exact.dipole, atol=1e-6)
    assert found.relaxation_volume == pytest.approx(exact.relaxation_volume, rel=1e-5)
    assert found.stiffness.step is not None and exact.stiffness.step is None
    assert dg.image_correction(relaxed, box) == pytest.approx(dg.image_correction(relaxed, SILICON), rel=1e-3)
    object.__setattr__(box, "has_stress", False)
    without = dg.elastic_dipole(relaxed, box)
    assert without.route == "forces" and without.from_stress is None
    np.testing.assert_allclose(without.dipole, exact.from_forces, atol=2e-3 * exact.from_forces.max())  # differences of forces


def test_a_stress_from_a_file_is_the_virial_of_a_layer_whatever_its_vacuum(layer, tmp_path):
    """Stress times the volume of the box that the file has; the virial in the plane is minus dE/d(strain)."""
    strained = dg.supercell(layer.deformed(np.diag([1.01, 1.0, 1.0])), 3)
    wanted = dg.evaluate(COPPER, strained).virial
    for vacuum in (10.0, 25.0):
        atoms = dg.to_ase(strained)
        atoms.set_cell([*strained.vectors[:2], [0, 0, vacuum]])
        atoms.info["REF_energy"] = dg.evaluate(COPPER, strained).energy
        atoms.info["REF_stress"] = -wanted / atoms.get_volume()
        atoms.arrays["REF_forces"] = dg.evaluate(COPPER, strained).forces
        atoms.write(tmp_path / "layer.extxyz")
        (frame,) = dg.read_extxyz(tmp_path / "layer.extxyz")
        np.testing.assert_allclose(frame.labels["virial"], wanted, atol=1e-6)  # what the file rounds to
    assert abs(wanted[0, 0]) > 1e-2
