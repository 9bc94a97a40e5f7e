"""Losses: late weights are early weights, many solves are one solve each, derivatives are differences; the study of them."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from small_study import carried_out

import defectgen as dg
from defectgen._input import InputError
from defectgen.cli import main
from defectgen.errors.compare import error_gradient
from defectgen.fit import DEFAULT_WEIGHTS, FitWarning, Loss, fit, losses, refit, share, weight_response
from defectgen.study import parse, plan
from defectgen.study.loss.figures import loss_pictures
from defectgen.study.loss.losses import canonical, listed
from defectgen.study.loss.words import loss_findings, loss_tables
from defectgen.training import Block, Blocks, triangle
from defectgen.training.subdivide import SHELL

RNG = np.random.default_rng


@cache
def copper():
    """Lattice, truth, training cells and basis of a copper vacancy at toy size."""
    truth = dg.reference.CleriRosato("Cu")
    lattice = dg.equilibrate(dg.fcc("Cu", 3.615), truth)
    cells = dg.training_cells(lattice, dg.vacancy(), 2, rattle=dg.Rattle(3, 0.02), strains=dg.Strains((0.005, 0.01)))
    return lattice, truth, cells, dg.ACEBasis(["Cu"], cutoff=5.0, order=2, degree=7)


@cache
def in_parts():
    _, truth, cells, basis = copper()
    return dg.label(cells, truth, basis, ["E", "F", "FC", "V", "C", "Ef"], subdivide=True)


def made_up(seed=0, columns=6, noise=0.1, groups=("a", "b")):
    """Noisy rows of several kinds in several groups."""
    rng, theta = RNG(seed), np.arange(1.0, columns + 1)
    items = []
    for kind in ("E", "F", "FC", "V", "V0"):
        for group in groups:
            a = rng.normal(size=(15, columns))
            y = a @ theta + noise * rng.normal(size=15)
            items.append(Block(kind, group, 4, 1.0, 15, triangle(np.column_stack([a, y]))))
    return Blocks(None, tuple(items), "made up")


# rows in parts ----------------------------------------------------------------------------------------------------------------


def test_rows_in_parts_are_the_rows():
    """Without late weights nothing changes: the same fit, and every kind has the same number of rows."""
    _, truth, cells, basis = copper()
    whole = dg.label(cells, truth, basis)
    parts = in_parts()
    assert all(parts.rows(kind) == whole.rows(kind) for kind in whole.kinds)
    one, other = (fit(b, "E+F+FC+V", prior="smoothness") for b in (whole, parts))
    # rounding each column of the rows in its last place, as another order of reduction does, changes it by up to 4e-9
    assert other.rmse["F"] == pytest.approx(one.rmse["F"], rel=1e-8)
    assert other.coefficients == pytest.approx(one.coefficients, rel=1e-4)  # conditioning 1e8 times rounding


@pytest.mark.parametrize("power", [0.5, 2.0])
def test_a_late_power_of_the_range_is_the_early_one(power):
    """Ranges are kept exactly, so the fit is that of rows weighted before they were compressed."""
    _, truth, cells, basis = copper()
    early = dg.label(cells, truth, basis, force_constant_range_power=power)
    one = fit(early, "E+F+FC", prior="smoothness")
    other = fit(in_parts(), Loss("E+F+FC", force_constant_range_power=power, prior="smoothness"))
    assert other.rmse["FC"] == pytest.approx(one.rmse["FC"], rel=1e-7)
    assert abs(one.rmse["FC"] / fit(in_parts(), Loss("E+F+FC", prior="smoothness")).rmse["FC"] - 1) > 1e-2


def test_a_late_power_of_the_distance_is_the_early_one_to_the_width_of_a_shell():
    _, truth, cells, basis = copper()
    early = fit(dg.label(cells, truth, basis, force_distance_power=2.0), "E+F", prior="smoothness")
    late = fit(in_parts(), Loss("E+F", force_distance_power=2.0, prior="smoothness"))
    plain = fit(in_parts(), Loss("E+F", prior="smoothness"))
    ways = [early.rmse["F"] - plain.rmse["F"], late.rmse["F"] - plain.rmse["F"]]
    # (1 + |l|)^2 varies by SHELL / (1 + |l|) about its value in a shell: a quarter at most where atoms are
    assert ways[0] > 0 and ways[1] == pytest.approx(ways[0], rel=SHELL / 2)


def test_strains_are_chosen_late():
    lattice, truth, _, basis = copper()
    some = dg.training_cells(lattice, dg.vacancy(), 2, rattle=dg.Rattle(3, 0.02), strains=dg.Strains((0.01,), pairs=False))
    one = fit(dg.label(some, truth, basis), "E+F+V", prior="smoothness")
    loss = Loss("E+F+V", strains=(0.01,), strain_pairs=False, prior="smoothness")
    assert fit(in_parts(), loss).rmse["F"] == pytest.approx(one.rmse["F"], rel=1e-9)
    with pytest.raises(InputError, match=r"strains of 0\.03 were not labelled"):
        fit(in_parts(), Loss("E+F+V", strains=(0.03,)))


def test_parts_survive_a_file(tmp_path):
    in_parts().save(tmp_path / "blocks.h5")
    again = Blocks.load(tmp_path / "blocks.h5")
    assert [b.key for b in again.items] == [b.key for b in in_parts().items]


def test_powers_need_rows_in_parts():
    _, truth, cells, basis = copper()
    whole = dg.label(cells, truth, basis)
    for setting in ({"force_distance_power": 1}, {"force_constant_range_power": 2}, {"strain_pairs": False}):
        with pytest.raises(InputError, match="subdivide=True"):
            fit(whole, Loss(**setting))
    with pytest.raises(InputError, match="late"):
        dg.label(cells, truth, basis, subdivide=True, force_distance_power=1.0)


# many losses ------------------------------------------------------------------------------------------------------------------


def test_many_losses_are_each_the_fit_of_its_own():
    grid = losses(
        observations=["E+F", "E+F+FC", "E+F+FC+V"],
        weights={"E": [1, 30, 1000], "V0": [10, 1000]},
        force_distance_power=[0, 1],
        prior=["smoothness", "smoothness(1e-4)"],
    )
    found = refit(in_parts(), grid)
    assert len(found) == len(grid) == 72 and sum(each.shared for each in found) > 60
    for number in range(0, len(grid), 7):
        own = fit(in_parts(), grid[number])
        for kind, error in own.rmse.items():
            # a prediction's error is the condition of the Gram matrix (1e8 at most) times rounding, in units of the labels (~1)
            assert found[number].rmse[kind] == pytest.approx(error, rel=1e-4, abs=1e-8)
    assert found.model(0).basis is in_parts().basis
    table = found.table()
    assert len(table) == len(grid) and {"loss", "observations", "weight E", "rmse F", "seconds"} <= set(table.columns)
    assert table["loss"].nunique() == len(grid)


@given(seed=st.integers(0, 500), spread=st.floats(0.0, 3.0))
def test_the_gram_matrix_of_a_shared_factor_is_as_even_as_the_weights(seed, spread):
    """Its eigenvalues lie between the least and the largest square of w / w_0, whatever the condition of the rows."""
    rng = RNG(seed)
    columns = 6
    blocks = [
        np.column_stack([rng.normal(size=(20, columns)) * np.geomspace(1, 1e-6, columns), rng.normal(size=20)]) for _ in "abc"
    ]
    weights = 10.0 ** rng.uniform(-spread, spread, size=3)
    shared = share(blocks, np.ones(3))
    assert shared is not None
    packed = shared.grams @ weights**2
    gram = np.zeros((columns, columns))
    gram[np.triu_indices(columns)] = packed  # lower by columns is upper by rows
    values = np.linalg.eigvalsh(gram + np.triu(gram, 1).T)
    assert np.min(weights**2) * (1 - 1e-9) < values[0] and values[-1] < np.max(weights**2) * (1 + 1e-9)
    whole = np.concatenate([w * b for w, b in zip(weights, blocks, strict=True)])
    oracle = np.linalg.lstsq(whole[:, :-1], whole[:, -1], rcond=None)[0]
    found = shared.solve(weights**2)
    assert found is not None
    miss = whole[:, :-1] @ (found - oracle)
    assert np.linalg.norm(miss) < 1e-9 * np.linalg.norm(whole[:, -1])


def test_weights_too_far_apart_are_fitted_by_themselves():
    rng = RNG(0)
    parts = [np.column_stack([rng.normal(size=(9, 6)), np.ones(9)]) for _ in "ab"]
    parts[0][:, 3:6] = 0.0  # only the second block sees three of the columns
    shared = share(parts, np.ones(2))
    assert shared is not None and shared.solve(np.array([1.0, 1e-3])) is not None
    assert shared.solve(np.array([1.0, 1e-10])) is None
    found = refit(made_up(), [Loss(weights={"E": w}) for w in (1e-12, 1, 1e12)])
    for each in found:
        assert each.coefficients == pytest.approx(fit(made_up(), each.loss).coefficients, rel=1e-6)


def test_rows_that_leave_coefficients_open_are_fitted_with_their_warning():
    rng = RNG(1)
    a = rng.normal(size=(4, 6))
    few = Blocks(None, (Block("F", "x", 4, 1.0, 4, triangle(np.column_stack([a, np.ones(4)]))),))
    with pytest.warns(FitWarning, match="rank 4 of 6"):
        found = refit(few, losses(observations="F", weights={"F": [1, 2, 3]}))
    assert [each.shared for each in found] == [False] * 3 and found[0].rank == 4


def test_constraints_are_shared_too():
    grid = losses(weights={"E": [1, 10, 100, 1000]}, prior="smoothness", constraints=[["V0", "C"], {"FC": 0.003}])
    found = refit(in_parts(), grid)
    for each in found:
        own = fit(in_parts(), each.loss)
        assert each.rmse["F"] == pytest.approx(own.rmse["F"], rel=2e-2 if isinstance(each.loss.constraints, dict) else 1e-5)
        # what is held of FC within its tolerance is chosen once for all losses alike, at their centre
        assert each.rmse["C"] < 1e-9 or each.rmse["FC"] <= 0.003
    assert sum(each.shared for each in found) >= 4


# robust losses ----------------------------------------------------------------------------------------------------------------


def several(outlier, columns=4, blocks=12):
    """Force blocks of 8 rows each; the labels of the first are off by `outlier`."""
    rng, theta = RNG(3), np.arange(1.0, columns + 1)
    items, raw = [], []
    for n in range(blocks):
        a = rng.normal(size=(8, columns))
        y = a @ theta + 0.1 * rng.normal(size=8) + outlier * (n == 0)
        raw.append((a, y))
        items.append(Block("F", "x", 4, 1.0, 8, triangle(np.column_stack([a, y])), part=str(n)))
    return Blocks(None, tuple(items)), raw, theta


def test_a_robust_fit_minimises_hubers_loss():
    """A general optimiser on the objective of the docstring, its scale that of the least-squares fit, finds the same minimum."""
    blocks, raw, _ = several(2.0)
    threshold = 1.345
    found = fit(blocks, Loss("F", robust=threshold)).coefficients

    def sizes(theta):
        return np.array([np.sqrt(np.mean((a @ theta - y) ** 2)) for a, y in raw])

    scale = np.median(sizes(fit(blocks, "F").coefficients))

    def objective(theta):
        t = sizes(theta) / scale
        return np.sum(np.where(t <= threshold, t**2 / 2, threshold * t - threshold**2 / 2))

    other = minimize(objective, found + 0.1, method="BFGS", options={"gtol": 1e-10})
    assert objective(found) <= other.fun * (1 + 1e-12)
    assert found == pytest.approx(other.x, abs=1e-6)  # the optimiser's gradients are differences


def test_an_outlier_pulls_a_robust_fit_less_the_farther_it_is():
    pulls = {}
    for outlier in (0.0, 3.0, 30.0):
        blocks, _, theta = several(outlier)
        pulls[outlier] = [np.linalg.norm(fit(blocks, Loss("F", robust=r)).coefficients - theta) for r in (None, 1.345)]
    assert pulls[30.0][0] > 5 * pulls[3.0][0] > 5 * pulls[0.0][0]
    assert pulls[30.0][1] < 0.2 * pulls[30.0][0] and pulls[0.0][1] == pytest.approx(pulls[0.0][0], abs=0.03)
    assert fit(several(3.0)[0], Loss("F", robust=1e9)).coefficients == pytest.approx(fit(several(3.0)[0], "F").coefficients)


# derivatives ------------------------------------------------------------------------------------------------------------------


def steps(quantity, at, size):
    """Central differences of quantity(log weight) at several steps, and their smallest distance from the derivative."""
    return [(quantity(at, h) - quantity(at, -h)) / (2 * h) for h in size]


@pytest.mark.parametrize("constraints", [(), ("V0:a",)], ids=["free", "constrained"])
@pytest.mark.parametrize("knob", ["E", "FC", "F:b", "prior"])
def test_response_of_a_fit_is_the_limit_of_its_differences(knob, constraints):
    blocks = made_up(columns=24)
    base = {"E": 30.0, "V0": 100.0, "FC": 1.0, "F:b": 1.0}

    def at(change):
        weights = base | ({knob: base[knob] * np.exp(change)} if knob in base else {})
        prior = 0.3 * np.exp(change if knob == "prior" else 0.0)
        return fit(blocks, weights=weights, prior=prior, constraints=list(constraints))

    answer = weight_response(at(0.0))
    place = answer.names.index(knob)
    sizes = np.array([1e-1, 1e-2, 1e-3, 1e-4])
    gaps = []
    for h in sizes:
        up, down = at(h), at(-h)
        exact = answer.coefficients[:, place]
        gaps.append(np.linalg.norm((up.coefficients - down.coefficients) / (2 * h) - exact) / np.linalg.norm(exact))
    assert np.log(gaps[0] / gaps[1]) / np.log(10) == pytest.approx(2, abs=0.2) and min(gaps) < 1e-3 * max(gaps)
    up, down = at(1e-4), at(-1e-4)
    for kind, slopes in answer.rmse.items():
        assert slopes[place] == pytest.approx(np.log(up.rmse[kind] / down.rmse[kind]) / 2e-4, abs=1e-6)


def test_response_to_a_power_of_the_distance():
    def at(power):
        return fit(in_parts(), Loss("E+F+FC", force_distance_power=power, force_constant_range_power=power, prior="smoothness"))

    answer = weight_response(at(0.5))
    both = answer.rmse["F"][[n for n, name in enumerate(answer.names) if "power" in name]]
    assert len(both) == 2 and abs(both).min() > 1e-3
    difference = np.log(at(0.501).rmse["F"] / at(0.499).rmse["F"]) / 2e-3
    assert both.sum() == pytest.approx(difference, rel=1e-4)


def test_gradients_of_the_defect_errors_are_the_limits_of_their_differences():
    """Both errors of the relaxed vacancy against the weight of the forces, relaxed anew at every step."""
    lattice, truth, _, _ = copper()
    cell = dg.vacancy().apply(dg.supercell(lattice, 3))
    exact = dg.relax(cell, truth)

    def at(change):
        fitted = fit(in_parts(), Loss(prior="smoothness", weights={"F": float(np.exp(change))}))
        return fitted, dg.relax(cell, fitted.model, start=exact, eigenvalue=False)

    fitted, there = at(0.0)
    gradient = error_gradient(exact, there, fitted.model)
    answer = weight_response(fitted)
    error = dg.compare(exact, there)
    for name in ("geometry", "energy"):
        slope = answer.of(getattr(gradient, name))[answer.names.index("F")] / getattr(error, name)
        gaps = []
        for h in (0.3, 0.03, 0.003):
            up, down = (getattr(dg.compare(exact, at(s * h)[1]), name) for s in (1, -1))
            gaps.append(abs(np.log(up / down) / (2 * h) - slope))
        assert abs(slope) > 1e-2 and min(gaps) < 1e-3 * max(gaps) + 1e-6 * abs(slope)
    with pytest.raises(InputError, match="converged"):
        error_gradient(exact, dg.relax(cell, fitted.model, max_newton=0, eigenvalue=False), fitted.model)


# bad input --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: losses(weights={"E": []}), "at least one value of weights.E; got an empty list"),
        (lambda: losses(observations=[]), "at least one value of observations"),
        (lambda: losses(weight={"E": 1}), "a weight is a function of the rows.*in weights="),
        (lambda: losses(weights=[1, 2]), "weights map kinds"),
        (lambda: losses(weights={"X": 1}), "got 'X'"),
        (lambda: Loss("E+G"), "'G' is none of them"),
        (lambda: Loss(robust=-1), "positive number"),
        (lambda: Loss(strains=()), "at least one"),
        (lambda: Loss(force_distance_power=float("nan")), "is a number"),
        (lambda: Loss(constraints=["Y"]), "named by a kind"),
        (lambda: refit(made_up(), []), "got nothing"),
        (lambda: fit(made_up(), Loss(), weights={"E": 1}), "a Loss contains all settings"),
    ],
    ids="no weights,no sets,misspelt,list,kind,set,robust,strains,power,constraint,no losses,two".split(","),
)
def test_bad_losses_are_one_sentence(make, said):
    with pytest.raises(InputError, match=said) as error:
        make()
    assert "\n" not in str(error.value)


def test_a_weight_without_rows_warns_in_python():
    with pytest.warns(FitWarning, match="no rows to act on"):
        fit(made_up(), Loss(weights={"FC:core": 2.0}))


# the study --------------------------------------------------------------------------------------------------------------------

STUDY = """
name = "losses"
observations = ["E+F", "E+F+FC+V"]
[[cases]]
material = "triangular"
defect = "vacancy"
simulation_size = 12
basis = { cutoff = 5.0, order = 2, degree = 4 }
[training]
configurations = 2
rattle = 0.02
[fit]
prior = "smoothness"
weights = { E = 30.0, V0 = 100.0 }
[loss]
size = 5
[[loss.grids]]
weights = { E = [30, 1000], FC = 2 }
force_distance_power = [0, 1]
[[loss.grids]]
name = "held"
observations = "E+F+FC+V"
constraints = ["V0", "C"]
"""


def test_a_study_of_losses_measures_each_once(tmp_path):
    found, outcome = carried_out(STUDY, tmp_path)
    rows = found.others["losses"]
    names = [row["loss"] for row in rows]
    assert names[:2] == ["E+F", "E+F+FC+V"] and names[-1] == "held"
    assert len(set(names)) == len(names) == 2 + 3 + 4 + 1  # E+F has no FC to weigh, so its grid repeats the design
    default = next(row for row in rows if row["default"])
    assert default["loss"] == "E+F+FC+V" and default["geometry_ratio"] == default["energy_ratio"] == 1.0
    held = rows[-1]
    assert held["rmse_elastic_constants"] < 1e-8 < default["rmse_elastic_constants"] and held["constraints"] == "V0 C"
    front = [row for row in rows if row["pareto"]]
    trusted = [row for row in rows if row["converged"] and row["same_basin"]]
    errors = ("geometry_error", "energy_error", "rmse_forces")
    for row in trusted:  # the definition: whoever is not on the front is beaten by someone who is
        beaten = any(all(other[e] <= row[e] for e in errors) and any(other[e] < row[e] for e in errors) for other in trusted)
        assert beaten != row["pareto"]
    assert front and {row["study"] for row in found.results} == {f"loss: {name}" for name in names} and not found.rates
    slopes = found.others["loss_sensitivity"]
    assert {row["observations"] for row in slopes} == {"E+F", "E+F+FC+V"}
    assert {row["quantity"] for row in slopes} >= {"geometry_error", "energy_error", "rmse_forces", "rmse_elastic_constants"}
    tables = {name: pd.DataFrame(lines) for name, lines in found.others.items()}
    sentences = list(loss_findings(tables["losses"], tables["loss_sensitivity"]))
    assert "smallest geometry error" in sentences[0] and "default" in sentences[0] and len(sentences) >= 4
    pictures = list(loss_pictures(tables["losses"], tables["loss_sensitivity"]))
    assert [p.name for p in pictures] == ["loss-triangular-vacancy", "loss-sensitivity-triangular-vacancy"]
    assert len(loss_tables(tables["losses"])[0][1].rows) >= 1
    labels = [task.label for task, _ in outcome]
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("FC = 2 }", '"FC:defect-core" = 2 }'), "the weight of FC:defect-core has no rows to act on in triangular"),
        (("FC = 2 }", "FC = [] }"), "at least one value of weights.FC"),
        (("force_distance_power = [0, 1]", "distance_power = [0, 1]"), "got 'distance_power': force_distance_power"),
        (('name = "held"\nobservations = "E+F+FC+V"\nconstraints = ["V0", "C"]', ""), "grid 2 is empty"),
        (('observations = "E+F+FC+V"', ""), "a name belongs to one loss"),
        (('constraints = ["V0", "C"]', 'constraints = ["V0", "D"]'), "got 'D'"),
        (('constraints = ["V0", "C"]', "strains = [0.5]"), "strains of 0.5 are not among training.virial_strains"),
        (("rattle = 0.02", "force_distance_power = 1.0"), "take the powers out of"),
        (("size = 5", ""), "loss.size is missing"),
        (("[[loss.grids]]", "[[loss.grid]]"), "perhaps grids is meant"),
    ],
    ids="group,no values,unknown key,empty grid,name,constraint,strain,power,size,misspelt".split(","),
)
def test_bad_loss_studies_are_one_sentence_and_status_two(change, said, tmp_path, capsys):
    text = STUDY.replace(*change)
    with pytest.raises(InputError, match=said):
        plan(parse(text, tmp_path))
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises(SystemExit) as stop:
        main(["run", str(tmp_path / "study.toml"), "--out", str(tmp_path / "out"), "--dry-run"])
    err = capsys.readouterr().err
    assert stop.value.code == 2 and "Traceback" not in err


def test_the_embedded_study_has_many_losses():
    from defectgen.study import load

    spec = load("loss")
    assert len(listed(spec)) >= 60 and plan(spec)


def test_weights_as_functions_and_residual_losses_are_grids_too(tmp_path):
    """They are kept by name in the plan, in the tables, and in the file that is written back."""
    text = STUDY
    for old, new in (
        ("weights = { E = [30, 1000], FC = 2 }\nforce_distance_power = [0, 1]", 'weight = ["by_distance(1)", "by_kind(E=3)"]'),
        ('constraints = ["V0", "C"]', 'residual = { F = "huber(1.345)" }'),
        ("size = 5", 'size = 5\nsubdivide = "rows"'),
    ):
        assert old in text
        text = text.replace(old, new)
    found, _ = carried_out(text, tmp_path)
    rows = {row["loss"]: row for row in found.others["losses"]}
    assert rows["E+F, weight by_distance(1)"]["weight"] == "by_distance(1)" and rows["held"]["residual"] == "F huber(1.345)"
    assert len({row["rmse_forces"] for row in rows.values() if row["observations"] == "E+F"}) == 3
    with pytest.raises(InputError, match="needs every row; give subdivide = 'rows'"):
        plan(parse(text.replace('subdivide = "rows"', ""), tmp_path))


def test_settings_that_act_on_nothing_are_dropped():
    assert canonical(
        Loss("E+F", {"FC": 3.0, "E": DEFAULT_WEIGHTS["E"]}, strain_pairs=False, force_constant_range_power=2.0)
    ) == Loss("E+F")
    assert canonical(Loss("E+F+FC", {"FC": 3.0}, force_constant_range_power=2.0)).settings.keys() == {
        "observations",
        "weights",
        "force_constant_range_power",
    }
