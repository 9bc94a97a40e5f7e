"""What a fixed budget of labels buys: spreads, trade-offs and learning curves against closed forms and simulations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from defectgen._input import InputError
from defectgen.errors.generalisation import exponent, geometric_mean, ratio, tradeoff, vertex, vertex_interval
from defectgen.training import DatasetErrors

SPLITS = np.array([4.0, 8, 16, 32, 64, 128])
BUDGET = 128


def errors_of(structures: list[str], energy: np.ndarray) -> DatasetErrors:
    zeros = np.zeros(len(energy))
    return DatasetErrors(tuple(structures), np.full(len(energy), 3), energy, zeros, zeros)


def simulated(rng, structures: int, configurations: int, rho: float, repetitions: int) -> np.ndarray:
    """Means over S x C labels with a common part of variance rho and an own part of variance 1 - rho."""
    common = np.sqrt(rho) * rng.normal(size=(repetitions, structures, 1))
    own = np.sqrt(1 - rho) * rng.normal(size=(repetitions, structures, configurations))
    return (common + own).mean(axis=(1, 2))


# offsets and shapes ------------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 10**6), shift=st.floats(-10, 10))
def test_squares_of_offsets_and_shapes_add_up(seed, shift):
    rng = np.random.default_rng(seed)
    names = [f"s{k}" for k in rng.integers(0, 4, size=12)]
    found = errors_of(names, rng.normal(size=12))
    assert np.mean(found.energy**2) == pytest.approx(np.mean(found.offset**2) + np.mean(found.shape**2), rel=1e-12)
    assert found.mae_energy <= found.mae_offset + found.mae_within + 1e-12
    moved = errors_of(names, found.energy + shift * np.array([name == names[0] for name in names]))  # one structure as a whole
    assert np.allclose(moved.shape, found.shape, atol=1e-12) and moved.mae_within == pytest.approx(found.mae_within)
    single = errors_of([str(k) for k in range(12)], found.energy)
    assert single.mae_within == 0 and single.mae_offset == single.mae_energy > 0


def test_few_configurations_hide_a_known_part_of_the_shape():
    rng = np.random.default_rng(0)
    for k in (2, 4):
        names = [str(i) for i in range(20000) for _ in range(k)]
        found = errors_of(names, rng.normal(size=len(names)))
        # 20000 (k - 1) independent squares know their mean to 1 %
        assert np.mean(found.shape**2) == pytest.approx(1 - 1 / k, rel=0.03)


# intervals ---------------------------------------------------------------------------------------------------------------


def test_an_interval_is_student_s_and_covers_as_often_as_it_says():
    values = np.exp([0.1, -0.2, 0.4, 0.0, 0.3])
    found = geometric_mean(values)
    low, high = stats.t.interval(0.95, 4, np.mean(np.log(values)), stats.sem(np.log(values)))  # an implementation of SciPy's
    assert (found.low, found.high) == (pytest.approx(np.exp(low)), pytest.approx(np.exp(high)))
    assert found.value == pytest.approx(stats.gmean(values)) and found.repetitions == 5
    rng = np.random.default_rng(1)
    drawn = [geometric_mean(np.exp(rng.normal(size=5))) for _ in range(2000)]
    covered = np.mean([d.low < 1 < d.high for d in drawn])
    assert abs(covered - 0.95) < 0.02  # four standard deviations of 2000 draws


def test_what_two_designs_share_cancels_in_their_ratio():
    rng = np.random.default_rng(2)
    shared = np.exp(3 * rng.normal(size=6))
    a, b = 1.2 * shared * np.exp(0.01 * rng.normal(size=6)), shared
    found = ratio(a, b)
    assert 1.15 < found.low < found.high < 1.25
    assert geometric_mean(a).low < geometric_mean(b).high  # unpaired nothing could be said
    alone = geometric_mean(np.array([2.0]))
    assert alone.value == pytest.approx(2.0) and alone.low == 0 and alone.high == np.inf


# the trade-off -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rho", [0.1, 0.5])
def test_the_design_effect_is_that_of_simulated_clusters(rho):
    rng = np.random.default_rng(3)
    for s, c in ((4, 8), (16, 2), (32, 1)):
        variance = np.mean(simulated(rng, s, c, rho, 20000) ** 2)
        assert variance == pytest.approx((1 + (c - 1) * rho) / 32, rel=0.05)  # 20000 squares: a standard deviation of 1 %
        assert variance == pytest.approx(rho / s + (1 - rho) / 32, rel=0.05)


def measured(rng, splits, law, noise: float, repetitions: int = 5) -> np.ndarray:
    """Errors of a law with a common factor of each repetition and noise of each cell."""
    mean = np.array([law(s) for s in splits])
    return mean * np.exp(0.5 * rng.normal(size=(repetitions, 1)) + noise * rng.normal(size=(repetitions, len(splits))))


def test_without_a_price_for_structures_new_ones_are_best():
    rng = np.random.default_rng(4)
    found = tradeoff(SPLITS, measured(rng, SPLITS, lambda s: np.sqrt(0.3 / s + 0.7 / BUDGET), 0.03))
    assert (
        found.best == pytest.approx(128)
        and found.high == pytest.approx(128)
        and found.verdict == "more structures"
        and found.fewest.low > 1
    )
    mirrored = tradeoff(SPLITS, measured(rng, SPLITS, lambda s: np.sqrt(s), 0.03))
    assert (mirrored.best, mirrored.low) == pytest.approx((4, 4)) and mirrored.verdict == "more configurations"


@pytest.mark.parametrize("kappa", [4.0, 16.0])
def test_a_price_for_structures_puts_the_best_split_where_predicted(kappa):
    rho, budget = 0.2, 4096.0
    each = np.exp2(np.arange(0, 7, 0.5))[::-1]  # C; a fine grid, between whose points the parabola is exact to second order
    structures = budget / (each + kappa)
    exact = np.sqrt(rho / structures + (1 - rho) / (structures * each))
    found = tradeoff(structures, np.tile(exact, (3, 1)))
    predicted = np.sqrt(kappa * (1 - rho) / rho)
    assert budget / found.best - kappa == pytest.approx(predicted, rel=0.05)  # third-order terms over a step of sqrt(2)
    assert not abs(budget / found.best - kappa - 2 * predicted) < 0.5 * predicted  # another law would be noticed


def test_a_balance_is_found_where_there_is_one():
    rng = np.random.default_rng(5)
    errors = measured(rng, SPLITS, lambda s: np.exp(0.15 * np.log(s / 20) ** 2), 0.01)
    found = tradeoff(SPLITS, errors)
    assert found.verdict == "balance" and found.low < 20 < found.high and found.low > 12 and found.high < 32
    assert found.tolerated == (16.0, 32.0)  # exp(0.15 log^2 (8 / 20)) = 1.13, the others below 1.04
    assert [s.value for s in found.errors] == [geometric_mean(e).value for e in errors.T]
    assert found.fewest.value == pytest.approx(np.exp(0.15 * np.log(4 / 20) ** 2), rel=0.1)


def test_noise_alone_is_rarely_called_a_balance():
    """The best of the inner splits is chosen by the other repetitions; chosen by all, a flat curve looks like a valley."""
    rng = np.random.default_rng(6)
    verdicts = [tradeoff(SPLITS, measured(rng, SPLITS, lambda s: 1.0, 0.2)).verdict for _ in range(200)]
    # each end alone is above one with probability 0.025, were the choice independent; both at once less often
    assert verdicts.count("balance") <= 10
    assert tradeoff(SPLITS, measured(rng, SPLITS, lambda s: 1.0, 0.001)).verdict == "no difference"


def test_a_scale_changes_nothing_but_the_scale():
    rng = np.random.default_rng(7)
    errors = measured(rng, SPLITS, lambda s: np.exp(0.1 * np.log(s / 20) ** 2), 0.1)
    one, other = tradeoff(SPLITS, errors), tradeoff(SPLITS, 1e-6 * errors)
    assert (one.best, one.low, one.high, one.verdict) == (
        *(pytest.approx(v, rel=1e-9) for v in (other.best, other.low, other.high)),
        other.verdict,
    )


def valley(rng, width, noise, repetitions):
    """Logarithms of a parabola with its vertex at 20, with a common factor of each repetition and noise of each cell."""
    mean = width * np.log(SPLITS / 20) ** 2
    return mean + 0.5 * rng.normal(size=(repetitions, 1)) + noise * rng.normal(size=(repetitions, len(SPLITS)))


@pytest.mark.parametrize("repetitions", [3, 5, 8])
@pytest.mark.parametrize(("width", "noise"), [(0.15, 0.01), (0.15, 0.03), (0.1, 0.1)], ids=["sharp", "noisy", "flat"])
def test_the_interval_of_the_best_split_holds_it_and_percentiles_of_resampled_repetitions_do_not(width, noise, repetitions):
    rng, count = np.random.default_rng(9), 400
    held = resampled = 0
    for _ in range(count):
        logs = valley(rng, width, noise, repetitions)
        low, high = vertex_interval(SPLITS, logs)
        held += low <= 20 <= high
        drawn = vertex(SPLITS, logs[rng.integers(repetitions, size=(200, repetitions))].mean(axis=1))
        resampled += np.quantile(drawn, 0.025) <= 20 <= np.quantile(drawn, 0.975)
    assert held / count > 0.95 - 3 * np.sqrt(0.95 * 0.05 / count)
    assert resampled < held and (repetitions > 5 or resampled / count < 0.91)


def test_the_interval_of_the_best_split_is_exact_in_simple_cases():
    """Two repetitions with vertices at 18 and 22 are symmetric about 20 in the derivative; one has no interval; none differ."""
    logs = np.array([0.1 * np.log(SPLITS / at) ** 2 for at in (18.0, 20.0, 22.0)])
    low, high = vertex_interval(SPLITS, logs)
    centres = np.log([18.0, 20.0, 22.0])
    half = stats.t.ppf(0.975, 2) * centres.std(ddof=1) / np.sqrt(3)  # equal curvature: t on the vertices themselves
    assert (low, high) == pytest.approx(np.exp([centres.mean() - half, centres.mean() + half]))
    assert vertex_interval(SPLITS, logs[:1]) == (SPLITS[0], SPLITS[-1])
    assert vertex_interval(SPLITS, np.tile(logs[1], (4, 1))) == pytest.approx((20, 20), rel=1e-5)
    falling = -0.5 * np.log(SPLITS) + 1e-3 * np.random.default_rng(0).normal(size=(5, len(SPLITS)))
    assert vertex_interval(SPLITS, falling) == (pytest.approx(SPLITS[-1]), pytest.approx(SPLITS[-1]))


# learning curves ---------------------------------------------------------------------------------------------------------


def test_the_exponent_of_a_fixed_set_is_the_local_one():
    rho, sizes = 0.2, np.array([1.0, 1.01])
    local = exponent(sizes, np.sqrt(rho + (1 - rho) / sizes)[None]).slope
    assert local == pytest.approx(-(1 - rho) / 2, rel=0.01)  # a window of one per cent
    sizes = np.array([1.0, 4, 4.04])
    found = exponent(sizes, np.sqrt(rho + (1 - rho) / sizes)[None])
    assert found.last == pytest.approx(-0.25, rel=0.01)  # at C = (1 - rho) / rho
    assert found.slope < found.last < 0 and found.low == -np.inf


def test_exponents_come_with_the_scatter_of_repetitions():
    rng = np.random.default_rng(8)
    sizes = np.array([1.0, 2, 4, 8])
    slopes = -0.4 + 0.05 * rng.normal(size=6)
    errors = rng.uniform(1, 9, size=(6, 1)) * sizes ** slopes[:, None]
    found = exponent(sizes, errors)
    low, high = stats.t.interval(0.95, 5, slopes.mean(), stats.sem(slopes))
    assert (found.slope, found.low, found.high) == tuple(pytest.approx(v) for v in (slopes.mean(), low, high))
    assert found.last == pytest.approx(found.slope) and found.repetitions == 6
    order = rng.permutation(4)
    assert exponent(sizes[order], errors[:, order]).slope == pytest.approx(found.slope, rel=1e-12)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        pytest.param(lambda: geometric_mean(np.array([1.0, 0.0])), "errors to be averaged are positive", id="zero"),
        pytest.param(lambda: geometric_mean(np.zeros(0)), "at least one", id="none"),
        pytest.param(lambda: ratio(np.ones(2), np.ones(3)), "equally many values", id="unpaired"),
        pytest.param(lambda: tradeoff(np.array([1.0, 2]), np.ones((3, 2))), "three ascending splits", id="two splits"),
        pytest.param(lambda: tradeoff(np.array([2.0, 1, 4]), np.ones((3, 3))), "three ascending splits", id="not ascending"),
        pytest.param(lambda: exponent(np.array([2.0, 2]), np.ones((1, 2))), "two sizes or more", id="one size"),
        pytest.param(lambda: exponent(np.array([1.0, 2]), -np.ones((1, 2))), "positive sizes and errors", id="negative"),
    ],
)
def test_bad_input_is_said_in_one_sentence(call, words, unchecked):
    with pytest.raises(InputError, match=words) as error:
        call()
    assert "\n" not in str(error.value)
