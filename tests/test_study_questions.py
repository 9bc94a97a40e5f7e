"""Studies of surrogates and of choices: rates of repeats, whole studies in this process, refusals."""

from pathlib import Path

import pytest
from small_study import carried_out

import defectgen as dg
from defectgen.study import parse, plan
from defectgen.study.choices import Choices, ChoicesStudy
from defectgen.study.rates import rates_of_fits

# -- surrogates ----------------------------------------------------------------------------------------------------------------


def surrogate_rows(errors, seeds=(0, 1), **changes):
    """Rows of a surrogate study whose geometry error is `errors(L)` times a factor of each perturbation."""
    return [
        {
            "study": "surrogates",
            "material": "toy",
            "defect": "divacancy",
            "dimension": 2,
            "observations": "E+F+FC",
            "perturbation": seed,
            "training_radius": radius,
            "geometry_error": errors(radius) * 30.0**seed,
            "energy_error": radius**-4.0,
            "converged": True,
            "same_basin": True,
            **(changes if (radius, seed) == (19.0, 1) else {}),
        }
        for seed in seeds
        for radius in (8.0, 10.0, 12.0, 15.0, 19.0)
    ]


def rates_of(rows, **options):
    """The rates of rows of surrogates in the material of the run file below."""
    return rates_of_fits([{**row, "material": "triangular"} for row in rows], parse(SURROGATES, Path(".")), **options)


def test_rates_of_repeats_are_those_of_their_geometric_mean():
    """Prefactors that differ by 30 do not blur the slope, and wrong exponents are rejected."""
    geometry, energy = rates_of(surrogate_rows(lambda size: size**-3.0))
    assert geometry["slope"] == pytest.approx(-3.0, abs=1e-9) and energy["slope"] == pytest.approx(-4.0, abs=1e-9)
    assert (geometry["predicted"], geometry["verdict"], geometry["rejects_off_by_one"]) == (-3.0, "confirmed", True)
    (wrong, _) = rates_of(surrogate_rows(lambda size: size**-2.0))
    assert wrong["verdict"] == "shallower"
    (fewer, _) = rates_of(surrogate_rows(lambda size: size**-3.0, converged=False))
    assert fewer["window"] == "8-15" and "not converged" in fewer["dropped"]


def test_a_slow_approach_is_judged_by_the_finite_size_law_only_where_it_was_declared():
    def slow(shift, law):
        (rate, _) = rates_of(surrogate_rows(lambda size: (size + shift) ** -3.0, seeds=(0, 1, 2)), law=law)
        return rate

    plain, declared = slow(6.0, "power"), slow(6.0, "shifted")
    assert plain["slope"] == declared["slope"] > -2.4  # the slope is that of the power law in both
    assert (plain["judged_by"], plain["verdict"]) == ("power law", "shallower")
    assert (declared["judged_by"], declared["verdict"]) == ("finite-size law", "confirmed") and declared["rejects_off_by_one"]
    assert declared["shifted_slope"] == pytest.approx(-3.0, abs=1e-3) and declared["shift"] == pytest.approx(6.0, abs=0.04)
    assert declared["shifted_low"] <= -3.0 <= declared["shifted_high"]
    assert slow(0.4, "power")["verdict"] == "confirmed"  # a shift within half a spacing is allowed for


def test_a_printed_interval_holds_the_prediction_it_confirms():
    """Three repeats with slopes of their own: the interval is theirs, its rule and its simulation are in the row."""
    rows = [
        {**row, "geometry_error": row["geometry_error"] * row["training_radius"] ** (0.05 * (row["perturbation"] - 1))}
        for row in surrogate_rows(lambda size: size**-3.0, seeds=(0, 1, 2))
    ]
    (rate, _) = rates_of(rows)
    assert (rate["repeats"], rate["interval_of"], rate["verdict"]) == (3, "repeats", "confirmed")
    assert -3.5 < rate["low"] < -3.05 and -2.95 < rate["high"] < -2.5
    assert rate["false_confirmation"] <= 0.06 and rate["power"] > 0.8 and rate["window_rule"].startswith("from ")
    (alone, _) = rates_of([row for row in rows if row["perturbation"] == 1])
    assert (alone["repeats"], alone["interval_of"]) == (1, "line") and "one line" in alone["remark"]


