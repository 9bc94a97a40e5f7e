"""Measures of how far an atom is from the training data, each against another route to the same number."""

import warnings
from itertools import product

import numpy as np
import pytest
from copper_domain import BASIS, RNG, domain, here, invented, rattled, raw_rows, site_rows, trained
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, mahalanobis

import defectgen as dg
from defectgen.crystal import Snapshot
from defectgen.energy import evaluate
from defectgen.errors.domain import (
    Committee,
    Extrapolation,
    Leverage,
    Mahalanobis,
    Neighbours,
    Whitening,
    bootstrap_members,
    committee_spread,
    posterior_members,
)
from defectgen.training import Block, Blocks, Compressor

# ---------------------------------------------------------------- leverage


def test_leverage_of_the_training_rows_is_the_hat_matrix_and_sums_to_the_rank():
    fit, cells = trained()
    a = raw_rows(cells)
    leverage = Leverage.of(fit)
    hat = a @ np.linalg.pinv(a, rcond=1e-14)
    # both routes lose rounding times the condition of the equilibrated matrix
    tolerance = 1e-14 * fit.condition
    assert tolerance < 1e-6
    assert leverage(a) == pytest.approx(np.diag(hat), abs=tolerance)
    assert leverage(a).sum() == pytest.approx(BASIS.size, abs=len(a) * tolerance)
    assert fit.rank == BASIS.size and leverage(a).max() <= 1 + tolerance


def test_with_a_prior_leverages_sum_to_the_degrees_of_freedom():
    fit, cells = trained("smoothness(1e-2)")
    a = raw_rows(cells)
    gamma = fit.problem.gamma
    hat = a @ np.linalg.solve(a.T @ a + np.diag(gamma**2), a.T)
    leverage = Leverage.of(fit)
    assert leverage(a) == pytest.approx(np.diag(hat), abs=1e-7)  # the normal equations square the condition, about 1e4
    assert leverage(a).sum() == pytest.approx(fit.degrees_of_freedom, rel=1e-9)
    assert fit.degrees_of_freedom < BASIS.size - 0.5


@pytest.mark.parametrize("strength", [1e-3, 1.0, "gcv"], ids=str)
def test_a_solver_that_chose_its_own_prior_is_believed(strength):
    """Tikhonov's strength belongs to the leverage, whether a prior was named or not."""
    blocks, raw = invented()
    a = np.concatenate([rows for rows, _ in raw])
    fit = dg.fit(blocks, "F", solver="ridge", strength=strength)
    gamma = fit.details["strength"] * np.linalg.norm(a, axis=0)
    hat = a @ np.linalg.solve(a.T @ a + np.diag(gamma**2), a.T)
    assert Leverage.of(fit)(a) == pytest.approx(np.diag(hat), rel=1e-9)


def test_the_posterior_of_a_bayesian_fit_is_the_leverage_times_its_noise():
    blocks, _ = invented()
    for options in ({}, {"noise": 0.3}, {"noise": "residual"}, {"evidence": True}):
        fit = dg.fit(blocks, "F", prior=0.1, solver="bayes", **options)
        rows = RNG(3).normal(size=(9, 6))
        assert fit.posterior is not None
        assert Leverage.of(fit).deviation(rows) == pytest.approx(fit.posterior.deviation(rows), rel=1e-9)


def test_what_no_row_saw_has_infinite_leverage():
    a = RNG(0).normal(size=(40, 5)) @ np.diag([1.0, 1, 1, 1, 0]) @ np.linalg.qr(RNG(1).normal(size=(5, 5)))[0]
    compressor = Compressor(5)
    compressor.add(a, np.ones(40))
    blocks = Blocks(None, (Block("F", "all", 1, 1.0, 40, compressor.factor()),), "made up")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = dg.fit(blocks, "F")
    leverage = Leverage.of(fit)
    assert np.all(np.isfinite(leverage(a))) and leverage(a).sum() == pytest.approx(4.0)
    assert np.all(np.isinf(leverage(RNG(2).normal(size=(7, 5)))))
    with pytest.raises(dg.InputError, match="1 of 5 directions open"):
        posterior_members(fit, 3, seed=0)
    assert np.all(np.isfinite(Leverage.of(dg.fit(blocks, "F", prior=1e-3))(np.eye(5))))


