"""Studies: what a specification becomes, that equal specifications give equal records, and that a run survives being killed."""

import csv
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clusters import Processes

import defectgen as dg
from defectgen import report, study
from defectgen.campaign import Record, Store, Task, execute, to_record
from defectgen.campaign.record import Origin
from defectgen.cli import main
from defectgen.study import MATERIALS, Crystal, Exact, FitTrial, Material, Rows, TrainingRows, Trial, build_lattice
from defectgen.study.bounds.steps import Bound
from defectgen.study.materials import centrosymmetric
from defectgen.study.settings import Basis
from defectgen.study.tasks import defect_cell

TINY = """
name = "tiny"
observations = ["E+F", "V+FC+E+F"]
[[cases]]
material = "triangular"
defect = "divacancy"
simulation_size = 7
basis = { cutoff = 3.6, order = 2, degree = 3 }
[training]
relaxed = false
configurations = 1
virial_strains = [0.01]
[cell_size]
sizes = [3, 4]
"""
SECOND = """
[[cases]]
material = "triangular"
defect = "divacancy"
simulation_size = 8
basis = { cutoff = 4.0, order = 2, degree = 3 }
[training]"""


def changed(*replacements: tuple[str, str]) -> str:
    """TINY with parts replaced."""
    text = TINY
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    return text


def parsed(*replacements: tuple[str, str], folder: Path = Path(".")) -> study.RunSpec:
    return study.parse(changed(*replacements), folder)


STEPS = {Crystal: "crystal", Exact: "exact", TrainingRows: "rows", FitTrial: "trial", Bound: "measured"}


def by_step(spec: study.RunSpec) -> dict[str, dict[str, object]]:
    """Tasks of a plan: step -> key -> task."""
    found: dict = {name: {} for name in STEPS.values()}
    for task in study.plan(spec):
        found[STEPS[type(task)]][task.key] = task
    return found


# specification and plan ------------------------------------------------------------------------------------------------


def test_a_plan_shares_what_trials_have_in_common():
    plan = by_step(parsed(("relaxed = false", "relaxed = true")))
    assert {step: len(tasks) for step, tasks in plan.items()} == {"crystal": 1, "exact": 3, "rows": 2, "trial": 4, "measured": 4}
    (crystal,) = plan["crystal"].values()
    for trial in plan["trial"].values():
        first, exact, rows = trial.after
        assert first.key == crystal.key and exact.size == 7 and rows is trial.rows
        assert [t.key for t in rows.after] == [crystal.key, rows.rest.key] and rows.rest.size == rows.training_size
        assert trial.observations in ("E+F", "E+F+FC+V")  # spelled one way, whatever the file says
    labels = [task.label for tasks in plan.values() for task in tasks.values()]
    assert len(set(labels)) == len(labels) and "triangular divacancy E+F, size 3, degree 3" in labels
    assert all(len(rows.after) == 1 for rows in by_step(parsed())["rows"].values())  # cells on lattice sites wait for less


@pytest.mark.parametrize(
    ("replacement", "kept"),
    [
        (('name = "tiny"', 'name = "tiny"\ntitle = "A title"'), {"crystal", "exact", "rows", "trial", "measured"}),
        (('"V+FC+E+F"', '"E+F+FC+V"'), {"crystal", "exact", "rows", "trial", "measured"}),
        (("[cell_size]", "[fit]\nweights = { E = 30.0 }\n[cell_size]"), {"crystal", "exact", "rows"}),
        (("simulation_size = 7", "simulation_size = 8"), {"crystal", "rows"}),
        (("configurations = 1", "configurations = 2"), {"crystal", "exact"}),
        (("configurations = 1", "configurations = 1\nseed = 1"), {"crystal", "exact"}),
        (("degree = 3", "degree = 4"), {"crystal", "exact"}),
        (('"divacancy"', '"vacancy"'), {"crystal"}),
        (('"triangular"', '{ name = "t", crystal = "triangular", species = ["Cu"], a = 2.7, reference = "Morse(Cu)" }'), set()),
    ],
    ids=["title", "spelling", "weights", "simulation size", "configurations", "seed", "degree", "defect", "material"],
)
def test_a_changed_specification_recomputes_only_what_it_changed(replacement, kept):
    before, after = by_step(parsed()), by_step(parsed(replacement))
    for step, tasks in before.items():
        assert (tasks.keys() == after[step].keys()) if step in kept else not (tasks.keys() & after[step].keys()), step


