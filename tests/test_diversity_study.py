"""Studies of diversity: who trains and who tests, what a plan asks, and a whole study at toy size."""

import re
from dataclasses import dataclass, replace
from typing import ClassVar

import ase.io
import numpy as np
import pytest
import toy_diversity
from ase import Atoms
from packages import installed, run_without
from small_study import carried_out

import defectgen as dg
from defectgen import study
from defectgen._input import InputError
from defectgen.campaign import Given, Step, Store, from_record, provenance, to_record
from defectgen.cli import main
from defectgen.dataset import Dataset
from defectgen.fit import CONVENTION
from defectgen.report import write
from defectgen.study import FitSettings
from defectgen.study.diversity import domain, sources, steps
from defectgen.study.diversity.pool import PackedPool, Pool
from defectgen.study.diversity.rows import UsedRows
from defectgen.study.diversity.settings import DiversityBasis
from defectgen.study.diversity.split import (
    CONFORMATIONAL,
    IN_DISTRIBUTION,
    OWN,
    Split,
    division,
    ordered,
    structure_points,
    structures_of,
    used,
)
from defectgen.study.diversity.split import tests_of as examined
from defectgen.training import dataset_rows
from defectgen.training.diversity import dataset_diversity

TOY = """
name = "toy"
observations = ["E+F"]
[fit]
prior = "smoothness(0.01, 2)"
[diversity]
source = "toy"
budgets = [6, 12]
ratio = 3.0
seeds = 2
reserve = 2
structural = 0.1
scaffold = 0.2
size = 0.1
selections = ["random", "farthest"]
baseline = false
[diversity.fixed_set]
structures = [2]
conformations = [1, 3]
[diversity.basis]
cutoff = 3.0
order = 2
degree = 3
pair_degree = 4
"""
SPLIT = Split(reserve=2, configurations=6, structural=0.1, scaffold=0.2, size=0.1)


@pytest.fixture(autouse=True, scope="module")
def toy_source(tmp_path_factory):
    """An installed package registers the source."""
    folder = installed(tmp_path_factory.mktemp("site"), "toy-source", defectgen__sources={"toy": "toy_diversity:Toy"})
    with pytest.MonkeyPatch.context() as path:
        path.syspath_prepend(str(folder))
        for found in (sources.sources, provenance._plugins):
            found.cache_clear()
        yield
    for found in (sources.sources, provenance._plugins):
        found.cache_clear()


def changed(*replacements: tuple[str, str]) -> str:
    text = TOY
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    return text


# who trains and who tests ------------------------------------------------------------------------------------------------


def test_a_pool_is_the_same_after_it_was_kept():
    pool = toy_diversity.made(8)
    again = kept(pool)
    for name in ("families", "law", "offsets", "wider", "apart", "skipped", "sizes"):
        assert getattr(again, name) == getattr(pool, name)
    for a, b in zip(pool.dataset.configurations, again.dataset.configurations, strict=True):
        assert (a.structure, a.law, a.conformation, a.symbols, a.energy) == (
            b.structure,
            b.law,
            b.conformation,
            b.symbols,
            b.energy,
        )
        assert np.array_equal(a.positions, b.positions) and np.array_equal(a.forces, b.forces) and b.vectors is None
    crystal = replace(pool.dataset.configurations[0], vectors=9 * np.eye(3), periodic=(True, True, False))
    boxed = kept(replace(pool, dataset=Dataset((crystal,)), virials=np.ones((1, 3, 3))))
    assert np.array_equal(boxed.dataset.configurations[0].vectors, 9 * np.eye(3))
    assert boxed.dataset.configurations[0].periodic == (True, True, False)
    assert np.array_equal(boxed.virials, np.ones((1, 3, 3))) and again.virials is None
    bare = replace(pool.dataset.configurations[0], forces=None)
    with pytest.raises(InputError, match="needs energies and forces of every configuration, and 'CH4' has no"):
        PackedPool.of(replace(pool, dataset=Dataset((bare,))))


def kept(pool: Pool) -> Pool:
    """A pool as the result of a step, from its record."""
    return from_record(PackedPool, to_record(PackedPool.of(pool))).unpack()


