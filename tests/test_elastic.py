"""Boundary conditions: multipoles by two routes, the infinite crystal's Green's function, far fields, images, and their rates."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import defectgen as dg
from defectgen._input import InputError
from defectgen.campaign import Record
from defectgen.elastic import (
    HarmonicCrystal,
    Multipoles,
    PointForces,
    energy_of_infinite_crystal,
    infinite_greens,
    infinite_greens_function,
    multipoles,
    point_forces,
    relax_far_field,
)
from defectgen.energy import crystal_force_constants, long_wave_elastic_constants
from defectgen.errors import boundary_rate
from defectgen.relax import greens_function
from defectgen.study import parse, plan, tables
from defectgen.study.boundary.figures import boundary_pictures

COPPER = dg.reference.CleriRosato("Cu")
FCC = dg.equilibrate(dg.fcc("Cu", 3.615), COPPER)
PLANE = dg.equilibrate(dg.triangular("Cu", 2.5), COPPER)
MORSE = dg.reference.Morse("Cu")
MORSE_PLANE = dg.equilibrate(dg.triangular("Cu", 2.6), MORSE)


def disc(lattice, potential, defect, radius):
    """The defect in a ball of `radius` spacings with the thinnest shell that is allowed."""
    return defect.apply(dg.ball(lattice, radius * lattice.nearest_neighbour, clamp=2 * potential.cutoff + 0.5))


def slope(sizes, errors):
    return np.polyfit(np.log(sizes), np.log(errors), 1)[0]


# ------------------------------------------------------------------------------------------------ Green's function
def grid(reach):
    axis = np.arange(-reach, reach + 1)
    return np.stack(np.meshgrid(axis, axis, [0], indexing="ij"), -1).reshape(-1, 3)


@pytest.mark.parametrize(("lattice", "sides"), [(PLANE, (48, 96)), (FCC, (10, 20))], ids=["triangular", "fcc"])
def test_large_periodic_cells_approach_the_infinite_crystal(lattice, sides):
    """The energy of a dipole among its images falls like N^-d to that in the extrapolated function."""
    constants, d = crystal_force_constants(lattice, COPPER), lattice.dimension
    green = infinite_greens_function(lattice, constants, 3 * lattice.nearest_neighbour)
    sources = point_forces(lattice, np.zeros(3), Multipoles(np.diag([1.0, 2.0, 1.5 * (d == 3)]), None, 0.0), 1)
    t, home = sources.translations, np.zeros(len(sources.translations), dtype=int)
    errors = []
    for side in sides:
        cell = dg.supercell(lattice, side)
        finite = greens_function(cell, COPPER)
        field = np.zeros((len(finite.grid.index(cell.perfect_sites.translations)), d))
        np.add.at(field, finite.grid.index(t), sources.forces[:, :d])
        u = finite.apply(field)[finite.grid.index(t)]
        v = sources.displacement(green, t, home)[:, :d]
        errors.append(abs(np.vdot(sources.forces[:, :d], u - v)))
    assert errors[1] > 1e-9  # images do matter, eV
    assert slope(sides, errors) == pytest.approx(-d, abs=0.05)  # (N^-(d+2))/(N^-d) is a percent or two here


def test_far_field_of_an_isotropic_dipole_is_that_of_a_disc_in_an_isotropic_sheet():
    """u = p x / (2 pi (lambda + 2 mu) r^2): the triangular lattice is elastically isotropic; dispersion is of order (a/r)^2."""
    green = infinite_greens_function(PLANE, crystal_force_constants(PLANE, COPPER), 40 * PLANE.nearest_neighbour)
    sources = point_forces(PLANE, np.zeros(3), Multipoles(np.diag([3.0, 3.0, 0.0]), None, 0.0), 1)
    t = grid(30)
    r = t @ PLANE.vectors
    distance = np.linalg.norm(r, axis=1) / PLANE.nearest_neighbour
    c11 = long_wave_elastic_constants(PLANE, COPPER)[0, 0]
    u = sources.displacement(green, t, np.zeros(len(t), dtype=int))
    missed = []
    for radius in (10, 20):
        shell = np.abs(distance - radius) < 0.5
        exact = 3.0 * r[shell] / (2 * np.pi * c11 * (r[shell] ** 2).sum(1, keepdims=True))
        missed.append(np.linalg.norm(u[shell] - exact) / np.linalg.norm(exact))
    assert missed[1] < 3e-3
    assert slope((10, 20), missed) < -1.5


def test_a_separation_beyond_the_reach_is_refused():
    green = infinite_greens_function(PLANE, crystal_force_constants(PLANE, COPPER), 10.0)
    with pytest.raises(InputError, match="larger reach"):
        green.displacement(np.array([[40, 0, 0]]), np.zeros((1, 3), dtype=int), np.ones((1, 2)))
    with pytest.raises(InputError, match="positive length"):
        infinite_greens_function(PLANE, crystal_force_constants(PLANE, COPPER), -1.0)


# ------------------------------------------------------------------------------------------------ multipoles
@pytest.mark.parametrize("lattice", [PLANE, FCC], ids=["triangular", "fcc"])
@pytest.mark.parametrize("order", [1, 2])
def test_moments_of_point_forces_in_a_harmonic_crystal_are_found_again(lattice, order):
    """H u of u = G F is F: a spring dipole put into the crystal has the dipole that was put in, exactly."""
    d = lattice.dimension
    rng = np.random.default_rng(3)
    p, m = rng.standard_normal((3, 3)), rng.standard_normal((3, 3, 3))
    p, m = p + p.T, m + m.swapaxes(1, 2)
    p[d:] = p[:, d:] = 0.0
    m[d:] = m[:, d:] = m[:, :, d:] = 0.0
    cell = dg.supercell(lattice, 12 if d == 2 else 5)
    centre = cell.centre + lattice.vectors[0] / 2
    cell = replace(cell, centre=centre)
    sources = point_forces(lattice, centre, Multipoles(p, m, 0.0), order)
    green = greens_function(cell, COPPER)
    constants = crystal_force_constants(lattice, COPPER)
    field = np.zeros((len(cell), d))
    np.add.at(field, green.grid.index(sources.translations), sources.forces[:, :d])
    u = np.zeros((len(cell), 3))
    u[:, :d] = green.apply(field)[green.grid.index(cell.perfect_sites.translations)]
    found = multipoles(cell, HarmonicCrystal(cell, constants), constants, cell.positions + u, np.zeros_like(u))
    assert np.allclose(found.dipole, p, atol=1e-10)  # rounding
    assert found.quadrupole is not None and np.allclose(found.quadrupole, m if order == 2 else 0.0, atol=1e-9)
    assert found.torque < 1e-10


def test_both_routes_to_the_dipole_meet_and_a_vacancy_pulls_inwards():
    relaxed = [dg.relax(dg.vacancy().apply(dg.supercell(FCC, n)), COPPER, eigenvalue=False) for n in (4, 6)]
    found = [dg.elastic_dipole(equilibrium, COPPER) for equilibrium in relaxed]
    assert all(p.route == "stress" and np.array_equal(p.dipole, p.from_stress) for p in found)
    gaps = [np.abs(p.from_forces - p.from_stress).max() for p in found]
    assert gaps[1] < 2e-3 * abs(found[1].dipole[0, 0])  # O(R^-d), and in practice R^-2d of which the stress has none
    assert gaps[1] < 0.3 * gaps[0]
    last = found[1]
    assert last.dipole[0, 0] < -1.0 and last.relaxation_volume < 0
    c = long_wave_elastic_constants(FCC, COPPER)
    assert last.relaxation_volume == pytest.approx(np.trace(last.dipole) / (c[0, 0] + 2 * c[0, 1]), rel=1e-9)  # tr P / 3B
    assert abs(last.relaxation_volume) < FCC.volume  # a vacancy relaxes by a fraction of the atom that is missing
    assert last.quadrupole is not None and np.abs(last.quadrupole).max() < 5e-3  # inversion, up to sites half a cell away


def test_dipole_is_minus_the_strain_derivative_of_the_formation_energy():
    """E_f of the cell under x -> (1 + e) x, relaxed again: a route without forces, stress or force constants."""
    n, h = 3, 2e-4
    cell = dg.vacancy().apply(dg.supercell(FCC, n))
    dipole = dg.elastic_dipole(dg.relax(cell, COPPER, eigenvalue=False), COPPER).from_stress
    energies = []
    for e in (h, -h):
        lattice = FCC.deformed(np.diag([1 + e, 1.0, 1.0]))
        energies.append(dg.relax(dg.vacancy().apply(dg.supercell(lattice, n)), COPPER, eigenvalue=False).energy)
    # N E_bulk of the strained crystal is taken out with the energy: its derivative at zero stress is zero to first order.
    assert -(energies[0] - energies[1]) / (2 * h) == pytest.approx(dipole[0, 0], rel=1e-4)  # h^2 and the solver


def test_condensed_sublattices_make_the_far_field_of_a_spring_between_sublattices():
    """Two opposite forces on the two atoms of a silicon cell: only with the shifts is their dipole that of the far field."""
    silicon = dg.reference.StillingerWeber("Si")
    lattice = dg.equilibrate(dg.diamond("Si", 5.431), silicon)
    constants = crystal_force_constants(lattice, silicon)
    bond = lattice.motif[0] - lattice.motif[1]
    spring = bond / np.linalg.norm(bond)  # along the bond: no torque, eV/A
    force = np.concatenate([spring, -spring])[None]
    cell = dg.supercell(lattice, 4)
    green, origin = greens_function(cell, silicon), np.zeros((1, 3), dtype=int)
    field = np.zeros((len(cell) // 2, 6))
    field[green.grid.index(origin)] = force
    u = green.apply(field)[green.grid.index(cell.perfect_sites.translations)].reshape(-1, 2, 3)
    u = u[np.arange(len(cell)), cell.perfect_sites.sublattices]
    centred = replace(cell, centre=lattice.motif.mean(axis=0))
    found = multipoles(centred, HarmonicCrystal(cell, constants), constants, cell.positions + u, np.zeros_like(u))
    assert found.quadrupole is None

    bare = np.outer(spring, bond)
    assert np.abs(found.dipole - bare).max() > 0.1 * np.abs(bare).max()  # the shifts matter
    infinite = infinite_greens_function(lattice, constants, 12 * lattice.nearest_neighbour)
    t = np.rint(np.random.default_rng(0).standard_normal((400, 3)) * 4).astype(int)
    r = np.linalg.norm(t @ lattice.vectors, axis=1) / lattice.nearest_neighbour
    t = t[(r > 9) & (r < 10)]
    exact = infinite.displacement(t, origin, force).reshape(-1, 2, 3).mean(axis=1)
    missed = []
    for dipole in (found.dipole, bare):
        sources = point_forces(lattice, centred.centre, Multipoles(dipole, None, 0.0), 1)
        pair = [sources.displacement(infinite, t, np.full(len(t), b)) for b in (0, 1)]
        missed.append(np.linalg.norm((pair[0] + pair[1]) / 2 - exact) / np.linalg.norm(exact))
    assert missed[0] < 0.1, missed  # the next moments are of relative size 1/r
    assert missed[1] > 2 * missed[0]


def test_a_black_box_has_the_same_dipole():
    """The same potential behind ASE: force constants by differences in a supercell, elastic constants from them."""
    relaxed = dg.relax(dg.vacancy().apply(dg.supercell(FCC, 4)), COPPER, eigenvalue=False)
    box = dg.ASEReference(dg.Calculator(COPPER))
    exact, found = dg.elastic_dipole(relaxed, COPPER), dg.elastic_dipole(relaxed, box)
    # the supercell of the differences folds the longest force constants
    assert found.dipole[0, 0] == pytest.approx(exact.dipole[0, 0], rel=1e-3)
    assert found.relaxation_volume == pytest.approx(exact.relaxation_volume, rel=1e-2)
    assert dg.image_correction(relaxed, box) == pytest.approx(dg.image_correction(relaxed, COPPER), rel=2e-3)


# ------------------------------------------------------------------------------------------------ images
def test_without_their_images_periodic_cells_agree():
    sizes = np.array([4, 5, 6, 7])
    raw, corrected = [], []
    for n in sizes:
        relaxed = dg.relax(dg.vacancy().apply(dg.supercell(FCC, int(n))), COPPER, eigenvalue=False)
        raw.append(relaxed.energy)
        corrected.append(relaxed.energy + dg.image_correction(relaxed, COPPER))
    raw, corrected = np.array(raw), np.array(corrected)
    limit = corrected[-1]
    assert slope(sizes, raw - limit) == pytest.approx(-3, abs=0.1)
    assert slope(sizes[:-1], np.abs(corrected[:-1] - limit)) < -4.5  # -5 or steeper; the last size stands for the limit
    assert np.ptp(corrected) < np.ptp(raw) / 10
    assert np.ptp(2 * raw - corrected) > 1.9 * np.ptp(raw)  # the other sign would have made it worse


# ------------------------------------------------------------------------------------------------ far fields
@pytest.fixture(scope="module")
def plane_green():
    return infinite_greens(disc(PLANE, COPPER, dg.divacancy(), 24), COPPER)


def test_a_dipole_far_field_makes_energies_converge_four_powers_faster(plane_green):
    """d = 2, inversion: clamped R^-2, dipole R^-6; the limit is that of periodic cells without their images."""
    radii = np.array([6, 12])
    energies = {order: [] for order in (0, 1)}
    for radius in radii:
        for order in energies:
            cell = disc(PLANE, COPPER, dg.divacancy(), radius)
            found = relax_far_field(cell, COPPER, order, eigenvalue=False, green=plane_green)
            assert found.converged and found.rounds < 15, found.message
            energies[order].append(found.energy)
    best = relax_far_field(disc(PLANE, COPPER, dg.divacancy(), 24), COPPER, 2, green=plane_green)
    assert best.lowest_eigenvalue > 0
    clamped, dipole = (np.abs(np.array(energies[order]) - best.energy) for order in (0, 1))
    assert slope(radii, clamped) == pytest.approx(-2, abs=0.25)
    assert slope(radii, dipole) == pytest.approx(-6, abs=0.6)
    assert dipole[-1] < 1e-3 * clamped[-1]
    periodic = dg.relax(dg.divacancy().apply(dg.supercell(PLANE, 60)), COPPER, eigenvalue=False)
    alone = periodic.energy + dg.image_correction(periodic, COPPER)
    assert abs(periodic.energy - best.energy) > 1e-4
    assert alone == pytest.approx(best.energy, abs=5e-7)  # R^-4 of this cell, from sizes 20 to 80


def test_a_quadrupole_counts_where_there_is_no_inversion():
    """The hollow interstitial has three-fold symmetry: energies converge with R^-4 and R^-6."""
    defect, radii = dg.interstitial("hollow"), np.array([8, 14])
    green = infinite_greens(disc(MORSE_PLANE, MORSE, defect, 26), MORSE)
    best = relax_far_field(disc(MORSE_PLANE, MORSE, defect, 26), MORSE, 2, eigenvalue=False, green=green)
    assert best.moments.quadrupole is not None and np.abs(best.moments.quadrupole).max() > 1.0
    assert np.trace(best.moments.dipole) > 1.0  # an interstitial pushes
    errors = {}
    for order in (1, 2):
        cells = [disc(MORSE_PLANE, MORSE, defect, radius) for radius in radii]
        found = [relax_far_field(cell, MORSE, order, eigenvalue=False, green=green) for cell in cells]
        errors[order] = np.abs(np.array([f.energy for f in found]) - best.energy)
    assert slope(radii, errors[1]) == pytest.approx(-4, abs=0.4)
    assert slope(radii, errors[2]) == pytest.approx(-6, abs=0.6)


def test_energy_of_the_infinite_crystal_does_not_know_where_the_sum_ends(plane_green):
    """Clamped: the energy that the relaxation has; with a far field: the same wherever the sum over single sites ends."""
    cell = disc(PLANE, COPPER, dg.divacancy(), 6)
    constants = crystal_force_constants(PLANE, COPPER)
    nothing = PointForces(np.zeros((1, 3), dtype=int), np.zeros((1, 3)))
    clamped = dg.relax(cell, COPPER, eigenvalue=False)
    again = energy_of_infinite_crystal(cell, COPPER, clamped.positions, nothing, plane_green, constants, 1.5)
    assert again == pytest.approx(clamped.energy, abs=1e-11)
    found = relax_far_field(cell, COPPER, 1, eigenvalue=False, green=plane_green)
    sums = [
        energy_of_infinite_crystal(cell, COPPER, found.positions, found.sources, plane_green, constants, beyond)
        for beyond in (1.3, 1.5, 2.0)
    ]
    # The cubic part beyond is 1e-6 eV and carried on to a few percent; dropping the sites themselves would cost 1e-3 eV.
    assert np.ptp(sums) < 1e-7
    assert abs(sums[0] - clamped.energy) > 1e-3


def test_a_thin_shell_around_an_eccentric_defect_costs_no_energy():
    """The centre of a divacancy is not that of its ball: no site of the surface may be counted."""
    thin, thick = disc(PLANE, COPPER, dg.divacancy(), 12), dg.divacancy().apply(dg.ball(PLANE, 12 * PLANE.nearest_neighbour))
    energies = [dg.relax(cell, COPPER, eigenvalue=False).energy for cell in (thin, thick)]
    assert len(thin) < len(thick)
    assert energies[0] == pytest.approx(energies[1], abs=1e-10)


def test_what_has_no_far_field_is_refused(unchecked):
    periodic = dg.vacancy().apply(dg.supercell(PLANE, 8))
    with pytest.raises(InputError, match="clamped ball"):
        relax_far_field(periodic, COPPER)
    cell = disc(PLANE, COPPER, dg.vacancy(), 4)
    with pytest.raises(InputError, match="order of a far field"):
        relax_far_field(cell, COPPER, 3)
    silicon = dg.reference.StillingerWeber("Si")
    lattice = dg.diamond("Si", 5.431)
    with pytest.raises(InputError, match="use order=1"):
        relax_far_field(dg.vacancy().apply(dg.ball(lattice, 6.0)), silicon, 2)
    with pytest.raises(InputError, match="elastic dipole is that of an equilibrium"):
        dg.elastic_dipole(cell, COPPER)
    with pytest.raises(InputError, match="in a periodic cell"):
        dg.image_correction(dg.relax(cell, COPPER, eigenvalue=False), COPPER)


# ------------------------------------------------------------------------------------------------ the study
STUDY = """
name = "toy"
[[cases]]
material = "triangular"
defect = "interstitial(hollow)"
simulation_size = 40
[boundary]
fractions = [0.35, 0.5]
"""


def test_the_study_measures_what_the_theory_predicts(tmp_path):
    spec = parse(STUDY, tmp_path)
    done: dict[str, Record] = {}
    outcome = []
    for task in plan(spec):
        done[task.key] = task.compute(done)
        outcome.append((task, done[task.key]))
    found = tables(spec, outcome)
    assert not found.failures and not found.results
    rows = pd.DataFrame(found.others["boundary"])
    last = rows.groupby("condition").last()
    assert last["energy_error"].sort_values().index[0] == "quadrupole"
    assert last.loc["corrected", "energy_error"] < last.loc["periodic", "energy_error"] / 10
    assert last["geometry_error"].sort_values().index.tolist()[:2] == ["quadrupole", "dipole"]
    rates = {(r["observations"], r["quantity"]): r for r in found.rates}
    assert len(rates) == 2 * 4 + 1 + 2
    assert rates["dipole", "energy"]["predicted"] == -4 and rates["quadrupole", "energy"]["predicted"] == -6
    # Radii 7 and 10 are where the rates begin; the embedded study measures them between 14 and 26.
    for condition, quantity in (("periodic", "geometry"), ("clamped", "geometry"), ("periodic", "energy"), ("dipole", "energy")):
        rate = rates[condition, quantity]
        assert rate["slope"] == pytest.approx(rate["predicted"], abs=0.4), (condition, quantity)
    assert rates["quadrupole", "geometry"]["slope"] < rates["dipole", "geometry"]["slope"] - 0.5
    assert rates["reference", "strain"]["slope"] == pytest.approx(-2, abs=0.4)
    frame = pd.DataFrame(found.rates)
    drawn = list(boundary_pictures(rows, pd.DataFrame(found.others["boundary_decay"]), frame))
    assert [picture.name for picture in drawn] == [
        "boundary-triangular-interstitial-hollow",
        "boundary-decay-triangular-interstitial-hollow",
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (STUDY.replace("simulation_size = 40", "simulation_size = 10"), "leaves no far field"),
        (STUDY.replace("fractions", "radii"), "radii"),
        (STUDY.replace('"triangular"', '"Si"').replace("interstitial(hollow)", "vacancy"), "sublattices"),
    ],
    ids=["too small", "unknown key", "multilattice"],
)
def test_a_study_that_cannot_be_is_refused_in_words(tmp_path, text, complaint):
    with pytest.raises(InputError, match=complaint):
        plan(parse(text, tmp_path))


def test_predictions_follow_one_law():
    """-min(d/2 + p, 3d/2) for a far field of order p, one more where inversion removes the next moment; energies twice that."""
    conditions = ("periodic", "clamped", "dipole", "quadrupole")
    assert [boundary_rate(c, "geometry", 3, False) for c in conditions] == [-1.5, -1.5, -2.5, -3.5]
    assert boundary_rate("dipole", "energy", 3, True) == boundary_rate("quadrupole", "energy", 3, True) == -7
    assert boundary_rate("quadrupole", "geometry", 2, False) == -3
    assert boundary_rate("corrected", "energy", 2, True) == -4 and boundary_rate("corrected", "energy", 3, True) == -5
