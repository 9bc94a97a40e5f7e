"""Weights as functions of rows, losses of single residuals, and combined energies: each against a route without the package."""

import pickle
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.optimize import linprog, minimize

import defectgen as dg
from defectgen._input import InputError
from defectgen.fit import COMPARATORS, Described, FitWarning, Loss, fit, losses, refit, residual_of
from defectgen.fit.described import above_hull
from defectgen.fit.prior import as_prior
from defectgen.fit.problem import pose
from defectgen.fit.residual_fits import reweighted
from defectgen.fit.weighting import by_configuration, by_distance, by_group, by_kind
from defectgen.training import Blocks
from defectgen.training.subdivide import ENERGY_BIN, FORCE_BINS


@cache
def layer():
    """A vacancy in a triangular layer: truth, cells, basis."""
    truth = dg.reference.Morse("Cu")
    lattice = dg.equilibrate(dg.triangular("Cu", 2.6), truth)
    cells = dg.training_cells(lattice, dg.vacancy(), 4, rattle=dg.Rattle(3, 0.05), strains=dg.Strains((0.01, 0.03), pairs=False))
    cells = [replace(c, columns={"sigma": 0.5 + k, "share": np.linspace(1, 2, len(c.cell))}) for k, c in enumerate(cells)]
    return truth, cells, dg.ACEBasis(["Cu"], cutoff=4.6, order=2, degree=5)


@cache
def blocks(subdivide="rows"):
    truth, cells, basis = layer()
    return dg.label(cells, truth, basis, ["E", "F", "FC", "V"], subdivide=subdivide)


def stacked(loss, rows=None):
    """The coefficients of a loss by NumPy's least squares on all rows, weighted one by one."""
    rows = blocks() if rows is None else rows
    used = loss.resolve(rows)
    parts = []
    for block, late in zip(rows.items, loss.late(rows, used), strict=True):
        m = used.get(block.kind, {}).get(block.group, 0.0) * block.scale * np.broadcast_to(late, len(block.factor))
        parts.append(m[:, None] * block.factor)
    whole = np.concatenate(parts)
    return np.linalg.lstsq(whole[:, :-1], whole[:, -1], rcond=1e-14)[0]


def force_rows():
    return next(b for b in blocks().items if b.kind == "F" and b.group == "defect")


# weights ----------------------------------------------------------------------------------------------------------------------

