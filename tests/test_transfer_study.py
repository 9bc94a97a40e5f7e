"""The study of transfer: the matrix of training against test defect, and the factor that E+F leaves in the elastic constants."""

import numpy as np
import pandas as pd
import pytest
from small_study import carried_out

import defectgen as dg
from defectgen.study import parse, plan
from defectgen.study.transfer.steps import common_factor
from defectgen.study.transfer.words import transfer_findings

CASE = """
[[cases]]
material = "layer"
defect = "{defect}"
simulation_size = [{size}, {size}, 1]
basis = {{ cutoff = 4.2, order = 2, degree = 8, pair_degree = 12 }}
"""
LAYER = """
name = "small"
observations = ["E+F", "E+F+FC"]
[materials.layer]
crystal = "triangular"
species = ["Cu"]
a = 2.5
reference = "CleriRosato(Cu, cutoff=4.2)"
[fit]
weights = { E = 1000.0, V0 = 1000.0 }
prior = "smoothness(1e-6)"
[transfer]
size = 7
"""
AT_REST = '[transfer.variants."at rest"]\ntraining = { configurations = 0, virial_strains = [0.01] }\n'


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    text = LAYER + AT_REST + CASE.format(defect="divacancy", size=12) + CASE.format(defect="vacancy", size=12)
    return carried_out(text, tmp_path_factory.mktemp("transfer"))[0]


def test_every_fit_is_tried_on_every_defect(found):
    """Eight cells; `defect` is the one that is relaxed, `trained_on` the one that was labelled."""
    cells = {(row["trained_on"], row["defect"], row["observations"]) for row in found.results}
    assert len(cells) == len(found.results) == 8
    assert all(row["study"] == "transfer: at rest" for row in found.results)
    own = [row for row in found.others["transfer"] if row["trained_on"] == row["defect"]]
    assert len(own) == 4 and all(row["geometry_ratio"] == row["energy_ratio"] == 1.0 for row in own)
    others = [row for row in found.others["transfer"] if row["trained_on"] != row["defect"]]
    assert all(row["energy_ratio"] > 2 for row in others if row["state"] == "same state")


def test_the_factor_of_the_elastic_constants_is_left_by_forces_alone(found):
    """Forces around one defect fix the elastic constants up to one factor; force constants fix the factor too."""
    line = {row["observations"]: row for row in found.others["transfer_elasticity"] if row["trained_on"] == "divacancy"}
    assert abs(line["E+F"]["elastic_factor"] - 1) > 0.05
    assert line["E+F"]["elastic_rest"] < 0.1 * abs(line["E+F"]["elastic_factor"] - 1)
    assert line["E+F+FC"]["elastic_factor"] == pytest.approx(1, abs=1e-3)


def test_the_page_counts_what_is_lost(found):
    table = pd.DataFrame(found.others["transfer"])
    lost = table.assign(state=["same state", *["unstable"] * 3, "another basin", *["same state"] * 3])
    text = next(transfer_findings(lost, None))
    off = int((lost["trained_on"] != lost["defect"]).sum())
    kept = int(((lost["trained_on"] != lost["defect"]) & (lost["state"] == "same state")).sum())
    assert f"{kept} of {off} fits" in text and "unstable" in text


def test_a_common_factor_is_that_of_the_tensor():
    """Three times the constants are the factor 3 with no rest, in any orientation; a change of one shear is a rest."""
    lattice = dg.fcc("Cu", 3.615)
    exact = np.asarray(
        dg.elastic_constants(dg.equilibrate(lattice, dg.reference.CleriRosato("Cu")), dg.reference.CleriRosato("Cu"))
    )
    scaled = common_factor(3 * exact, exact)
    assert scaled.factor == pytest.approx(3, abs=1e-12) and scaled.rest < 1e-12
    sheared = exact.copy()
    sheared[3, 3] *= 2
    other = common_factor(sheared, exact)
    tensor, double = full(exact), full(sheared)
    assert other.factor == pytest.approx(np.vdot(double, tensor) / np.vdot(tensor, tensor), rel=1e-12)
    assert other.rest == pytest.approx(np.linalg.norm(double - other.factor * tensor) / np.linalg.norm(tensor), rel=1e-12)


def full(voigt):
    """All 81 components."""
    place = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
    return voigt[place[:, :, None, None], place]


@pytest.mark.parametrize(
    "cases, complaint",
    [
        ((("divacancy", 12),), "at least two"),
        ((("divacancy", 12), ("vacancy", 12)), "different bases"),
    ],
    ids=["one defect", "two bases"],
)
def test_what_is_no_matrix_is_refused(tmp_path, cases, complaint):
    text = LAYER + "".join(CASE.format(defect=defect, size=size) for defect, size in cases)
    if len(cases) > 1:
        text = text.replace("degree = 8", "degree = 7", 1)
    with pytest.raises(dg.InputError, match=complaint):
        plan(parse(text, tmp_path))


def test_an_unknown_key_of_a_variant_is_named(tmp_path):
    text = LAYER + "[transfer.variants.odd]\ntraining = { rattles = 1 }\n" + CASE.format(defect="vacancy", size=9)
    text += CASE.format(defect="divacancy", size=9)
    with pytest.raises(dg.InputError, match=r"transfer\.variants\.odd"):
        plan(parse(text, tmp_path))