def test_more_sizes_and_sets_keep_what_is_there():
    before = {task.key for task in study.plan(parsed())}
    more = parsed(("[3, 4]", "[3, 4, 5]"), ('["E+F", ', '["E+F", "E+F+V", '))
    assert before < {task.key for task in study.plan(more)}
    wider = parsed(("[cell_size]", "[fit_accuracy]\nsize = 3\ndegrees = [2, 3]\n[cell_size]"))
    assert before < {task.key for task in study.plan(wider)}  # a smaller basis is a selection of columns


@pytest.mark.parametrize("name", study.embedded())
def test_embedded_studies_can_be_planned_and_written_back(name, tmp_path):
    spec = study.load(name)
    (tmp_path / "back.toml").write_text(study.dump(spec))
    assert study.load(tmp_path / "back.toml") == spec and study.plan(spec)
    assert spec.title == study.embedded()[name] and study.parse(study.template(name), tmp_path) == spec


def test_files_are_found_beside_the_study_and_their_content_counts(tmp_path):
    table = 'name = "own"\nstructure = "crystal.xyz"\nreference = "Morse(Cu)"'
    text = changed(('"triangular"', '"own"'), ("[training]", f"[materials.own]\n{table}\n[training]"))
    crystal = dg.to_ase(dg.primitive_cell(dg.triangular("Cu", 2.7)))
    crystal.write(tmp_path / "crystal.xyz", format="extxyz")
    (tmp_path / "study.toml").write_text(text)
    spec = study.load(tmp_path / "study.toml")
    keys = {t.key for t in study.plan(spec)}
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "spec.toml").write_text(study.dump(spec))
    assert {t.key for t in study.plan(study.load(tmp_path / "elsewhere" / "spec.toml"))} == keys
    crystal.set_cell(crystal.cell * [1.01, 1.01, 1.0], scale_atoms=True)
    crystal.write(tmp_path / "crystal.xyz", format="extxyz")
    assert not keys & {t.key for t in study.plan(study.load(tmp_path / "study.toml"))}
    (tmp_path / "crystal.xyz").unlink()
    with pytest.raises(dg.InputError, match=r"names the file crystal\.xyz, which is not there"):
        study.load(tmp_path / "study.toml")


@pytest.mark.parametrize(
    ("replacement", "said"),
    [
        (('"triangular"', '"unobtainium"'), "material 'unobtainium' is not known; known are Cu,"),
        (('"divacancy"', '"hole"'), "no defect is called 'hole'"),
        (("simulation_size = 7", "simulation_size = 1"), "use a larger cell"),
        (("cutoff = 3.6", "cut_off = 3.6"), "cases.0.basis.cut_off: there is no such key, perhaps cutoff is meant"),
        (("relaxed", "relaxd"), "training.relaxd: there is no such key"),
        (("cutoff = 3.6", "cutoff = 12"), r"cutoff 12 A reaches past half the simulation cell .* simulation_size >= 10"),
        (("cutoff = 3.6", "cutoff = 2.5"), "cutoff 2.5 A reaches no neighbour"),
        (("cutoff = 3.6", "cutoff = inf"), "cutoff: Input should be a finite number"),
        (("degree = 3", "degree = 1"), "degree 1 has no function of order 2"),
        (('"E+F"', '"E+G"'), "'G' is none of them"),
        (("[3, 4]", "[0, 4]"), "at least 1; got 0"),
        (("[3, 4]", "[]"), "at least 1 item"),
        (("configurations = 1", "configurations = -1"), "greater than or equal to 0"),
        (("configurations = 1", "rattle = 2.0"), "melt the crystal"),
        (("[0.01]", "[0.5]"), "between 0 and 0.3"),
        (("[cell_size]\nsizes = [3, 4]", ""), r"needs the table of at least one study: \[cell_size\]"),
        (("[cell_size]", '[fit]\nsolver = "oracle"\n[cell_size]'), "a solver is one of qr"),
        (("[cell_size]", "[fit]\nweights = { Q = 1 }\n[cell_size]"), "got 'Q'"),
        (('"divacancy"', '"substitution(Ni)"'), "Ni"),
        (("[training]", SECOND), "triangular divacancy is there twice"),
        (('"tiny"', '"../tiny"'), "without slashes"),
        (("[training]", "[training"), "not valid TOML"),
    ],
    ids=lambda value: value[1].strip().replace("\n", " ")[:40] if isinstance(value, tuple) else "",
)
def test_bad_specifications_are_one_sentence(replacement, said):
    with pytest.raises(dg.InputError, match=said) as caught:
        study.plan(parsed(replacement))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 900  # the longest lists all defects


