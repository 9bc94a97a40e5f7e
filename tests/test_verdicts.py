"""Verdicts: intervals from repeats hold the truth as often as they say, and wrong exponents are confirmed in 5 % at most."""

import numpy as np
import pytest

from defectgen._input import InputError
from defectgen.errors import Rate, estimate_rate, judge, verdict, verdict_power
from defectgen.errors.slopes import power_slopes, shifted_slopes

CURVES = {
    "three dimensions": (np.geomspace(3.5, 8.5, 6), -3.0),
    "two dimensions": (np.array([8.0, 10, 12, 15, 19]), -5.0),
    "narrow window": (np.array([5.0, 5.4, 5.9, 6.4, 6.9, 7.4, 8]), -4.5),
    "four radii": (np.array([4.0, 5.2, 6.8, 9]), -1.5),
}
curves = pytest.mark.parametrize(("sizes", "predicted"), CURVES.values(), ids=CURVES.keys())
NOISE = pytest.mark.parametrize(
    ("scatter", "repeats", "spread"),
    [(0.001, 1, 0.0), (0.01, 1, 0.0), (0.03, 1, 0.0), (0.01, 3, 0.05), (0.02, 4, 0.1)],
    ids=["one, 0.1 %", "one, 1 %", "one, 3 %", "three repeats", "four repeats"],
)


def noisy(sizes, law, scatter, repeats=1, spread=0.0, count=2000, seed=1):
    """Logarithms (curves, repeats, sizes) of a law with deviations of the sizes, and of the slopes of the repeats."""
    rng = np.random.default_rng(seed)
    x = np.log(sizes) - np.log(sizes).mean()
    shared = scatter * rng.normal(size=(count, 1, len(sizes)))
    return np.log(law(sizes)) + shared + spread * rng.normal(size=(count, repeats, 1)) * x


@curves
@NOISE
def test_at_most_one_wrong_exponent_in_twenty_is_confirmed(sizes, predicted, scatter, repeats, spread):
    """Off by 0.5, to either side, also with sizes that are shifted by half a spacing and with a floor."""
    found = verdict_power(sizes, scatter, repeats, predicted, spread, resolution=0.5)
    assert found.false_confirmation <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000), found.worst


def test_the_power_of_the_designs_of_the_studies():
    """Right exponents are confirmed where scatter and radii allow it, and where they do not the power says so."""
    assert verdict_power(CURVES["three dimensions"][0], 0.02, 4, -3.0, 0.05, resolution=0.5).power > 0.9
    assert verdict_power(CURVES["two dimensions"][0], 0.01, 4, -5.0, 0.05, resolution=0.5).power > 0.9
    assert verdict_power(CURVES["three dimensions"][0], 0.03, 1, -6.0, resolution=0.5).power < 0.1


def rule_before(sizes, logs, predicted):
    """The rule that confirmed what either law held, or what was within 0.6 of a slope with an interval narrower than 1."""
    confirmed = np.zeros(len(logs), dtype=bool)
    for law in (power_slopes(sizes, logs), shifted_slopes(sizes, logs)):
        width = law.high - law.low
        near = (abs(law.slope - predicted) <= 0.6) & (width < 1)
        confirmed |= (width <= 2) & ((law.low <= predicted) & (predicted <= law.high) | near)
    return confirmed


def test_the_simulation_would_have_found_the_rule_before_wanting():
    """Guard: with 1 % of scatter, whichever law confirms, within a hidden 0.6, confirms exponents off by 0.5 and by 1."""
    sizes, predicted = CURVES["narrow window"]
    shares = [
        max(rule_before(sizes, noisy(sizes, lambda s, p=predicted + d: s**p, 0.01), predicted).mean() for d in (-off, off))
        for off in (0.5, 1.0)
    ]
    assert shares[0] > 0.9 and shares[1] > 0.1
    assert verdict_power(sizes, 0.01, 1, predicted, tolerance=0.5).false_confirmation < 0.06