def test_deviations_are_those_of_repeated_experiments():
    """The same rows labelled 400 times with fresh noise: predictions scatter as one fit says they do."""
    a, theta = RNG(0).normal(size=(50, 6)) * np.geomspace(1, 1e-2, 6), np.arange(1.0, 7.0)
    rows, weight, noise = RNG(1).normal(size=(5, 6)), 2.0, 0.3
    solve = np.linalg.pinv(a)
    found = np.array([rows @ solve @ (a @ theta + noise * RNG(k).normal(size=50)) for k in range(400)])
    compressor = Compressor(6)
    compressor.add(a, a @ theta + noise * RNG(9).normal(size=50))
    fit = dg.fit(Blocks(None, (Block("F", "all", 1, 1.0, 50, compressor.factor()),), "made up"), "F", {"F": weight})
    leverage = Leverage.of(fit)
    # 400 samples know a deviation to 4 %, and 44 spare rows the noise to 11 % (one standard deviation each)
    assert leverage.deviation(rows) == pytest.approx(found.std(axis=0), rel=0.35)
    assert leverage.noise == pytest.approx(weight * noise, rel=0.35)  # of a weighted row
    new = leverage.deviation(rows, weight)
    assert new == pytest.approx(np.hypot(leverage.deviation(rows), leverage.noise / weight))


def test_a_fit_without_spare_rows_has_no_noise():
    blocks, _ = invented(rows=(6,))
    with pytest.raises(dg.InputError, match="6 rows for 6 parameters"):
        Leverage.of(dg.fit(blocks, "F"))


# ---------------------------------------------------------------- extrapolation grade


def test_grades_are_one_on_the_active_set_and_at_most_the_tolerance_in_training():
    rows = site_rows(rattled(0))
    found = Extrapolation.fitted(rows)
    grades = found.grade(rows)
    assert grades.max() <= 1.01 * (1 + 1e-9)
    real = found.active[found.active >= 0]
    assert len(real) > BASIS.size / 2
    assert grades[real] == pytest.approx(np.ones(len(real)), abs=1e-6)


def test_a_grade_is_the_largest_ratio_of_determinants():
    """gamma = max over active rows of |det with the new row in its place| / |det|."""
    rows, new = RNG(0).normal(size=(60, 5)) * [1, 10, 100, 1e-2, 1], 3 * RNG(1).normal(size=(8, 5)) * [1, 10, 100, 1e-2, 1]
    found = Extrapolation.fitted(rows)
    assert np.all(found.active >= 0)  # the fictitious rows are for what training does not have
    active = rows[found.active]
    for row, grade in zip(new, found.grade(new), strict=True):
        swapped = np.repeat(active[None], 5, axis=0)
        swapped[np.arange(5), np.arange(5)] = row
        assert grade == pytest.approx(np.abs(np.linalg.det(swapped) / np.linalg.det(active)).max(), rel=1e-9)


@given(seed=st.integers(0, 99))
def test_a_linear_model_errs_at_most_gamma_times_the_sum_of_its_active_errors(seed):
    """theory: domain/grade. What is wrong on the active set is multiplied by no more than the grade."""
    rng = RNG(seed)
    rows = rng.normal(size=(40, 4))
    found = Extrapolation.fitted(rows)
    new, wrong = 5 * rng.normal(size=(9, 4)), rng.normal(size=4)
    bound = found.grade(new) * np.abs(rows[found.active] @ wrong).sum()
    assert np.all(np.abs(new @ wrong) <= bound * (1 + 1e-9))


@given(seed=st.integers(0, 99))
def test_a_reference_outside_the_span_adds_its_distance_from_it(seed):
    """theory: domain/grade. With a reference that is a linear model but for epsilon, (1 + m gamma) epsilon more."""
    rng = RNG(seed)
    rows, new, theta, best = rng.normal(size=(40, 4)), 5 * rng.normal(size=(9, 4)), rng.normal(size=4), rng.normal(size=4)
    found, epsilon = Extrapolation.fitted(rows), 0.3

    def error(b):
        return b @ theta - (b @ best + epsilon * np.sin(7 * b.sum(axis=1)))

    gamma = found.grade(new)
    bound = gamma * np.abs(error(rows[found.active])).sum() + (1 + 4 * gamma) * epsilon
    assert np.all(np.abs(error(new)) <= bound * (1 + 1e-9))


@given(seed=st.integers(0, 99))
def test_grades_do_not_know_the_units_of_the_functions(seed):
    rng = RNG(seed)
    rows, new, units = rng.normal(size=(50, 4)), rng.normal(size=(9, 4)), 10.0 ** rng.uniform(-3, 3, size=4)
    assert Extrapolation.fitted(rows * units).grade(new * units) == pytest.approx(Extrapolation.fitted(rows).grade(new), rel=1e-9)


def test_few_environments_have_a_grade_too():
    """One environment: itself is inside, a part in a million away is the border, all others are far outside."""
    row = np.array([[1.0, 2.0, 3.0]])
    found = Extrapolation.fitted(row)
    assert found.grade(row) == pytest.approx([1.0])
    assert sorted(found.active) == [-1, -1, 0]
    assert found.grade(row * [1.0, 1.0, 1.1])[0] > 1e4
    assert found.grade(0.5 * row)[0] == pytest.approx(0.5)