@pytest.mark.parametrize(("a", "said"), [(0.26, "closer than in any crystal"), (40.0, "reaches .* they do not interact")])
def test_wrong_lengths_are_known_before_anything_is_computed(a, said):
    mine = f'[materials.mine]\ncrystal = "triangular"\nspecies = ["Cu"]\na = {a}\nreference = "Morse(Cu)"\n'
    with pytest.raises(dg.InputError, match=said):
        study.plan(study.parse(changed(('"triangular"', '"mine"')) + mine, Path(".")))


# steps -------------------------------------------------------------------------------------------------------------------


def test_the_same_specification_gives_the_same_record():
    spec = parsed()
    plan = by_step(spec)
    (crystal,), rows = plan["crystal"].values(), next(iter(plan["rows"].values()))
    perfect = [execute(crystal, {}) for _ in range(2)]
    labelled = [execute(rows, {crystal.key: perfect[0]}) for _ in range(2)]
    for one, two in (perfect, labelled):
        assert one.ok, one.failed
        assert one.values == two.values and one.arrays.keys() == two.arrays.keys()
        assert all(np.array_equal(one.arrays[name], two.arrays[name]) for name in one.arrays)
    reseeded = replace(rows, training=rows.training.model_copy(update={"seed": 1}))
    other = execute(reseeded, {crystal.key: perfect[0]})
    assert not np.array_equal(other.arrays["blocks.0.factor"], labelled[0].arrays["blocks.0.factor"])
    assert labelled[0].values["atoms"] == 7 and labelled[0].values["radius"] == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("material", "said"),
    [
        (
            {"crystal": "triangular", "species": ["Cu"], "a": 2.7, "equilibrate": False},
            "not at equilibrium: virial .* leave equilib",
        ),
        ({"crystal": "square", "species": ["Cu"], "a": 2.6}, "not stable: the lowest eigenvalue .* choose another crystal"),
        ({"crystal": "triangular", "species": ["Cu"], "a": 9.0}, "no zero-pressure volume"),
    ],
    ids=["off equilibrium", "unstable", "nowhere near"],
)
def test_a_crystal_that_cannot_be_used_fails_in_one_sentence(material, said):
    like = study.parse(TINY, Path(".")).cases[0].material.model_dump(mode="json")
    record = execute(Crystal(material=Material(**(like | {"name": "own"} | material))), {})
    with pytest.raises(ValueError, match=said):
        raise ValueError(record.failed)
    assert "\n" not in record.failed


# tables ------------------------------------------------------------------------------------------------------------------


def test_inversion_centres():
    """Known by their space groups: every site of fcc, bcc, rocksalt, CsCl and L1_2 is one, none of diamond, zincblende, hcp."""
    inverted = [
        dg.fcc("Cu", 3.6),
        dg.bcc("W", 3.2),
        dg.rocksalt("Na", "Cl", 5.6),
        dg.cscl("Ni", "Al", 2.9),
        dg.l12("Ni", "Al", 3.6),
    ]
    others = [dg.diamond("Si", 5.4), dg.zincblende("Ga", "As", 5.6), dg.hcp("Mg", 3.2)]
    assert [centrosymmetric(x) for x in inverted + others] == [True] * 5 + [False] * 3
    assert centrosymmetric(build_lattice(MATERIALS["triangular"]))


