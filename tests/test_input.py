"""Bad input is one sentence at every door: names nearly right, wrong types, absurd sizes, NaN, and files that were changed."""

import json
import re
from pathlib import Path

import fuzz
import numpy as np
import pytest

import defectgen as dg
from defectgen import _input, study
from defectgen.ace import check_count
from defectgen.energy import above, outside_sentence
from defectgen.errors.domain import conformal_quantile, retention
from defectgen.fit.regularised import minimal
from defectgen.training.diversity import d_optimal, farthest_points, maxvol, nearest_distances

COPPER = dg.fcc("Cu", 3.615)
BASIS = dg.ACEBasis(["Cu"], cutoff=4.0, order=2, degree=4)
RNG = np.random.default_rng


# ---------------------------------------------------------------- sentences
def test_a_message_is_one_line_of_limited_length():
    said = str(dg.InputError("a\nb\x1b[31m " + "x" * 5000 + " end"))
    assert said.startswith("a b?[31m x") and said.endswith("end") and len(said) <= _input.LONGEST and said.isprintable()


@pytest.mark.parametrize(
    ("name", "meant"),
    [("vacncy", "vacancy"), ("Vacancy", "vacancy"), ("vacancy", ""), ("zzz", ""), (5, ""), ("dumbell", "dumbbell")],
)
def test_did_you_mean(name, meant):
    said = _input.did_you_mean(name, ["vacancy", "dumbbell"])
    assert said == (f"; did you mean {meant!r}?" if meant else "")


@pytest.mark.parametrize("kind", [KeyError, RecursionError, MemoryError, UnicodeError, OverflowError, OSError, AttributeError])
def test_whatever_a_parser_raises_is_an_input_error(kind):
    with pytest.raises(dg.InputError, match=r"'x.json' cannot be read as a model"), _input.reading("x.json", "a model"):
        raise kind("why")


def test_whole_and_real_numbers():
    assert [_input.whole(n, "n") for n in (2, 2.0, np.int32(2), np.float64(2), np.array(2))] == [2] * 5
    for wrong in ("2", True, None, 2.5, -1, float("nan"), float("inf"), [2], np.array([2])):
        with pytest.raises(dg.InputError, match=r"n is a whole number from 0 on; got"):
            _input.whole(wrong, "n")
    assert [_input.real(x, "x") for x in (2, 2.5, np.float32(2.5))] == [2.0, 2.5, 2.5]
    for wrong in ("2", True, None, float("nan"), float("inf"), 10**400, [2.0]):
        with pytest.raises(dg.InputError, match="x is a finite number; got"):
            _input.real(wrong, "x")


# ---------------------------------------------------------------- what beginners write
BEGINNERS = {
    "forgotten call": (lambda: dg.vacancy.apply(dg.supercell(COPPER, 2)), r"write dg\.vacancy\(\.\.\.\)\.apply\(cell\)"),
    "function for a defect": (lambda: dg.training_cells(COPPER, dg.vacancy, 2), r"call it, as dg\.vacancy\(\)"),
    "amplitude as a count": (lambda: dg.Rattle(0.05), r"write dg\.Rattle\(amplitude=0\.05\)"),
    "key of a table": (lambda: dg.training_cells(COPPER, None, 2, rattle={"amplitud": 0.1}), "did you mean 'amplitude'"),
    "rattle of text": (lambda: dg.training_cells(COPPER, None, 2, rattle="0.05"), "a table or a number"),
    "kinds in words": (lambda: dg.label([], None, BASIS, ["E", "force"]), "did you mean 'F'"),
    "kinds with commas": (lambda: dg.label([], None, BASIS, "E,F"), r"joined by \+"),
    "defect": (lambda: dg.defect_from_name("vacncy"), "did you mean 'vacancy'"),
    "defect in capitals": (lambda: dg.defect_from_name("Vacancy"), "did you mean 'vacancy'"),
    "void": (lambda: dg.interstitial("octahedrl").apply(dg.supercell(COPPER, 2)), "did you mean 'octahedral'"),
    "symbol": (lambda: dg.fcc("cu", 3.6), "did you mean 'Cu'"),
    "material": (lambda: study.parse('name="x"\n[[cases]]\nmaterial="cu"', Path()), "did you mean 'Cu'"),
    "study": (lambda: study.load("quickstrat"), "did you mean 'quickstart'"),
    "reference": (lambda: dg.reference.reference_from_name("ClerriRosato(Cu)"), "did you mean '?CleriRosato"),
    "metal": (lambda: dg.reference.CleriRosato("cu"), "did you mean 'Cu'"),
    "prior": (lambda: dg.Loss("E", prior="smothness"), "did you mean 'smoothness'"),
    "weight": (lambda: dg.Loss("E", weights={"e": 1.0}), "did you mean 'E'"),
    "setting of a loss": (lambda: dg.losses(weigths=1), r"got 'weigths': weights?\?"),
    "label": (lambda: dg.Snapshot(*_geometry(), labels={"energie": 1.0}), "did you mean 'energy'"),
    "other file": (lambda: dg.load_model("x.npz"), "file of arrays"),
    "no cell": (lambda: dg.evaluate(dg.supercell(COPPER, 2), dg.reference.CleriRosato("Cu")), r"cell of evaluate is a cell"),
    "size of text": (lambda: dg.supercell(COPPER, "2"), "a supercell size"),
    "dense crystal": (
        lambda: dg.equilibrate(dg.fcc("Cu", 0.5), dg.reference.CleriRosato("Cu")),
        "lattice constant is far too small",
    ),
}


