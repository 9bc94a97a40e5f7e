"""What judges a measure of the domain: ranking, retention, and thresholds with a guarantee."""

import numpy as np
import pytest
from copper_domain import RNG
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

import defectgen as dg
from defectgen.errors.domain import auroc, conformal_quantile, coverage, coverage_range, error_by_score, error_factor, retention


@given(scores=st.lists(st.integers(0, 5), min_size=2, max_size=30), seed=st.integers(0, 99))
def test_auroc_is_the_share_of_pairs_in_order(scores, seed):
    bad = RNG(seed).random(len(scores)) < 0.5
    bad[0], bad[1] = True, False
    scores = np.array(scores, dtype=float)
    pairs = [(b > g) + 0.5 * (b == g) for b in scores[bad] for g in scores[~bad]]
    assert auroc(scores, bad) == pytest.approx(np.mean(pairs))
    assert auroc(-scores, bad) == pytest.approx(1 - np.mean(pairs))


def test_auroc_of_a_perfect_and_of_a_blind_measure():
    bad = np.arange(10) >= 7
    assert auroc(np.arange(10.0), bad) == 1.0 and auroc(np.zeros(10), bad) == 0.5
    assert auroc(np.where(bad, np.inf, 1.0), bad) == 1.0  # what is infinitely far is the farthest
    for wrong, said in ((np.zeros(10, dtype=bool), "0 bad of 10"), (np.ones(10, dtype=bool), "10 bad of 10")):
        with pytest.raises(dg.InputError, match=said):
            auroc(np.arange(10.0), wrong)


def test_auroc_is_that_of_scikit_learn():
    """Another code, on many scores, some of them equal."""
    peer = pytest.importorskip("sklearn.metrics")
    rng = RNG(3)
    scores, bad = np.round(rng.normal(size=5000), 2), rng.random(5000) < 0.2
    scores[bad] += 0.5
    assert 0.6 < auroc(scores, bad) == pytest.approx(peer.roc_auc_score(bad, scores), abs=1e-12)


@given(scores=st.lists(st.integers(0, 6), min_size=1, max_size=25), seed=st.integers(0, 99))
def test_retention_is_the_error_of_what_is_kept(scores, seed):
    scores, errors = np.array(scores, dtype=float), RNG(seed).random(len(scores))
    curve = retention(scores, errors)
    for level in np.unique(scores):  # where no equal scores are cut apart
        kept = scores <= level
        assert curve.error[kept.sum() - 1] == pytest.approx(np.sqrt(np.mean(errors[kept] ** 2)))
        assert curve.kept[kept.sum() - 1] == pytest.approx(kept.mean())
    assert np.all(curve.ideal <= curve.error + 1e-12) and np.all(np.diff(curve.ideal) >= -1e-12)
    assert retention(errors, errors).area == pytest.approx(0.0, abs=1e-12) and curve.area >= -1e-12
    assert retention(-errors, errors).area >= curve.area - 1e-12  # nothing is worse than the wrong order


def test_errors_in_bins_of_equally_many():
    scores, errors = np.array([3.0, 1, 2, 6, 5, 4]), np.array([0.3, 0.1, 0.2, 0.6, 0.5, 0.4])
    found = error_by_score(scores, errors, bins=3)
    assert found.score == pytest.approx([1.5, 3.5, 5.5]) and found.largest == pytest.approx([0.2, 0.4, 0.6])
    assert found.error == pytest.approx([np.sqrt((a**2 + b**2) / 2) for a, b in ((0.1, 0.2), (0.3, 0.4), (0.5, 0.6))])
    with pytest.raises(dg.InputError, match="got 7"):
        error_by_score(scores, errors, bins=7)


@pytest.mark.parametrize(("count", "alpha"), [(19, 0.05), (9, 0.1), (30, 0.1), (12, 0.25), (4, 0.2)], ids=str)
def test_conformal_coverage_is_exact_over_who_is_the_new_one(count, alpha):
    """Of n + 1 different numbers each is equally likely to be the new one: exactly k of them are covered by the others."""
    numbers = RNG(0).normal(size=count + 1)
    inside = [numbers[k] <= conformal_quantile(np.delete(numbers, k), alpha) for k in range(count + 1)]
    k = int(np.ceil(round((count + 1) * (1 - alpha), 9)))
    assert sum(inside) == k and 1 - alpha <= np.mean(inside) < 1 - alpha + 1 / (count + 1) + 1e-12


@pytest.mark.parametrize("draw", ["normal", "cauchy", "integers"])
def test_conformal_coverage_over_random_splits(draw):
    """At least 1 - alpha whatever the distribution; with ties more. 4000 splits know a probability of 0.9 to 0.005."""
    rng, alpha, count = RNG(1), 0.1, 25
    make = {"normal": rng.normal, "cauchy": rng.standard_cauchy, "integers": lambda size: rng.integers(0, 4, size=size) * 1.0}
    inside = []
    for _ in range(4000):
        numbers = make[draw](size=count + 1)
        inside.append(numbers[-1] <= conformal_quantile(numbers[:-1], alpha))
    assert np.mean(inside) >= 1 - alpha - 4 * 0.005
    if draw != "integers":
        assert np.mean(inside) == pytest.approx(24 / 26, abs=4 * 0.005)  # k = 24 of n + 1 = 26
    # the plain quantile promises less than it says: the test can fail
    plain_quantile = np.mean([x[-1] <= np.quantile(x[:-1], 1 - alpha) for x in RNG(2).normal(size=(4000, count + 1))])
    assert plain_quantile < 24 / 26 - 4 * 0.005


def test_coverage_of_one_calibration_lies_in_its_range():
    """Given calibration scores that are uniform, the coverage is the threshold itself, distributed as Beta(k, n + 1 - k)."""
    count, alpha = 50, 0.1
    thresholds = np.array([conformal_quantile(x, alpha) for x in RNG(0).random(size=(2000, count))])
    low, high = coverage_range(count, alpha)
    assert np.mean((thresholds >= low) & (thresholds <= high)) == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / 2000))
    assert (low, high) == pytest.approx(tuple(beta.ppf([0.05, 0.95], 46, 5)))
    assert coverage(RNG(1).random(20000), float(thresholds[0])) == pytest.approx(thresholds[0], abs=0.01)
    with pytest.raises(dg.InputError, match="at least 9 calibration"):
        coverage_range(8, alpha)


def test_an_error_bound_from_any_measure_holds_as_often_as_promised():
    """Errors that grow with the score, whose law the measure has wrong by a factor: the bound scales it away."""
    rng = RNG(0)
    scores = rng.uniform(1, 10, size=5000)
    errors = np.abs(0.37 * scores * rng.normal(size=5000))
    factor = error_factor(errors[:400], scores[:400], alpha=0.1)
    low, high = coverage_range(400, 0.1, level=0.9999)
    assert low - 0.02 < coverage(errors[400:], factor * scores[400:]) < high + 0.02  # 4600 cases know it to 0.005
    with pytest.raises(dg.InputError, match="positive"):
        error_factor(errors, 0 * scores, 0.1)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, 2.0])
def test_probabilities_are_between_zero_and_one(alpha):
    with pytest.raises(dg.InputError, match="between 0 and 1"):
        conformal_quantile(np.arange(5.0), alpha)


def test_too_few_scores_have_no_threshold():
    assert conformal_quantile(np.arange(8.0), 0.1) == np.inf and conformal_quantile(np.arange(9.0), 0.1) == 8.0
    with pytest.raises(dg.InputError, match="1 of 2 are not"):
        conformal_quantile(np.array([1.0, np.nan]), 0.5)
