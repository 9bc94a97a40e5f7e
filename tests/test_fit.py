"""Fits: however rows were stored and whichever solver was asked, theta is that of plain least squares on the raw rows."""

import itertools
import warnings
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import solve_triangular

from defectgen import fcc, supercell, vacancy
from defectgen._input import InputError
from defectgen.ace import ACEBasis, LinearACE
from defectgen.crystal import Snapshot
from defectgen.fit import (
    DEFAULT_WEIGHTS,
    LSMR,
    Bayes,
    FitWarning,
    Ridge,
    Smoothness,
    Tikhonov,
    TruncatedSVD,
    as_prior,
    fit,
    resolve_weights,
)
from defectgen.observe import Forces
from defectgen.training import Block, Blocks, Compressor
from defectgen.training.observations import PARTS, parts_of

EPS = np.finfo(float).eps
SETS = {"E:bulk": 7, "E:vacancy": 5, "F:bulk": 60, "F:vacancy": 30, "FC:bulk": 20, "V:bulk": 18, "VF:bulk": 9, "V0:bulk": 6}
SETS = {tuple(name.split(":")): count for name, count in SETS.items()}


def rows(seed=0, columns=8, noise=0.1, theta=None):
    """Raw rows and noisy labels of every kind and group; the truth has coefficients 1, 2, 3, ..."""
    rng = np.random.default_rng(seed)
    theta = np.arange(1.0, columns + 1) if theta is None else theta
    raw = {key: rng.normal(size=(count, columns)) for key, count in SETS.items()}
    return {key: (a, a @ theta + noise * rng.normal(size=len(a))) for key, a in raw.items()}


def scale_of(kind):
    return 0.25 if kind in ("E", "V") else 1.0


def packed(raw, order=None, chunk=1000, basis=None):
    """Blocks of raw rows, stored in some order and in chunks."""
    items = []
    for (kind, group), (a, y) in raw.items():
        compressor = Compressor(a.shape[1])
        rank = np.arange(len(a)) if order is None else np.random.default_rng(order).permutation(len(a))
        for start in range(0, len(a), chunk):
            part = rank[start : start + chunk]
            compressor.add(a[part], y[part])
        items.append(Block(kind, group, 16, scale_of(kind), len(a), compressor.factor()))
    if order is not None:
        items = [items[i] for i in np.random.default_rng(order).permutation(len(items))]
    return Blocks(basis, tuple(items), "made up")


def stacked(raw, weights=None, kinds=PARTS):
    """The weighted rows as one dense matrix: the oracle's view."""
    weights = DEFAULT_WEIGHTS | (weights or {})
    factor = {(k, g): weights.get(f"{k}:{g}", weights[k]) * scale_of(k) for k, g in raw if k in kinds}
    return tuple(np.concatenate([w * raw[key][part] for key, w in factor.items()]) for part in (0, 1))


LIGHT = {"E": 30.0, "V0": 100.0}
"""Weights with which the normal equations of the oracle keep ten digits."""


def lstsq(a, y):
    return np.linalg.lstsq(a, y, rcond=None)[0]


EXACT = {  # solvers that must give the least-squares solution of a well-posed problem
    "qr": {"solver": "qr"},
    "tsvd": {"solver": "tsvd"},
    "ridge of no strength": {"solver": "ridge", "strength": 0.0},
    "lsmr": {"solver": "lsmr"},
    "bayes": {"solver": "bayes"},
}
exact = pytest.mark.parametrize("options", EXACT.values(), ids=EXACT.keys())


# least squares -----------------------------------------------------------------------------------------------------


@exact
@pytest.mark.parametrize("observations", ["E+F", "E+F+V", "E+F+FC", "E+F+FC+V"])
def test_every_solver_gives_the_least_squares_of_the_raw_rows(options, observations):
    raw = rows()
    result = fit(packed(raw), observations, **options)
    a, y = stacked(raw, kinds=parts_of(observations))
    assert result.coefficients == pytest.approx(lstsq(a, y), abs=1e-10)  # lsmr stops at 1e-13; cond is about 12
    assert result.residual == pytest.approx(np.linalg.norm(a @ result.coefficients - y), rel=1e-10)
    assert result.rank in (8, None) and result.rows == len(a) and result.observations == observations


@exact
def test_a_truth_in_the_span_is_recovered(options):
    result = fit(packed(rows(noise=0.0)), **options)
    assert result.coefficients == pytest.approx(np.arange(1.0, 9.0), rel=1e-11)
    assert max(result.rmse.values()) < 1e-10