def _geometry():
    cell = dg.primitive_cell(COPPER)
    return cell, cell.positions, cell.vectors


@pytest.mark.parametrize("case", BEGINNERS)
def test_beginners_are_answered(case, unchecked):
    call, said = BEGINNERS[case]
    with pytest.raises(dg.InputError, match=said) as caught:
        call()
    assert len(str(caught.value)) < 800


def test_what_is_meant_is_taken(unchecked):
    two = [dg.training_cells(COPPER, dg.vacancy(), 2, rattle=r) for r in (0.05, dg.Rattle(amplitude=0.05))]
    assert all(np.array_equal(a.positions, b.positions) for a, b in zip(*two, strict=True))
    assert dg.Rattle(2.0) == dg.Rattle(2) and dg.Strains([0.01, 0.02]) == dg.Strains((0.01, 0.02))
    assert len(dg.supercell(COPPER, 2.0)) == len(dg.supercell(COPPER, np.int64(2))) == 32


def test_constraints_may_be_an_array():
    """One row [C | d] holds exactly: the one-body energy of the model is then d."""
    held = np.zeros((1, BASIS.size + 1))
    held[0, 0], held[0, -1] = 1.0, -3.5
    cells = dg.training_cells(COPPER, dg.vacancy(), 2, rattle=dg.Rattle(1), strains=dg.Strains((0.01,), pairs=False))
    truth = dg.LinearACE(BASIS, RNG(0).normal(size=BASIS.size))
    blocks = dg.label(cells, truth, BASIS, ["E", "F"])
    for constraints in (held, [held], dg.Constraint("E0", held[:, :-1], held[:, -1])):
        assert dg.fit(blocks, constraints=constraints).coefficients[0] == pytest.approx(-3.5, abs=1e-9)


# ---------------------------------------------------------------- sizes
@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: dg.supercell(COPPER, 10**9), r"about 4e\+27 atoms"),
        (lambda: dg.supercell(COPPER, [[1, 0, 0], [10**6, 1, 0], [0, 0, 1]]), "too skewed"),
        (lambda: dg.ball(COPPER, 1e9), r"about .*e\+26 atoms"),
        (lambda: dg.ACEBasis(["Cu"], 4.0, 3, 1e6, pair_degree=9), r"means about 10\^31\.8 functions"),
        (lambda: dg.ACEBasis(["Cu"], 4.0, 2, 1e300), "functions"),
        (lambda: dg.ACEBasis(["Cu"], 4.0, 2, 5, pair_degree=10**9), r"means 1e\+09 pair functions"),
        (lambda: dg.ACEBasis(["Cu"], 4.0, 2, 5, w_l=1e-12), "functions"),
        (lambda: dg.Rattle(10**9), "whole number from 0 to"),
    ],
)
def test_sizes_are_bounded_before_anything_is_made(call, said, unchecked):
    with pytest.raises(dg.InputError, match=said):
        call()


def test_the_count_of_functions_is_that_of_the_basis_but_for_couplings():
    """Without angular momenta there is one coupling of each product: the count is exact, and with them not above it by much."""
    from defectgen.ace.specification import _count, tables

    for order, degree, w_l in ((2, 9, 100.0), (3, 8, 100.0), (4, 7, 100.0)):
        assert _count(1, order, degree, w_l) == sum(f.order > 1 for f in tables(1, order, degree, w_l, 3).functions)
    assert 0.5 < _count(1, 3, 10, 1.5) / len(tables(1, 3, 10, 1.5, 10).functions) < 2.5
    check_count(3, 3, 12.0, 1.5, 20)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("simulation_size = 4", "simulation_size = 1000000000", r"about 4e\+27 atoms"),
        ("order = 3, degree = 8", "order = 3, degree = 1e6", r"means about 10\^31\.8 functions"),
        ("cutoff = 5.5", "cutoff = 1e9", "less than or equal to 50"),
        ("configurations = 3", "configurations = 1000000000", "less than or equal to 10000"),
        ('name = "small"', 'name = "small"\nx = ' + "[" * 3000 + "]" * 3000, "nested"),
        ('name = "small"', f'name = "{"n" * 300}"', "up to 100 characters"),
    ],
)
def test_a_study_of_absurd_numbers_is_refused(old, new, said):
    with pytest.raises(dg.InputError, match=said):
        study.plan(study.parse(fuzz.STUDY.replace(old, new), Path()))


