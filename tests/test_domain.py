"""The domain of applicability of a model: a defect that no bulk cell taught, files, the calculator, the figure, the command."""

import re
import warnings
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from ase.calculators.calculator import PropertyNotImplementedError
from copper_domain import BASIS, RNG, TRUTH, domain, invented, lattice, plain, rattled, trained

import defectgen as dg
from defectgen.cli import main
from defectgen.crystal import Snapshot
from defectgen.energy import DomainWarning, evaluate, outside_sentence
from defectgen.errors.domain import MEASURES, auroc, conformal_quantile
from defectgen.report import domain_figure

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


def test_of_many_structures_those_outside_are_listed(call, saved):
    bulk = dg.supercell(lattice(), 2)
    dg.write_extxyz(saved / "many.extxyz", [*[plain(bulk)] * 30, plain(dg.vacancy().apply(bulk))])
    status, out, _ = call("domain", saved / "model.json", saved / "many.extxyz")
    assert status == 1 and "30 of 31 structures inside" in out and "30 Cu31" in out and "Cu32" not in out


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