def test_a_subset_that_leaves_something_open_is_seen_in_the_error():
    raw = rows(noise=0.0)
    a, y = raw["FC", "bulk"]
    raw["FC", "bulk"] = (a, y + 1.0)  # labels that forces contradict
    blocks = packed(raw)
    assert fit(blocks, "E+F", LIGHT).rmse["FC"] == pytest.approx(1.0, rel=1e-9)  # not fitted, yet reported
    assert fit(blocks, "E+F+FC", LIGHT).rmse["FC"] < 1.0
    assert fit(blocks, "E+F+FC", LIGHT).rmse["F"] > 1e-3


@given(order=st.integers(0, 99), chunk=st.integers(1, 40))
def test_how_rows_were_split_and_ordered_leaves_no_trace(order, chunk):
    raw = rows(seed=1)
    reference = fit(packed(raw))
    other = fit(packed(raw, order, chunk))
    # two orthogonal reductions of one matrix: rounding times the condition number
    tolerance = 100 * EPS * reference.condition_raw * np.abs(reference.coefficients).max()
    assert other.coefficients == pytest.approx(reference.coefficients, abs=tolerance)
    assert other.rmse == pytest.approx(reference.rmse, rel=1e-10)


@given(columns=st.lists(st.integers(0, 7), min_size=1, max_size=7, unique=True))
def test_restricting_is_fitting_the_chosen_columns(columns):
    raw = rows(seed=2)
    chosen = {key: (a[:, columns], y) for key, (a, y) in raw.items()}
    small, oracle = fit(packed(raw).restrict(columns)), fit(packed(chosen))
    assert small.coefficients == pytest.approx(oracle.coefficients, abs=1e-11)
    assert small.rmse == pytest.approx(oracle.rmse, rel=1e-10)


def longdouble_lstsq(a, y):
    """Least squares in extended precision: modified Gram-Schmidt, twice."""
    a, y = a.astype(np.longdouble), y.astype(np.longdouble)
    q, r = a.copy(), np.zeros((a.shape[1],) * 2, dtype=np.longdouble)
    for k in range(a.shape[1]):
        for _ in range(2):
            for j in range(k):
                h = q[:, j] @ q[:, k]
                q[:, k] -= h * q[:, j]
                r[j, k] += h
        r[k, k] = np.sqrt(q[:, k] @ q[:, k])
        q[:, k] /= r[k, k]
    x = q.T @ y
    for k in range(a.shape[1] - 1, -1, -1):
        x[k] = (x[k] - r[k, k + 1 :] @ x[k + 1 :]) / r[k, k]
    return x.astype(float)


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="no extended precision here")
@pytest.mark.parametrize("trouble", ["columns of size 1e-10 to 1", "columns almost parallel"])
def test_ill_conditioned_columns_are_solved_where_the_gram_matrix_fails(trouble):
    raw = rows(seed=3, noise=0.0)
    size = np.geomspace(1, 1e-10, 8) if "size" in trouble else np.ones(8)
    mix = np.eye(8)
    if "parallel" in trouble:
        mix[0, 1], mix[1, 1] = 1.0, 1e-9
    raw = {key: (a @ mix * size, y) for key, (a, y) in raw.items()}
    a, y = stacked(raw)
    truth = longdouble_lstsq(a, y)
    result = fit(packed(raw))
    normal = np.linalg.solve(a.T @ a, a.T @ y)
    error = np.abs(result.coefficients / truth - 1).max()
    worse = np.abs(normal / truth - 1).max()
    # consistent rows: error about eps times the equilibrated condition (12, or 1e9); labels carry 1e-16 of their own
    assert error < 100 * EPS * result.condition
    assert result.condition_raw > 1e9
    if "parallel" in trouble:
        assert worse > 1e-3 and result.condition > 1e8
    else:
        assert result.condition < 20


# rank ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"solver": "qr"}, {"solver": "tsvd"}], ids=["qr", "tsvd"])
def test_deficient_rank_is_reported_and_the_shortest_solution_taken(options):
    raw = {key: (np.column_stack([a, a[:, 0] + a[:, 1], 0 * a[:, 0]]), y) for key, (a, y) in rows(seed=4).items()}
    with pytest.warns(FitWarning, match="rank 8 of 10"):
        result = fit(packed(raw), **options)
    a, y = stacked(raw)
    assert result.rank == 8 and result.condition > 1e15
    scale = np.where(a.any(axis=0), np.linalg.norm(a, axis=0), 1.0)  # shortest in scaled coefficients
    assert result.coefficients == pytest.approx(lstsq(a / scale, y) / scale, abs=1e-11)
    assert result.degrees_of_freedom == pytest.approx(8)


