"""Fits with one choice of their design changed, and floors against the basis: what a rattle does, held-out forces, refusals."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from small_study import carried_out

import defectgen as dg
from defectgen.campaign import Store
from defectgen.plot.typeset import number
from defectgen.study import FAILURES, RATES, RESULTS, gather, pages, parse, plan

STUDY = """
name = "small-choices"
observations = ["E+F", "E+F+FC+V"]
[materials.layer]
crystal = "triangular"
species = ["Cu"]
a = 2.5
reference = "CleriRosato(Cu, cutoff=4.2)"
[[cases]]
material = "layer"
defect = "divacancy"
simulation_size = 64
basis = { cutoff = 4.2, order = 3, degree = 8 }
[training]
configurations = 0
virial_strains = [0.005, 0.01]
[fit]
weights = { E = 1e5, V0 = 1000.0, FC = 100.0, V = 30.0 }
prior = "smoothness(1e-6)"
[fit_choices]
radii = [6, 9]
[fit_choices.variants."cell rattled"]
training = { configurations = 2, rattle = 0.015 }
[fit_floors]
radius = 6
degrees = [5, 8]
copies = 2
held_out = 3
rattle = 0.015
"""


@cache
def small():
    """The tables of the small study."""
    return carried_out(STUDY, Path("."))[0]


def _energies(study: str) -> dict[str, float]:
    """Energy error at the largest radius by observation set."""
    own = [row for row in small().results if row["study"] == study]
    largest = max(row["training_radius"] for row in own)
    return {row["observations"]: row["energy_error"] for row in own if row["training_radius"] == largest}


def test_a_rattle_brings_all_sets_to_one_floor():
    """As designed the energy of E+F errs by the factor of the elastic constants, which force constants and virials remove."""
    designed, rattled = _energies("fits: pure, as designed"), _energies("fits: pure, cell rattled")
    assert designed["E+F"] > 100 * designed["E+F+FC+V"]
    assert 1 / 5 < rattled["E+F"] / rattled["E+F+FC+V"] < 5


def test_every_variant_has_rates_of_its_own():
    rates = {(row["study"], row["observations"], row["quantity"]): row for row in small().rates}
    assert len(rates) == 2 * 2 * 2
    assert rates["fits: pure, as designed", "E+F", "energy"]["slope"] == pytest.approx(-2, abs=0.5)
    assert rates["fits: pure, cell rattled", "E+F", "energy"]["predicted"] == -2


def test_held_out_forces_are_those_of_a_fit_made_by_hand():
    """The same cells, fit and forces through the public functions."""
    truth = dg.reference.CleriRosato("Cu", cutoff=4.2)
    lattice, defect = dg.equilibrate(dg.triangular("Cu", 2.5), truth), dg.divacancy()
    rest = dg.relax(defect.apply(dg.supercell(lattice, 12)), truth).displacement

    def cells(seed: int, copies: int) -> list[dg.Snapshot]:
        rattle = {"configurations": copies, "amplitude": 0.015}
        strains = {"amplitudes": (0.005, 0.01)}
        return dg.training_cells(lattice, defect, 12, seed, displacement=rest, rattle=rattle, strains=strains)

    blocks = dg.label(cells(0, 2), truth, dg.ACEBasis(["Cu"], cutoff=4.2, order=3, degree=5), "E+F")
    model = dg.fit(blocks, "E+F", {"E": 1e5, "V0": 1000.0}, "smoothness(1e-6)").model
    tried = [each for each in cells(1, 3) if each.group == "defect"][1:]
    wrong = [
        dg.evaluate(model, each.cell, each.positions).forces - dg.evaluate(truth, each.cell, each.positions).forces
        for each in tried
    ]
    expected = np.sqrt(np.mean(np.square(wrong)[..., :2]))
    (row,) = [
        row
        for row in small().results
        if (row["study"], row["observations"], row["degree"]) == ("fits: rattled copies too", "E+F", 5)
    ]
    assert len(wrong) == 3 and expected > 1e-6
    assert row["held_out_forces"] == pytest.approx(expected, rel=1e-2)


def test_rattled_copies_lower_the_force_error_and_one_relaxed_cell_does_not():
    """The relaxed cell alone leaves the force constants undetermined with E+F."""
    errors = {
        (row["study"], row["degree"]): row["held_out_forces"]
        for row in small().results
        if row["observations"] == "E+F" and "held_out_forces" in row
    }
    assert len(errors) == 4
    for degree in (5, 8):
        assert errors["fits: one relaxed cell", degree] > 10 * errors["fits: rattled copies too", degree]


def test_the_page_gives_the_numbers_of_the_tables(tmp_path):
    """A figure for each question; the ratio of a variant to the design, and the force errors of the floors, in sentences."""
    store = Store(tmp_path)
    store.claim("small", STUDY)
    for name, lines, columns in (
        ("results", small().results, RESULTS),
        ("rates", small().rates, RATES),
        ("failures", [], FAILURES),
    ):
        store.table(f"{name}.csv", lines, columns)
    page = pages(gather(tmp_path))
    assert {picture.name for picture in page.figures} == {"fits-choices-layer-divacancy", "fits-floors-layer-divacancy"}
    designed, rattled = _energies("fits: pure, as designed"), _energies("fits: pure, cell rattled")
    (said,) = [text for text in page.findings if text.startswith("layer divacancy, cell rattled, over the design")]
    assert f"{number(rattled['E+F'] / designed['E+F'])} times with E+F" in said
    (floors,) = [text for text in page.findings if text.startswith("layer divacancy, E+F, rattled copies too")]
    errors = [row["held_out_forces"] for row in small().results if row["study"] == "fits: rattled copies too"][::2]
    assert f"held-out force error {number(errors[0])} to {number(errors[1])} eV/Å" in floors


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("radii = [6, 9]", "radii = [3, 9]", "fit_choices.radii has 3 spacings, and rates of layer divacancy begin at 3.8"),
        ("radii = [6, 9]", "radii = [6]", "radii need at least 2 different numbers"),
        ("radii = [6, 9]", "", "fit_choices needs radii"),
        (
            "training = { configurations = 2, rattle",
            "training = { konfigurations = 2, rattle",
            "fit_choices.variants.cell rattled",
        ),
        ("degrees = [5, 8]", "degrees = [2, 8]", "fit_floors.degrees has 2, too small for order 3"),
        ("degrees = [5, 8]", "degrees = [5]", "degrees"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(old, new, message, tmp_path):
    assert old in STUDY
    with pytest.raises(dg.InputError) as caught:
        plan(parse(STUDY.replace(old, new), tmp_path))
    assert message in str(caught.value) and "\n" not in str(caught.value)
