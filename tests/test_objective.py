"""Objectives of the user's own: least squares is recovered, penalties act as stated, what cannot be minimised is refused."""

from functools import cache

import jax.numpy as jnp
import numpy as np
import pytest

import defectgen as dg
from defectgen._input import InputError
from defectgen.errors.certificate import sensitivity
from defectgen.fit import Loss, fit, smoothness
from defectgen.relax import greens_function
from defectgen.training import Block, Blocks


def made_up(columns=6, kinds="EF"):
    rng = np.random.default_rng(0)
    items = []
    for kind in kinds:
        a = rng.normal(size=(30, columns)) * np.geomspace(1, 1e-4, columns)
        y = a @ np.arange(1.0, columns + 1) + 0.1 * rng.normal(size=30)
        items.append(Block(kind, "x", 4, 1.0, 30, np.column_stack([a, y])))
    return Blocks(None, tuple(items))


@cache
def layer():
    truth = dg.reference.Morse("Cu")
    lattice = dg.equilibrate(dg.triangular("Cu", 2.6), truth)
    basis = dg.ACEBasis(["Cu"], cutoff=4.6, order=2, degree=5)
    cells = dg.training_cells(lattice, dg.vacancy(), 4, rattle=dg.Rattle(3, 0.05), strains=dg.Strains((0.01,), pairs=False))
    return lattice, basis, dg.label(cells, truth, basis, ["E", "F", "V", "C"])


def test_squares_alone_are_the_fit_and_a_sum_of_squares_a_ridge():
    rows = made_up()
    one = dg.fit_objective(rows, lambda theta, squares: squares("E+F", weights={"E": 3.0}))
    assert one.coefficients == pytest.approx(fit(rows, "E+F", {"E": 3.0}).coefficients, rel=1e-7) and one.converged
    ridge = dg.fit_objective(rows, lambda theta, squares: squares("E+F") + 0.5 * jnp.sum(theta**2))
    assert ridge.coefficients == pytest.approx(fit(rows, "E+F", prior=np.sqrt(0.5)).coefficients, rel=1e-5)
    whole = Loss("E+F", prior=np.sqrt(0.5))
    assert dg.fit_objective(rows, lambda theta, squares: squares(whole)).coefficients == pytest.approx(
        ridge.coefficients, rel=1e-5
    )


def test_products_of_the_hessian_find_the_same_minimum():
    rows = made_up()

    def objective(theta, squares):
        return squares("E+F") + jnp.sum(jnp.log1p(theta**2))

    dense = dg.fit_objective(rows, objective)
    products = dg.fit_objective(rows, objective, dense=0)
    assert products.coefficients == pytest.approx(dense.coefficients, rel=1e-4, abs=1e-4)
    assert products.steps <= 2 * dense.steps  # wrong products only cost steps: 16 of the wrong sign, where 2 are needed


def test_phonons_of_all_functions_are_those_of_the_model():
    lattice, basis, rows = layer()
    found = fit(rows, "E+F+V", prior="smoothness")
    phonons = dg.linear_phonons(lattice, basis, size=4)
    values = np.asarray(phonons.eigenvalues(found.coefficients))
    cell = dg.supercell(lattice, np.array([[4, 0, 0], [0, 4, 0], [0, 0, 1]]))
    other = np.linalg.eigvalsh(greens_function(cell, found.model).operator).reshape(-1, 2)
    for mine in values:
        assert np.abs(other - mine).sum(axis=1).min() < 1e-8 * np.abs(other).max()
    assert values.min() == pytest.approx(np.sort(other.ravel())[2], rel=1e-8)  # above the two translations


def test_a_stability_penalty_raises_the_softest_wave():
    lattice, basis, rows = layer()
    phonons = dg.linear_phonons(lattice, basis, size=4)
    start = fit(rows, "E+F", prior="smoothness")
    floor = 1.5 * float(phonons.eigenvalues(start.coefficients).min())
    penalty = phonons.instability(floor)

    def objective(theta, squares):
        return squares("E+F", prior="smoothness") + 10 * penalty(theta)

    found = dg.fit_objective(rows, objective)
    assert found.converged and found.value < found.start_value
    assert float(phonons.eigenvalues(found.coefficients).min()) > 1.1 * floor / 1.5
    assert found.rmse["F"] >= start.rmse["F"] and found.model.basis is basis


