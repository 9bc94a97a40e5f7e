"""Fits against the radius of their training cell: rates of a small study, the mixture beyond a radius, refusals."""

from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from small_study import carried_out

import defectgen as dg
from defectgen.energy import cell_energy
from defectgen.study import parse, plan
from defectgen.study.fits.far import FarScene, FittedBeyond
from defectgen.study.fits.steps import FitBeyond, PureFit

STUDY = """
name = "small-fits"
observations = ["E+F", "E+F+FC"]
[materials.layer]
crystal = "triangular"
species = ["Cu"]
a = 2.5
reference = "CleriRosato(Cu, cutoff=4.2)"
[[cases]]
material = "layer"
defect = "divacancy"
simulation_size = 96
basis = { cutoff = 4.2, order = 3, degree = 12 }
[training]
configurations = 0
virial_strains = [0.005, 0.01]
[fit]
weights = { E = 1000.0, V0 = 1000.0, FC = 100.0, V = 30.0 }
prior = "smoothness(1e-6)"
[fits]
radii = [8, 10, 13, 17]
[fits.beyond]
radii = [8, 9.5, 11, 13]
training_radius = 8
simulation_size = 160
nonlinear_at = [8]
"""


@cache
def small():
    """Slopes, rates and checks of the small study."""
    tables, _ = carried_out(STUDY, Path("."))
    slopes = {}
    for row in tables.results:
        slopes.setdefault((row["study"], row["observations"]), []).append(row)
    assert not tables.failures
    return (
        {
            (*curve, quantity): np.polyfit(
                np.log([row["training_radius"] for row in rows]), np.log([row[f"{quantity}_error"] for row in rows]), 1
            )[0]
            for curve, rows in slopes.items()
            for quantity in ("geometry", "energy")
        },
        tables,
    )


@pytest.mark.parametrize(
    ("study", "observations", "quantity", "expected"),
    [
        ("pure", "E+F", "geometry", -2),
        ("pure", "E+F", "energy", -2),
        ("pure", "E+F+FC", "geometry", -2),
        ("pure", "E+F+FC", "energy", -4),
        ("beyond", "none", "geometry", -1),
        ("beyond", "none", "energy", -2),
        ("beyond", "E+F", "geometry", -1),
        ("beyond", "E+F", "energy", -2),
        ("beyond", "E+F+FC", "geometry", -3),
        ("beyond", "E+F+FC", "energy", -4),
    ],
)
def test_fits_show_the_predicted_rate_and_no_other(study, observations, quantity, expected):
    """Slopes within 0.5 of the prediction, so that exponents off by one are not."""
    slopes, tables = small()
    slope = slopes[f"fits: {study}", observations, quantity]
    assert slope == pytest.approx(expected, abs=0.5)
    (rate,) = [
        row
        for row in tables.rates
        if (row["study"], row["observations"], row["quantity"]) == (f"fits: {study}", observations, quantity)
    ]
    assert rate["predicted"] == expected and rate["slope"] == pytest.approx(slope, abs=1e-6)


def test_the_response_is_near_the_nonlinear_equilibrium():
    """Within the defect's own stiffness where the fit errs little, within the error of the elastic constants otherwise."""
    checks = {row["observations"]: row["geometry_ratio"] for row in small()[1].others["fits_checks"]}
    assert checks["E+F+FC"] == pytest.approx(1, abs=0.1) and checks["none"] == pytest.approx(1, abs=0.5)
    assert all(ratio != 1 for ratio in checks.values())  # both were computed


def test_labels_of_pure_fits_are_priced():
    """A line per radius and set; force constants cost more than forces alone, larger cells more than smaller ones."""
    lines = small()[1].others["costs"]
    hours = {(row["observations"], row["training_atoms"]): row["hours"] for row in lines}
    assert len(lines) == len(hours) == 2 * 4 and {row["study"] for row in lines} == {"fits: pure"}
    atoms = sorted({row["training_atoms"] for row in lines})
    assert all(hours["E+F+FC", n] > hours["E+F", n] for n in atoms)
    assert all(hours["E+F", small] < hours["E+F", large] for small, large in pairwise(atoms))


# -- the mixture ---------------------------------------------------------------------------------------------------------------


@cache
def mixture():
    """A scene in a layer, and two potentials of the same lattice constant."""
    truth = dg.reference.CleriRosato("Cu", cutoff=4.2)
    lattice = dg.equilibrate(dg.triangular("Cu", 2.5), truth)
    perfect = dg.supercell(lattice, 24)
    exact = dg.relax(dg.divacancy().apply(perfect), truth, eigenvalue=False)
    cells = dg.training_cells(lattice, dg.divacancy(), 8, rattle={"configurations": 2}, strains={"amplitudes": (0.01,)})
    basis = dg.ACEBasis(["Cu"], cutoff=4.2, order=2, degree=5)
    model = dg.fit(dg.label(cells, truth, basis, "E+F"), "E+F").model
    return FarScene(truth, exact, perfect, basis.cutoff), model