TEXTS = [
    "by_kind(E=3, F=0.5)",
    "by_group({'defect': 2})",
    "by_size(-0.5)",
    "by_distance(1)",
    "by_range(2)",
    "boltzmann(2000)",
    "energy_window(0.01, 0.1)",
    "relative_force(0.1)",
    "balanced()",
    "energy_based(kappa=0.3)",
    "by_species({'Cu': 2})",
    "by_configuration({2: 0.1})",
    "by_column('sigma', -1)",
    "2 * by_distance(1) * relative_force(0.1)",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_weighted_fit_is_least_squares_on_weighted_rows(text):
    loss = Loss("E+F+FC+V", weight=text)
    found = fit(blocks(), loss)
    assert found.coefficients == pytest.approx(stacked(loss), rel=1e-6, abs=1e-6)
    assert found.held_out is not None
    plain = fit(blocks(), "E+F+FC+V")
    assert abs(found.rmse["F"] / plain.rmse["F"] - 1) > (1e-12 if text in ("by_group({'defect': 2})",) else 0) or "kind" in text


def test_built_in_weights_are_their_formulas():
    """From labels computed anew, not from what blocks keep."""
    truth, cells, _ = layer()
    row = Described(blocks().items)
    number = 3
    found = dg.evaluate(truth, cells[number].cell, cells[number].positions, cells[number].vectors)
    own = (row.kind == "F") & (row.configuration == number)
    size = np.repeat(np.linalg.norm(found.forces[:, :2], axis=1), 2)
    assert row.force[own] == pytest.approx(size, rel=1e-9)
    assert dg.weighting("relative_force(0.2)")(row)[own] == pytest.approx(1 / (1 + size / 0.2))
    every = [dg.evaluate(truth, c.cell, c.positions, c.vectors).energy / len(c.cell) for c in cells]
    above = float(found.energy) / len(cells[number].cell) - min(map(float, every))
    assert above > 1e-4 and row.energy[own] == pytest.approx(above, rel=1e-6)
    assert dg.weighting("boltzmann(500)")(row)[own] == pytest.approx(np.exp(-above / (2 * 8.617333262e-5 * 500)))
    distance = np.repeat(cells[number].cell.distance_to_defect() / cells[number].cell.lattice.nearest_neighbour, 2)
    assert dg.weighting("by_distance(2)")(row)[own] == pytest.approx((1 + distance) ** 2)
    assert dg.weighting("by_column('share', 2)")(row)[own] == pytest.approx(np.repeat(np.linspace(1, 2, 15), 2) ** 2)
    assert set(row.species) == {"Cu"} and np.isnan(row.range[own]).all() and not np.isnan(row.range[row.kind == "FC"]).any()


def test_the_weights_of_pacemaker():
    """w_E = 1/(E + DE)^2 and w_F = w_E/(|F|^2 + DF), each summing to its share, in squares of energies per atom and of forces."""
    row = Described([b for b in blocks().items if b.kind in ("E", "F")])
    m = dg.weighting("energy_based(DE=0.5, DF=0.25, kappa=0.3)")(row)
    e, f = row.kind == "E", row.kind == "F"
    squares = (m[e] * np.sqrt(row.atoms[e])) ** 2  # of energies per atom: rows carry sqrt(N)
    assert squares / squares[0] == pytest.approx(((row.energy[e][0] + 0.5) / (row.energy[e] + 0.5)) ** 2)
    assert squares.sum() / (m[f] ** 2).sum() == pytest.approx(0.7 / (3 * 0.3))
    forces = m[f] ** 2 * (row.force[f] ** 2 + 0.25) * (row.energy[f] + 0.5) ** 2
    assert forces == pytest.approx(forces[0]) and np.mean(m[f] ** 2) == pytest.approx(1)


def test_a_late_weight_of_rows_is_the_early_one():
    truth, cells, basis = layer()
    early = dg.label(cells, truth, basis, ["E", "F", "FC"], force_distance_power=2.0, force_constant_range_power=1.0)
    for loss in (
        Loss("E+F+FC", weight="by_distance(2) * by_range(1)"),
        Loss("E+F+FC", force_distance_power=2.0, force_constant_range_power=1.0),
    ):
        assert fit(blocks(), loss).rmse["F"] == pytest.approx(fit(early, "E+F+FC").rmse["F"], rel=1e-9)
    parts = fit(blocks(True), Loss("E+F+FC", weight="by_distance(2) * by_range(1)"))
    assert parts.rmse["F"] == pytest.approx(fit(early, "E+F+FC").rmse["F"], rel=0.05)  # the width of a shell


def test_bins_are_rows_to_the_width_of_a_bin_and_do_not_grow_with_the_data():
    truth, cells, basis = layer()
    weight = "relative_force(0.1) * boltzmann(3000)"
    one, other = (fit(blocks(kind), Loss("E+F+V", weight=weight)).rmse["F"] for kind in ("rows", "bins"))
    width = np.log(10) / FORCE_BINS / 2 + ENERGY_BIN / (2 * 8.617333262e-5 * 3000)
    assert one != other and abs(one / other - 1) < width
    twice = blocks("bins") + dg.label([c for c in cells if c.role == "defect"], truth, basis, ["E", "F"], subdivide="bins")
    assert len(twice.items) == len(blocks("bins").items) and twice.rows("F") > blocks("bins").rows("F")


@pytest.mark.parametrize("kind", [True, "bins", "rows"])
def test_many_weights_share_a_factorisation(kind):
    grid = losses(observations="E+F+FC+V", weight=[f"by_distance({p}) * by_kind(E={w})" for p in (0, 1, 2) for w in (0.1, 1, 10)])
    if kind != True:  # noqa: E712
        grid += [Loss("E+F+FC+V", weight=f"relative_force({floor})") for floor in (0.05, 0.1, 0.5, 2)]
    found = refit(blocks(kind), grid)
    assert sum(each.shared for each in found) == len(grid)
    for each in found:
        assert each.rmse["F"] == pytest.approx(fit(blocks(kind), each.loss).rmse["F"], rel=1e-6)
    assert len({each.rmse["F"] for each in found}) == len(grid)


def test_rows_survive_a_file_and_a_choice_of_columns(tmp_path):
    blocks().save(tmp_path / "blocks.h5")
    again = Blocks.load(tmp_path / "blocks.h5")
    loss = Loss("E+F", weight="by_column('sigma') * relative_force(0.1)")
    assert fit(again, loss).coefficients == pytest.approx(fit(blocks(), loss).coefficients, rel=1e-12)
    part = blocks().restrict(range(5))
    assert fit(part, loss).coefficients == pytest.approx(stacked(loss, part), rel=1e-8)


def test_kept_rows_with_a_repulsion_are_those_of_triangles():
    truth, cells, basis = layer()
    both = [dg.label(cells, truth, basis, ["E", "F"], subdivide=kind, repulsion="zbl") for kind in (False, "rows")]
    one, other = (fit(b, "E+F", repulsion="zbl") for b in both)
    assert one.rmse["F"] == pytest.approx(other.rmse["F"], rel=1e-8) and one.rmse["F"] != fit(both[0], "E+F").rmse["F"]
    assert other.held_out.forces == pytest.approx(one.held_out.forces, rel=1e-4)  # the condition of the rows, without a prior


def test_a_weight_is_text_a_product_and_a_value():
    one = dg.weighting("by_distance(1)") * dg.weighting("boltzmann(300)")
    assert str(one) == "by_distance(1) * boltzmann(300)" and one == dg.weighting(str(one)) == pickle.loads(pickle.dumps(one))
    assert Loss("E+F", weight=str(one)) == Loss("E+F", weight=one)
    assert "by_distance(1)" in Loss("E+F", weight=one).label
    assert dg.weighting("boltzmann(temperature=300)") == dg.weighting("boltzmann(300)") and one * 2 == 2 * one


@pytest.mark.parametrize(
    "make",
    [
        lambda: by_configuration({k: 0.5 for k in np.arange(2)}),
        lambda: by_group({np.str_("it's"): np.float64(1) / 3}),
        lambda: by_distance(1 / 3) * 1e-7,
        lambda: by_kind(E=np.float64(2) / 3),
    ],
    ids=["whole numbers of NumPy", "text of NumPy", "a third", "a float of NumPy"],
)
def test_a_weight_goes_to_another_process_unchanged(make, unchecked):
    one = make()
    other = pickle.loads(pickle.dumps(one))
    assert other == one == dg.weighting(one.text)
    rows = Described(blocks().items)
    if not one.text.startswith("by_group"):  # these rows have no such group
        assert np.array_equal(one(rows), other(rows))


@pytest.mark.parametrize(
    "text", ["by_distance(**{'power': 3})", "by_kind(E=30, E=2)", f"{10**400} * by_distance(1)"], ids=["stars", "twice", "huge"]
)
def test_a_weight_whose_text_would_be_read_in_part_is_refused(text):
    with pytest.raises(InputError, match=r"each parameter once|finite number"):
        dg.weighting(text)


@pytest.mark.parametrize("threshold", [1e-5, 1 / 3, 2.0, 1e20])
def test_a_residual_loss_is_its_text(threshold):
    one = residual_of(f"huber({threshold!r}, absolute=True)")
    assert one.threshold == threshold and residual_of(str(one)) == one
    assert residual_of("log-cosh(1e-2)") == residual_of("log_cosh(0.01)")
    with pytest.raises(InputError, match="is written like"):
        residual_of("huber(1")


def test_energies_above_the_hull_of_a_binary():
    """Al at 0, Ni at 2, AlNi at 0.4 eV/atom: mixtures of AlNi and Ni cost 0.4 + 2 (0.4 .. 2) at a quarter of Al."""
    energies = np.array([0.0, 0.1, 2.0, 0.4, 1.5, np.nan])
    formulas = ["Al4", "Al8", "Ni2", "Al2 Ni2", "Al1 Ni3", ""]
    assert above_hull(energies, formulas) == pytest.approx([0.0, 0.1, 0.0, 0.0, 1.5 - 1.2, np.nan], nan_ok=True)


@pytest.mark.parametrize(
    ("weight", "kind", "said"),
    [
        (lambda row: row.distance, "rows", "are not finite .rows of E.*np.where"),
        (lambda row: -np.ones(len(row)), "rows", "are negative"),
        (lambda row: np.ones(3), "rows", "gave shape .3,.*whole arrays"),
        (lambda row: "heavy", "rows", "gives numbers"),
        (lambda row: 1e200, "rows", "are larger than 1e.50"),
        (lambda row: 0, "rows", "zero for all"),
        (lambda row: row.temperature, "rows", "reads 'temperature', which the rows do not have"),
        (lambda row: row.forces, "rows", "did you mean 'force'"),
        (lambda row: 1 / 0, "rows", "failed on .* rows .ZeroDivisionError"),
        (lambda: 1, "rows", "failed on"),
        (lambda row: row.force, True, "kept in parts.*rows"),
        (lambda row: row.distance, False, "were not kept apart; label the cells with subdivide=True"),
        (lambda row: row.configuration, "bins", "kept in bins"),
        (lambda row: row.sigma, "bins", "kept in bins"),
        ("by_group({'liquid': 2})", "rows", "'liquid', which has no rows"),
        ("by_column('none')", "rows", "which the rows do not have"),
    ],
)
def test_bad_weight_functions_are_one_sentence(weight, kind, said):
    with pytest.raises(InputError, match=said) as error:
        fit(blocks(kind), Loss("E+F+FC+V", weight=weight))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Loss(weight=3), "a weight is a function of the rows"),
        (lambda: Loss(residual="huber(1e300)"), "positive and at most 1e.50"),
        (lambda: Loss(weight="by_distanc(1)"), "did you mean 'by_distance'"),
        (lambda: Loss(weight="by_distance(1) + 1"), "a product of"),
        (lambda: Loss(weight="3"), "at least one of"),
        (lambda: Loss(weight="boltzmann(-3)"), "positive"),
        (lambda: Loss(weight="boltzmann()"), "cannot be made"),
        (lambda: Loss(weight="by_kind(G=1)"), "got 'G'"),
        (lambda: Loss(weight="__import__('os')"), "built-in weights are"),
        (lambda: Loss(residual="hubert"), "did you mean 'huber'"),
        (lambda: Loss(residual="huber(0)"), "positive"),
        (lambda: Loss(residual="l1(2)"), "no threshold"),
        (lambda: Loss(residual={"G": "huber"}), "got 'G'"),
        (lambda: Loss(residual="huber", robust=1.0), "give one of them"),
        (lambda: dg.label(layer()[1], layer()[0], layer()[2], subdivide="row"), "subdivide is"),
        (lambda: fit(blocks(True), Loss("E+F", residual="huber")), "subdivide='rows'"),
        (lambda: fit(blocks(), Loss("E+F", residual={"FC": "huber"})), "none of these kinds"),
        (lambda: dg.comparator("mac"), "did you mean 'mace'"),
    ],
)
def test_bad_losses_are_one_sentence(make, said):
    with pytest.raises(InputError, match=said) as error:
        make()
    assert "\n" not in str(error.value)