def test_elastic_constants_and_smoothness_are_terms():
    _, basis, rows = layer()
    term = smoothness(basis, 1e-3)
    found = dg.fit_objective(rows, lambda theta, squares: squares("E+F") + squares("C", weights={"C": 100}) + term(theta))
    same = fit(rows, "E+F", {"C": 100}, prior="smoothness(1e-3)")
    assert found.rmse["C"] == pytest.approx(same.rmse["C"], rel=1e-4)


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        (lambda t, s: float(s("F")), "cannot be differentiated.*jax.numpy"),
        (lambda t, s: np.sum(np.asarray(t)), "cannot be differentiated"),
        (lambda t, s: s("F") if t[0] > 0 else 0.0, "cannot be differentiated"),
        (lambda t: 0.0, "cannot be differentiated"),
        (lambda t, s: t, "one real number; got an array of shape .6,"),
        (lambda t, s: 1, "one real number"),
        (lambda t, s: jnp.log(-1 - t[0] ** 2), "nan at the start"),
        (lambda t, s: s("F") + jnp.sqrt(jnp.sum((t - t) ** 2)), "not differentiable at the start"),
        (lambda t, s: s("F") + jnp.round(t).sum(), "takes round"),
        (lambda t, s: -t.sum(), "not bounded below"),
        (lambda t, s: s("F") - 1e9 * jnp.sum(t**2), "not bounded below"),
        (lambda t, s: s("F") + 1e3 * jnp.sum(jnp.abs(t - 7.3)), "slope jumps"),
        (lambda t, s: s("F", robust=1.0), "leave it out"),
        (lambda t, s: s("F", speed=1.0), "settings of a dg.Loss"),
        (lambda t, s: s("G"), "'G' is none of them"),
        (lambda t, s: s("V"), "there are none"),
        ("squares", "objective of fit_objective is a function"),
    ],
)
def test_bad_objectives_are_one_sentence(objective, said):
    with pytest.raises(InputError, match=said) as error:
        dg.fit_objective(made_up(), objective)
    assert "\n" not in str(error.value)


def test_bad_starts_are_one_sentence():
    with pytest.raises(InputError, match="6 finite coefficients"):
        dg.fit_objective(made_up(), lambda t, s: s("F"), start=np.ones(3))
    with pytest.raises(InputError, match="needs rows of"):
        dg.fit_objective(made_up(kinds=()), lambda t, s: jnp.sum(t**2))


def test_a_certificate_is_a_loss():
    """A fit to few rows moves towards the richer fit's answer: the difference of strains and energies of the defect falls."""
    lattice, _, rows = layer()
    few = fit(rows, "E+F", {"E": 1.0}, prior="smoothness(1e-3)")
    wide = fit(rows, "E+F+V", prior="smoothness(1e-6)")
    cell = dg.vacancy().apply(dg.supercell(lattice, 5))
    rest = dg.relax(cell, few.model)
    own = sensitivity(rest, few.model)
    rich = sensitivity(rest, wide.model, answer=own.answer)
    strains, goal = own.strains(), rich.strains() @ wide.coefficients
    level = rich.energy @ wide.coefficients

    def miss(theta):
        return jnp.sum((strains @ theta - goal) ** 2) + (own.energy @ theta - level) ** 2

    squares_of = Loss("E+F", {"E": 1.0}, prior="smoothness(1e-3)")
    found = dg.fit_objective(rows, lambda theta, squares: squares(squares_of) + 1e3 * miss(theta), start=few)
    assert found.converged and miss(found.coefficients) < 0.1 * miss(few.coefficients)
    gap = [abs(dg.relax(cell, model).energy - dg.relax(cell, wide.model).energy) for model in (few.model, found.model)]
    assert gap[1] < gap[0]


def test_each_weight_function_written_in_an_objective_counts():
    """Each is dropped after its term, so a later one may have its place in memory."""
    rows = np.column_stack([np.eye(3), [1.0, 2.0, 3.0]])
    kept = Block("F", "x", 3, 1.0, 3, rows)
    blocks = Blocks(None, (kept,))

    def objective(theta, squares):
        heavy = [squares("F", weight=lambda row, k=k: np.full(len(row.kind), float(k))) for k in (1, 2, 3)]
        return sum(heavy)

    assert dg.fit_objective(blocks, objective, start=np.zeros(3)).start_value == pytest.approx((1 + 4 + 9) * 14)
