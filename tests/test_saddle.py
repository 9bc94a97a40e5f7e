"""Saddle points and migration barriers: one negative eigenvalue, the same barrier by another search, and errors of surrogates."""

import numpy as np
import pytest
from ase.mep import NEB
from ase.optimize import FIRE
from small_study import carried_out

import defectgen as dg
from defectgen._input import InputError
from defectgen.energy import hessian
from defectgen.relax import mixed_equilibrium
from defectgen.study import parse, plan
from defectgen.surrogate import MomentPerturbation, far_field, surrogate

COPPER = dg.reference.CleriRosato("Cu")
LAYER = dg.equilibrate(dg.triangular("Cu", 2.5), COPPER)
CRYSTAL = dg.equilibrate(dg.fcc("Cu", 3.615), COPPER)
SMALL = {
    "triangular": dg.vacancy().apply(dg.supercell(LAYER, 8)),
    "fcc": dg.vacancy().apply(dg.supercell(CRYSTAL, 3)),
}
BOTH = pytest.mark.parametrize("name", list(SMALL))


@pytest.fixture(scope="module")
def barriers():
    return {name: dg.migration_barrier(cell, COPPER) for name, cell in SMALL.items()}


@BOTH
def test_the_whole_hessian_has_one_negative_eigenvalue(barriers, name):
    """By dense diagonalisation: one direction down, the rigid translations, and all others up."""
    found = barriers[name]
    d = found.saddle.cell.lattice.dimension
    n = len(found.saddle.cell)
    dense = hessian(COPPER, found.saddle.cell, found.saddle.positions)[:, :d, :, :d].reshape(n * d, n * d)
    values, modes = np.linalg.eigh(dense)
    assert found.converged and found.saddle.residual < 1e-8
    assert values[0] < -0.5 and np.abs(values[1 : d + 1]).max() < 1e-6 and values[d + 1] > 0.1
    assert found.saddle.lowest_eigenvalue == pytest.approx(values[0], rel=5e-3)  # the check's own accuracy, 1e-3, and room
    mode = modes[:, 0].reshape(n, d)
    assert np.argmax(np.linalg.norm(mode, axis=1)) == found.atom  # the hop


@BOTH
def test_barrier_is_that_of_a_nudged_elastic_band(barriers, name):
    """ASE's climbing image between the two relaxed vacancies: another search, on the same potential."""
    found = barriers[name]
    cell = found.minimum.cell
    vacant = np.setdiff1d(np.arange(len(cell.site_positions)), cell.sites)[0]
    hop = cell.minimum_image(cell.site_positions[vacant] - cell.positions[found.atom])
    final = found.minimum.positions.copy()
    final[found.atom] += hop
    final = dg.relax(cell, COPPER, start=final)
    assert final.energy == pytest.approx(found.minimum.energy, abs=1e-9)
    images = []
    for share in (0.0, 0.35, 0.7, 1.0):  # the climbing image has to find the middle by itself
        atoms = dg.to_ase(cell)
        shift = cell.minimum_image(final.positions - found.minimum.positions)
        atoms.positions = found.minimum.positions + share * shift
        atoms.calc = dg.Calculator(COPPER)
        images.append(atoms)
    band = NEB(images, climb=True, method="improvedtangent")
    FIRE(band, logfile=None).run(fmax=1e-3, steps=300)
    highest = max(image.get_potential_energy() for image in images) - images[0].get_potential_energy()
    assert highest == pytest.approx(found.energy, abs=2e-5)  # eV: forces of 1e-3 eV/A over curvatures of 1 eV/A^2, squared
    assert 0.3 < found.energy < 1.2


def test_the_copper_vacancy_hops_over_what_is_known():
    """0.70 eV from experiment (Landolt-Boernstein III/25, Ehrhart 1991), 0.6 to 0.8 eV from potentials of this kind."""
    found = dg.migration_barrier(dg.vacancy().apply(dg.supercell(CRYSTAL, 4)), COPPER)
    assert found.converged and 0.6 < found.energy < 0.8


def test_guesses_off_the_middle_lead_to_the_same_saddle_point(barriers):
    found = barriers["triangular"]
    cell, rng = found.minimum.cell, np.random.default_rng(5)
    start = found.saddle.positions + 0.05 * rng.normal(size=cell.positions.shape) * [1, 1, 0]
    direction = np.zeros_like(start)
    direction[found.atom] = [-1.0, 0.4, 0.0]
    again = dg.saddle_point(cell, COPPER, start, direction)
    assert again.converged and again.energy == pytest.approx(found.saddle.energy, abs=1e-9)