def test_a_case_is_a_table():
    with pytest.raises(dg.InputError, match=r"case 1 of a study is a table \[\[cases\]\]"):
        study.parse('name = "x"\ncases = [1]', Path())


# ---------------------------------------------------------------- NaN
def test_nan_is_never_inside():
    levels = np.array([0.5, np.nan, 0.7])
    assert above(levels, 1.0).tolist() == [False, True, False] and above(levels[[0, 2]], np.nan).all()
    assert above(np.array([np.inf, 0.0]), np.inf).tolist() == [True, False]
    assert outside_sentence(levels, 1.0, "grade") == "atom 1 is outside the domain (grade nan, threshold 1)"


def test_nan_is_never_smallest_nor_largest():
    score = lambda g: np.nan if g < 0 else (g - 1.0) ** 2  # noqa: E731
    assert minimal(score, np.linspace(-3, 3, 13)) == pytest.approx(np.e, rel=1e-3)
    with pytest.raises(dg.InputError, match="finite score"):
        minimal(lambda g: np.nan, np.linspace(-3, 3, 13))
    bad = RNG(0).normal(size=(8, 3))
    bad[2, 1] = np.nan
    for call in (maxvol, lambda x: farthest_points(x, 2), lambda x: d_optimal(x, 2), nearest_distances):
        with pytest.raises(dg.InputError, match="must be finite; 1 of"):
            call(bad)
    with pytest.raises(dg.InputError, match="must be numbers"):
        retention(bad[:, 1], np.ones(8))
    with pytest.raises(dg.InputError, match="must be numbers"):
        conformal_quantile(bad[:, 1], 0.5)


# ---------------------------------------------------------------- files that were changed
def _changed_digit(text: str, start: int) -> str:
    place = re.search(r"\d", text[start:]).start() + start
    return text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :]


def test_a_changed_digit_of_a_model_is_noticed(tmp_path):
    model = dg.LinearACE(BASIS, RNG(1).normal(size=BASIS.size), {"truth": "none", "rmse": {"E": 0.1}})
    text = model.save(tmp_path / "m.json").read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["m.json"]
    assert np.array_equal(dg.load_model(tmp_path / "m.json").coefficients, model.coefficients)
    (tmp_path / "m.json").write_text(json.dumps(json.loads(text)))  # another layout is the same model
    dg.load_model(tmp_path / "m.json")
    for start in (text.index("cutoff"), text.index("coefficients"), text.index("rmse"), text.index("versions")):
        (tmp_path / "m.json").write_text(_changed_digit(text, start))
        with pytest.raises(dg.InputError, match="was changed after it was written"):
            dg.load_model(tmp_path / "m.json")


def test_models_and_domains_without_a_checksum_are_read_with_a_warning(tmp_path):
    for name, seeds, load in (("m.json", fuzz.models(), dg.load_model), ("d.npz", fuzz.domains(), dg.load_domain)):
        (tmp_path / name).write_bytes(seeds[0])
        with pytest.warns(dg.InputWarning, match="without a checksum"):
            load(tmp_path / name)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_number_that_is_none_in_a_domain_is_refused(tmp_path, value):
    """In a file with a checksum, and in an older one."""
    for seed, said in zip(fuzz.domains(), ("not finite", "was changed"), strict=True):
        (tmp_path / "d.npz").write_bytes(seed)
        arrays = dict(np.load(tmp_path / "d.npz"))
        for name in arrays:
            if arrays[name].dtype.kind == "f" and arrays[name].size:
                changed = arrays[name].copy()
                changed.flat[0] = value
                np.savez(tmp_path / "changed.npz", **{**arrays, name: changed})
                with pytest.raises(dg.InputError, match=said):
                    dg.load_domain(tmp_path / "changed.npz")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [("cutoff", -1.0, "positive"), ("order", 7, "order"), ("degree", 1e6, "functions"), ("species", ["Xx"], "symbol")],
)
def test_numbers_of_an_older_model_are_judged(tmp_path, key, value, said):
    content = json.loads(fuzz.models()[0])
    content["basis"][key] = value
    (tmp_path / "m.json").write_text(json.dumps(content))
    with pytest.warns(dg.InputWarning), pytest.raises(dg.InputError, match=said):
        dg.load_model(tmp_path / "m.json")