@pytest.mark.parametrize("seed", [0, 1])
def test_all_splits_of_a_budget_meet_the_same_tests(seed):
    pool = toy_diversity.made(8)
    parts = division(pool, SPLIT, seed)
    found = []
    for structures, conformations in ((3, 4), (6, 2), (12, 1)):
        chosen = parts.design(structures, conformations)
        seen = structures_of(pool, chosen)
        sets = examined(pool, parts, seen, 3, 2)
        own = sets.pop(OWN)
        assert set(structures_of(pool, own)) == set(seen) and not set(own) & set(chosen)
        found.append({name: numbers.tolist() for name, numbers in sets.items()})
    assert found[0] == found[1] == found[2] and len(found[0][CONFORMATIONAL]) == 6
    assert {IN_DISTRIBUTION, CONFORMATIONAL, "conformational, wide", "structural", "scaffold", "size", "benzene"} == set(found[0])
    parts = division(pool, SPLIT, seed + 1)
    other = examined(pool, parts, structures_of(pool, parts.design(12, 1)), 3, 2)
    assert any(found[0][name] != other[name].tolist() for name in (IN_DISTRIBUTION, "structural"))


@pytest.mark.parametrize("order", [None, "reversed"])
def test_no_structure_of_a_structural_test_is_in_any_design(order):
    pool = toy_diversity.made(8)
    names = list(division(pool, SPLIT, 0).pool)
    parts = division(pool, SPLIT, 0, None if order is None else names[::-1])
    chosen = parts.design(12, 1)
    seen = set(structures_of(pool, chosen))
    sets = examined(pool, parts, sorted(seen), 3, 2)
    for name in ("structural", "scaffold", "size", "benzene"):
        assert not seen & set(structures_of(pool, sets[name]))
    families = {pool.families[name] for name in seen}
    assert not families & {pool.families[name] for name in structures_of(pool, sets["scaffold"])}
    sizes = pool.dataset.sizes()
    assert min(sizes[name] for name in structures_of(pool, sets["size"])) > max(sizes[name] for name in seen)
    everything = used(pool, SPLIT, 1, [(3, 4), (12, 1)], {} if order is None else {"reversed": [names[::-1]]})
    assert set(chosen.tolist()) <= set(everything.tolist()) and len(set(everything.tolist())) == len(everything)


def test_chosen_structures_are_far_apart_and_random_ones_are_left_alone():
    pool = toy_diversity.made(8)
    basis = dg.ACEBasis(pool.dataset.species, 3.0, 2, 3, pair_degree=4)
    names = list(pool.dataset.structures)
    points = structure_points(pool, basis, names)
    assert ordered("random", names, points, 5) == names
    spread = {}
    for selection in ("farthest", "d-optimal"):
        found = ordered(selection, names, points, 5)
        assert sorted(found) == sorted(names) and found != names
        spread[selection] = nearest(points[[names.index(n) for n in found[:5]]])
    rng = np.random.default_rng(0)
    at_random = [nearest(points[rng.permutation(len(names))[:5]]) for _ in range(50)]
    assert min(spread.values()) > np.median(at_random) and spread["farthest"] > np.quantile(at_random, 0.95)


def nearest(points: np.ndarray) -> float:
    d = np.linalg.norm(points[:, None] - points[None], axis=2)
    return float(d[~np.eye(len(d), dtype=bool)].min())


# the study ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def carried(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    tables, outcome = carried_out(TOY, folder)
    return tables, outcome, folder


def test_a_trial_is_the_fit_and_the_errors_that_one_would_compute_by_hand(carried):
    tables, _, _ = carried
    pool = toy_diversity.made(8)
    parts = division(pool, SPLIT, 1)
    basis = dg.ACEBasis(pool.dataset.species, 3.0, 2, 3, w_l=0.5, pair_degree=4)
    rows = dataset_rows(pool.dataset, basis)
    chosen = parts.design(12, 1)
    fitted = dg.fit(rows.blocks(chosen, pool.offsets), "E+F", CONVENTION, prior="smoothness(0.01, 2)")
    (line,) = [
        r
        for r in tables.others["diversity"]
        if (r["structures"], r["conformations"], r["seed"], r["selection"], r["test"]) == (12, 1, 1, "random", "structural")
    ]
    numbers = examined(pool, parts, structures_of(pool, chosen), 2, 2)["structural"]
    errors = rows.errors(fitted.model, numbers, pool.offsets)
    # the same rows are reduced in the same order, so only the last digits of a QR may differ
    assert line["forces"] == pytest.approx(errors.mae_forces, rel=1e-6) and line["offset"] == pytest.approx(
        errors.mae_offset, rel=1e-6
    )
    assert line["labels"] == 12 and line["configurations"] == len(numbers) and line["forces"] > 1e-3


