"""`defectgen fit`: the files that it writes, again from its own settings, and what it refuses."""

import csv
import json
import re
import tomllib

import ase.io
import numpy as np
import pytest
from test_data_sets import alloys, with_keys

import defectgen as dg
from defectgen.cli.main import main
from defectgen.study.own_labels import TEMPLATE, LabelledFit, load
from defectgen.study.own_labels.settings import made

SMALL = ["--degree", "3", "--order", "2", "--cutoff", "4.0", "--test", "0.25"]


def run(*arguments) -> int:
    """The exit status of a call."""
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    return stop.value.code


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """EMT alloys of two groups."""
    path = tmp_path_factory.mktemp("data") / "alloys.extxyz"
    frames = [*with_keys(alloys(8), config_type="cold"), *with_keys(alloys(8, 50), config_type="warm")]
    for k, atoms in enumerate(frames):
        atoms.info["trust"] = 1.0 + k % 2
    ase.io.write(path, frames, format="extxyz")
    return path


@pytest.fixture(scope="module")
def fitted(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("fit")
    arguments = [*SMALL, "--weights", "E=20,E:warm=40", "--keys", "weight=trust", "--seed", "3", "--quiet"]
    assert run("fit", data, "--out", out, *arguments) == 0
    return out


def test_all_files_are_written_and_say_one_thing(fitted, data):
    for name in ("model.json", "errors.csv", "fit.toml", "report.html"):
        assert (fitted / name).stat().st_size > 100
    for figure in ("parity", "errors"):
        for suffix in ("svg", "png", "pdf", "csv"):
            assert (fitted / "figures" / f"{figure}.{suffix}").stat().st_size > 100
    with open(fitted / "errors.csv") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["group", "split", "kind", "rows", "rmse", "mae", "max"]
    assert {r["split"] for r in rows} == {"training", "test"} and {r["group"] for r in rows} == {"all", "cold", "warm"}
    model, read = dg.load_model(fitted / "model.json"), dg.read_dataset(data, keys={"weight": "trust"})
    assert model.repulsion is not None and model.provenance["prior_chosen_by"].startswith("error on 2 groups")
    assert model.provenance["weights"]["E"] == {"cold": 20.0, "warm": 40.0}
    split = read.split(0.25, "frame", 3)
    found = dg.label_errors(model, split)
    for split_name, kind in (("training", "F"), ("test", "E"), ("test", "S")):
        (row,) = (r for r in rows if (r["group"], r["split"], r["kind"]) == ("all", split_name, kind))
        assert float(row["rmse"]) == pytest.approx(found.rmse(kind, split_name), rel=1e-9)
    page = (fitted / "report.html").read_text()
    lead = re.search(r'<p class="lead">(.*?)</p>', page)[1]
    assert lead.startswith("On 4 configurations that were not fitted the potential misses energy by ")
    assert "http" not in page.replace("http://www.w3.org", "")


def test_its_settings_give_the_same_fit_again(fitted, tmp_path):
    assert run("fit", fitted / "fit.toml", "--out", tmp_path / "again", "--quiet") == 0
    first, again = (json.loads((at / "model.json").read_text()) for at in (fitted, tmp_path / "again"))
    assert first["coefficients"] == again["coefficients"] and first["repulsion"] == again["repulsion"]
    assert (fitted / "errors.csv").read_text() == (tmp_path / "again" / "errors.csv").read_text()
    assert load(tmp_path / "again" / "fit.toml").basis == load(fitted / "fit.toml").basis


def test_the_written_file_has_every_key_with_its_default(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("init", "fit") == 0
    assert "then: defectgen fit fit.toml" in capsys.readouterr().out
    text = (tmp_path / "fit.toml").read_text()
    assert made(tomllib.loads(text), "it") == made({"data": ["train.extxyz"]}, "it")
    named = set(re.findall(r"^(?:# )?(\w+) = ", text, re.MULTILINE)) | set(re.findall(r"^\[(\w+)\]", text, re.MULTILINE))
    known = set(LabelledFit.model_fields)
    for table in ("basis", "split"):
        known |= set(LabelledFit.model_fields[table].annotation.model_fields)
    assert known <= named, known - named
    uncommented = re.sub(r"^# (\w+ = )", r"\1", TEMPLATE, flags=re.MULTILINE).replace('by = "frame"', 'by = "group"')
    made(tomllib.loads(uncommented), "it")  # every example is valid
    assert run("init", "fit") == 2 and "there already" in capsys.readouterr().err


def test_options_and_output_for_machines(data, tmp_path, capsys):
    out = tmp_path / "fit"
    arguments = ["--test-groups", "warm", "--repulsion", "none", "--prior", "1e-3", "--one-body", "Cu=-0.1,Ag=0.2", "--json"]
    assert run("fit", data, "--out", out, *SMALL[:-2], *arguments) == 0
    said = json.loads(capsys.readouterr().out)
    assert {(r["group"], r["split"]) for r in said["errors"]} == {("cold", "training"), ("warm", "test")}
    model = dg.load_model(out / "model.json")
    assert model.repulsion is None
    np.testing.assert_allclose(np.asarray(model.one_body), [-0.1, 0.2], atol=1e-9)
    settings = load(out / "fit.toml")
    assert settings.split.groups == ("warm",) and settings.prior == 1e-3 and settings.one_body == {"Cu": -0.1, "Ag": 0.2}


def test_weight_functions_and_residual_losses_by_name(data, tmp_path, capsys):
    """The command, its settings file and dg.fit on the same rows give one fit; the weight reads a column of the data."""
    weight, residual = "relative_force(0.5) * by_column('trust', -1)", "F=huber(1.345),E=huber(0.1, absolute=True)"
    arguments = [*SMALL, "--repulsion", "none", "--prior", "1e-3", "--weight", weight, "--residual", residual, "--quiet"]
    assert run("fit", data, "--out", tmp_path / "fit", *arguments) == 0
    page = (tmp_path / "fit" / "report.html").read_text()
    assert "Weights of rows: relative_force(0.5)" in page and "Losses of residuals: F huber(1.345), E huber(0.1" in page
    settings = load(tmp_path / "fit" / "fit.toml")
    assert settings.residual == {"F": "huber(1.345)", "E": "huber(0.1, absolute=True)"} and settings.columns == ("trust",)
    assert run("fit", tmp_path / "fit" / "fit.toml", "--out", tmp_path / "again", "--quiet") == 0
    model, again = (dg.load_model(tmp_path / name / "model.json") for name in ("fit", "again"))
    np.testing.assert_array_equal(model.coefficients, again.coefficients)
    training = dg.read_dataset(data, columns=["trust"]).split(0.25, "frame", 0).training
    rows = dg.label(training, None, model.basis, ["E", "F", "V"], subdivide="rows")
    kinds, weights = {"F": "huber(1.345)", "E": "huber(0.1, absolute=True)"}, {"E": 30.0, "F": 1.0, "V": 1.0}
    by_hand = dg.fit(rows, "E+F+V", weights, 1e-3, weight=lambda row: rows_weight(row), residual=kinds)
    np.testing.assert_allclose(model.coefficients, by_hand.coefficients, rtol=1e-7, atol=1e-9)
    assert dg.fit(rows, "E+F+V", weights, 1e-3).rmse["F"] < by_hand.rmse["F"]  # so they have acted
    assert run("fit", data, "--out", tmp_path / "auto", *SMALL, "--residual", "huber", "--quiet") == 0
    assert dg.load_model(tmp_path / "auto" / "model.json").provenance["prior_chosen_by"].endswith(", by least squares")
    capsys.readouterr()


def rows_weight(row):
    force = np.where(np.isnan(row.force), 0.0, row.force)
    return 1 / (1 + force / 0.5) / np.where(np.isnan(row.trust), 1.0, row.trust)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.xyz"], "there is no file none.xyz"),
        (["none.toml"], "there is no file"),
        ([], "Missing argument"),
        (["{data}", "--weights", "E=x"], "--weights takes numbers"),
        (["{data}", "--weights", "X=1"], "weights are given to the kinds"),
        (["{data}", "--weights", "E"], "like E=30"),
        (["{data}", "--keys", "energi=a"], "did you mean 'energy'"),
        (["{data}", "--prior", "smooth"], "a prior is None"),
        (["{data}", "--repulsion", "zlb"], "repulsion"),
        (["{data}", "--observations", "E+FC"], "force constants are fitted in Python"),
        (["{data}", "--test-groups", "hot"], "no group 'hot'"),
        (["{data}", "--test", "1.5"], "split.test"),
        (["{data}", "--one-body", "isolated", *SMALL], "no isolated atom of Cu or Ag"),
        (["{data}", "--weight", "by_colum('trust')"], "did you mean 'by_column'"),
        (["{data}", "--weight", "by_column('mistrust')"], "has the column key 'mistrust'"),
        (["{data}", "--residual", "hubert"], "did you mean 'huber'"),
        (["{data}", "--residual", "G=huber"], "residual losses are given by the kinds"),
        (["{data}", "--residual", "F=huber(1.345),F=l1"], "--residual has 'F' twice"),
        (["{data}", "--weights", "E=1,E=2"], "--weights has 'E' twice"),
        (["{data}", "fit.toml"], "give data files or one settings file"),
        (["{data}", "--cutoff", "-1"], "basis.cutoff"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_bad_input_is_one_sentence_and_status_2(data, arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("fit", *(str(data) if a == "{data}" else a for a in arguments)) == 2
    told = capsys.readouterr().err
    assert said in told and "Traceback" not in told and not (tmp_path / "fit").exists()


def test_bad_settings_files_are_named(tmp_path, capsys):
    for text, said in [
        ("data = 'a.xyz'\ndegre = 3", "degre: there is no such key"),
        ("data = [", "not valid TOML"),
        ("[basis]\norder = 3", "data is missing"),
        ("data = 'a.xyz'\n[basis]\ndegre = 3", "perhaps degree is meant"),
        ("data = 'a.xyz'\nresidual = 'huber'\nsubdivide = 'bins'", "a residual loss needs every row"),
        ("data = 'a.xyz'\nrepulsion = 'none'\nrepulsion_inner = 1.0", "leave them out"),
    ]:
        (tmp_path / "fit.toml").write_text(text)
        assert run("fit", tmp_path / "fit.toml") == 2
        assert said in capsys.readouterr().err