def test_fewer_rows_than_columns_is_a_rank_too():
    raw = {("E", "bulk"): rows(seed=5)["E", "bulk"]}
    with pytest.warns(FitWarning, match="rank 7 of 8"):
        result = fit(packed(raw))
    assert result.residual < 1e-10
    with pytest.raises(InputError, match="7 of 8 directions"):
        fit(packed(raw), solver="bayes")
    assert fit(packed(raw), solver="bayes", prior=1e-3).rank == 8


def test_a_full_rank_is_silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(packed(rows()))


def test_truncation_leaves_out_what_rows_hardly_see():
    raw = {key: (a * np.array([1.0] * 7 + [1.0]), y) for key, (a, y) in rows(seed=6).items()}
    raw = {key: (np.column_stack([a[:, :7], a[:, 0] + 1e-6 * a[:, 7]]), y) for key, (a, y) in raw.items()}
    assert fit(packed(raw), solver="tsvd").rank == 8
    with pytest.warns(FitWarning, match="rank 7 of 8"):
        cut = fit(packed(raw), solver="tsvd", rtol=1e-4)
    assert np.linalg.norm(cut.coefficients) < 1e-3 * np.linalg.norm(fit(packed(raw)).coefficients)


# weights -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "weights",
    [{"E": 5, "F:vacancy": 3.0}, {"F": {"vacancy": 3.0}, "E": 5}, {"F:vacancy": 3, "F": 1.0, "E": 5.0}],
    ids=["kind:group", "kind: {group}", "a group refines its kind"],
)
def test_weights_multiply_the_rows_of_their_group(weights):
    raw = rows(seed=7)
    a, y = stacked(raw, {"E": 5, "F:vacancy": 3.0})
    result = fit(packed(raw), weights=weights)
    assert result.coefficients == pytest.approx(lstsq(a, y), abs=1e-12)
    assert result.weights["F"] == {"bulk": 1.0, "vacancy": 3.0} and result.weights["FC"] == {"bulk": 1.0}
    assert np.abs(result.coefficients - fit(packed(raw)).coefficients).max() > 1e-4  # the weights do something


def test_the_size_of_cells_enters_through_the_scale_of_their_rows():
    raw = rows(seed=8)
    blocks = packed(raw)
    rescaled = Blocks(None, tuple(Block(b.kind, b.group, b.atoms, 1.0, b.rows, b.scale * b.factor) for b in blocks.items))
    assert fit(rescaled).coefficients == pytest.approx(fit(blocks).coefficients, abs=1e-12)


def test_weights_without_rows_and_rows_without_weight_are_mentioned():
    raw = rows(seed=9)
    del raw["FC", "bulk"]
    with pytest.warns(FitWarning, match="weight of FC has no rows"):
        fit(packed(raw), weights={"FC": 2})
    with pytest.warns(FitWarning, match="weight of F:surface has no rows"):
        fit(packed(raw), weights={"F:surface": 2})
    with pytest.warns(FitWarning, match="rows of F:vacancy have weight zero"):
        blind = fit(packed(raw), weights={"F:vacancy": 0})
    del raw["F", "vacancy"]
    assert blind.coefficients == pytest.approx(fit(packed(raw)).coefficients, abs=1e-12)
    with pytest.raises(InputError, match="at least one row"), pytest.warns(FitWarning):
        fit(packed(raw), "E", weights={"E": 0, "V0": 0})


def test_weights_of_kinds_left_out_by_choice_are_no_mistake():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(packed(rows()), "E+F", weights={"FC": 2.0})


