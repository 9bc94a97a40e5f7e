"""Fits around a dislocation: their forces beyond a radius, the slopes of fits to the crystal, the factor of the energy."""

import numpy as np
import pytest
from small_study import carried_out

import defectgen as dg
from defectgen.elastic import dislocation
from defectgen.energy.functional import cell_energy
from defectgen.study import parse, plan
from defectgen.study.dislocations.fitted_steps import FittedForces

LAYER = """
name = "small"
observations = ["E+F", "E+F+V"]
[materials.layer]
crystal = "triangular"
species = ["Ta"]
a = 2.8
reference = "FinnisSinclair(Ta)"
[[cases]]
material = "layer"
defect = "edge"
simulation_size = {radius}
basis = {{ cutoff = 4.6, order = 3, degree = 12, pair_degree = 20 }}
[training]
configurations = 0
virial_strains = [0.01, 0.03]
[fit]
weights = {{ E = 1000.0, V0 = 1000.0 }}
prior = "smoothness(1e-6)"
[fit_dislocations]
radii = {radii}
trained_on = {trained}
training_size = 7
pure_radii = {pure}
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    text = LAYER.format(radius=28, radii=[5.5, 7.5, 10], trained='["crystal", "divacancy"]', pure=[10])
    return carried_out(text, tmp_path_factory.mktemp("lines"))[0]


def test_fits_to_the_crystal_fall_as_predicted(found):
    """Virials give -2 within this window and cylinder, nothing at all a logarithm; an exponent off by one is no match."""
    lines = {row["observations"]: row for row in found.rates if row["study"] == "dislocations: fits beyond, crystal"}
    assert set(lines) == {"E+F", "E+F+V"} and all(row["quantity"] == "geometry" for row in found.rates)
    virials = lines["E+F+V"]
    assert virials["predicted"] == pytest.approx(-2.05, abs=0.1)
    assert abs(virials["slope"] - virials["predicted"]) < 0.5
    assert abs(lines["E+F"]["slope"] - lines["E+F"]["predicted"]) < 0.5 and lines["E+F"]["slope"] > -1


def test_forces_around_a_point_defect_help_the_dislocation(found):
    """The factor that E+F leaves in the elastic constants is not seen by the geometry, whose error is ten times smaller."""
    errors = {
        (row["trained_on"], row["observations"]): row["geometry_error"]
        for row in found.results
        if row["study"].startswith("dislocations: fits beyond") and row["training_radius"] == 7.5
    }
    assert errors["divacancy", "E+F"] < 0.1 * errors["crystal", "E+F"]
    assert errors["crystal", "E+F+V"] < 0.1 * errors["crystal", "E+F"]


def test_forces_beyond_a_radius_and_their_derivative():
    """Zero within; the product is minus the derivative, by central differences over five sizes of the step."""
    truth, model = (dg.reference.CleriRosato("Cu", cutoff=cutoff) for cutoff in (4.2, 3.9))
    lattice = dg.equilibrate(dg.triangular("Cu", 2.5), truth)
    cell = dislocation(lattice, "edge", 5 * lattice.nearest_neighbour, truth)
    beyond = cell.distance_to_defect() > 3 * lattice.nearest_neighbour
    far = FittedForces(cell, cell_energy(cell, model), cell_energy(cell, truth), beyond)
    u, v = (np.random.default_rng(k).normal(size=(len(cell), 3)) * np.outer(cell.free, [1, 1, 0]) for k in (0, 1))
    u = 0.02 * u
    assert np.abs(far.forces(u)[~beyond]).max() == 0 < 1e-6 < np.abs(far.forces(u)[beyond]).max()
    product = far.product(u, v)
    steps = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
    misses = [np.abs((far.forces(u - h * v) - far.forces(u + h * v)) / (2 * h) - product).max() for h in steps]
    assert min(misses) < 1e-3 * max(misses) and min(misses) < 1e-6 * np.abs(product).max()


@pytest.mark.parametrize(
    "changes, complaint",
    [
        ({"radii": [5.5, 24.0]}, "fit_dislocations.radii has 24"),
        ({"trained": '["vacncy"]'}, "vacncy"),
        ({"radii": [5.5]}, "radii"),
    ],
    ids=["radius in the rim", "unknown defect", "one radius"],
)
def test_what_cannot_be_solved_is_refused(tmp_path, changes, complaint):
    settings = {"radius": 28, "radii": [5.5, 7.5], "trained": '["crystal"]', "pure": [9]} | changes
    with pytest.raises(dg.InputError, match=complaint):
        plan(parse(LAYER.format(**settings), tmp_path))
