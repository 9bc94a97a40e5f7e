"""The domain of applicability: every measure against another route to the same number, and a defect that no bulk cell taught."""

import re
import warnings
from dataclasses import replace
from functools import cache
from importlib import import_module
from itertools import product

import numpy as np
import pytest
from ase.calculators.calculator import PropertyNotImplementedError
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, mahalanobis
from scipy.stats import beta

import defectgen as dg
from defectgen.cli import main
from defectgen.crystal import Snapshot
from defectgen.energy.functional import evaluate
from defectgen.energy.gauge import DomainWarning, outside_sentence
from defectgen.errors.domain import (
    MEASURES,
    Committee,
    Extrapolation,
    Leverage,
    Mahalanobis,
    Neighbours,
    Whitening,
    auroc,
    bootstrap_members,
    committee_spread,
    conformal_quantile,
    coverage,
    coverage_range,
    error_by_score,
    error_factor,
    posterior_members,
    retention,
)
from defectgen.observe import environments, respond
from defectgen.report import domain_figure
from defectgen.training.blocks import Block, Blocks
from defectgen.training.compress import Compressor

RNG = np.random.default_rng
TRUTH = dg.reference.CleriRosato("Cu")
BASIS = dg.ACEBasis(["Cu"], cutoff=4.2, order=2, degree=5)


@cache
def lattice():
    return dg.equilibrate(dg.fcc("Cu", 3.615), TRUTH)


def rattled(seed, configurations=6, amplitude=0.1):
    rattle = {"configurations": configurations, "amplitude": amplitude, "strain": 0.01}
    return [c for c in dg.training_cells(lattice(), None, 2, seed, rattle=rattle) if c.group == "defect"]


@cache
def trained(prior=None):
    """A fit to rattled cells of the perfect crystal, and those cells."""
    cells = rattled(0)
    return dg.fit(dg.label(cells, TRUTH, BASIS, "E+F"), "E+F", prior=prior), cells


@cache
def domain():
    fit, cells = trained()
    return dg.domain(cells, fit, committee=posterior_members(fit, 8, seed=0))


def raw_rows(cells):
    """The weighted design matrix of E and F, written out row by row."""
    rows = []
    for c in cells:
        r = respond(BASIS, c)
        rows += [30.0 * r.energy[None] / np.sqrt(len(c.cell)), r.forces.reshape(-1, BASIS.size)]  # 30 sqrt(N) of a row in eV/atom
    return np.concatenate(rows)


def here(snapshot):
    return environments(BASIS, snapshot.cell.symbols, snapshot.positions, snapshot.vectors, snapshot.cell.periodic)


def plain(cell):
    return Snapshot(cell, cell.positions, cell.vectors)


def invented(seed=0, rows=(60, 40, 30), columns=6, noise=0.1, groups=None):
    """A fit without a basis to made-up rows, one block a group; its rows and labels."""
    rng, theta, items, raw = RNG(seed), np.arange(1.0, columns + 1), [], []
    for k, count in enumerate(rows):
        a = rng.normal(size=(count, columns)) * np.geomspace(1, 1e-2, columns)
        y = a @ theta + noise * rng.normal(size=count)
        compressor = Compressor(columns)
        compressor.add(a, y)
        items.append(Block("F", f"group {k}" if groups is None else groups[k], 4 + k, 1.0, count, compressor.factor()))
        raw.append((a, y))
    return Blocks(None, tuple(items), "made up"), raw


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


def site_rows(cells):
    return np.concatenate([here(c).sites for c in cells])


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


# ---------------------------------------------------------------- how good a measure is


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
    for wrong, said in ((np.zeros(10, dtype=bool), "0 of these 10"), (np.ones(10, dtype=bool), "10 of these 10")):
        with pytest.raises(dg.InputError, match=said):
            auroc(np.arange(10.0), wrong)


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


# ---------------------------------------------------------------- the domain of a model


ENVIRONMENTS = ("extrapolation", "neighbours", "mahalanobis")