@pytest.mark.parametrize("weights", [{"F": -1}, {"F": float("nan")}, {"E:bulk": float("inf")}, {"G": 1.0}], ids=str)
def test_impossible_weights_are_refused(weights):
    with pytest.raises(InputError, match="weight"):
        resolve_weights(packed(rows()), weights)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"observations": "E+X"}, "E, F, FC, V"),
        ({"solver": "magic"}, "qr, tsvd, ridge, lsmr, bayes"),
        ({"solver": "tsvd", "cut": 1}, "options rtol"),
        ({"solver": Bayes(), "noise": 1.0}, "put them into it"),
        ({"prior": "flat"}, "smoothness"),
        ({"prior": "smoothness(e)"}, "smoothness"),
        ({"prior": -1.0}, "positive number"),
        ({"prior": "smoothness"}, "Ridge"),
        ({"solver": "ridge", "strength": "loud"}, "gcv"),
        ({"solver": "ridge", "strength": "discrepancy"}, "noise"),
        ({"solver": "bayes", "evidence": True}, "prior"),
        ({"solver": "bayes", "noise": -1.0}, "residual"),
    ],
    ids=lambda value: "" if isinstance(value, str) else ", ".join(f"{k} {v}" for k, v in value.items()),
)
def test_bad_requests_are_answered_in_one_sentence(arguments, said):
    with pytest.raises(InputError, match=said):
        fit(packed(rows()), **arguments)


@pytest.mark.parametrize("given", [None, []], ids=["nothing", "a list"])
def test_only_blocks_can_be_fitted(given, unchecked):
    with pytest.raises(InputError, match=r"needs blocks, as dg\.label"):
        fit(given)


def test_a_prior_is_spelled_with_its_strength():
    assert as_prior("smoothness(1e-4)") == Smoothness(strength=1e-4) != as_prior("smoothness")


def test_missing_observations_are_never_dropped_in_silence():
    raw = rows()
    del raw["FC", "bulk"]
    with pytest.raises(InputError, match="FC rows"):
        fit(packed(raw), "E+F+FC")


# priors --------------------------------------------------------------------------------------------------------------


class Wiggly(ACEBasis):
    """A basis of eight functions with a smoothness of its own."""

    def smoothness(self, power):
        return np.arange(8.0) ** power


WIGGLY = Wiggly(["Cu"], cutoff=4.0, order=1, degree=7)


@pytest.mark.parametrize("solver", ["qr", "tsvd", "lsmr", "bayes", "ridge"])
@pytest.mark.parametrize(
    ("prior", "gamma"),
    [(3.0, np.full(8, 3.0)), (Ridge(3.0), np.full(8, 3.0)), (Smoothness(2, 0.5), 0.5 * (1 + np.arange(8.0) ** 2))],
    ids=["number", "ridge", "smoothness"],
)
def test_a_prior_is_rows_below_the_rows(prior, gamma, solver):
    raw = rows(seed=10)
    a, y = stacked(raw, LIGHT)
    options = {"strength": 1.0} if solver == "ridge" else {}
    result = fit(packed(raw, basis=WIGGLY), weights=LIGHT, prior=prior, solver=solver, **options)
    oracle = lstsq(np.vstack([a, np.diag(gamma)]), np.append(y, np.zeros(8)))
    assert result.coefficients == pytest.approx(oracle, abs=1e-10)
    assert np.abs(oracle - lstsq(a, y)).max() > 1e-3  # the prior does something
    hat = a @ np.linalg.solve(a.T @ a + np.diag(gamma**2), a.T)
    assert result.degrees_of_freedom == pytest.approx(np.trace(hat), rel=1e-10)


def test_cross_validation_finds_the_minimum_of_its_score():
    raw = rows(seed=11, noise=30.0)
    a, y = stacked(raw)
    gamma = np.linalg.norm(a, axis=0)

    def score(strength):
        hat = a @ np.linalg.solve(a.T @ a + np.diag((strength * gamma) ** 2), a.T)
        return np.sum((y - hat @ y) ** 2) / (len(y) - np.trace(hat)) ** 2

    chosen = fit(packed(raw), solver="ridge").details["strength"]
    scan = np.geomspace(chosen / 100, chosen * 100, 401)
    assert score(chosen) <= min(map(score, scan)) * (1 + 1e-8)  # a bounded search resolves a flat minimum to sqrt(eps)
    assert score(chosen) < (1 - 1e-4) * score(chosen / 100)


def test_the_discrepancy_principle_fills_the_noise():
    raw = rows(seed=12)
    least = fit(packed(raw)).residual
    noise = 1.5 * least / np.sqrt(sum(SETS.values()))
    result = fit(packed(raw), solver=Tikhonov("discrepancy", noise))
    assert result.residual == pytest.approx(1.5 * least, rel=1e-9)
    with pytest.raises(InputError, match="change the noise"):
        fit(packed(raw), solver=Tikhonov("discrepancy", noise / 10))