@curves
def test_vectorised_simulation_and_single_curves_are_the_same_code(sizes, predicted):
    logs = noisy(sizes, lambda s: s ** (predicted + 0.2), 0.02, repeats=3, spread=0.1, count=20)
    many = power_slopes(sizes, logs, 0.5)
    for k, own in enumerate(logs):
        rate = estimate_rate(sizes, np.exp(own), window=None, resolution=0.5)
        assert (rate.slope, rate.low, rate.high) == pytest.approx((many.slope[k], many.low[k], many.high[k]), abs=1e-12)
        assert rate.bent == many.bent[k] and rate.repeats == 3 and rate.interval == "repeats"


@pytest.mark.parametrize(("repeats", "least"), [(3, 0.93), (4, 0.93), (8, 0.93)])
def test_intervals_of_repeats_hold_the_truth_and_those_of_one_line_do_not(repeats, least):
    """Slopes that differ by 0.2 from repeat to repeat: only several curves can show that."""
    sizes = CURVES["three dimensions"][0]
    many = power_slopes(sizes, noisy(sizes, lambda s: s**-3.0, 0.01, repeats, 0.2))
    assert np.mean((many.low <= -3) & (many.high >= -3)) > least
    one = power_slopes(sizes, noisy(sizes, lambda s: s**-3.0, 0.01, 1, 0.2))
    assert np.mean((one.low <= -3) & (one.high >= -3)) < 0.4


def test_the_interval_of_repeats_is_that_of_their_slopes_where_nothing_else_differs():
    """Exact power laws with slopes of their own: mean +- t s / sqrt(n), from a table of Student's t."""
    sizes, slopes = np.array([4.0, 6, 9, 13]), np.array([-3.1, -3.0, -2.8])
    rate = estimate_rate(sizes, sizes ** slopes[:, None])
    half = 4.30265 * slopes.std(ddof=1) / np.sqrt(3)
    assert (rate.slope, rate.low, rate.high) == pytest.approx(
        (slopes.mean(), slopes.mean() - half, slopes.mean() + half), abs=1e-5
    )
    assert rate.repeat_slopes == pytest.approx(slopes) and rate.spread == pytest.approx(slopes.std(ddof=1))


def test_repeats_may_be_rows_or_labels_in_any_order():
    sizes, rng = np.array([4.0, 6, 9, 13]), np.random.default_rng(0)
    errors = sizes**-3.0 * np.exp(0.05 * rng.normal(size=(3, 4)))
    rows = estimate_rate(sizes, errors)
    order = rng.permutation(12)
    labels = estimate_rate(np.tile(sizes, 3)[order], errors.ravel()[order], repeats=np.repeat(["a", "b", "c"], 4)[order].tolist())
    assert (labels.slope, labels.low, labels.high) == pytest.approx((rows.slope, rows.low, rows.high))
    missing = estimate_rate(np.tile(sizes, 3)[:-1], errors.ravel()[:-1], repeats=list("aaaabbbbccc"))
    assert missing.window == (4, 9) and [size for size, _ in missing.dropped] == [13]


def test_a_shift_within_the_resolution_is_covered_and_a_slope_that_changes_by_one_is_none():
    sizes = CURVES["three dimensions"][0]
    plain = estimate_rate(sizes, (sizes + 0.4) ** -3.0, window=None)
    assert not plain.low <= -3 <= plain.high and not plain.bent and verdict(plain, -3.0) == "within tolerance"
    allowed = estimate_rate(sizes, (sizes + 0.4) ** -3.0, window=None, resolution=0.5)
    assert allowed.low <= -3.0 <= allowed.high and not allowed.bent and verdict(allowed, -3.0) == "confirmed"
    far = estimate_rate(sizes, (sizes + 2.6) ** -7.0, window=None, resolution=0.5)  # local slopes from -4.3 to -5.3
    assert far.bent and verdict(far, far.slope) == "inconclusive" and "the slope changes" in judge(far, far.slope).remark
    exact = estimate_rate(sizes, sizes**-3.0, window=None, resolution=0.5)
    assert exact.high - exact.low < 0.05  # without noise the curvature tells the shift


