"""Certificates and designs in a study: their tasks, their tables, and what the page says of them."""

import numpy as np
import pandas as pd
import pytest
from test_study import parsed

from defectgen import study
from defectgen.campaign import Record, execute, to_record
from defectgen.study import FitTrial, Rows, TrainingRows, Trial
from defectgen.study.certificates import tables as certificates
from defectgen.study.certificates.figures import certificate_pictures
from defectgen.study.certificates.words import certificate_findings, certificate_table
from defectgen.study.design import loss as designs
from defectgen.study.design.figures import design_pictures
from defectgen.study.design.words import design_findings, design_table

CERTIFIED = ("[cell_size]\nsizes = [3, 4]", "[cell_size]\nsizes = [4]\n[certificates]\nricher = 2\n[bounds]\ncell_size = false")
DESIGNED = ("[cell_size]\nsizes = [3, 4]", '[design]\nsize = 4\n[design.losses."exact energies"]\nE = 1000.0\n')
STOPPED = (DESIGNED[0], DESIGNED[1] + '[design.held_out]\ntriangular = ["vacancy"]\n')
LARGER = (
    ("simulation_size = 7", "simulation_size = 9"),
    ("order = 2, degree = 3", "order = 2, degree = 5"),
    ("relaxed = false", "relaxed = true"),
    ("configurations = 1", "configurations = 2"),
)


def carried_out(*replacements):
    """All tasks of a tiny study in a plane, with their records."""
    spec = parsed(*LARGER, *replacements)
    done: dict[str, Record] = {}
    for task in study.plan(spec):
        done[task.key] = execute(task, done)
        assert done[task.key].ok, done[task.key].failed
    return spec, [(task, done[task.key]) for task in study.plan(spec)]


def test_every_trial_is_certified_without_the_reference():
    spec, done = carried_out(CERTIFIED)
    found = study.tables(spec, done)
    lines = found.others[certificates.NAME]
    assert [line["observations"] for line in lines] == ["E+F", "E+F+FC+V"] == [row["observations"] for row in found.results]
    for line, row in zip(lines, found.results, strict=True):
        assert line["geometry_error"] == row["geometry_error"] and line["trusted"]
        assert 0 < line["geometry_spread"] <= line["geometry_bound"]
        assert line["geometry_estimate"] == pytest.approx(np.hypot(line["geometry_shift"], line["geometry_remainder"]))
        assert 0.05 < line["geometry_estimate"] / line["geometry_error"] < 20  # an estimate of the error, not of something else
    quality = found.others[certificates.QUALITY]
    assert [line["quantity"] for line in quality] == ["geometry", "energy"] and quality[0]["fits"] == 2


def test_designs_are_tried_on_every_defect_beside_the_default():
    spec, done = carried_out(STOPPED)
    found = study.tables(spec, done)
    lines = found.others[designs.NAME]
    own = "designed for triangular divacancy"
    named = {own, own + ", stopped early", designs.DEFAULT, "uniform", "exact energies", designs.THEORY}
    assert {line["loss"] for line in lines} == named
    assert all(line["stopped"] == line["loss"].endswith(", stopped early") for line in lines)
    assert all(line["geometry_gain"] == 1 for line in lines if line["loss"] == designs.DEFAULT)
    theory = [line for line in lines if line["loss"] == designs.THEORY]
    assert len(theory) == 2 and all(line["trusted"] and line["geometry_gain"] != 1 for line in theory)
    made = [record.values for task, record in done if isinstance(task, designs.LossDesign)]
    for record in made:
        promised = record["geometry_after"] * record["energy_after"]
        assert promised <= record["geometry_before"] * record["energy_before"] * (1 + 1e-12)
        assert record["harm"] > 0 and record["harm_without_stopping"] > 0 and record["stopped"].keys() == record["weights"].keys()
    for line in found.others["design_weights"]:
        assert line["stopped_weight"] > 0 and {"harm", "harm_without_stopping"} <= line.keys()
    assert {line["group"] for line in found.others["design_weights"]} >= {"E:defect", "F:defect", "V0:bulk"}