# Bayes ---------------------------------------------------------------------------------------------------------------


def test_the_posterior_is_the_closed_form():
    raw = rows(seed=13)
    a, y = stacked(raw)
    result = fit(packed(raw), solver="bayes", prior=2.0, noise=0.7)
    covariance = 0.7**2 * np.linalg.inv(a.T @ a + 4 * np.eye(8))
    posterior = result.posterior
    assert posterior.mean == pytest.approx(covariance @ a.T @ y / 0.7**2, abs=1e-11)
    assert posterior.covariance == pytest.approx(covariance, rel=1e-9, abs=1e-16)
    g = np.random.default_rng(0).normal(size=(3, 8))
    assert posterior.deviation(g) == pytest.approx(np.sqrt(np.diag(g @ covariance @ g.T)), rel=1e-10)
    draws = posterior.sample(4000, seed=1)
    # 4000 draws: relative error of a variance is sqrt(2 / 4000) = 2 %, here of the largest of 64 entries
    assert np.cov(draws.T) == pytest.approx(covariance, abs=0.12 * np.abs(covariance).max())
    assert np.array_equal(draws, posterior.sample(4000, seed=1))


def test_noise_from_the_residual_is_the_unbiased_estimate():
    raw = rows(seed=14)
    a, y = stacked(raw)
    result = fit(packed(raw), solver="bayes", noise="residual")
    expected = np.sqrt(np.sum((a @ lstsq(a, y) - y) ** 2) / (len(y) - 8))
    assert result.details["noise"] == pytest.approx(expected, rel=1e-10)


def log_evidence(a, y, noise, strength):
    """Density of the labels, from their dense covariance."""
    covariance = noise**2 * (np.eye(len(y)) + a @ a.T / strength**2)
    return -0.5 * (np.linalg.slogdet(2 * np.pi * covariance)[1] + y @ np.linalg.solve(covariance, y))


def test_evidence_is_the_density_of_the_labels_and_is_maximised():
    raw = rows(seed=15, noise=3.0)
    a, y = stacked(raw)
    fixed = fit(packed(raw), solver="bayes", prior=2.0)
    assert fixed.details["log_evidence"] == pytest.approx(log_evidence(a, y, 1.0, 2.0), rel=1e-10)
    tuned = fit(packed(raw), solver="bayes", prior=2.0, evidence=True).details
    best = log_evidence(a, y, tuned["noise"], 2 * tuned["strength"])
    assert tuned["log_evidence"] == pytest.approx(best, rel=1e-10)
    for noise, strength in itertools.product((0.9, 1.0, 1.1), (0.8, 1.0, 1.25)):
        assert log_evidence(a, y, noise * tuned["noise"], strength * 2 * tuned["strength"]) <= best + 1e-8


def test_evidence_never_touches_the_weights():
    weights = {"E": 3.0, "F:vacancy": 7.0}
    blocks = packed(rows(seed=16, noise=3.0))
    fixed = fit(blocks, weights=weights, prior=1.0)
    tuned = fit(blocks, weights=weights, prior=1.0, solver=Bayes(evidence=True))
    assert tuned.weights == fixed.weights
    again = fit(blocks, weights=weights, prior=tuned.details["strength"])
    assert tuned.coefficients == pytest.approx(again.coefficients, abs=1e-11)
    plain = fit(blocks, weights=weights, prior=1.0, solver="bayes")  # and without evidence nothing is tuned at all
    assert plain.details["strength"] == 1.0 and plain.details["noise"] == 1.0
    assert plain.coefficients == pytest.approx(fixed.coefficients, abs=1e-11)


# the result ----------------------------------------------------------------------------------------------------------


def test_errors_are_in_field_units_without_weights():
    raw = rows(seed=17)
    blocks = packed(raw)
    theta = np.ones(8)
    doubled = tuple(Block(b.kind, b.group, b.atoms, b.scale, b.rows, 2 * b.factor, b.factor) for b in blocks.items)
    result = fit(Blocks(None, doubled), weights={"F": 100.0})
    for kind in result.rmse:
        errors = np.concatenate([a @ result.coefficients - y for (k, _), (a, y) in raw.items() if k == kind])
        assert result.rmse[kind] == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-11)
    a, y = raw["F", "vacancy"]
    assert result.rmse_by_group["F"]["vacancy"] == pytest.approx(np.sqrt(np.mean((a @ result.coefficients - y) ** 2)), rel=1e-11)
    assert doubled[0].squared_error(theta) == pytest.approx(blocks.items[0].squared_error(theta))