def test_radii_before_the_window_decide_nothing():
    """The window begins at the core and two cutoffs, whatever the errors are."""
    near = [{**row, "training_radius": row["training_radius"] / 4} for row in surrogate_rows(lambda size: size**-3.0)]
    (rate, _) = rates_of(near)
    assert rate["slope"] == pytest.approx(-3.0) and rate["verdict"] == "inconclusive" and not rate["rejects_off_by_one"]
    assert "too few radii in the window" in rate["remark"] and rate["power"] is None


SURROGATES = """
name = "surrogates"
observations = ["E+F", "E+F+FC+V"]
[[cases]]
material = "triangular"
defect = "divacancy"
simulation_size = [20, 22, 1]
[surrogates]
radii = [5, 7]
"""


def test_a_surrogate_study_runs_and_resolves(tmp_path):
    found, _ = carried_out(SURROGATES, tmp_path)
    errors = {(row["observations"], row["training_radius"]): row["geometry_error"] for row in found.results}
    assert len(errors) == 4 and not found.failures
    assert errors["E+F", 5.0] > errors["E+F", 7.0] > errors["E+F+FC+V", 5.0] > errors["E+F+FC+V", 7.0] > 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("[5, 7]", "[5, 70]"), "out of the simulation cell"),
        (("radii = [5, 7]", "radii = [0]"), "surrogates.radii"),
        (("[20, 22, 1]", "[20, 22]"), r"simulation_size: a size is a positive number .* got \[20, 22\]"),
        (("[20, 22, 1]", "0"), r"a size is a positive number .* got 0"),
        (("[surrogates]\nradii = [5, 7]", "[cell_size]\nsizes = [3]"), "needs a basis to fit"),
    ],
    ids=["radius", "zero", "two numbers", "no cell", "basis"],
)
def test_bad_surrogate_studies_are_one_sentence(change, said, tmp_path):
    with pytest.raises(dg.InputError, match=said):
        plan(parse(SURROGATES.replace(*change), tmp_path))


# -- choices -------------------------------------------------------------------------------------------------------------------

CHOICES = """
name = "choices"
observations = ["E+F+FC"]
bounds = { choices = false }
[[cases]]
material = "triangular"
defect = "vacancy"
simulation_size = 12
basis = { cutoff = 5.0, order = 2, degree = 4 }
[training]
configurations = 1
[choices]
sizes = [4]
[choices.variants.rattled]
training = { rattle = 0.1 }
[choices.variants."fewer functions"]
basis = { degree = 3 }
"""


def test_every_choice_is_compared_with_the_design(tmp_path):
    found, outcome = carried_out(CHOICES, tmp_path)
    rows = {row["choice"]: row for row in found.others["choices"]}
    assert list(rows) == ["as designed", "rattled", "fewer functions"]
    assert rows["as designed"]["geometry_ratio"] == rows["as designed"]["energy_ratio"] == 1.0
    assert rows["fewer functions"]["basis_functions"] < rows["as designed"]["basis_functions"]
    for name in ("rattled", "fewer functions"):
        ratio = rows[name]["geometry_error"] / rows["as designed"]["geometry_error"]
        assert rows[name]["geometry_ratio"] == pytest.approx(ratio) and abs(ratio - 1) > 1e-3
    assert {rate["study"] for rate in found.rates} == {"choices: as designed"}  # one size makes no curve of a variant
    labels = [task.label for task, _ in outcome]
    assert len(set(labels)) == len(labels)  # a failure names its variant


def test_variants_can_be_kept_to_some_of_the_sizes(tmp_path):
    spec = parse(CHOICES.replace("sizes = [4]", "sizes = [3, 4, 5]\nvaried_at = [4]"), tmp_path)
    sizes = {name: [] for name in ("as designed", "rattled", "fewer functions")}
    for name, trial in ChoicesStudy().trials(spec, spec.asked(Choices)):
        sizes[name.removeprefix("choices: ")].append(trial.rows.training_size)
    assert sizes == {"as designed": [3, 4, 5], "rattled": [4], "fewer functions": [4]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("sizes = [4]", "sizes = [4]\nvaried_at = [5]"), r"some of the sizes \[4\].*got \[5\]"),
        (("rattle = 0.1", "ratle = 0.1"), "ratle"),
        (("rattle = 0.1", "rattle = -1"), "rattle"),
        (("training = { rattle", "trainin = { rattle"), "trainin"),
        (("degree = 3 }", "degree = 1 }"), "degree"),
    ],
    ids=["size", "key", "value", "table", "basis"],
)
def test_bad_variants_are_one_sentence(change, said, tmp_path):
    with pytest.raises(dg.InputError, match=said):
        plan(parse(CHOICES.replace(*change), tmp_path))
