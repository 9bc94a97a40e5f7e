"""Design of losses and of data: exact derivatives, choices that lower what they promise to lower, and refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_certificate import SET, WEIGHTS, blocks, case, relaxed

import defectgen as dg
from defectgen._input import InputError
from defectgen.errors import choose_data, design_loss
from defectgen.errors.certificate import judge, sensitivity
from defectgen.errors.design.objective import pose_design
from defectgen.errors.design.weights import _again
from defectgen.fit import fit


def poor_fit():
    """A fit with fewer functions than `case` has, and the vacancy relaxed with it."""
    made, rest, _ = case()
    basis = dg.ACEBasis(["Cu"], cutoff=4.4, order=2, degree=5)
    columns = made.model.basis.columns_of(basis)
    poor = fit(blocks()[1].restrict(columns, basis), SET, weights=WEIGHTS)
    return poor, relaxed(poor.model, rest.positions)


def test_the_objective_is_the_certificate_of_a_fit_with_other_weights():
    made, _, certificate = case()
    posed = pose_design(made, certificate.sensitivity, None, 0.5)
    change = np.random.default_rng(0).normal(size=len(posed.names))
    weights = {k: dict(g) for k, g in made.weights.items()}
    for name, shift in zip(posed.names, change, strict=True):
        kind, group = name.split(":")
        weights[kind][group] *= np.exp(shift)
    again = judge(fit(blocks()[1], SET, weights=weights), certificate.sensitivity)
    geometry, energy = posed.objective.estimates(jnp.asarray(change))
    assert np.sqrt(geometry) == pytest.approx(again.geometry.spread, rel=1e-6)
    assert np.sqrt(energy) == pytest.approx(again.energy.spread, rel=1e-6)


def test_its_slopes_are_differences_and_those_of_the_certificate():
    made, _, certificate = case()
    posed = pose_design(made, certificate.sensitivity, None, 0.0)
    here = jnp.zeros(len(posed.names))
    slope = np.asarray(jax.grad(lambda x: posed.objective(x))(here))
    np.testing.assert_allclose(slope, [certificate.geometry.weights[name] for name in posed.names], atol=1e-6)
    direction = jnp.asarray(np.random.default_rng(1).normal(size=len(here)))
    wrong = [
        abs((posed.objective(h * direction) - posed.objective(-h * direction)) / (2 * h) - slope @ direction)
        for h in (1e-1, 1e-2, 1e-3, 1e-4)
    ]
    assert min(wrong) < 1e-3 * max(wrong)


def test_a_design_lowers_the_estimate_and_with_a_richer_fit_that_is_the_truth_the_error():
    made, rest, _ = case()
    poor, approx = poor_fit()
    design = design_loss(poor, approx, richer=made, rounds=1)
    assert design.rounds[-1] < design.rounds[0]
    assert design.after.geometry.estimate * design.after.energy.estimate < (
        design.before.geometry.estimate * design.before.energy.estimate
    )
    sensitive = sensitivity(approx, made.model, answer=design.before.sensitivity.answer)
    posed = pose_design(poor, design.before.sensitivity, (made, sensitive), 0.5)
    geometry, _ = posed.objective.estimates(jnp.zeros(len(posed.names)))
    assert np.sqrt(geometry) == pytest.approx(design.before.geometry.estimate, rel=1e-5)
    before, after = (dg.compare(rest, relaxed(f.model, rest.positions)) for f in (poor, design.fit))
    assert after.geometry * after.energy < before.geometry * before.energy


def test_held_out_defects_choose_where_a_design_ends_and_tell_its_harm():
    """The ratios are those of fits and relaxations by hand; the design that is returned is the one they choose."""
    made, _, _ = case()
    poor, approx = poor_fit()
    lattice, truth = blocks()[0], dg.reference.CleriRosato("Cu")
    other = dg.relax(dg.divacancy().apply(dg.supercell(lattice, 3)), truth)
    full = design_loss(poor, approx, richer=made, rounds=1)
    found = design_loss(poor, approx, richer=made, rounds=1, held_out=[other])
    scores = [trial.held_out for trial in found.trials]
    assert len(scores) == 4 and found.chosen == int(np.argmin(scores)) and full.harm is None

    def errors(model):
        error = dg.compare(other, dg.relax(other.cell, model, start=other.positions, eigenvalue=False))
        return np.array([error.geometry, error.energy])

    for trial, design in ((found.trials[-1], full), (found.trials[found.chosen], found)):
        by_hand = errors(design.fit.model) / errors(poor.model)
        assert trial.ratios[0] == pytest.approx(tuple(by_hand), rel=1e-3)
    assert found.harm == max(found.trials[found.chosen].ratios[0])
    assert "held-out defects" in str(found) and "not measured" in str(full)
    with pytest.raises(InputError, match="take it out of one of them"):
        design_loss(poor, approx, held_out=[approx])


@pytest.mark.parametrize("loss", [{"constraints": ["V0", "E:bulk"]}, {"prior": 1e-4}], ids=["constraints", "prior"])
def test_a_design_changes_weights_and_nothing_else(loss):
    made = fit(blocks()[1], SET, weights=WEIGHTS, **loss)
    again = _again(made, made.weights)
    np.testing.assert_allclose(again.coefficients, made.coefficients, rtol=1e-10, atol=0)  # one problem, solved twice
    heavier = {kind: {g: w * (5.0 if kind == "F" else 1.0) for g, w in own.items()} for kind, own in made.weights.items()}
    weights = {kind: dict(own) for kind, own in heavier.items()}
    other = fit(blocks()[1], SET, weights=weights, **loss)
    # multipliers are scaled here and computed there: rounding of 1e-16 times a condition of 1e8
    np.testing.assert_allclose(_again(made, heavier).coefficients, other.coefficients, rtol=1e-8)
    assert np.abs(other.coefficients - made.coefficients).max() > 1e-6
    assert [c.name for c in again.constraints] == [c.name for c in made.constraints]


def test_a_design_keeps_what_a_loss_weighted_block_by_block():
    lattice, _ = blocks()
    cells = dg.training_cells(
        lattice, dg.vacancy(), 2, seed=0, rattle=dg.Rattle(2, 0.05), strains=dg.Strains((0.01,), pairs=False)
    )
    basis = dg.ACEBasis(["Cu"], cutoff=4.4, order=2, degree=5)
    apart = dg.label(cells, dg.reference.CleriRosato("Cu"), basis, ["E", "F", "FC", "V"], subdivide=True)
    made = fit(apart, dg.Loss(SET, WEIGHTS, force_distance_power=2.0, robust=1.345))
    np.testing.assert_allclose(_again(made, made.weights).coefficients, made.coefficients, rtol=1e-8)  # the same rounding
    plain = fit(apart, SET, weights=WEIGHTS)
    assert np.abs(plain.coefficients - made.coefficients).max() > 1e-3 * np.abs(made.coefficients).max()


def candidates(seed=0, count=12, columns=5):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(3, columns)) * rng.uniform(0.1, 2.0, size=columns) for _ in range(count)]


@pytest.mark.parametrize("criterion", ["G", "A", "D"])
def test_every_choice_improves_its_criterion_and_random_choices_are_worse(criterion):
    pool, target = candidates(), np.random.default_rng(9).normal(size=(2, 5))
    found = choose_data(pool, np.ones(12), 4, target, criterion=criterion)
    assert len(found.chosen) == 4 and len(set(found.chosen)) == 4 and found.cost == 4
    sign = 1 if criterion == "D" else -1
    assert all(sign * (b - a) > 0 for a, b in zip(found.values[:-1], found.values[1:], strict=True))
    rng = np.random.default_rng(3)
    others = [value_of([pool[k] for k in rng.permutation(12)[:4]], pool, target, criterion) for _ in range(200)]
    own = value_of([pool[k] for k in found.chosen], pool, target, criterion)
    assert own == pytest.approx(found.values[-1], rel=1e-6)
    assert np.mean([sign * o <= sign * own * (1 + 1e-9 * sign * np.sign(own)) for o in others]) > 0.95


def value_of(rows, pool, target, criterion):
    """The criterion from its definition."""
    size = np.sqrt(np.mean(np.concatenate(pool) ** 2, axis=0))
    a = np.concatenate(rows) / size
    matrix = a.T @ a + 1e-12 * np.eye(len(size))
    if criterion == "D":
        return float(np.linalg.slogdet(matrix)[1])
    goal = np.eye(len(size)) if criterion == "A" else (target / size).T @ (target / size)
    return float(np.trace(np.linalg.solve(matrix, goal)))


def test_g_chooses_what_the_quantity_needs_and_cost_counts():
    pool = [np.eye(4)[[k]] for k in range(4)] * 2
    target = np.array([[0.0, 0.0, 1.0, 0.0]])
    assert choose_data(pool, np.ones(8), 1, target).chosen[0] in (2, 6)
    cheap = np.where(np.arange(8) == 6, 0.1, 1.0)
    assert choose_data(pool, cheap, 1, target).chosen[0] == 6


def test_refusals(unchecked):
    made, rest, _ = case()
    with pytest.raises(InputError, match="at least one relaxed defect"):
        design_loss(made, [])
    with pytest.raises(InputError, match="between 0 and 1; got 2"):
        design_loss(made, rest, share=2.0)
    with pytest.raises(InputError, match="criteria G, A, D; got 'E'"):
        choose_data(candidates(), np.ones(12), 3, criterion="E")
    with pytest.raises(InputError, match="quantity of interest"):
        choose_data(candidates(), np.ones(12), 3)
    with pytest.raises(InputError, match="allows no candidate: the cheapest of 12 costs 1"):
        choose_data(candidates(), np.ones(12), 0.5, criterion="A")
    with pytest.raises(InputError, match="positive cost"):
        choose_data(candidates(), np.zeros(12), 0.5, criterion="A")
