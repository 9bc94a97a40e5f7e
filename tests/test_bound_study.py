"""Bounds and stability in a study: one table of terms, and a fit that has lost stability is named and in no rate."""

import csv
import re

import pandas as pd
import pytest
from test_study import parsed

from defectgen import study
from defectgen.campaign import Record, execute
from defectgen.plot.typeset import number
from defectgen.report import write
from defectgen.study import RATES, RESULTS, FitTrial, gather
from defectgen.study.bounds.falls import fall_table, falls
from defectgen.study.bounds.steps import Bound
from defectgen.study.bounds.tables import rates as bound_rates
from defectgen.study.bounds.terms import floors
from defectgen.study.rates import measured

COLUMNS = (
    "study,material,defect,observations,training_size,training_radius,degree,term,symbol,value,unit,power,tail,"
    "geometry_contribution,energy_contribution,geometry_bound,geometry_error,energy_bound,energy_error,dominates"
).split(",")


@pytest.fixture(scope="module")
def outcome():
    """All tasks of a tiny study with their records."""
    spec = parsed(
        ("simulation_size = 7", "simulation_size = 9"),
        ("order = 2, degree = 3", "order = 2, degree = 7"),
        ("relaxed = false", "relaxed = true"),
        ("configurations = 1", "configurations = 2"),
        ("sizes = [3, 4]", "sizes = [4, 5]"),
    )
    done: dict[str, Record] = {}
    for task in study.plan(spec):
        done[task.key] = execute(task, done)
    return spec, [(task, done[task.key]) for task in study.plan(spec)]


def test_every_trial_of_the_cell_sizes_has_its_terms(outcome):
    spec, done = outcome
    found = study.tables(spec, done)
    rows = found.others["bounds"]
    assert list(rows[0])[: len(COLUMNS)] == COLUMNS
    fits = {(row["observations"], row["training_size"]) for row in rows}
    assert fits == {(row["observations"], row["training_size"]) for row in found.results} and len(fits) == 4
    for fit in fits:
        own = [row for row in rows if (row["observations"], row["training_size"]) == fit]
        floor = [row for row in own if row["dominates"]]
        assert floor[0]["group"] == "+".join(row["term"] for row in floor)
        assert floor[0]["joint_response"] == max(row["joint_response"] for row in own)
        assert {row["term"] for row in own} >= {"E", "F", "C2", "G2", "C3", "R"}
        total = sum(row["geometry_contribution"] for row in own)
        assert own[0]["geometry_bound"] == pytest.approx(total, rel=1e-12)
        assert 0.1 * own[0]["geometry_error"] < own[0]["geometry_estimate"] <= total and own[0]["geometry_error"] < total


def test_stability_of_every_fit_is_known(outcome):
    spec, done = outcome
    for row in study.tables(spec, done).results:
        assert row["stable"] is True and row["stability_constant"] > 0 and row["lowest_phonon"] > 0


def test_an_unstable_fit_is_named_and_leaves_the_rates_with_that_reason(outcome):
    spec, done = outcome
    spoilt = []
    for task, record in done:
        if isinstance(task, FitTrial) and task.rows.training_size == 5:
            values = {**record.values, "stable": False, "same_basin": False, "stability_constant": -0.2}
            record = Record(values, record.arrays)
        spoilt.append((task, record))
    found = study.tables(spec, spoilt)
    assert [f["reason"].split(":")[0] for f in found.failures].count("the model is not stable at the defect") == 2
    assert all("the fit is unstable" in rate["dropped"] for rate in found.rates)
    assert not any("not converged" in rate["dropped"] for rate in found.rates)
    assert not any(row["trusted"] for row in found.others["bounds"] if row["training_size"] == 5)


def test_a_crystal_that_falls_apart_is_told_from_a_saddle_point(outcome):
    spec, done = outcome
    change = {"stable": False, "same_basin": False, "stability_constant": -2.0, "lowest_phonon": -0.3}
    spoilt = [(t, Record(r.values | change, r.arrays) if isinstance(t, FitTrial) else r) for t, r in done]
    failures = study.tables(spec, spoilt).failures
    assert any("does not hold the crystal together" in failure["reason"] for failure in failures)


def test_reasons_replace_a_lack_of_convergence_only_where_they_are_known():
    row = measured([2.0, 3.0, 4.0, 5.0], [1.0, 0.5, 0.3, 0.2], [True, False, False, True], None, {3.0: "the fit is unstable"})
    assert row["dropped"] == "3: the fit is unstable; 4: not converged"


def test_bounds_can_be_left_out_and_asked_for():
    count = [
        sum(isinstance(task, Bound) for task in study.plan(parsed(*change)))
        for change in ((), [("sizes = [3, 4]", "sizes = [3, 4]\n[bounds]\ncell_size = false")])
    ]
    assert count == [4, 0]
    wanted = [("sizes = [3, 4]", "sizes = [3, 4]\n[fit_accuracy]\nsize = 3\ndegrees = [2, 3]\n[bounds]\nfit_accuracy = true")]
    assert sum(isinstance(task, Bound) for task in study.plan(parsed(*wanted))) == 6  # two are in both