def test_a_window_found_in_the_errors_confirms_no_more_than_a_given_one():
    """The automatic rules drop what looks like a floor; wrong exponents profit from that in 5 % of curves at most."""
    sizes = np.geomspace(4, 16, 8)
    found = verdict_power(sizes, 0.02, 1, -3.0, window="automatic", samples=40)
    assert found.false_confirmation <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 40) and found.power > 0.7


def test_a_confirmation_that_would_often_be_false_is_none():
    """The finite-size law takes a floor for a shift; the simulation knows, so its confirmation does not stand."""
    sizes = CURVES["narrow window"][0]
    rng = np.random.default_rng(5)
    rate = estimate_rate(sizes, sizes**-6.0 * np.exp(0.003 * rng.normal(size=7)), model="shifted", window=None)
    told = judge(rate, rate.slope)
    assert verdict(rate, rate.slope) == "inconclusive" or told.verdict == "inconclusive"
    assert told.false_confirmation > 0.1


def test_a_judgement_names_what_is_missing():
    assert "2 sizes in the window" in judge(estimate_rate([4, 8], [1.0, 0.1]), -3.0).remark
    alone = judge(estimate_rate([4, 6, 9, 13], np.array([4.0, 6, 9, 13]) ** -3.0, window=None), -3.0)
    assert (alone.verdict, alone.remark) == ("confirmed", "interval of one line") and alone.power > 0.9
    rng = np.random.default_rng(0)
    errors = np.array([4.0, 5, 6, 7]) ** -3.0 * np.exp(0.2 * rng.normal(size=(3, 4)))
    weak = judge(estimate_rate([4, 5, 6, 7], errors, window=None), -3.0)
    assert weak.power < 0.5 and "would narrow the interval" in weak.remark


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: estimate_rate([1, 2, 3], np.ones((2, 4))), "as many errors as sizes"),
        (lambda: estimate_rate([1, 2], [1.0, 2.0], repeats=[1]), "the repeat of each point"),
        (lambda: estimate_rate([2, 2], [1.0, 2.0], repeats=["a", "a"]), "has the size 2 twice"),
        (lambda: estimate_rate([1, 2], [1.0, 2.0], window="all"), "'automatic'"),
        (lambda: estimate_rate([1, 2], [1.0, 0.5], resolution=-1), "resolution"),
        (lambda: estimate_rate([1, 2], [1.0, 0.5], resolution=1.0), "less than the smallest"),
        (lambda: verdict_power([1, 2], 0.1), "three positive sizes"),
        (lambda: verdict_power([1, 2, 3], -0.1), "zero or positive"),
        (lambda: judge("no rate", -3.0), "dg.estimate_rate"),
    ],
    ids=["shapes", "labels", "twice", "window", "negative", "large", "sizes", "scatter", "no rate"],
)
def test_bad_rates_and_simulations_are_one_sentence(call, said, unchecked):
    with pytest.raises(InputError, match=said) as told:
        call()
    assert "\n" not in str(told.value)


def test_one_repeat_is_as_before():
    """The interval of one line is the textbook's: SciPy's regression, Student's t with n - 2 degrees of freedom."""
    from scipy.stats import linregress
    from scipy.stats import t as student

    sizes, rng = np.array([4.0, 5, 6, 8, 10]), np.random.default_rng(3)
    errors = sizes**-3.0 * np.exp(0.1 * rng.normal(size=5))
    rate, line = estimate_rate(sizes, errors, window=None), linregress(np.log(sizes), np.log(errors))
    assert isinstance(rate, Rate) and rate.interval == "line" and rate.repeats == 1
    assert (rate.slope, rate.high - rate.slope) == pytest.approx((line.slope, student.ppf(0.975, 3) * line.stderr))