def test_the_page_shows_what_designs_gain_and_where_they_lose():
    def tried(defect, loss, kind, gain, trusted=True):
        error = 1e-3 / gain if trusted else np.nan
        known = {name: error for name in ("geometry_error", "energy_error")} | {"geometry_gain": gain, "energy_gain": 1 / gain}
        return {
            "material": "Cu",
            "defect": defect,
            "observations": "E+F",
            "loss": loss,
            "designed_for": kind,
            "stopped": loss.endswith("early"),
            **known,
            "trusted": trusted,
        }

    rows = [tried(defect, designs.DEFAULT, "other", 1.0) for defect in ("vacancy", "divacancy")]
    rows += [
        tried("vacancy", "designed for Cu vacancy", "own", 4.0),
        tried("divacancy", "designed for Cu vacancy", "another defect", 0.5),
    ]
    rows += [tried("vacancy", "designed for W divacancy", "another material", 2.0, trusted=False)]
    rows += [tried("vacancy", "designed for Cu vacancy, stopped early", "own", 2.0)]
    table = pd.DataFrame(rows)
    (picture,) = design_pictures(table)
    for axes, gains in zip(picture.figure.axes, ([4.0, 2.0, 0.5], [0.25, 0.5, 2.0]), strict=True):
        drawn = [tuple(x) for shown in axes.lines if len(x := shown.get_xdata()) == 1]
        assert drawn == [(gain,) for gain in gains]  # what lost the defect is not drawn
    assert "1 fit that lost the defect is not shown" in picture.caption
    assert "Hollow: designs of smallest estimate" in picture.caption
    own, early, other = design_findings(table)
    assert "stopped by held-out defects" in early and "2.0 in the median for the geometry" in early
    assert "designed for this defect" in own and "4.0 in the median for the geometry" in own
    assert "0.25 in the median for the energy (0.25 to 0.25; worse than the default in 1 of 1, at worst 4.0 times)" in own
    assert "another defect" in other
    assert [len(row) for row in design_table(table).rows] == [8] * 6


def test_a_variant_is_no_point_of_the_design_s_curve():
    spec = parsed(
        ("[cell_size]", "[choices]\nsizes = [3]\n[choices.variants.heavier]\nfit = { weights = { E = 9.0 } }\n[cell_size]"),
    )
    errors = ("geometry_error", "geometry_error_max", "energy_error", "energy_error_signed", "condition", "stability_constant")
    counts = {"rank": 3, "basis_functions": 3, "simulation_atoms": 9, "dimension": 2}
    flags = {"converged": True, "same_basin": True, "stable": True}
    words = {"rmse": {}, "why_not": "", "message": "", "lowest_phonon": 1.0, "warnings": ()}
    trial = Trial(**dict.fromkeys(errors, 1.0), **counts, **flags, **words, coefficients=np.zeros(3), positions=np.zeros((9, 3)))
    results = {FitTrial: to_record(trial), TrainingRows: to_record(Rows((), "toy", 1.0, 9))}
    found = study.tables(spec, [(task, results[type(task)]) for task in study.plan(spec) if type(task) in results])
    designed = [row for row in found.results if row["study"] == "cell-size"]
    assert len(designed) == 4  # two sizes, two sets of observations
    assert sum(row["study"] == "choices: heavier" for row in found.results) == 2


def test_weights_of_a_design_go_to_crystals_with_fewer_kinds_of_rows():
    silicon = {"F": {"defect": 2.0, "bulk": 1.0}, "VF": {"strain": 3.0}}
    assert designs._known(silicon, {"F": {"defect": 1.0}}) == {"F": {"defect": 2.0}}
    assert designs._known({"E": 1.0, "VF": 1.0}, {"E": {"defect": 30.0}}) == {"E": 1.0}


def line(material, error, factor, **changes):
    """A line of certificates.csv whose estimates are `factor` times the error."""
    numbers = {f"{what}_error": error for what in ("geometry", "energy")}
    for what in ("geometry", "energy"):
        numbers |= {f"{what}_{name}": factor * error for name in ("estimate", "spread", "deviation")}
        numbers[f"{what}_bound"] = 2 * factor * error
    return {"material": material, "defect": "vacancy", **numbers, "trusted": True, "refused": "", **changes}


def test_quality_counts_what_it_says():
    lines = [line("Cu", 10.0**-k, factor) for k, factor in enumerate((1.0, 2.0, 4.0, 0.2))]
    lines += [line("Cu", 1.0, 100.0, trusted=False), line("Cu", 1.0, 1.0, trusted=False, refused="no minimum")]
    geometry, energy = certificates._quality("Cu", lines)
    assert geometry["fits"] == energy["fits"] == 4 and geometry["refused"] == 1
    assert geometry["bound_holds"] == 0.75 and geometry["estimate_near"] == 0.5
    assert geometry["estimate_rank_correlation"] == pytest.approx(1.0)
    assert geometry["posterior_covers_95"] == 0.75  # 1.96 * 0.2 < 1


def test_the_page_shows_points_and_says_what_holds():
    lines = [line(m, 10.0**-k, 1.5) for m in ("Cu", "Si") for k in range(3)]
    lines += [line("Cu", 10.0**-k, 1.5, defect="divacancy") for k in range(3)]
    quality = pd.DataFrame(certificates.qualities(lines))
    pictures = list(certificate_pictures(pd.DataFrame(lines)))
    assert [picture.name for picture in pictures] == ["certificate-estimate", "certificate-spread", "certificate-bound"]
    for picture in pictures:
        assert all(len(axes.lines) == 3 for axes in picture.figure.axes)  # two materials and the line of equality
    sentences = list(certificate_findings(quality))
    assert len(sentences) == 6 and "fits of 2 defects" in sentences[0] and "one defect, so without" in sentences[2]
    assert "all materials" in sentences[4] and "the bound holds for 100 % (29 to 100)" in sentences[4]  # 0.025^(1/3)
    assert "the bound holds for 100 %" in sentences[0]
    assert len(certificate_table(quality).rows) == 6
