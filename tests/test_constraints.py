"""Constraints: what they hold is held, the rest is least squares; contradictions are named; heavy weights are their limit."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

import defectgen as dg
from defectgen._input import InputError
from defectgen.energy import cell_energy, long_wave_elastic_constants
from defectgen.errors.domain import Leverage
from defectgen.fit import Constraint, FitWarning, Ridge, TruncatedSVD, fit
from defectgen.observe import ElasticConstants, FormationEnergy
from defectgen.training import Block, Blocks, triangle

RNG = np.random.default_rng


def made_up(seed=0, columns=8, noise=0.1):
    """Blocks of every kind with noisy labels, one redundant V0 (rank 2 of 6 rows), and their raw rows."""
    rng, theta = RNG(seed), np.arange(1.0, columns + 1)
    raw = {}
    for kind, count in (("E", 7), ("F", 60), ("FC", 20), ("V", 18), ("V0", 6)):
        a = rng.normal(size=(count, columns))
        if kind == "V0":
            a = rng.normal(size=(6, 2)) @ rng.normal(size=(2, columns))
        raw[kind] = a, a @ theta + noise * rng.normal(size=count) * (kind != "V0")
    items = tuple(Block(k, "bulk", 4, 1.0, len(a), triangle(np.column_stack([a, y]))) for k, (a, y) in raw.items())
    return Blocks(None, items, "made up"), raw


def weighted(raw, weights):
    return tuple(np.concatenate([w * raw[k][part] for k, w in weights.items()]) for part in (0, 1))


def kkt(a, y, c, d):
    """The minimiser of |A theta - y| with C theta = d by its Lagrange equations: the other route (C of full rank)."""
    n, m = a.shape[1], len(d)
    system = np.block([[a.T @ a, c.T], [c, np.zeros((m, m))]])
    return np.linalg.solve(system, np.concatenate([a.T @ y, d]))[:n]


FIRST = np.eye(8)[:1]
WEIGHTS = {"E": 30.0, "F": 1.0, "FC": 1.0, "V": 1.0, "V0": 100.0}


@pytest.mark.parametrize("solver", ["qr", "tsvd", "bayes"])
def test_a_constrained_fit_solves_the_lagrange_equations(solver):
    blocks, raw = made_up()
    a, y = weighted(raw, WEIGHTS)
    c, d = raw["FC"][0][:3], raw["FC"][1][:3]
    found = fit(blocks, weights=WEIGHTS, solver=solver, constraints=[Constraint("three", c, d)])
    assert found.coefficients == pytest.approx(kkt(a, y, c, d), rel=1e-9)  # condition 1e2 squared in the Lagrange system
    assert found.constraints[0].miss(found.coefficients) < 1e-12
    free = fit(blocks, weights=WEIGHTS, solver=solver)
    assert np.abs(found.coefficients - free.coefficients).max() > 1e-3 and found.residual > free.residual
    assert found.rank == 8 and found.problem.held == 3


def test_redundant_rows_that_agree_count_once():
    blocks, raw = made_up()
    found = fit(blocks, constraints=["V0", np.column_stack(raw["V0"])[:1], "V0"])  # rank two
    assert found.problem.held == 2 and found.rmse["V0"] < 1e-13
    assert found.coefficients == pytest.approx(fit(blocks, constraints="V0").coefficients, rel=1e-10)


@given(seed=st.integers(0, 999), power=st.sampled_from([2, 3]))
def test_a_growing_weight_tends_to_the_constraint_like_its_inverse_square(seed, power):
    """theta(w) = theta_C + O(w^-2): each factor of ten in the weight takes two digits off the distance."""
    blocks, raw = made_up(seed)
    c, d = np.array(raw["E"][0][:2]), np.array(raw["E"][1][:2])
    rows = Block("E", "held", 4, 1.0, 2, np.column_stack([c, d]))
    with_rows = replace(blocks, items=(*blocks.items, rows))
    exact = fit(with_rows, "F+FC", constraints="E:held").coefficients
    away = [
        np.linalg.norm(fit(replace(with_rows, items=(*blocks.items[1:], rows)), "E+F+FC", {"E": w}).coefficients - exact)
        for w in (10.0**power, 10.0 ** (power + 1))
    ]
    assert away[0] > 0 and away[1] / away[0] == pytest.approx(1e-2, rel=0.2)  # the next order is smaller by w^-2


def test_constraints_do_not_depend_on_how_they_are_spelled():
    blocks, raw = made_up()
    reference = fit(blocks, constraints=["V0"]).coefficients
    stack = np.column_stack(raw["V0"])
    ways = ("V0", "V0:bulk", {"V0": 0.0}, stack, [Constraint("mine", *raw["V0"])], RNG(1).normal(size=(9, 6)) @ stack)
    for way in ways:
        assert fit(blocks, constraints=way).coefficients == pytest.approx(reference, rel=1e-9)


def test_a_tolerance_holds_no_more_than_it_takes():
    blocks, _ = made_up(columns=12)
    light = {"E": 30.0, "V0": 100.0}
    within = [fit(blocks, "E+F", light, constraints={"FC": t}) for t in (0.15, 0.08, 0.07)]  # FC in no row of the fit
    free = fit(blocks, "E+F", light)
    assert free.rmse["FC"] > 0.15 > within[0].rmse["FC"] > 0.08 > within[1].rmse["FC"] > 0.07 > within[2].rmse["FC"]
    assert fit(blocks, "E+F", light, constraints={"FC": 0.2}).problem.held == 0  # met as it is
    held = [found.problem.held for found in within]
    assert 0 < held[0] < held[1] < held[2] < 12
    assert free.residual < within[0].residual < within[1].residual < within[2].residual  # and freedom is used


def test_within_a_tolerance_labels_out_of_reach_are_met_as_well_as_may_be():
    blocks, raw = made_up()
    a = raw["FC"][0] @ np.diag([1, 1, 1, 0, 0, 0, 0, 0])  # the functions see three directions of these noisy labels
    y = raw["FC"][1]
    best = np.linalg.norm(y - a @ np.linalg.lstsq(a, y)[0]) / np.sqrt(20)
    held = fit(blocks, constraints=[Constraint("some", a, y, tolerance=1.0001 * best)])
    assert held.problem.held == 3 and held.constraints[0].miss(held.coefficients) == pytest.approx(best, rel=1e-9)
    with pytest.raises(InputError, match="some cannot be met"):
        fit(blocks, constraints=[Constraint("some", a, y, tolerance=0.99 * best)])


def test_posterior_has_no_variance_across_the_constraints_and_the_conditional_one_along_them():
    """The posterior under exact rows is the Gaussian conditioned on them: covariance S - S C'(C S C')^-1 C S, the closed form."""
    blocks, raw = made_up()
    free = fit(blocks, solver="bayes", prior=Ridge(1e-3))
    c, d = raw["E"][0][:2], raw["E"][1][:2]
    held = fit(blocks, solver="bayes", prior=Ridge(1e-3), constraints=[Constraint("two", c, d)])
    assert free.posterior is not None and held.posterior is not None
    s = free.posterior.covariance
    gain = s @ c.T @ np.linalg.inv(c @ s @ c.T)
    assert held.coefficients == pytest.approx(free.coefficients + gain @ (d - c @ free.coefficients), rel=1e-8)
    assert held.posterior.covariance == pytest.approx(s - gain @ c @ s, abs=1e-9 * np.abs(s).max())
    assert held.posterior.deviation(c).max() < 1e-9 * free.posterior.deviation(c).min()
    drawn = held.posterior.sample(50, seed=0)
    assert np.abs(drawn @ c.T - d).max() < 1e-12 * np.abs(d).max() * 1e2 and np.std(drawn, axis=0).min() > 0
    leverage = Leverage.of(held)
    some = RNG(2).normal(size=(5, 8))
    assert leverage.deviation(some) == pytest.approx(held.posterior.deviation(some), rel=1e-9)


def test_rank_and_condition_are_those_of_what_is_left():
    rng = RNG(3)
    a = rng.normal(size=(40, 5)) @ rng.normal(size=(5, 8))  # rows see five of eight directions
    blocks = Blocks(None, (Block("F", "x", 4, 1.0, 40, triangle(np.column_stack([a, rng.normal(size=40)]))),))
    c = rng.normal(size=(3, 8))
    with pytest.warns(FitWarning, match="rank 5 of 8"):
        assert fit(blocks, "F").rank == 5
    found = fit(blocks, "F", constraints=[np.column_stack([c, np.ones(3)])])  # the constraints see the other three
    assert (found.rank, found.problem.held) == (8, 3) and found.condition < 1e3
    assert fit(blocks, "F", solver=TruncatedSVD(), constraints=[np.column_stack([c, np.ones(3)])]).rank == 8


@pytest.mark.parametrize(
    ("constraints", "said"),
    [
        (["V0", "F"], "constraint F cannot be met by these 8 functions.*or a weight instead"),
        ([Constraint("one", FIRST, np.ones(1)), "V0", Constraint("two", FIRST, np.zeros(1))], "one and two contradict"),
        ([np.column_stack([np.eye(8), np.ones(8)])], "8 independent conditions on 8 functions"),
        ([np.column_stack([RNG(0).normal(size=(9, 8)), np.ones(9)])], "number 1 cannot be met by these 8 functions"),
        (["E:nowhere"], "no rows to hold"),
        (["C"], "label the cells with C as well"),
        (["X"], "named by a kind of observation, one of E, F"),
        (["FC<1.5"], "subdivide=True"),
        ({"FC": "small"}, "map names to tolerances"),
        ({"FC": -1.0}, "zero or positive"),
        ([np.ones((2, 4))], r"an array \[C \| d\] with 8 \+ 1 columns"),
        ([3.0], "a constraint is a kind"),
    ],
    ids="alone,pair,too many,more than functions,group,not labelled,unknown,range,tolerance,negative,shape,number".split(","),
)  # fmt: skip
def test_bad_constraints_are_one_sentence(constraints, said):
    blocks, _ = made_up()
    with pytest.raises(InputError, match=said) as error:
        fit(blocks, constraints=constraints)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("solver", "said"), [("ridge", "needs a prior under constraints"), ("lsmr", "takes no constraints")])
def test_solvers_that_know_no_constraints_say_so(solver, said):
    with pytest.raises(InputError, match=said):
        fit(made_up()[0], solver=solver, constraints="V0")
    with pytest.raises(InputError, match="evidence"):
        fit(made_up()[0], solver="bayes", prior=1.0, evidence=True, constraints="V0")


# a real basis -----------------------------------------------------------------------------------------------------------------


@cache
def copper(subdivide=True):
    truth = dg.reference.CleriRosato("Cu")
    lattice = dg.equilibrate(dg.fcc("Cu", 3.615), truth)
    cells = dg.training_cells(lattice, dg.vacancy(), 2, rattle=dg.Rattle(2, 0.02), strains=dg.Strains((0.01,), pairs=False))
    basis = dg.ACEBasis(["Cu"], cutoff=5.5, order=2, degree=8)
    return lattice, truth, cells, dg.label(cells, truth, basis, ["E", "F", "FC", "V", "C", "Ef"], subdivide=subdivide)


def test_lattice_constant_elastic_constants_and_formation_energy_are_held():
    """By routes of their own: the stress of the primitive cell, the strained Hessian jets, an energy difference."""
    lattice, truth, cells, blocks = copper()
    found = fit(blocks, prior="smoothness", constraints=["V0", "C", "Ef", "E:bulk"])
    assert found.problem.held == 1 + 3 + 1 + 1  # cubic symmetry leaves one stress and three elastic constants
    primitive = dg.primitive_cell(lattice)
    assert np.abs(dg.evaluate(found.model, primitive).virial).max() < 1e-10
    assert dg.elastic_constant_error(lattice, truth, found.model).max < 1e-9
    assert dg.elastic_constant_error(lattice, truth, fit(blocks, prior="smoothness").model).max > 1e-4
    energies = [dg.evaluate(p, cells[0].cell).energy - 31 * dg.evaluate(p, primitive).energy for p in (truth, found.model)]
    assert energies[1] == pytest.approx(energies[0], abs=1e-9)


def test_force_constants_of_near_neighbours_are_held():
    lattice, truth, _, blocks = copper()
    found = fit(blocks, prior="smoothness", constraints=["FC<1.1"])
    exact, own = (dg.crystal_force_constants(lattice, p) for p in (truth, found.model))
    near = np.isclose(np.linalg.norm(exact.separations, axis=1), lattice.nearest_neighbour, rtol=1e-6)
    place = {tuple(t): k for k, t in enumerate(own.translations.tolist())}
    there = [place[tuple(t)] for t in exact.translations[near].tolist()]
    assert np.abs(own.phi[there] - exact.phi[near]).max() < 1e-9 and near.sum() == 12


@pytest.mark.parametrize("crystal", ["fcc", "diamond", "triangular"])
def test_rows_of_elastic_constants_are_those_of_the_strained_cell(crystal):
    lattice, truth, basis = {
        "fcc": (dg.fcc("Cu", 3.615), dg.reference.CleriRosato("Cu"), dg.ACEBasis(["Cu"], cutoff=5.0, order=2, degree=4)),
        "diamond": (dg.diamond("Si", 5.431), dg.reference.StillingerWeber("Si"), dg.ACEBasis(["Si"], 4.5, order=2, degree=4)),
        "triangular": (dg.triangular("Cu", 2.6), dg.reference.Morse("Cu"), dg.ACEBasis(["Cu"], cutoff=5.0, order=2, degree=4)),
    }[crystal]  # fmt: skip
    lattice = dg.equilibrate(lattice, truth)
    rows = ElasticConstants.of(lattice, dg.crystal_force_constants(lattice, truth))
    kept = range(6) if lattice.dimension == 3 else [0, 1, 5]
    exact = long_wave_elastic_constants(lattice, truth)
    assert rows(truth) == pytest.approx(
        [exact[m, n] for m in kept for n in kept if m <= n], abs=1e-8
    )  # rest stress of equilibrate
    theta = RNG(4).normal(size=basis.size)
    assert rows(basis) @ theta == pytest.approx(rows(dg.LinearACE(basis, theta)), abs=1e-9)


def test_a_formation_energy_is_that_of_a_relaxation_without_steps():
    _, truth, cells, _ = copper()
    rest = FormationEnergy(cells[0])
    unrelaxed = dg.relax(cells[0].cell, truth, tolerance=1e9)
    assert unrelaxed.newton_steps == 0 and rest(truth) == pytest.approx([unrelaxed.energy], abs=1e-9)


def test_rows_of_a_formation_energy_keep_its_digits():
    """They are summed site by site, as the energy of the model is: with totals the rounding is that of the cohesive energy."""
    _, _, cells, blocks = copper()
    basis, theta = blocks.basis, RNG(5).normal(size=blocks.basis.size)
    model = cell_energy(cells[0].cell, dg.LinearACE(basis, theta)).energy_forces(cells[0].positions)[0]
    assert FormationEnergy(cells[0])(basis) @ theta == pytest.approx([model], rel=1e-11)


def test_weights_on_targets_are_taken_and_otherwise_they_are_in_no_set():
    blocks = copper()[3]
    plain, weighed = fit(blocks, prior="smoothness"), fit(blocks, prior="smoothness", weights={"Ef": 1e4, "C": 1e3})
    assert "Ef" not in plain.weights and weighed.weights["Ef"] == {"defect": 1e4}
    assert weighed.rmse["Ef"] < 1e-3 * plain.rmse["Ef"] and weighed.rmse["C"] < 0.1 * plain.rmse["C"]


def test_a_set_with_elastic_constants_holds_them_like_a_constraint():
    """One meaning at every door: E+F+C is E+F with the constraint C, whatever is in the blocks besides."""
    lattice, truth, cells, blocks = copper()
    way = {"prior": "smoothness", "observations": "C+F+E"}
    found = fit(blocks, **way)
    same = fit(blocks, "E+F", prior="smoothness", constraints=["C"])
    assert found.observations == "E+F+C" and np.array_equal(found.coefficients, same.coefficients)
    assert found.problem.held == 3 and [c.name for c in found.constraints] == ["C"] and "C" not in found.weights
    assert dg.elastic_constant_error(lattice, truth, found.model).max < 1e-9
    assert "C    bulk                       21        held" in found.table()
    by_loss = fit(blocks, dg.Loss("E+F+C", prior="smoothness"))
    by_list = dg.refit(blocks, dg.losses(observations=["E+F", "E+F+C"], weights={"E": [1e3, 900.0, 1100.0]}, prior="smoothness"))
    alone = dg.label(cells, truth, blocks.basis, "E+F+C")
    assert alone.kinds == ("E", "F", "V0", "C")
    for other in (by_loss.coefficients, by_list[3].coefficients, fit(alone, **way).coefficients):
        assert other == pytest.approx(found.coefficients, rel=1e-5, abs=1e-7)  # condition 1e6 in normal equations
    assert not np.allclose(by_list[0].coefficients, found.coefficients, rtol=1e-3)
    loose = fit(blocks, **way, constraints={"C": 1.0})
    assert loose.problem.held == 0 and loose.rmse["C"] > 1e-6  # a tolerance that is given takes the place of exactness
    repeated = fit(blocks, **way, constraints=found.constraints)
    assert len(repeated.constraints) == 1


def test_what_cannot_hold_elastic_constants_says_so():
    _, truth, cells, blocks = copper()
    with pytest.raises(InputError, match="holds the elastic constants"):
        fit(blocks, "E+F+C", weights={"C": 2.0})
    with pytest.raises(InputError, match="need C rows, and there are none"):
        fit(made_up()[0], "E+F+C")
    with pytest.raises(InputError, match="together with other observations"):
        dg.label(cells, truth, blocks.basis, "C")
    with pytest.raises(InputError, match="plan is made of labels"):
        dg.plan_training("Cu", "vacancy", target_energy=0.1, observations=["E+F+C"])


def test_constrained_coefficients_beat_any_other_that_meets_the_constraints():
    """A general optimiser (SLSQP) on the same objective finds nothing below."""
    blocks, raw = made_up(columns=4)
    a, y = weighted(raw, WEIGHTS)
    c, d = raw["FC"][0][:1], raw["FC"][1][:1]
    found = fit(blocks, weights=WEIGHTS, constraints=[Constraint("one", c, d)])
    other = minimize(
        lambda t: np.sum((a @ t - y) ** 2), np.zeros(4), method="SLSQP", constraints={"type": "eq", "fun": lambda t: c @ t - d}
    )
    assert found.residual**2 <= other.fun * (1 + 1e-9)
    assert found.coefficients == pytest.approx(other.x, abs=1e-3)
