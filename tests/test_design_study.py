"""Data designed in a study: the pool, choices from it within a budget, their table, and what the page says of them."""

from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from defectgen._input import InputError
from defectgen.campaign import Given, execute, in_order
from defectgen.cli.designing import names_of
from defectgen.crystal import fcc, zincblende
from defectgen.errors import choose_data
from defectgen.errors.design import Misfit
from defectgen.errors.design.data import FLOOR
from defectgen.study import dump, parse
from defectgen.study.design import data
from defectgen.study.design.choice import RANDOM, USUAL
from defectgen.study.design.figures import design_data_pictures
from defectgen.study.design.one_defect import _others
from defectgen.study.design.one_defect_data import check
from defectgen.study.design.pool import CONSTANTS, CRYSTAL, DEFECT, STRAIN, STRAINED
from defectgen.study.design.settings import Design
from defectgen.study.design.words import design_data_findings

TOY = """
name = "toy"
observations = ["E+F+FC+V"]
[[cases]]
material = "triangular"
defect = "divacancy"
simulation_size = 9
basis = { cutoff = 3.6, order = 2, degree = 5 }
[training]
configurations = 1
virial_strains = [0.01]
[design]
size = 4
[design.data]
sizes = [3, 4]
crystal_sizes = [3]
copies = 3
budgets = [1.0, 2.0]
seeds = 3
[bounds]
cell_size = false
choices = false
"""


@lru_cache(maxsize=1)
def toy():
    """Tables, and the records of the pool and of the choices, of a divacancy in a plane."""
    spec, records = parse(TOY, Path(".")), {}
    assert parse(dump(spec), Path(".")) == spec
    asked = spec.asked(Design)
    trials = list(data.choice_trials(spec, asked))
    for task in in_order(trials):
        records[task.key] = execute(task, records)
        assert records[task.key].ok, records[task.key].failed
    given, choosing, exact = Given(records), trials[0].choosing, trials[0].exact
    pool, cell = given[choosing.pool], exact.cell(given)
    offer = pool.offer(choosing.basis, choosing.pool.full, choosing.fitting, cell)
    promise = data.promise_of(choosing.fitting, cell, offer)
    start = {"spread": promise.spreads([]), "expected": promise.errors([])}
    chosen = [asdict(choice) for choice in given[choosing].choices]
    return data.choice_tables(trials, given), pool, SimpleNamespace(choices=chosen, offer=offer, promise=promise, start=start)


def test_choices_keep_to_their_budget_and_take_nothing_twice():
    _, pool, choices = toy()
    costs = np.array([c.cost for c in pool.candidates]) / pool.unit
    for one in choices.choices:
        assert len(set(one["numbers"])) == len(one["numbers"])
        assert one["cost"] == pytest.approx(costs[list(one["numbers"])].sum())
        assert one["cost"] <= one["budget"] * (1 + 1e-9)
        if one["choice"] not in (USUAL, *(f"{RANDOM} {s}" for s in range(3))):
            rest = [k for k in range(len(costs)) if k not in one["numbers"]]
            assert one["choice"] == "M" or min(costs[rest]) > one["budget"] - one["cost"]


def test_the_pool_holds_every_kind_that_a_plane_has():
    _, pool, _ = toy()
    counts = pd.Series([c.kind for c in pool.candidates]).value_counts()
    assert dict(counts) == {DEFECT: 6, STRAINED: 6, CRYSTAL: 3, STRAIN: 6, CONSTANTS: 1}  # a plane has no slabs


def test_g_and_m_promise_most_by_their_own_measure_and_a_larger_budget_more():
    _, _, choices = toy()
    for name, measure in (("G", "spread"), ("M", "expected")):
        values = {(c["choice"], c["budget"]): (c[f"geometry_{measure}"], c[f"energy_{measure}"]) for c in choices.choices}
        start = np.array([choices.start[measure]])
        total = {key: float(np.sum((np.array(value) / start) ** 2)) for key, value in values.items()}
        for budget in (1.0, 2.0):
            others = [value for (other, b), value in total.items() if b == budget and other != name]
            assert total[name, budget] <= min(others) * (1 + 1e-9)
            assert max(others) > 1.05 * total[name, budget]  # or nothing would have been chosen
        assert total[name, 2.0] <= total[name, 1.0] < 2  # M may have no use for more
        assert name == "M" or total[name, 2.0] < 0.95 * total[name, 1.0]


def test_a_promise_is_the_spread_of_what_the_chosen_rows_leave_open():
    """By a singular value decomposition of all rows instead of their triangle, for the choice of D."""
    _, _, choices = toy()
    offer, promise = choices.offer, choices.promise
    own, one = offer.own, next(c for c in choices.choices if c["choice"] == "D")
    stacked = np.concatenate([offer.known[:, own], np.diag(offer.gamma), *(offer.rows[k][:, own] for k in one["numbers"])])
    size = np.linalg.norm(stacked, axis=0)
    _, s, v = np.linalg.svd(stacked / size, full_matrices=False)
    found = [np.linalg.norm(rows[:, own] / size @ v.T / s) for rows in promise.targets]
    # two factorisations of columns of unit norm, rounding of 1e-16 times a condition below 1e9
    np.testing.assert_allclose((one["geometry_spread"], one["energy_spread"]), found, rtol=1e-6)