# ---------------------------------------------------------------- distances


def test_mahalanobis_is_that_of_scipy():
    rows, new = RNG(0).normal(size=(80, 4)) @ RNG(1).normal(size=(4, 4)) + [5, 0, -2, 1], RNG(2).normal(size=(6, 4))
    inverse = np.linalg.inv(np.cov(rows.T))
    oracle = [mahalanobis(row, rows.mean(axis=0), inverse) for row in new]
    assert Mahalanobis.fitted(rows).grade(new) == pytest.approx(oracle, rel=1e-6)  # the floor is 1e-6 of the sizes


def test_neighbours_are_those_of_brute_force():
    rows, new = RNG(0).normal(size=(80, 4)) @ RNG(1).normal(size=(4, 4)), RNG(2).normal(size=(6, 4))
    found, inverse = Neighbours.fitted(rows), np.linalg.inv(np.cov(rows.T))
    distances = np.sort(cdist(new, rows, "mahalanobis", VI=inverse), axis=1)
    assert found.grade(new) == pytest.approx(distances[:, 4], rel=1e-6)
    own = np.sort(cdist(rows, rows, "mahalanobis", VI=inverse), axis=1)
    assert found.grade_known(rows) == pytest.approx(own[:, 5], rel=1e-6)  # the fifth beside itself
    assert Neighbours.fitted(rows[:3]).grade(new) == pytest.approx(Neighbours.fitted(rows[:3])._distance(new, 3))


def test_whitened_data_scatter_by_one_in_every_direction():
    rows = RNG(0).normal(size=(200, 5)) * np.geomspace(1, 1e-4, 5) @ np.linalg.qr(RNG(1).normal(size=(5, 5)))[0]
    white = Whitening.fitted(rows)(rows)
    assert np.cov(white.T) == pytest.approx(np.eye(5), abs=1e-3)  # floor over smallest spread, 1e-2, squared
    flat = np.column_stack([rows, np.full(200, 3.0)])  # a function that never changes
    assert Whitening.fitted(flat)(flat).std(axis=0).max() < 1.01
    assert np.linalg.norm(Whitening.fitted(flat)(flat[:1] * [1, 1, 1, 1, 1, 1.001])) > 900  # a part in a thousand: 1e-3 / FLOOR


# ---------------------------------------------------------------- committees


def test_posterior_members_scatter_as_the_leverage_says():
    fit, cells = trained()
    atoms = here(cells[3])
    analytic = domain().measures["force_deviation"].grade(atoms)
    members = posterior_members(fit, 400, seed=1)
    assert members.mean(axis=0) == pytest.approx(fit.coefficients, abs=5 * (members.std(axis=0) / 20).max())
    # three components of 400 draws know a deviation to 2 or 3 %; the worst of 32 atoms is within four of those
    assert Committee(members).grade(atoms) == pytest.approx(analytic, rel=0.15)
    assert np.array_equal(posterior_members(fit, 3, seed=5), posterior_members(fit, 3, seed=5))


def test_a_committee_of_any_models_is_the_committee_of_their_coefficients():
    fit, cells = trained()
    members = posterior_members(fit, 4, seed=0)
    models = [dg.LinearACE(BASIS, theta) for theta in members]
    found = committee_spread(models, cells[2].cell, cells[2].positions)
    oracle = np.std([evaluate(m, cells[2].cell, cells[2].positions).forces for m in models], axis=0, ddof=1)
    assert found == pytest.approx(np.linalg.norm(oracle, axis=1), rel=1e-12)
    moved = Snapshot(cells[2].cell, cells[2].positions, cells[2].cell.vectors)
    assert Committee(members).grade(here(moved)) == pytest.approx(found, rel=1e-6)
    with pytest.raises(dg.InputError, match="at least two"):
        committee_spread(models[:1], cells[2].cell)


def test_bootstrap_members_are_fits_to_whole_groups_drawn_with_repetition():
    blocks, raw = invented()
    fit = dg.fit(blocks, "F")
    members = bootstrap_members(fit, 30, seed=0)
    possible = []
    for counts in product(range(4), repeat=3):
        if sum(counts) == 3:
            a = np.concatenate([np.sqrt(n) * rows for n, (rows, _) in zip(counts, raw, strict=True)])
            y = np.concatenate([np.sqrt(n) * labels for n, (_, labels) in zip(counts, raw, strict=True)])
            possible.append(np.linalg.lstsq(a, y, rcond=None)[0])
    nearest = cdist(members, possible).argmin(axis=1)
    assert members == pytest.approx(np.array(possible)[nearest], rel=1e-8)
    assert len(set(nearest)) > 4  # of ten
    with pytest.raises(dg.InputError, match="there are 2"):
        bootstrap_members(dg.fit(invented(groups=("a", "b", "b"))[0], "F"), 3, seed=0)
