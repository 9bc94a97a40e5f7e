"""What labels cost: the planner's sum, the fronts, and whether a ranking depends on the assumed cost."""

import numpy as np
import pandas as pd
import pytest
from small_study import carried_out

import defectgen as dg
from defectgen.crystal import defect_from_name
from defectgen.plot.costs import cost_picture
from defectgen.study import Training
from defectgen.study.costs import ASSUMED, cost_findings, winners
from defectgen.study.planning.structures import Menu
from defectgen.training import Cost, TrainingLabels, training_cells

LAYER = """
name = "small"
observations = ["E+F", "E+F+FC", "E+F+V"]
[materials.layer]
crystal = "triangular"
species = ["Cu"]
a = 2.5
reference = "CleriRosato(Cu, cutoff=4.2)"
[[cases]]
material = "layer"
defect = "vacancy"
simulation_size = [12, 12, 1]
basis = { cutoff = 4.2, order = 1, degree = 6, pair_degree = 10 }
[training]
configurations = 2
virial_strains = [0.01]
virial_pairs = false
[cell_size]
sizes = [6, 8]
"""


@pytest.mark.parametrize("observations", ["E+F", "E+F+V", "E+F+FC", "E+F+FC+V"])
def test_labels_cost_what_the_planner_counts(observations):
    """The planner lists structures; the sum over them is the sum of `TrainingLabels.hours`."""
    truth = dg.reference.CleriRosato("Cu", cutoff=4.2)
    lattice, training = dg.equilibrate(dg.fcc("Cu", 3.615), truth), Training(configurations=3)
    count = len(defect_from_name("vacancy").apply(dg.supercell(lattice, 2)))
    menu = Menu(lattice, "vacancy", training, {2: np.zeros((count, 3))}, 0.015, 8.4)
    cost = Cost(exponent=2.5, stress=0.3, column=0.7, smallest=4)
    listed = sum(one.hours(cost) for one in menu.of(2, 3, observations))
    cells = training_cells(lattice, defect_from_name("vacancy"), 2, rattle=training.rattles(), strains=training.strains())
    by_role = {role: tuple(len(c.cell) for c in cells if c.role == role) for role in ("defect", "bulk", "strain")}
    columns = tuple(len(one.snapshot.cell) for one in menu.of(2, 3, "E+F+FC") if one.column)
    labels = TrainingLabels(by_role["defect"], by_role["bulk"][0], by_role["strain"], columns)
    assert columns and labels.hours(observations, cost) == pytest.approx(listed, rel=1e-12)


def table(*lines):
    columns = ("observations", "training_radius", *ASSUMED, "geometry_error", "energy_error", "trusted")
    rows = [(name, radius, *hours, error, error**2, trusted) for name, radius, hours, error, trusted in lines]
    frame = pd.DataFrame(rows, columns=columns).assign(study="cell-size", geometry_front=True, energy_front=True)
    return frame.assign(defect_cells=2.0, strained_cells=0.0, columns=1.0)


CROSSING = table(
    ("E+F", 2.0, (1, 1, 1, 1), 1e-2, True),
    ("E+F", 3.0, (10, 10, 10, 10), 1e-3, True),
    ("E+F+FC", 2.0, (2, 200, 2, 2), 1e-3, True),
    ("E+F+FC", 3.0, (11, 300, 11, 11), 1e-4, True),
    ("E+F+V", 3.0, (0.1, 0.1, 0.1, 0.1), 1e-5, False),
)


def test_the_cheapest_set_is_found_for_every_error_and_every_assumption():
    """A lost fit is not cheap; a change of the ranking is found where one was made, and only there."""
    good = CROSSING[CROSSING["trusted"]]
    assert winners(good, "geometry_error", "hours") == {1e-2: "E+F", 1e-3: "E+F+FC", 1e-4: "E+F+FC"}
    assert winners(good, "geometry_error", "hours_smallest_16")[1e-3] == "E+F"
    geometry, _ = cost_findings(CROSSING)
    assert "the ranking depends on the assumed cost" in geometry
    assert "no cell cheaper than 16 atoms: 1 of 3" in geometry and "proportional to the atoms: 0 of 3" in geometry
    same = CROSSING.assign(hours_smallest_16=CROSSING["hours"])
    assert "does not depend" in next(cost_findings(same))


def test_a_lost_fit_is_counted_in_the_caption_of_the_figure():
    picture = cost_picture("layer vacancy", CROSSING)
    assert "1 of 5 fits" in picture.caption and len(picture.figure.axes) == 2


def test_a_study_of_sizes_lists_costs(tmp_path):
    """Three defect cells, six strained crystals, one displaced supercell; hours grow with the cell and with the observations."""
    lines = carried_out(LAYER, tmp_path)[0].others["costs"]
    assert len(lines) == 6
    by = {(line["observations"], round(line["training_radius"])): line for line in lines}
    assert {line["defect_cells"] for line in lines} == {3}
    radii = sorted({radius for _, radius in by})
    for radius in radii:
        plain, forced, strained = (by[name, radius] for name in ("E+F", "E+F+FC", "E+F+V"))
        assert (
            (plain["columns"], plain["strained_cells"]) == (0, 0) and forced["columns"] >= 1 and strained["strained_cells"] == 6
        )
        atoms = plain["training_atoms"]
        assert plain["hours"] == pytest.approx(1e-6 * (3 * atoms**3 + 1.1))
        assert strained["hours"] == pytest.approx(plain["hours"] + 6 * 1.1e-6)
        assert forced["hours"] == pytest.approx(plain["hours"] + 1e-6 * forced["columns"] * forced["column_atoms"] ** 3)
        assert strained["hours_linear_smallest_16"] == pytest.approx(1e-6 * (3 * atoms + 7 * 1.1 * 16))
    assert by["E+F", radii[1]]["hours"] > by["E+F", radii[0]]["hours"]


def test_elastic_constants_are_twelve_strained_crystals():
    labels, cost = TrainingLabels((108,), 2, (), ()), Cost(exponent=1, prefactor=1.0, stress=0.5)
    assert labels.hours("E+F+C", cost) - labels.hours("E+F", cost) == pytest.approx(12 * 2 * 1.5)


def test_a_set_that_is_unknown_has_no_cost():
    with pytest.raises(dg.InputError, match="E\\+F\\+X"):
        TrainingLabels((10,), 1, (), ()).hours("E+F+X", Cost())