# losses of single residuals ---------------------------------------------------------------------------------------------------


def forces_with_outliers(columns=3):
    """Forty rows of kind F with three outliers, as kept rows; and the rows."""
    rng = np.random.default_rng(4)
    a = rng.normal(size=(40, columns))
    y = a @ np.arange(1.0, columns + 1) + 0.1 * rng.normal(size=40)
    y[:3] += 5.0
    model = force_rows()
    rows = np.column_stack([a, y])
    about = replace(model.about.take(np.zeros(40, dtype=int)), weight=np.ones(40))
    return Blocks(None, (replace(model, factor=rows, plain=None, rows=40, about=about, baseline=None),)), a, y


def rho(form, t):
    """The textbook's, of a form with the threshold c."""
    c, t = form.threshold, np.abs(t)
    return {
        "huber": np.where(t <= c, t**2 / 2, c * t - c**2 / 2),
        "log_cosh": c**2 * np.log(np.cosh(t / c)),
        "tukey": c**2 / 6 * (1 - (1 - np.minimum(t / c, 1) ** 2) ** 3),
    }[form.name]


@pytest.mark.parametrize("text", ["huber(1.345)", "huber(0.2, absolute=True)", "log_cosh(2)", "tukey(4.685)"])
def test_a_residual_loss_is_minimal_by_a_general_optimiser(text):
    rows, a, y = forces_with_outliers()
    form, found = residual_of(text), fit(rows, Loss("F", residual=text))
    least = np.linalg.lstsq(a, y, rcond=None)[0]
    scale = 1.0 if form.absolute else 1.482602218505602 * np.median(np.abs(a @ least - y))

    def objective(theta):
        return np.sum(rho(form, (a @ theta - y) / scale))

    fine = {"xatol": 1e-10, "fatol": 1e-14, "maxiter": 4000}
    other = minimize(objective, found.coefficients + 0.05, method="Nelder-Mead", options=fine)
    assert objective(found.coefficients) <= other.fun * (1 + 1e-9)
    assert found.coefficients == pytest.approx(other.x, abs=1e-5)
    assert np.linalg.norm(found.coefficients - [1, 2, 3]) < 0.3 * np.linalg.norm(least - [1, 2, 3])
    assert 1 < found.details["reweightings"] < 60 and found.details["objective change"] < 1e-10