def test_hops_of_equivalent_atoms_cost_the_same(barriers):
    cell = SMALL["triangular"]
    found = barriers["triangular"]
    vacant = np.setdiff1d(np.arange(len(cell.site_positions)), cell.sites)[0]
    away = np.linalg.norm(cell.minimum_image(cell.positions - cell.site_positions[vacant]), axis=1)
    others = [int(atom) for atom in np.flatnonzero(away < 1.1 * LAYER.nearest_neighbour) if atom != found.atom]
    assert len(others) == 5
    assert dg.migration_barrier(cell, COPPER, others[2]).energy == pytest.approx(found.energy, abs=1e-9)


def test_a_path_without_a_pass_is_reported():
    """Next to the minimum, uphill along a direction that leads nowhere, with few steps."""
    cell = SMALL["triangular"]
    resting = dg.relax(cell, COPPER)
    direction = np.zeros_like(cell.positions)
    direction[0, 0] = 1.0
    found = dg.saddle_point(cell, COPPER, resting.positions, direction, max_newton=3)
    assert not found.converged and ("no first-order saddle point" in found.message or "not there yet" in found.message)


def test_a_saddle_point_below_the_minimum_is_no_barrier():
    """Stillinger-Weber silicon: with an atom half way to the vacant site the vacancy costs 1.6 eV less than at rest."""
    truth = dg.reference.StillingerWeber("Si")
    cell = dg.vacancy().apply(dg.supercell(dg.equilibrate(dg.diamond("Si", 5.43), truth), 2))
    found = dg.migration_barrier(cell, truth)
    start = np.array(cell.positions)
    vacant = cell.site_positions[np.setdiff1d(np.arange(len(cell.site_positions)), cell.sites)[0]]
    start[found.atom] -= cell.minimum_image(start[found.atom] - vacant) / 2
    split = dg.relax(cell, truth, start=start)
    assert split.is_minimum and split.energy < found.saddle.energy < found.minimum.energy
    assert not found.converged and "below the minimum that the hop starts from" in found.saddle.message


def test_mixed_equilibrium_at_a_saddle_point_has_no_force_left(barriers):
    cell = dg.vacancy().apply(dg.supercell(LAYER, 20))
    state = dg.migration_barrier(cell, COPPER).saddle
    far = far_field(cell, surrogate(LAYER, COPPER, MomentPerturbation("Cu", 1.6 * LAYER.nearest_neighbour), "E+F+FC"), 5.0)
    found = mixed_equilibrium(state, COPPER, far, accuracy=1e-5)
    assert found.converged and np.abs(found.difference).max() > 1e-9
    x = state.positions + found.difference
    left = dg.evaluate(COPPER, cell, x).forces + far.forces(x - cell.positions)
    before = far.forces(state.displacement)
    assert np.abs((left - left.mean(axis=0))[:, :2]).max() < 1e-3 * np.abs(before).max() + 1e-11


STUDY = """
name = "barrier"
observations = ["E+F", "E+F+FC+V"]
[[cases]]
material = "triangular"
defect = "vacancy"
simulation_size = 20
[barriers]
radii = [5, 7]
"""


def test_a_study_runs_and_resolves(tmp_path):
    found, _ = carried_out(STUDY, tmp_path)
    errors = {(row["observations"], row["training_radius"]): row["energy_error"] for row in found.results}
    assert len(errors) == 4 and not found.failures
    assert errors["E+F", 5.0] > errors["E+F", 7.0] > errors["E+F+FC+V", 5.0] > errors["E+F+FC+V", 7.0] > 0
    assert [rate["predicted"] for rate in found.rates] == [-1, -2, -5, -6]
    (barrier,) = found.others["barriers"]
    assert 0 < barrier["barrier"] < 2 and barrier["lowest_eigenvalue"] < 0


def test_bad_input_is_one_sentence(tmp_path):
    cell, still = SMALL["triangular"], np.zeros((3, 3))
    cases = (
        (lambda: dg.migration_barrier(dg.divacancy().apply(dg.supercell(LAYER, 8)), COPPER), "one vacant site"),
        (lambda: dg.migration_barrier(cell, COPPER, 10**6), "the atom that hops"),
        (lambda: dg.saddle_point(cell, COPPER, still, still), "one row per atom"),
        (lambda: dg.saddle_point(cell, COPPER, cell.positions, 0 * cell.positions), "has no length"),
        (lambda: plan(parse(STUDY.replace("vacancy", "divacancy"), tmp_path)), "a hop into a vacancy"),
        (lambda: plan(parse(STUDY.replace("[5, 7]", "[5, 70]"), tmp_path)), "barriers.radii"),
    )
    for call, words in cases:
        with pytest.raises(InputError, match=words):
            call()