def test_tables_have_every_design_test_and_what_a_source_adds(carried):
    tables, outcome, _ = carried
    rows = tables.others["diversity"]
    assert {(r["structures"], r["conformations"]) for r in rows if r["experiment"] == "fixed set"} == {(2, 1), (2, 3)}
    twelve = {(r["structures"], r["conformations"]) for r in rows if r["experiment"] == "fixed budget" and r["budget"] == 12}
    assert twelve >= {(2, 6), (12, 1)} and len(twelve) == 3 and all(s * c == 12 for s, c in twelve)
    assert {r["selection"] for r in rows if r["budget"] == 6} == {"random"}  # other choices at the largest budget only
    assert {r["selection"] for r in rows if r["budget"] == 12 and r["experiment"] == "fixed budget"} == {"random", "farthest"}
    best = tables.others["diversity_tradeoff"]
    assert {"stretch_error", "forces", "offset", "shape"} <= {r["quantity"] for r in best}
    assert {r["test"] for r in best if r["quantity"] == "stretch_error"} == {"stretched H2"}
    assert {(r["structure"], r["reason"]) for r in tables.others["diversity_skipped"]} == {("CH4", "a run broke a bond")}
    assert {r["experiment"] for r in tables.others["diversity_curves"]} == {"fixed budget", "fixed set"}
    trials = [task for task, _ in outcome if isinstance(task, steps.DesignTrial)]
    assert len({t.key for t in trials}) == len(trials)  # 2 x 3 is in both experiments and carried out once
    domain = tables.others["diversity_domain"]
    assert {r["measure"] for r in domain} >= {"extrapolation grade", "leverage of the forces"}
    assert all(r["auroc_atoms"] is None or 0 <= r["auroc_atoms"] <= 1 for r in domain)


def test_the_page_says_what_was_found(carried, tmp_path):
    tables, _, _ = carried
    store = Store(tmp_path)
    (tmp_path / "spec.toml").write_text(study.dump(study.parse(TOY, tmp_path)))
    store.table("results.csv", [], ("study", "material"))
    for name, rows in tables.others.items():
        store.table(f"{name}.csv", rows, ())
    (tmp_path / "results.csv").unlink()
    from defectgen.study.columns import RESULTS

    store.table("results.csv", [], RESULTS)
    page = write(tmp_path).read_text()
    words = re.sub(r"<[^>]+>", " ", page)
    assert "how many different structures should be labelled, and how many configurations of each" in words
    assert re.search(r"12 labels: [\d.]+ x [\d.]+ \([\d.]+ to [\d.]+ structures; ", words)
    assert "The best split of every budget" in words and "a run broke a bond" in words and "Domain of applicability" in words
    assert "No rate was estimated" not in words and "nan" not in words
    assert {p.stem.split("-")[1] for p in (tmp_path / "figures").glob("diversity-*.png")} == {"tradeoff", "best", "fixed"}


@pytest.mark.parametrize(
    ("replacement", "words"),
    [
        pytest.param(("budgets = [6, 12]", "budgets = [7]"), "a budget of 7 labels splits into S x C", id="prime budget"),
        pytest.param(("budgets = [6, 12]", "budgets = [400]"), "a budget of 400 labels is more than", id="too much"),
        pytest.param(('source = "toy"', 'source = "moon"'), "sources of a study of diversity are mol.*got 'moon'", id="source"),
        pytest.param(("reserve = 2", "reserve = 8"), "none is left to train on", id="all reserved"),
        pytest.param(("structures = [2]", "structures = [21]"), "fixed_set needs 21 structures with 1", id="set"),
        pytest.param(('["E+F"]', '["E+F+FC"]'), "has energies and forces only, and observations need E.F.FC", id="kinds"),
        pytest.param(("structural = 0.1", "structural = 0.9"), "leave nothing to train on", id="parts"),
        pytest.param(("budgets = [6, 12]", "budgets = []\nbudget = 3"), "no such key", id="key"),
    ],
)
def test_a_study_that_cannot_be_carried_out_is_one_sentence(replacement, words, tmp_path):
    with pytest.raises(InputError, match=words) as error:
        study.plan(study.parse(changed(replacement), tmp_path))
    assert "\n" not in str(error.value)


def test_without_the_extra_a_study_of_molecules_is_one_sentence(tmp_path):
    done = run_without(("rdkit", "tblite"), tmp_path / "site", "run", "diversity-molecules", "--out", tmp_path / "out")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert 'needs rdkit and tblite; pip install "defectgen[molecules]"' in done.stderr


def test_sources_of_installed_packages_are_found_by_their_entry_points():
    found = sources.sources()
    assert list(found) == ["molecules", "crystals", "file", "toy"] and found["toy"] is toy_diversity.Toy