@pytest.mark.parametrize(
    "shared",
    [{}, {"prior": 1e-4, "constraints": ["V0"]}, {"weight": "by_configuration({2: 0}) * by_distance(1)"}],
    ids=["plain", "prior and constraint", "rows that are out"],
)
def test_residual_losses_share_a_factorisation(shared):
    texts = ["huber(1)", "huber(3)", "huber(0.02, absolute=True)", "log_cosh(1)", "tukey(4)", {"F": "huber", "E": "log_cosh"}]
    grid = [Loss("E+F+FC+V", residual=text, **shared) for text in texts]
    if "weight" not in shared:
        grid += [Loss("E+F+FC+V", {"E": e}, residual="huber", weight="relative_force(0.1)", **shared) for e in (30, 3000)]
    found = refit(blocks(), grid)
    assert sum(each.shared for each in found) == len(grid)
    for each in found:
        alone = fit(blocks(), each.loss)
        for kind, error in alone.rmse.items():
            close = 2e-2 if kind in ("E", "V0") else 2e-5  # of which the objective depends by less than its tolerance
            assert each.rmse[kind] == pytest.approx(error, rel=close, abs=1e-9), (each.loss.label, kind)
    assert len({each.rmse["F"] for each in found}) == len(grid)


def test_a_loss_does_not_depend_on_those_before_it():
    grid = [Loss("E+F", residual=text) for text in ("tukey(3)", "huber(0.3)", "l1", "tukey(6)", "log_cosh(0.5)", "huber(2)")]
    forth, back = refit(blocks(), grid), refit(blocks(), grid[::-1])
    for one, other in zip(forth, list(back)[::-1], strict=True):
        assert one.loss is other.loss and one.rmse["F"] == pytest.approx(other.rmse["F"], rel=1e-4)