def pretended(spec: study.RunSpec, slope: float, **values: object) -> study.Tables:
    """Tables of a run in which every error is radius^slope, without computing anything."""
    outcome = []
    for step in study.plan(spec):
        if isinstance(step, TrainingRows):
            outcome.append((step, to_record(Rows((), "toy", float(step.training_size), 9))))
        if isinstance(step, FitTrial):
            radius = step.rows.training_size
            error = {"geometry_error": 2.0 * radius**slope, "energy_error": radius ** (2 * slope), "energy_error_signed": 0.0}
            numbers = {"rank": 5, "condition": 1.0, "basis_functions": 5, "simulation_atoms": 100, "lowest_phonon": 1.0}
            numbers |= {"geometry_error_max": 0.1, "stability_constant": 1.0, "rmse": dict.fromkeys(("E", "F", "FC", "V"), 0.1)}
            flags = {"converged": True, "same_basin": True, "stable": True, "message": "", "why_not": "", "warnings": ()}
            flags["dimension"] = 2 if step.crystal.material.crystal == "triangular" else 3
            arrays = {"coefficients": np.zeros(5), "positions": np.zeros((9, 3))}
            outcome.append((step, to_record(Trial(**(error | numbers | flags | arrays | values)))))
    return study.tables(spec, outcome)


def test_rates_are_beside_their_predictions():
    text = (("[3, 4]", "[12, 13, 14, 16]"), ("simulation_size = 7", "simulation_size = 18"))
    rates = pretended(parsed(*text), -1.0).rates
    assert [(r["observations"], r["quantity"], r["predicted"]) for r in rates] == [
        ("E+F", "geometry", -1.0),
        ("E+F", "energy", -2.0),
        ("E+F+FC+V", "geometry", -5.0),
        ("E+F+FC+V", "energy", -6.0),
    ]
    assert [round(r["slope"], 9) for r in rates] == [-1.0, -2.0, -1.0, -2.0]
    assert [r["verdict"] for r in rates] == ["confirmed", "confirmed", "shallower", "shallower"]
    silicon = (*text, ('"triangular"', '"Si"'), ("cutoff = 3.6", "cutoff = 4.0"))
    sites = [r["predicted"] for r in pretended(parsed(*silicon), -1.0).rates]
    assert sites == [-1.5, -3.0, -5.5, -7.0]  # d = 3, and one power of L for V: diamond's sites are no centres of inversion
    alone = pretended(parsed(*text, ('"E+F"', '"F"')), -1.0).rates[0]
    assert (alone["observations"], alone["predicted"], alone["verdict"]) == ("F", None, "no prediction")


def test_what_went_wrong_is_said_once_and_kept_out_of_the_rates():
    both = ("[cell_size]", "[fit_accuracy]\nsize = 3\ndegrees = [2, 3]\n[cell_size]")
    poor = pretended(parsed(both), -1.0, same_basin=False, why_not="an atom left its site", warnings=("rank 3 of 5: and so on",))
    assert len(poor.results) == 8 and {r["slope"] == r["slope"] for r in poor.rates} == {False}  # NaN
    assert len(poor.failures) == 2 * 6  # two remarks on each of six trials, two of which are in both studies
    assert {r["reason"] for r in poor.failures} == {
        "the model rests in another basin: an atom left its site",
        "a fit with a warning: rank 3 of 5: and so on",
    }


# a real run --------------------------------------------------------------------------------------------------------------

RESULTS = (
    "material defect dimension observations training_size training_radius training_atoms basis_functions degree "
    "simulation_atoms geometry_error geometry_error_max energy_error rmse_energy rmse_forces rmse_force_constants "
    "rmse_virial converged same_basin seconds"
).split()
RATES = "material defect dimension observations quantity slope low high window predicted verdict".split()


def start(folder: Path, out: str, *hands: str) -> subprocess.Popen:
    """`defectgen run` as a process group of its own, with two workers if no others are given."""
    command = [sys.executable, "-m", "defectgen", "run", "tiny.toml", "--out", out, *(hands or ("--workers", "2"))]
    environment = {**os.environ, "PYTHONPATH": str(Path(dg.__file__).parents[1])}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, start_new_session=True, **pipes)


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "tiny.toml").write_text(TINY)
    process = start(folder, "whole")
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    return folder


