"""Fits to a hop into a vacancy: both states labelled or the minimum alone, rates, and what is refused."""

import numpy as np
import pytest
from small_study import carried_out

import defectgen as dg
from defectgen.study import parse, plan

LAYER = """
name = "small"
observations = ["E+F", "E+F+FC"]
[materials.layer]
crystal = "triangular"
species = ["Cu"]
a = 2.5
reference = "CleriRosato(Cu, cutoff=4.2)"
[[cases]]
material = "layer"
defect = "{defect}"
simulation_size = [26, 26, 1]
basis = {{ cutoff = 4.2, order = 3, degree = 12 }}
[training]
configurations = 0
virial_strains = [0.01]
[fit]
weights = {{ E = 1000.0, V0 = 1000.0 }}
prior = "smoothness(1e-6)"
[fit_barriers]
sizes = {sizes}
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return carried_out(LAYER.format(defect="vacancy", sizes=[8, 10, 12]), tmp_path_factory.mktemp("barriers"))[0]


def rows(found, states, observations):
    own = [r for r in found.results if r["study"] == f"barriers: fits to {states}" and r["observations"] == observations]
    return sorted(own, key=lambda row: row["training_radius"])


def test_a_labelled_saddle_point_makes_the_barrier_converge(found):
    """With both states the errors fall, the barrier faster than the geometry; a fit to the minimum alone keeps its error."""
    both, alone = (rows(found, states, "E+F+FC") for states in ("both states", "the minimum"))
    assert all(row["same_basin"] for row in both)
    lengths = np.log([row["training_radius"] for row in both])
    slopes = {name: np.polyfit(lengths, np.log([row[name] for row in both]), 1)[0] for name in ("geometry_error", "energy_error")}
    assert -3.2 < slopes["geometry_error"] < -1.2
    assert slopes["energy_error"] < slopes["geometry_error"] - 0.5
    kept = [row for row in alone if row["same_basin"]]
    assert all(row["energy_error"] > 10 * both[-1]["energy_error"] for row in kept)
    assert alone[-1]["saddle_force_error"] > 10 * both[-1]["saddle_force_error"]


def test_the_barrier_is_the_difference_of_two_energies(found):
    """The reference's barrier is one number; that of the fit differs by the signed error, found again without the study."""
    barriers = {row["barrier"] for row in found.results}
    assert len(barriers) == 1
    truth = dg.reference.CleriRosato("Cu", cutoff=4.2)
    lattice = dg.equilibrate(dg.triangular("Cu", 2.5), truth)
    again = dg.migration_barrier(dg.vacancy().apply(dg.supercell(lattice, (26, 26, 1))), truth)
    assert barriers.pop() == pytest.approx(again.energy, abs=1e-9)
    assert all(row["energy_error"] == abs(row["energy_error_signed"]) for row in found.results)


def test_rates_are_predicted_where_the_saddle_point_is_labelled(found):
    predicted = {(r["study"], r["observations"], r["quantity"]): r["predicted"] for r in found.rates}
    assert predicted["barriers: fits to both states", "E+F", "energy"] == -2
    assert predicted["barriers: fits to both states", "E+F+FC", "energy"] == -4
    assert predicted["barriers: fits to both states", "E+F", "geometry"] == -2
    assert predicted["barriers: fits to the minimum", "E+F", "energy"] is None


@pytest.mark.parametrize(
    "changes, complaint",
    [({"defect": "divacancy"}, "use vacancy"), ({"sizes": [7]}, "sizes"), ({"sizes": [7, 900]}, "atoms")],
    ids=["no vacancy", "one size", "too large"],
)
def test_what_is_no_hop_is_refused(tmp_path, changes, complaint):
    with pytest.raises(dg.InputError, match=complaint):
        plan(parse(LAYER.format(**({"defect": "vacancy", "sizes": [7, 9]} | changes)), tmp_path))