def test_l1_is_a_linear_programme():
    rows, a, y = forces_with_outliers()
    n, p = a.shape
    cost = np.concatenate([np.zeros(p), np.ones(n)])
    sides = np.block([[a, -np.eye(n)], [-a, -np.eye(n)]])
    exact = linprog(cost, A_ub=sides, b_ub=np.concatenate([y, -y]), bounds=[(None, None)] * p + [(0, None)] * n).fun
    found = fit(rows, Loss("F", residual="l1"))
    assert exact <= np.abs(a @ found.coefficients - y).sum() < exact * (1 + 1e-3)
    assert np.abs(a @ np.linalg.lstsq(a, y, rcond=None)[0] - y).sum() > exact * 1.1


def test_residual_losses_meet_constraints_priors_and_weights():
    found = fit(blocks(), Loss("E+F+V", residual={"F": "huber(1)"}, constraints=["V0"], prior=1e-4, weight="by_distance(1)"))
    assert found.rmse["V0"] < 1e-9 and found.held_out is None
    same = fit(blocks(), Loss("E+F+V", residual={"F": "huber(1e9)"}, constraints=["V0"], prior=1e-4, weight="by_distance(1)"))
    squares = fit(blocks(), Loss("E+F+V", constraints=["V0"], prior=1e-4, weight="by_distance(1)"))
    assert same.rmse["F"] == pytest.approx(squares.rmse["F"], rel=1e-6) and found.rmse["F"] > squares.rmse["F"] * (1 + 1e-6)
    one = refit(blocks(), [Loss("E+F", residual="squared"), Loss("E+F", residual={"E": "squared", "F": "huber"})])
    assert one[0].rmse["F"] == pytest.approx(fit(blocks(), "E+F").rmse["F"]) and one[1].rmse["F"] > one[0].rmse["F"]


