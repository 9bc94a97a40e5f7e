"""Shares of clustered cases: their intervals against simulated clusters, where those of independent cases fail."""

import numpy as np
import pytest
from scipy import stats

from defectgen._input import InputError
from defectgen.errors.shares import clustered_share


def clusters_of(count, size):
    return np.repeat(np.arange(count), size).tolist()


@pytest.mark.parametrize("share", [0.3, 0.72, 0.94])
@pytest.mark.parametrize("alike", [0.1, 0.5], ids=["alike 0.1", "alike 0.5"])
def test_intervals_over_clusters_hold_the_share_and_those_over_cases_do_not(share, alike):
    """Six defects with 36 fits each, whose shares are drawn from a beta distribution with the given intraclass correlation."""
    rng, count, size, trials = np.random.default_rng(0), 6, 36, 300
    between = (1 - alike) / alike
    held = naive = 0
    for _ in range(trials):
        own = rng.beta(share * between, (1 - share) * between, size=count)
        hits = (rng.random((count, size)) < own[:, None]).ravel()
        found = clustered_share(hits, clusters_of(count, size))
        held += found.low <= share <= found.high
        exact = stats.binomtest(int(hits.sum()), len(hits)).proportion_ci(method="exact")
        naive += exact.low <= share <= exact.high
    assert held / trials > 0.88 and naive / trials < 0.75  # heavy tails near one cost a few per cent


def test_independent_cases_have_the_interval_of_clopper_and_pearson():
    rng = np.random.default_rng(1)
    hits = rng.random(400) < 0.6
    found = clustered_share(hits, list(range(400)))
    exact = stats.binomtest(int(hits.sum()), 400).proportion_ci(method="exact")
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=2e-3)
    assert found.value == hits.mean() and (found.cases, found.clusters) == (400, 400)


def test_where_all_cases_agree_only_the_clusters_count():
    found = clustered_share(np.ones(60, dtype=bool), clusters_of(6, 10))
    assert (found.value, found.high) == (1.0, 1.0) and found.low == pytest.approx(0.025 ** (1 / 6))
    none = clustered_share(np.zeros(60, dtype=bool), clusters_of(6, 10))
    assert (none.low, none.high) == (0.0, pytest.approx(1 - 0.025 ** (1 / 6)))
    one = clustered_share(np.array([True, False]), ["a", "a"])
    assert (one.value, one.low, one.high) == (0.5, 0.0, 1.0)


def test_no_cases_have_no_share():
    with pytest.raises(InputError, match="each with its cluster"):
        clustered_share(np.zeros(0, dtype=bool), [])