def test_energy_of_the_far_field_is_the_difference_of_total_energies():
    """Simpson's rule along the way, against the energies that both potentials give the displaced crystal."""
    scene, model = mixture()
    x = scene.perfect.positions + scene.far_field(4.0)
    fit, truth = (cell_energy(scene.perfect, potential).energy_forces(x)[0] for potential in (model, scene.truth))
    assert abs(fit - truth) > 1e-6
    assert FittedBeyond(scene, model).far_energy(4.0) == pytest.approx(fit - truth, rel=1e-4)


def test_the_far_field_is_that_of_the_defect_without_its_core():
    scene, _ = mixture()
    field, distance = scene.far_field(4.0), scene.perfect.minimum_image(scene.perfect.positions - scene.cell.centre)
    spacings = np.linalg.norm(distance, axis=1) / scene.perfect.lattice.nearest_neighbour
    assert not field[spacings <= 4].any()
    outer = np.flatnonzero(spacings[scene.cell.sites] > 6)
    moved = field[scene.cell.sites[outer]] - scene.displacement[outer]
    assert np.ptp(moved, axis=0).max() < 1e-14 < np.abs(field).max()


def test_forces_are_mixed_at_the_radius():
    scene, model = mixture()
    far, u = FittedBeyond(scene, model), scene.exact.displacement
    forces = far.nonlinear(4.0).forces(u)
    inside = scene.cell.distance_to_defect() <= 4.0 * scene.cell.lattice.nearest_neighbour
    assert inside.any() and not forces[inside].any() and np.abs(forces).max() > 1e-6
    assert forces[~inside] == pytest.approx(far.residual[~inside], abs=1e-12)


def test_the_response_balances_the_forces_in_the_perfect_crystal():
    """Force constants of the reference on the response give the forces back, but for their mean."""
    scene, model = mixture()
    far = FittedBeyond(scene, model)
    force = np.where(scene.beyond(4.0), far.residual, 0.0)
    crystal = scene.answer.stiffen(far.response(4.0))
    away = scene.cell.distance_to_defect() > 3 * scene.cell.lattice.nearest_neighbour  # the vacant sites answer too
    missed = (crystal - (force - force.mean(axis=0)))[away]
    assert np.abs(missed - missed.mean(axis=0)).max() < 1e-2 * np.abs(force).max()


def test_the_reference_beyond_itself_changes_nothing():
    scene, _ = mixture()
    far = FittedBeyond(scene, scene.truth)
    assert far.far_energy(4.0) == 0 and not far.residual.any()
    assert not far.response(4.0).any() and not far.nonlinear(4.0).forces(scene.exact.displacement).any()


# -- refusals ------------------------------------------------------------------------------------------------------------------


def test_repeats_share_their_rows(tmp_path):
    steps = plan(parse(STUDY.replace("radii = [8, 10, 13, 17]", "radii = [7, 9]\ndegrees = [8, 9]"), tmp_path))
    pure = [step for step in steps if isinstance(step, PureFit)]
    beyond = [step for step in steps if isinstance(step, FitBeyond)]
    assert len(pure) == 2 * 2 * 2 and len({step.rows.key for step in pure}) == 2
    assert len(beyond) == 2 * 3 and {step.repeat for step in beyond} == {0, 1}


def test_a_weight_of_the_formation_energy_makes_its_rows(tmp_path):
    """Where a run file gives Ef a weight, rows of it are made; otherwise none are."""
    plain = [step for step in plan(parse(STUDY, tmp_path)) if isinstance(step, PureFit)]
    weighed = [step for step in plan(parse(STUDY.replace("V0 = ", "Ef = 1e5, V0 = "), tmp_path)) if isinstance(step, PureFit)]
    assert not any(step.rows.formation for step in plain) and all(step.rows.formation for step in weighed)
    assert all(step.fit.weights["Ef"] == 1e5 for step in weighed)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "radii = [8, 10, 13, 17]",
            "radii = [3, 9]",
            "fits.radii has 3 spacings, and rates of layer divacancy begin at 3.8",
        ),
        ("radii = [8, 10, 13, 17]", "radii = [7, 9, 12, 50]", "fits.radii has 50 spacings, out of the cell"),
        ("radii = [8, 10, 13, 17]", "radii = [7]", "radii need at least 2 different numbers"),
        ("radii = [8, 9.5, 11, 13]", "radii = [3, 8]", "fits.beyond.radii has 3 spacings"),
        ("radii = [8, 9.5, 11, 13]", "radii = [8, 90]", "fits.beyond.radii has 90 spacings"),
        ("nonlinear_at = [8]", "nonlinear_at = [9]", "nonlinear_at must be some of the radii"),
        ("configurations = 0", "configurations = 2", "set training.configurations = 0"),
        ("[fits]", "[fits]\ndegrees = [2]", "fits.degrees has 2, too small for order 3"),
    ],
)
def test_what_cannot_show_a_rate_is_refused_in_one_sentence(old, new, message, tmp_path):
    with pytest.raises(dg.InputError) as caught:
        plan(parse(STUDY.replace(old, new), tmp_path))
    assert message in str(caught.value) and "\n" not in str(caught.value)