def test_a_reweighting_that_does_not_settle_warns():
    rows = forces_with_outliers()[0]
    problem = pose(rows, np.ones(1), as_prior(None))
    with pytest.warns(FitWarning, match="still changes by .* after 4 steps"):
        reweighted(problem, [rows.items[0].factor], [residual_of("l1")], ["F"], max_steps=1)


def test_the_loss_of_mace_by_a_general_optimiser():
    """Means of Huber's loss over E/N, F and virials per atom, weights 1 : 100 : 1, on a few columns."""
    part = blocks().restrict(range(4))
    found = fit(part, dg.comparator("mace"))
    plain = [(b.kind[0], b.factor if b.plain is None else b.plain) for b in part.items if b.kind != "FC"]
    rows = {kind: np.concatenate([f for k, f in plain if k == kind]) for kind in ("E", "F", "V")}  # V0 is a virial

    def objective(theta):
        total = 0.0
        for kind, weight in (("E", 1.0), ("F", 100.0), ("V", 1.0)):
            r = np.abs(rows[kind][:, :-1] @ theta - rows[kind][:, -1])
            total += weight * np.mean(np.where(r <= 0.01, r**2 / 2, 0.01 * r - 0.01**2 / 2))
        return total

    best = objective(found.coefficients)
    rng = np.random.default_rng(0)
    size = np.maximum(np.linalg.norm(rows["F"][:, :-1], axis=0), 1.0)  # constants have no force
    trials = [objective(found.coefficients + s * rng.normal(size=4) / size) for s in (1e-3, 1e-2, 0.1) for _ in range(50)]
    assert min(trials) > best * (1 - 1e-9) and objective(fit(part, "E+F+V").coefficients) > best * (1 + 1e-6)


def test_comparators_say_where_they_come_from():
    for name, each in COMPARATORS.items():
        assert each.loss.name == name and each.source and each.note
    assert dg.comparator("gap").weights["E"] == pytest.approx(100) and dg.comparator("ace").weights["E"] == 30
    found = refit(blocks(), [each.loss for each in COMPARATORS.values()])
    assert len({f"{each.rmse['F']:.8e}" for each in found}) == len(COMPARATORS)