def test_a_run_leaves_the_files_of_the_contract(whole):
    run = whole / "whole"
    for name, columns in (("results.csv", RESULTS), ("rates.csv", RATES)):
        header = (run / name).read_text().splitlines()[0].split(",")
        assert set(columns) <= set(header)
    results = table(run / "results.csv")
    sets = ("E+F", "E+F+FC+V")
    assert [(r["training_size"], r["observations"]) for r in results] == list(itertools.product("34", sets))
    for r in results:
        assert (r["material"], r["defect"], r["dimension"], r["simulation_atoms"]) == ("triangular", "divacancy", "2", "47")
        assert float(r["geometry_error"]) >= float(r["geometry_error_max"]) > 0 and float(r["energy_error"]) > 0
        assert float(r["training_radius"]) == pytest.approx(int(r["training_size"]) / 2)  # half the distance of images
    assert [float(r["predicted"]) for r in table(run / "rates.csv")] == [-1, -2, -5, -6]
    written = tomllib.loads((run / "spec.toml").read_text())
    assert written["versions"]["numpy"] == np.__version__ and written["training"]["rattle"] == 0.03  # what was not said is there
    again = study.plan(study.load(run / "spec.toml"))
    assert [t.key for t in again] == [t.key for t in study.plan(parsed())]
    assert all(Store(run).load(task) is not None for task in again)