@cache
def relaxed(name):
    """A defect in 108 atoms at the minimum of the reference, and the error of the model's force on each."""
    defect = {"v_Cu": dg.vacancy(), "Cu_i_split_100": dg.dumbbell("100")}[name]
    found = dg.relax(defect.apply(dg.supercell(lattice(), 3)), TRUTH)
    forces = evaluate(trained()[0].model, found.cell, found.positions).forces
    return found, np.linalg.norm(forces - found.forces, axis=1)


def test_the_bulk_is_inside():
    for measure in MEASURES:
        check = domain().check(dg.supercell(lattice(), 3), measure)
        assert check.inside and check.worst < 0.9 * check.threshold, measure


@pytest.mark.parametrize("name", ["v_Cu", "Cu_i_split_100"])
def test_a_model_of_the_bulk_does_not_know_the_core_of_a_defect(name):
    """Fitted to rattled cells of the perfect crystal: the core is outside, its worst atoms first, and what is far away inside."""
    found, error = relaxed(name)
    assert found.cell.defect == name and error.max() > 4 * trained()[0].rmse["F"]
    for measure in ENVIRONMENTS if name == "v_Cu" else MEASURES:
        check = domain().check(found, measure)
        distance = check.cell.distance_from_centre(check.positions) / lattice().nearest_neighbour
        assert not check.inside and distance[check.outside[0]] < 1.2, measure
        far = distance > distance.max() - 0.1
        assert far.sum() > 0 and not np.isin(np.flatnonzero(far), check.outside).any(), measure
        worst_tenth = error >= np.quantile(error, 0.9)
        assert auroc(check.grades, worst_tenth) > 0.9, measure


def test_the_posterior_is_confident_of_what_its_basis_cannot_say():
    """The limit that theory/domain/leverage states: an error of the basis is no uncertainty of its coefficients. Beside a vacancy
    forces are wrong by ten times the training error, and the deviation that the posterior predicts stays below the threshold."""
    found, error = relaxed("v_Cu")
    assert error.max() > 8 * trained()[0].rmse["F"]
    assert domain().check(found, "force_deviation").inside and not domain().check(found, "extrapolation").inside


def test_grades_know_neither_rotation_nor_translation_nor_order_nor_the_size_of_the_cell():
    snapshot = rattled(5)[4]
    turn, order = np.linalg.qr(RNG(0).normal(size=(3, 3)))[0], RNG(1).permutation(len(snapshot.cell))
    x, box = (snapshot.positions + [0.2, -0.7, 1.1]) @ turn, snapshot.vectors @ turn  # noqa: RUF005
    for name in MEASURES:
        asked = domain().by(name)
        levels = asked.grade(snapshot)
        turned = asked.levels(snapshot.cell.symbols, x[order], box, snapshot.cell.periodic)
        # whitened and inverted rows carry rounding times the condition of the training rows
        assert turned == pytest.approx(levels[order], rel=1e-4, abs=1e-6 * asked.threshold), name
        small, large = (asked.grade(dg.supercell(lattice(), n)) for n in (2, 3))
        assert large == pytest.approx(np.full(len(large), small[0]), rel=1e-4, abs=1e-6 * asked.threshold), name


def test_thresholds_are_the_largest_of_training_and_validation_has_a_guarantee():
    fit, cells = trained()
    found = domain()
    for name in ("extrapolation", "mahalanobis", "force_deviation", "energy_deviation"):
        worst = max(found.grade(c, name).max() for c in cells)
        assert found.thresholds[name] == pytest.approx(worst, rel=1e-6), name
    assert found.thresholds["neighbours"] > max(found.grade(c, "neighbours").max() for c in cells)  # who found themselves
    validation = [c for seed in range(1, 4) for c in rattled(seed)[1:]]
    calibrated = found.calibrated(validation, alpha=0.2)
    for name in MEASURES:
        numbers = np.array([found.grade(c, name).max() for c in validation])
        assert calibrated.thresholds[name] == pytest.approx(conformal_quantile(numbers, 0.2))
        assert np.mean(numbers <= calibrated.thresholds[name]) >= 0.8
    at_once = dg.domain(cells, fit, measures="extrapolation", validation=validation, alpha=0.2)
    assert at_once.thresholds["extrapolation"] == pytest.approx(calibrated.thresholds["extrapolation"])
    assert "alpha 0.2" in str(at_once) and "largest in training" in str(found)
    with pytest.raises(dg.InputError, match="at least 19 validation cells; got 3"):
        found.calibrated(validation[:3])