def lines(radii, slopes, **about):
    """Rows of bounds.csv of one term whose values are powers of the radius."""
    common = {"study": "cell-size", "material": "toy", "defect": "vacancy", "observations": "E+F", "degree": 4.0, "term": "C2"}
    values = {name: [3.0 * r**power for r in radii] for name, power in slopes.items()}
    return [
        {**common, "training_radius": r, "power": -1.5, "energy_power": -3.0, "trusted": True, **about}
        | {name: series[k] for name, series in values.items()}
        for k, r in enumerate(radii)
    ]


FALLS = {"value": -0.2, "tail": -1.5, "geometry_response": -2.6, "energy_contribution": -3.1}


def test_terms_fall_with_the_powers_of_their_factors():
    (found,) = bound_rates(lines([3.0, 4.0, 5.0, 7.0], FALLS))
    for what, column in (("coefficient", "value"), ("tail", "tail"), ("geometry", "geometry_response")):
        assert found[f"{what}_slope"] == pytest.approx(FALLS[column], abs=1e-12)
    assert (found["geometry_predicted"], found["energy_predicted"], found["window"]) == (-1.5, -3.0, "3-7")
    assert not bound_rates(lines([3.0, 4.0], FALLS))  # two points have a slope, but no one should believe it
    assert not bound_rates(lines([3.0, 4.0, 5.0], FALLS, trusted=False))
    assert not bound_rates(lines([3.0, 4.0, 5.0], FALLS, power=None))  # a term without a predicted power
    (lost,) = bound_rates([{**row, "value": None} for row in lines([3.0, 4.0, 5.0], FALLS)])
    assert lost["coefficient_slope"] is None and lost["tail_slope"] is not None


@pytest.mark.parametrize(("steep", "hidden"), [(-2.6, True), (-1.8, False)], ids=["hidden", "seen"])
def test_the_report_says_what_makes_a_term_fall(steep, hidden):
    rows = lines([3.0, 4.0, 5.0], {**FALLS, "geometry_response": steep})
    rates = pd.DataFrame(bound_rates(rows))
    (sentence,) = falls(rates, pd.DataFrame(rows))
    assert "elastic constants (C2)" in sentence and "−1.50 (predicted −3/2)" in sentence
    assert ("does not see" in sentence) == hidden
    table = fall_table(rates, "toy vacancy")
    assert table is not None and len(table.rows) == 1 and fall_table(rates, "another case") is None


def test_the_floor_is_named_by_what_cancelling_terms_do_together():
    alone = {"F": 1.3e-3, "C2": 12.5e-3, "G2": 12.7e-3}
    common = {"study": "cell-size", "material": "Cu", "defect": "divacancy", "observations": "E+F", "degree": 8.0}
    common |= {"training_radius": 5.0, "trusted": True, "geometry_error": 2e-3, "geometry_estimate": 2e-3, "geometry_bound": 1e-2}
    joint = {"F": ("F", 1.3e-3), "C2": ("C2+G2", 4e-4), "G2": ("C2+G2", 4e-4)}
    rows = [
        {**common, "term": term, "geometry_response": size, "group": joint[term][0], "joint_response": joint[term][1]}
        | {"dominates": term == "F"}
        for term, size in alone.items()
    ]
    (sentence,) = floors(pd.DataFrame(rows))
    assert "floor under the geometry error is forces within the training radius (F) for E+F" in sentence
    assert f"for E+F {number(12.5e-3)} (C2) and {number(12.7e-3)} (G2) Å leave {number(4e-4)} Å together" in sentence
    alike = pd.DataFrame([{**row, "dominates": row["term"] != "F"} for row in rows])
    assert "elastic constants (C2) together with dispersion of the force constants (G2) for E+F" in next(floors(alike))
    older = pd.DataFrame(rows).drop(columns=["group", "joint_response"])
    assert "cancel" not in next(floors(older))


def test_the_report_shows_the_terms_and_names_the_floor(outcome, tmp_path):
    spec, done = outcome
    found = study.tables(spec, done)
    (tmp_path / "spec.toml").write_text(study.dump(spec))
    for name, rows, columns in (
        ("results", found.results, RESULTS),
        ("rates", found.rates, RATES),
        ("bounds", found.others["bounds"], ()),
    ):
        with open(tmp_path / f"{name}.csv", "w", newline="") as stream:
            writer = csv.DictWriter(stream, list(dict.fromkeys([*columns, *rows[0]])))
            writer.writeheader()
            writer.writerows(rows)
    page = re.sub(r"<[^>]+>", "", write(tmp_path).read_text())  # without the links of terms
    assert "The bound, term by term" in page and "the floor under the geometry error is" in page and "★" in page
    assert list((tmp_path / "figures").glob("bound-*.svg"))
    assert len(gather(tmp_path).others["bounds"]) == len(found.others["bounds"])