@pytest.mark.parametrize(
    ("value", "words"),
    [
        pytest.param("nowhere:Mine", r"'mine' of an installed package .*cannot be loaded \(ModuleNotFoundError", id="import"),
        pytest.param("builtins:dict", "is registered as the source 'mine', but it is no subclass", id="class"),
        pytest.param("defectgen.study.diversity.file:File", "registers a source 'file', but there is one", id="name"),
    ],
)
def test_an_installed_source_that_cannot_be_used_is_one_sentence(value, words, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(installed(tmp_path, "mine", defectgen__sources={"mine": value})))
    with pytest.raises(InputError, match=words) as error:
        sources.sources.__wrapped__()
    assert "\n" not in str(error.value)


def test_steps_of_two_sources_differ_even_where_their_settings_are_the_same():
    class Other(toy_diversity.Toy):
        name: ClassVar[str] = "other"

    one, two = (
        steps.DesignTrial(
            source=source,
            pool=source.pool(),
            rows=UsedRows(
                pool=source.pool(), basis=DiversityBasis(), split=SPLIT, seeds=1, designs=((3, 2),), selections=("random",)
            ),
            further=(),
            seed=0,
            structures=3,
            conformations=2,
            common=3,
            selection="random",
            observations="E+F",
            fit=FitSettings(),
            baseline=False,
        )
        for source in (toy_diversity.Toy(), Other())
    )
    assert one.pool.key == two.pool.key and one.key != two.key


# data sets that are there ------------------------------------------------------------------------------------------------


def as_file(path, pool, **info):
    frames = []
    for c in pool.dataset.configurations:
        atoms = Atoms(c.symbols, c.positions)
        atoms.info |= {"REF_energy": c.energy, "config_type": c.law, **({} if info.get("anonymous") else {"name": c.structure})}
        atoms.arrays["REF_forces"] = c.forces
        frames.append(atoms)
    ase.io.write(path, frames, format="extxyz")
    return path


def test_a_file_is_a_source(tmp_path):
    pool = toy_diversity.made(8)
    settings = {"path": str(as_file(tmp_path / "toy.extxyz", pool)), "structure": "name", "wider": ["wide"]}
    found = sources.find("file", settings)
    assert found.counts() == (21, 8)
    step = found.pool()
    read = step.run(Given({})).unpack()
    assert step.law == read.law == "mild" and read.families["CH4"] == "C1 H4" and set(read.offsets) == {"C", "H", "O"}
    assert np.allclose(read.dataset.energies, pool.dataset.energies, rtol=0, atol=1e-6)  # digits of the file
    assert sources.find("file", {**settings, "law": "wide", "wider": []}).counts() == (21, 2)
    as_file(tmp_path / "toy.extxyz", replace(pool, dataset=pool.dataset[np.arange(10)]))
    assert found.counts() == (1, 8) and found.pool().key != step.key  # a file that changed is another data set
    with pytest.raises(InputError, match="moon"):
        sources.find("file", {**settings, "wider": ["moon"]})


def test_a_data_set_is_described_beside_published_ones(tmp_path, capsys):
    path = as_file(tmp_path / "toy.extxyz", toy_diversity.made(8))
    with pytest.raises(SystemExit) as status:
        main(["diversity", str(path), "--structure", "name", "--cutoff", "3"])
    said = capsys.readouterr().out
    assert status.value.code == 0 and "210 configurations of 21 structures: 10 of each" in said
    order = [said.index(name) for name in ("Molecule3D", "QMugs", "this one", "SPICE", "GEOM", "ANI-1", "QM7-X")]
    assert order == sorted(order) and "openQDC" in said