def test_a_ball_is_judged_by_its_free_atoms():
    """Clamped atoms at the end of a ball see empty space, which is no news about the crystal."""
    ball = dg.ball(lattice(), 5.0, clamp=2 * TRUTH.cutoff)
    check = domain().check(ball)
    assert not ball.free.all() and check.grades[~ball.free].max() > check.threshold
    assert check.inside and check.worst <= check.threshold
    assert "all atoms are inside the domain (extrapolation up to" in str(check)
    known = dg.domain([*trained()[1], plain(ball)], BASIS, measures="mahalanobis").notes["environments"]
    assert known == {"Cu": 7 * 32 + ball.free.sum()}  # nor is it learned from


def test_species_without_training_cells_are_infinitely_far():
    basis = dg.ACEBasis(["Ni", "Al"], cutoff=4.2, order=2, degree=4)
    nickel = dg.supercell(dg.fcc("Ni", 3.52), 2)
    moved = [Snapshot(nickel, nickel.positions + 0.05 * k * RNG(k).normal(size=(32, 3)), nickel.vectors) for k in range(3)]
    found = dg.domain(moved, basis)
    alloy = dg.substitution(0, "Al").apply(nickel)
    for measure in found.measures:
        grades = found.grade(alloy, measure)
        aluminium = np.array(alloy.symbols) == "Al"
        assert np.isinf(grades[aluminium]).all() and np.isfinite(grades[~aluminium]).all() and aluminium.sum() == 1
        assert found.check(alloy, measure).outside[0] == np.flatnonzero(aluminium)[0]
    assert found.grade(nickel).max() <= found.threshold
    assert set(found.measures) == {"extrapolation", "neighbours", "mahalanobis"} and found.coefficients is None


def test_a_domain_is_a_file(tmp_path):
    path = domain().save(tmp_path / "model.domain.npz")
    again = dg.load_domain(path)
    cell = dg.vacancy().apply(dg.supercell(lattice(), 2))
    assert again.thresholds == domain().thresholds and again.notes == domain().notes and again.measure == "extrapolation"
    for measure in MEASURES:
        assert np.array_equal(again.grade(cell, measure), domain().grade(cell, measure)), measure
        assert again.check(cell, measure).unit == {"energy_deviation": "eV", "force_deviation": "eV/A", "committee": "eV/A"}.get(
            measure, ""
        )
    assert again.belongs_to(trained()[0].model) and not again.belongs_to(TRUTH)
    assert [p.name for p in tmp_path.iterdir()] == ["model.domain.npz"]