# combined energies ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [True, "rows"])
def test_energy_differences_do_not_see_the_zero_of_energy(kind):
    truth, cells, _ = layer()
    more = dg.energy_differences(blocks(kind))
    known = [k for k, c in enumerate(cells) if c.role != "strain"]
    energy = {k: float(dg.evaluate(truth, cells[k].cell, cells[k].positions, cells[k].vectors).energy) for k in known}
    atoms = {k: len(cells[k].cell) for k in known}
    lowest = min(energy, key=lambda k: energy[k] / atoms[k])
    expected = sorted(energy[k] - atoms[k] / atoms[lowest] * energy[lowest] for k in known if k != lowest)
    labels = sorted(float(b.factor[0, -1]) for b in more.items if b.group == "differences")
    assert labels == pytest.approx(expected, rel=1e-8)
    up = np.eye(1, more.columns + 1, more.columns)  # one eV/atom on every energy
    items = tuple(replace(b, factor=b.factor + up) if b.kind == "E" else b for b in blocks(kind).items)
    shifted = replace(blocks(kind), items=items)
    again = sorted(float(b.factor[0, -1]) for b in dg.energy_differences(shifted).items if b.group == "differences")
    assert again == pytest.approx(expected, rel=1e-7)
    weighed = fit(more, Loss("F", {"Ef:differences": 1e3}))
    exact = fit(more, "E+F", constraints=["Ef:differences"])
    off = fit(more, "F").rmse_by_group["Ef"]["differences"]
    assert weighed.rmse_by_group["Ef"]["differences"] < 0.1 * off and exact.rmse_by_group["Ef"]["differences"] < 1e-6


def test_a_combination_of_energies():
    rows = dg.combine_energies(blocks(True), {1: 1, 2: -1}, group="reaction")
    energy = {int(b.part): b.factor[0] * b.atoms for b in blocks(True).items if b.kind == "E"}
    made = next(b for b in rows.items if b.group == "reaction")
    assert made.factor[0] == pytest.approx(energy[1] - energy[2]) and made.kind == "Ef"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: dg.energy_differences(blocks(False)), "subdivide=True"),
        (lambda: dg.energy_differences(blocks(True), reference="liquid"), "one of the groups"),
        (lambda: dg.energy_differences(blocks(True), reference=99), "configuration 99 has no energy row"),
        (lambda: dg.energy_differences(dg.energy_differences(blocks(True))), "already"),
        (lambda: dg.combine_energies(blocks(True), {}, "x"), "factors by the number"),
        (lambda: dg.combine_energies(blocks(True), {77: 1}, "x"), "configuration 77"),
        (lambda: dg.combine_energies(blocks(True), {1: "one"}, "x"), "the factor of configuration 1"),
    ],
)
def test_bad_combinations_are_one_sentence(make, said):
    with pytest.raises(InputError, match=said):
        make()


def test_columns_of_a_file_reach_weights(tmp_path):
    cells = layer()[1]
    path = tmp_path / "data.extxyz"
    frame = dg.to_ase(cells[2].cell)
    frame.info.update(REF_energy=-1.0, temperature=300.0)
    frame.arrays["trust"] = np.linspace(0, 1, len(frame))
    frame.write(path)
    data = dg.read_dataset(path, columns=["temperature", "trust"])
    assert data.snapshots[0].columns["temperature"] == 300 and data.snapshots[0].columns["trust"][-1] == 1
    with pytest.raises(InputError, match=r"no frame of data\.extxyz has the column key 'pressure'"):
        dg.read_dataset(path, columns=["pressure"])


@pytest.mark.parametrize("text", ["huber(10, absolute=True)", "l1", "log_cosh(10, absolute=True)", "tukey(10, absolute=True)"])
def test_losses_of_residuals_far_below_the_threshold_have_all_digits(text):
    """Their leading term is a square, and rounding of the threshold does not hide it; L1 has the corner in its place."""
    form = residual_of(text)
    t = np.array([1e-12, 1e-8, 1e-6, 1e-4]) * min(form.threshold, 10.0)
    assert form.value(t) == pytest.approx(t**2 / 2 * form.weight(np.zeros(1)), rel=1e-7, abs=0)