def test_expected_errors_are_those_of_fits_to_labels_of_random_richer_models():
    """The mean square over draws of the richer coefficients, each fitted anew by least squares: no matrix of the formula."""
    _, _, choices = toy()
    offer, promise = choices.offer, choices.promise
    own, one = offer.own, next(c for c in choices.choices if c["choice"] == "G")
    rows = np.concatenate([offer.known, *(offer.rows[k] for k in one["numbers"])])
    mean, root = promise.moment[:, 0], promise.moment[:, 1:]
    draws = mean + np.random.default_rng(0).normal(size=(400, root.shape[1])) @ root.T
    pool = np.linalg.norm(np.concatenate([offer.known, *offer.rows])[:, own], axis=0)
    stacked = np.concatenate([rows[:, own], np.diag(np.hypot(offer.gamma, FLOOR * pool))])
    size = np.linalg.norm(stacked, axis=0)
    labels = np.concatenate([rows @ draws.T, np.zeros((len(own), 400))])
    error = draws.T.copy()
    error[own] -= np.linalg.lstsq(stacked / size, labels, rcond=None)[0] / size[:, None]
    found = [np.sqrt(np.mean(np.sum((target @ error) ** 2, axis=0))) for target in promise.targets]
    # the scatter of a mean of 400 squares, the largest of them of one direction: sqrt(2 / 400) / 2, times four
    np.testing.assert_allclose((one["geometry_expected"], one["energy_expected"]), found, rtol=0.15)
    assert len(mean) > len(own)


def test_misfit_refuses_data_that_do_harm():
    """One constant is fitted to labels that are a line, and the quantity is its value at 0: no point far away is taken."""
    rows = [np.array([[1.0, x]]) for x in (0.1, -0.1, 5.0)]
    nothing, value_at_0 = np.zeros((0, 2)), [np.array([[1.0, 0.0]])]
    misfit = Misfit.of(rows, nothing, np.array([0]), np.array([0.1]), np.eye(2), value_at_0)
    found = misfit.choose(np.ones(3), 3)
    assert set(found.chosen) == {0, 1}
    assert set(choose_data([np.array([[1.0]])] * 3, np.ones(3), 3, np.array([[1.0]])).chosen) == {0, 1, 2}


def test_the_table_compares_with_the_median_random_choice():
    found, _, _ = toy()
    table = pd.DataFrame(found.others[data.NAME])
    assert set(table["choice"]) == {"G", "A", "D", "M", USUAL, RANDOM} and len(table) == 2 * (4 + 1 + 3)
    for _, rows in table.groupby("budget"):
        own = rows[rows["choice"] == RANDOM]
        assert own["trusted"].all()
        assert own["geometry_error_ratio"].median() == pytest.approx(1.0)
        chosen = rows[rows["choice"] == "G"].iloc[0]
        assert chosen["geometry_error_ratio"] == pytest.approx(chosen["geometry_error"] / own["geometry_error"].median())
        kinds = [kind.replace(" ", "_") for kind in (DEFECT, STRAINED, CRYSTAL, STRAIN, CONSTANTS)]
        assert (rows[kinds].sum(axis=1) == rows["configurations"]).all()


def test_the_page_shows_every_choice_and_says_how_often_it_is_worse():
    found, _, _ = toy()
    table = pd.DataFrame(found.others[data.NAME])
    (picture,) = design_data_pictures(table)
    assert [len(axes.get_yticks()) for axes in picture.figure.axes] == [2, 2]
    sentences = list(design_data_findings(table))
    assert any(s.startswith("Data chosen by G, on the defect they were chosen for: geometry error") for s in sentences)
    worse = int((table[table["choice"] == "D"]["energy_error_ratio"] > 1).sum())
    assert next(s for s in sentences if s.startswith("Data chosen by D")).endswith(f"larger in {worse} of 2.")
    lost = table.assign(
        trusted=table["choice"] != "G", geometry_error_ratio=table["geometry_error_ratio"].where(table["choice"] != "G")
    )
    assert any("2 of 2 lost the defect" in s for s in design_data_findings(lost))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("budgets = [1.0, 2.0]", "budgets = [0.0]"), "budgets"),
        (("copies = 3", 'criteria = ["E"]'), "criteria"),
        (("copies = 3", 'prior = "rough"'), "a prior is None"),
        (("sizes = [3, 4]", "sizes = []"), "sizes"),
    ],
    ids=["budget", "criterion", "prior", "sizes"],
)
def test_a_table_that_makes_no_sense_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(InputError, match=sentence):
        parse(TOY.replace(*change), Path("."))


def test_the_command_refuses_before_it_computes():
    with pytest.raises(InputError, match="criteria G, A, D, M; got 'E'"):
        check("E", 1.0)
    with pytest.raises(InputError, match="positive number of calculations of the training cell; got 0"):
        check("G", 0.0)


def test_the_command_always_measures_harm_to_other_defects():
    copper, compound = fcc("Cu", 3.6), zincblende(("Ga", "N"), 4.5)
    assert _others("dumbbell(100)", copper, None) == ("vacancy", "divacancy")
    assert _others("divacancy", copper, None) == ("vacancy",)
    assert _others("vacancy(Ga)", compound, None) == ("vacancy(N)", "divacancy")
    assert names_of("vacancy, divacancy(2,Ga)") == ["vacancy", "divacancy(2,Ga)"] and names_of(None) is None
    for given, said in (
        (["vacancy"], "cannot stop it"),
        ([], "at least one other defect"),
        (["vacansy"], "did you mean 'vacancy'"),
    ):
        with pytest.raises(InputError, match=said):
            _others("vacancy", copper, given)