def test_what_is_no_domain_file_is_refused(tmp_path):
    (tmp_path / "text.npz").write_text("no arrays")
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    whole = domain().save(tmp_path / "whole.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    for name, said in (("absent", "no domain file"), ("text", "no NumPy"), ("other", "no domain of this"), ("cut", "damaged")):
        with pytest.raises(dg.InputError, match=said):
            dg.load_domain(tmp_path / f"{name}.npz")
    with pytest.raises(dg.InputError, match="choose another folder"):
        domain().save(tmp_path / "nowhere" / "model.domain.npz")


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: dg.domain([], trained()[0]), "got none"),
        (lambda: dg.domain([lattice()], trained()[0]), "got Lattice"),
        (lambda: dg.domain(trained()[1], TRUTH), "got CleriRosato"),
        (lambda: dg.domain(trained()[1], dg.fit(invented()[0], "F")), "got Fit"),
        (lambda: dg.domain(trained()[1], trained()[0], measures="luck"), "got 'luck'"),
        (lambda: dg.domain(trained()[1], trained()[0], measures=()), "at least one measure"),
        (lambda: dg.domain(trained()[1], trained()[0], measures="committee"), "give committee=coefficients"),
        (lambda: dg.domain(trained()[1], BASIS, measures="force_deviation"), r"the result of dg\.fit"),
        (lambda: dg.domain(trained()[1], trained()[0], committee=np.ones((1, BASIS.size))), r"members >= 2"),
        (lambda: domain().grade(lattice()), "got Lattice"),
        (lambda: domain().by("luck"), "got 'luck'"),
        (lambda: dg.Calculator(trained()[0].model, domain=3.0), r"dg\.domain"),
        (lambda: dg.Calculator(TRUTH, domain=domain()), "another model"),
        (lambda: dg.Calculator(dg.LinearACE(BASIS, np.ones(BASIS.size)), domain=domain()), "another model"),
    ],
    ids=[
        "no cells",
        "no snapshots",
        "no fit",
        "a fit without basis",
        "unknown measure",
        "no measure",
        "no committee",
        "a basis alone",
        "a committee of one",
        "a lattice",
        "a measure it has not",
        "a number as domain",
        "a domain of another basis",
        "a domain of other coefficients",
    ],
)
def test_bad_input_is_one_sentence(ask, said, unchecked):
    with pytest.raises(dg.InputError, match=said) as caught:
        ask()
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- in use


def test_the_calculator_says_once_how_far_out_it_is():
    model = trained()[0].model
    cell = dg.vacancy().apply(dg.supercell(lattice(), 2))
    inside = dg.to_ase(dg.supercell(lattice(), 2), calculator=dg.Calculator(model, domain=domain()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inside.get_forces()
    assert inside.calc.results["grades"] == pytest.approx(domain().grade(dg.supercell(lattice(), 2)))
    atoms = dg.to_ase(cell, calculator=dg.Calculator(model, domain=domain()))
    check = domain().check(cell)
    said = f"atom {check.outside[0]} and {len(check.outside) - 1} others are outside the domain (extrapolation {check.worst:.3g}"
    with pytest.warns(DomainWarning, match=re.escape(said)) as caught:
        atoms.get_potential_energy()
        atoms.get_forces()
        atoms.positions += 1e-4 * RNG(0).normal(size=(31, 3))  # much the same
        atoms.get_forces()
    assert len(caught) == 1 and "\n" not in str(caught[0].message)
    with pytest.warns(DomainWarning) as caught:
        atoms.positions[0] += 0.9  # far worse
        atoms.get_forces()
    assert len(caught) == 1
    grades = atoms.calc.get_property("grades", atoms)
    assert grades.shape == (31,) and grades.max() > 2 * check.worst
    silent = dg.to_ase(cell, calculator=dg.Calculator(model))
    assert silent.get_potential_energy() == pytest.approx(dg.evaluate(model, cell).energy) and "grades" not in silent.calc.results
    with pytest.raises(PropertyNotImplementedError, match="domain"):
        silent.calc.get_property("grades", silent)


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        ([1.0, 6.2, 0.3], "atom 1 is outside the domain (grade 6.2, threshold 3.1)"),
        ([4.0, 6.2, 0.3], "atom 1 and 1 other are outside the domain (grade 6.2, threshold 3.1)"),
        ([4.0, 3.2, np.inf], "atom 2 and 2 others are outside the domain (grade inf, threshold 3.1)"),
        ([3.1, 3.0, 0.0], ""),
    ],
    ids=["one", "two", "three", "none"],
)
def test_the_sentence(levels, said):
    assert outside_sentence(np.array(levels), 3.1, "grade") == said
    assert outside_sentence(np.array(levels), 3.1, "grade", np.zeros(3, dtype=bool)) == ""