def test_condition_numbers_are_numpys():
    raw = {key: (a * np.geomspace(1, 1e4, 8), y) for key, (a, y) in rows(seed=18).items()}
    a, _ = stacked(raw)
    result = fit(packed(raw))
    assert result.condition_raw == pytest.approx(np.linalg.cond(a), rel=1e-9)
    assert result.condition == pytest.approx(np.linalg.cond(a / np.linalg.norm(a, axis=0)), rel=1e-9)


def test_the_summary_says_what_was_fitted_and_what_was_not():
    said = str(fit(packed(rows()), "F+E"))
    assert "E+F: 108 rows, 8 coefficients, rank 8 of 8" in said
    assert [line.split()[:2] for line in said.splitlines()[3:]][:3] == [["E", "bulk"], ["E", "vacancy"], ["F", "bulk"]]
    assert said.count("not fitted") == 3 and "eV/A^2" in said


def test_lsmr_says_when_it_did_not_arrive():
    with pytest.warns(FitWarning, match="3 iterations"):
        fit(packed(rows()), solver=LSMR(iterations=3))


def test_a_model_comes_with_its_provenance():
    basis = ACEBasis(["Cu"], cutoff=4.0, order=2, degree=4.0)
    blocks = packed(rows(columns=basis.size), basis=basis)
    result = fit(blocks, "E+F", prior="smoothness", solver=TruncatedSVD())
    assert isinstance(result.model, LinearACE)
    assert np.asarray(result.model.coefficients) == pytest.approx(result.coefficients)
    assert result.model.provenance["observations"] == "E+F" and result.model.provenance["truth"] == "made up"


# accuracy of compressed rows ---------------------------------------------------------------------------------------


@cache
def real_rows(cells=14):
    """Force rows of an ACE basis on displaced copper cells with a vacancy, without the functions that no force sees."""
    basis = ACEBasis(["Cu"], cutoff=5.5, order=3, degree=12)
    cell = vacancy().apply(supercell(fcc("Cu", 3.615), 3))
    rng = np.random.default_rng(0)
    moved = [replace(cell, positions=cell.positions + 0.05 * rng.normal(size=cell.positions.shape)) for _ in range(cells)]
    found = np.concatenate([Forces(s)(basis) for s in (Snapshot(c, c.positions, c.vectors, "vacancy") for c in moved)])
    return found[:, np.linalg.norm(found, axis=0) > 0]


def by_normal_equations(a, y):
    """Least squares from the Gram matrix of equilibrated columns: what the stream must not become."""
    d = np.linalg.norm(a, axis=0)
    return np.linalg.solve((a / d).T @ (a / d), (a / d).T @ y) / d


def by_householder(a, y):
    """LAPACK's QR of all rows at once."""
    r = np.linalg.qr(np.column_stack([a, y]), mode="r")
    return solve_triangular(r[:-1, :-1], r[:-1, -1])


@pytest.mark.parametrize("noise", [0.0, 1e-3], ids=["exact labels", "noisy labels"])
def test_rows_of_a_real_basis_are_fitted_as_by_householder_where_normal_equations_fail(noise):
    a = real_rows()
    count, columns = a.shape
    d, rng = np.linalg.norm(a, axis=0), np.random.default_rng(1)
    theta = rng.normal(size=columns) / d * np.sqrt(count)
    y = (a.astype(np.longdouble) @ theta.astype(np.longdouble)).astype(float) + noise * rng.normal(size=count)
    compressor = Compressor(columns)
    for start in range(0, count, 321):  # cell by cell, as labelling does
        compressor.add(a[start : start + 321], y[start : start + 321])
    assert compressor.reduction().solved > count / 2
    found = fit(Blocks(None, (Block("F", "vacancy", 107, 1.0, count, compressor.factor()),)), "F", solver="qr")
    exact = theta if noise == 0 else longdouble_lstsq(a, y)  # extended precision: 2000 times fewer rounding errors

    def error(x):
        return np.linalg.norm((x - exact) * d) / np.linalg.norm(exact * d)

    assert found.condition > 5e8
    # both are rounding times the condition in a random direction: ten is their scatter
    assert error(found.coefficients) < 10 * error(by_householder(a, y))
    assert error(by_normal_equations(a, y)) > 1e3 * error(found.coefficients)