def test_a_killed_run_resumes_to_the_same_results(whole):
    """Kill -9 to all its processes, damage to two of its records, and then the same command once more."""
    process = start(whole, "killed")
    records = whole / "killed" / "records"
    deadline = time.monotonic() + 240
    while len(list(records.glob("*.json"))) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, out
    assert not (whole / "killed" / "results.csv").exists()
    done = sorted(records.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    assert 4 <= len(done) < len(study.plan(parsed()))
    done[-1].write_bytes(done[-1].read_bytes()[:200])
    done[-2].with_suffix(".h5").write_bytes(b"no arrays at all")
    before = {path: path.stat().st_mtime_ns for kept in done[:-2] for path in (kept, kept.with_suffix(".h5"))}
    found = report.write_interim(whole / "killed")
    assert (found.state, found.failed, found.total) == ("ended", 0, len(study.plan(parsed()))) and found.done <= len(done) - 2
    assert f"Incomplete: {found.done} of {found.total} tasks are done; the run has ended early" in found.page.read_text()

    process = start(whole, "killed")
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    assert f"{len(done) - 2} of {len(study.plan(parsed()))} tasks were finished before and are kept" in out
    assert out.count("cannot be read (") == out.count("computing it again") == 2
    assert {path: path.stat().st_mtime_ns for path in before} == before
    for name in ("results.csv", "rates.csv"):
        assert table(whole / "killed" / name) == table(whole / "whole" / name) != []
    assert not (whole / "killed" / "interim").exists() and (whole / "killed" / "report.html").exists()


def test_a_run_on_a_cluster_gives_the_same_tables(whole, tmp_path):
    """A scheduler and a worker, which are processes of dask on loopback: cell by cell what the local processes gave."""
    with Processes(tmp_path) as cluster:
        cluster.scheduler()
        cluster.worker()
        process = start(whole, "cluster", "--scheduler-file", str(cluster.file))
        out, _ = process.communicate(timeout=300)
    assert process.returncode == 0 and "worker w1 joined with 1 thread" in out, out
    for name in ("results.csv", "rates.csv", "failures.csv"):
        assert table(whole / "cluster" / name) == table(whole / "whole" / name)


def needing(tasks: Sequence[Task], lost: set[str]) -> set[str]:
    """Keys of the tasks that need one of those with the keys `lost`, directly or through others."""
    found: set[str] = set()
    for task in tasks:
        if any(needed.key in lost | found for needed in task.after):
            found.add(task.key)
    return found


def part_of(whole: Path, folder: Path) -> tuple[Path, int]:
    """A copy of a run in which the last trial has not begun, and record and log of others are half-written; tasks done."""
    run = folder / "run"
    shutil.copytree(whole / "whole", run, ignore=shutil.ignore_patterns("*.csv", "report.html", "figures"))
    trials = [task for task in study.plan(parsed()) if isinstance(task, FitTrial)]
    records = run / "records"
    (records / f"{trials[-1].key}.json").unlink()
    (records / f"{trials[-2].key}.json").write_bytes((records / f"{trials[-2].key}.json").read_bytes()[:300])
    (records / f".{trials[-1].key}.json.0123.part").write_bytes(b"{")
    lines = (run / "events.jsonl").read_text().splitlines()
    kept = [line for line in lines if json.loads(line)["event"] != "end" and trials[-1].label not in line]
    (run / "events.jsonl").write_text("\n".join(kept) + '\n{"event": "done", "label": "Cu')
    lost = {task.key for task in trials[-2:]}
    return run, len(study.plan(parsed())) - len(lost | needing(study.plan(parsed()), lost))


def test_the_page_of_a_run_that_goes_on(whole, tmp_path, capsys):
    """From another terminal: the tables of what is done, in a folder of their own; what is half-written counts as not done."""
    run, done = part_of(whole, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    with Store(run).lock():
        with pytest.raises(SystemExit) as stop:
            main(["report", str(run)])
        out = capsys.readouterr().out
        total = len(study.plan(parsed()))
        assert stop.value.code == 0 and f"Incomplete: {done} of {total} tasks are done; the run goes on (" in out
        assert f"report: {run / 'interim' / 'report.html'}" in out
        page = (run / "interim" / "report.html").read_text()
        assert f"Incomplete: {done} of {total} tasks are done; the run goes on (" in page and "(incomplete)</title>" in page
        assert "every case was computed" not in page
        rows = table(run / "interim" / "results.csv")
        assert len(rows) == 2 and all(row in table(whole / "whole" / "results.csv") for row in rows)
    others = {path for path in run.rglob("*") if "interim" not in path.parts and path.name != "records"}
    assert others == {path for path in before if path.suffix != ".part" and path.name != "records"}
    with pytest.raises(SystemExit):
        main(["report", str(run), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (told["complete"], told["state"], told["done"], told["tasks"]) == (False, "ended", done, total)


def test_the_page_of_a_run_says_what_failed(whole, tmp_path):
    """A step that failed, and what is not run because of it; records of other code are not used, and counted."""
    run, _ = part_of(whole, tmp_path)
    tasks = study.plan(parsed())
    rows = next(task for task in tasks if isinstance(task, TrainingRows))
    users = needing(tasks, {rows.key})
    store = Store(run)
    store.save(rows, Record(failed="the cell is too small; use size >= 4"))
    for key in users:
        (store.records / f"{key}.json").unlink(missing_ok=True)
    found = report.write_interim(run)
    assert found.failed == 1 and found.not_run == len(users) > 1
    assert f"1 failed, {len(users)} are not run because they need what failed" in found.page.read_text()
    assert "the cell is too small" in found.page.read_text()
    store.save(tasks[0], replace(store.load(tasks[0]), origin=Origin("x", "0.0.1")))
    assert "records of other code, not used here: 1;" in report.write_interim(run).sentence


def test_the_page_before_anything_is_done(tmp_path):
    """A run that has only claimed its folder has a page too."""
    Store(tmp_path / "run").claim("tiny", study.dump(parsed()))
    found = report.write_interim(tmp_path / "run")
    assert (found.state, found.done) == ("not begun", 0) and "the run has not begun" in found.page.read_text()


def test_cells_and_bases_are_made_once_in_a_process():
    """Equal lattices, sizes and settings give one object; another lattice constant, defect, size or option another one."""
    lattice = [dg.fcc("Cu", a) for a in (3.6, 3.6, 3.61)]
    first, same, wider = (defect_cell(each, "vacancy", 2) for each in lattice)
    assert first is same and first is not wider and wider.vectors[0, 0] > first.vectors[0, 0]
    assert len(defect_cell(lattice[0], "divacancy", 2)) == len(first) - 1
    assert len(defect_cell(lattice[0], "vacancy", (2, 2, 3))) == 47 and len(defect_cell(lattice[0], "vacancy", 3)) == 107
    matrix = defect_cell(lattice[0], "vacancy", ((2, 0, 0), (0, 2, 0), (0, 0, 2)))
    assert np.array_equal(matrix.positions, first.positions)
    basis = Basis(cutoff=5.0, order=2, degree=4)
    assert basis.build(first) is basis.build(wider)
    assert basis.model_copy(update={"degree": 5}).build(first).size > basis.build(first).size
    assert basis.build(dg.vacancy().apply(dg.supercell(dg.fcc("Ni", 3.5), 2))).species == ("Ni",)