def test_a_data_set_without_structure_ids_is_grouped_by_composition(tmp_path, capsys):
    pool = toy_diversity.made(8)
    path = as_file(tmp_path / "toy.extxyz", pool)
    with pytest.raises(SystemExit) as status:
        main(["diversity", str(path), "--cutoff", "3"])
    said = " ".join(capsys.readouterr().out.split())
    structures = len({tuple(sorted(c.symbols)) for c in pool.dataset.configurations})
    assert status.value.code == 0 and "is read without structure ids" in said and "name a key with --structure" in said
    assert f"configurations of {structures} structure" in said and structures > 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param(["--structure", "smiles"], "has no structure id 'smiles'; its keys are", id="wrong key"),
        pytest.param(["--structure", "name", "--energy-unit", "erg"], "units of energy are", id="unit"),
        pytest.param(["--structure", "name", "--study", "."], "no finished study of diversity", id="study"),
    ],
)
def test_a_data_set_that_cannot_be_described_is_one_sentence(options, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = as_file(tmp_path / "toy.extxyz", toy_diversity.made(8))
    with pytest.raises(SystemExit) as status:
        main(["diversity", str(path), "--cutoff", "3", *options])
    said = capsys.readouterr().err
    assert status.value.code == 2 and words in said and said.count("\n") == 1


def test_more_of_the_same_is_no_diversity():
    pool = toy_diversity.made(8)
    basis = dg.ACEBasis(pool.dataset.species, 3.0, 2, 3, pair_degree=4)
    mild, wide = pool.dataset.where(laws="mild"), pool.dataset.where(laws="wide")
    one = mild[np.array([pool.dataset.configurations[n].conformation == 0 for n in mild])]
    frozen = dataset_diversity(pool.dataset[one], basis)
    assert frozen.conformational == 1 and frozen.each == 1
    moved, moved_wide = dataset_diversity(pool.dataset[mild], basis), dataset_diversity(pool.dataset[wide], basis)
    assert moved.structural == pytest.approx(frozen.structural, rel=1e-9)  # of the same configurations
    assert moved.conformational > 1.5 and moved_wide.each == 2 and moved.vendi > frozen.vendi
    assert frozen.vendi <= frozen.sampled and 1 <= frozen.structural <= frozen.structural_sampled


# what limits the domain of applicability -----------------------------------------------------------------------------------


def test_squares_of_misfit_and_of_what_labels_can_remove_add_up():
    pool = toy_diversity.made(8)
    basis = dg.ACEBasis(pool.dataset.species, cutoff=3.0, order=2, degree=3, pair_degree=4)
    blocks = dataset_rows(pool.dataset, basis).blocks(np.arange(len(pool.dataset)), pool.offsets)
    whole = np.concatenate([block.factor for block in blocks.items])
    rows, labels = whole[:, :-1], whole[:, -1]
    best = np.linalg.lstsq(rows, labels, rcond=None)[0]
    other = best + 1e-2 * np.random.default_rng(0).normal(size=best.shape)
    error, removable, misfit = (np.sum(v**2) for v in (rows @ other - labels, rows @ (other - best), rows @ best - labels))
    assert error == pytest.approx(removable + misfit, rel=1e-9) and misfit > 0


@dataclass(frozen=True, eq=False, kw_only=True)
class OwnPool(Step[PackedPool]):
    """A pool that a test made."""

    labels: str

    def run(self, given):
        raise AssertionError("its record is given")


def test_without_misfit_all_of_the_error_can_be_removed():
    fitted = FitSettings(prior="smoothness(1e-6, 2)")
    own = DiversityBasis(cutoff=3.0, order=2, degree=3, pair_degree=4, w_l=1.5)

    def lines(pool, labels):
        step = OwnPool(labels=labels)
        records = {step.key: to_record(PackedPool.of(pool))}
        rows = UsedRows(pool=step, basis=own, split=SPLIT, seeds=1, designs=((3, 2),), selections=("random",))
        best = domain.Everything(pool=step, rows=rows, fit=fitted)
        measured = domain.Measured(
            source=toy_diversity.Toy(),
            pool=step,
            rows=rows,
            further=(),
            seed=0,
            structures=3,
            conformations=2,
            common=3,
            selection="random",
            observations="E+F",
            fit=fitted,
            best=best,
        )
        for each in (rows, best, measured):
            records[each.key] = each.compute(records)
        given = Given(records)
        return given[best], [x for x in given[measured].lines if x["measure"] == domain.LEVERAGE and x["test"] != OWN]

    pool = toy_diversity.made(8)
    best, found = lines(pool, "Morse")
    assert all(line["misfit_share"] > 0 for line in found)  # Morse's law is not in the basis
    basis = dg.ACEBasis(pool.dataset.species, **own.model_dump())
    model = dg.LinearACE(basis, best.coefficients)
    relabelled = []
    for c in pool.dataset.configurations:
        atoms = Atoms(c.symbols, c.positions, calculator=dg.Calculator(model))
        energy = atoms.get_potential_energy() + sum(pool.offsets[s] for s in c.symbols)
        relabelled.append(replace(c, energy=energy, forces=atoms.get_forces()))
    _, known = lines(replace(pool, dataset=Dataset(tuple(relabelled))), "the model")
    for line in known:
        assert line["misfit_share"] < 1e-4  # the prior alone
        if line["auroc_atoms"] is not None:
            assert line["auroc_reducible"] == pytest.approx(line["auroc_atoms"], abs=0.02)  # an atom or two at the threshold