def test_the_figure_shows_who_is_outside():
    check = domain().check(dg.relax(dg.vacancy().apply(dg.supercell(lattice(), 2)), TRUTH))
    figure = domain_figure(check)
    left, right = figure.axes[:2]
    assert f"{len(check.outside)} of 31 atoms outside" in left.get_title(loc="left") and "v_Cu" in left.get_title(loc="left")
    drawn = {line.get_label(): line for line in right.lines}
    assert len(drawn["outside"].get_xdata()) == len(check.outside) > 0
    assert len(drawn["inside"].get_xdata()) == 31 - len(check.outside)
    assert drawn["threshold"].get_ydata()[0] == check.threshold and right.get_yscale() == "log"
    ringed = np.all(left.collections[0].get_edgecolor() == [0, 0, 0, 1], axis=1)
    assert ringed.sum() == len(check.outside)
    with pytest.raises(dg.InputError, match="can be drawn"):
        domain_figure(replace(check, grades=np.full(31, np.inf)))


@pytest.fixture
def call(capsys):
    """``call("domain", ...) -> (status, stdout, stderr)``."""

    def _call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return stop.value.code, out, err

    return _call


@pytest.fixture
def saved(tmp_path):
    """A model with its companion, and structures of both sides."""
    trained()[0].model.save(tmp_path / "model.json")
    domain().save(tmp_path / "model.domain.npz")
    bulk = dg.supercell(lattice(), 2)
    dg.write_extxyz(tmp_path / "bulk.xyz", [plain(bulk), rattled(9, 1)[0]])
    dg.write_extxyz(tmp_path / "both.extxyz", [plain(bulk), plain(dg.vacancy().apply(bulk))])
    dg.to_ase(bulk).write(tmp_path / "POSCAR", format="vasp")
    return tmp_path


def test_the_command_judges_structures(call, saved):
    status, out, err = call("domain", saved / "model.json", saved / "bulk.xyz")
    assert (status, err) == (0, "") and "2 of 2 structures inside the domain (extrapolation, threshold" in out
    status, out, err = call("domain", saved / "model.json", saved / "both.extxyz", "--measure", "mahalanobis")
    assert (status, err) == (1, "") and "1 of 2 structures inside the domain (mahalanobis" in out
    assert re.search(r"0 Cu32 +32 +0 +\d+ +\S+ +inside", out) and re.search(r"1 Cu31 +31 +[1-9]\d* +\d+ +\S+ +outside", out)
    _, out, _ = call("domain", saved / "model.json", saved / "both.extxyz", "--measure", "force_deviation")
    assert "eV/A" in out
    status, out, _ = call("domain", saved / "model.json", saved / "POSCAR", "--domain", saved / "model.domain.npz")
    assert status == 0 and "1 of 1 structures inside" in out


def test_of_many_structures_those_outside_are_listed(call, saved, monkeypatch):
    monkeypatch.setattr(import_module("defectgen.cli.domain"), "LONGEST", 1)
    status, out, _ = call("domain", saved / "model.json", saved / "both.extxyz")
    assert status == 1 and "1 Cu31" in out and "0 Cu32" not in out


def test_the_command_refuses_in_one_sentence(call, saved):
    other = dg.LinearACE(BASIS, np.ones(BASIS.size)).save(saved / "other.json")
    cases = [
        ((saved / "absent.json", saved / "bulk.xyz"), "cannot be read"),
        ((other, saved / "bulk.xyz"), "has no companion other.domain.npz"),
        ((other, saved / "bulk.xyz", "--domain", saved / "model.domain.npz"), "another model"),
        ((saved / "model.json", saved / "absent.xyz"), "there is no file"),
        ((saved / "model.json", saved / "bulk.xyz", "--measure", "luck"), "got 'luck'"),
        ((saved / "model.json", saved / "bulk.xyz", "--domain", saved / "bulk.xyz"), "no NumPy arrays"),
    ]
    for arguments, said in cases:
        status, out, err = call("domain", *arguments)
        assert (status, out) == (2, "") and said in err and err.startswith("error: ") and err.count("\n") == 1
