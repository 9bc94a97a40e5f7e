"""Campaign: same plan, same records, whatever happens in between."""

import ast
import csv
import errno
import gc
import json
import math
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_potentials
from packages import installed, run_as

from defectgen import study
from defectgen._input import InputError
from defectgen.campaign import (
    Event,
    Given,
    Interrupted,
    PlainTask,
    Record,
    Step,
    StorageError,
    Store,
    Task,
    execute,
    in_order,
    provenance,
    run,
    stop,
    workers,
)
from defectgen.campaign.board import Board
from defectgen.campaign.files import guarded, unguarded
from defectgen.campaign.store import Damaged, Outdated, _checksum, read

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """Workers find ``toy_tasks`` as this test does."""
    monkeypatch.syspath_prepend(str(HERE))


@pytest.fixture
def marks(tmp_path) -> Path:
    return tmp_path / "marks"


def calls(marks: Path) -> list[str]:
    return sorted(marks.read_text().split()) if marks.exists() else []


def plan(marks: Path, numbers=(1, 2, 3), version="1") -> list[Task]:
    parts = tuple(PlainTask("toy_tasks:draw", {"n": n, "marks": str(marks)}, label=f"draw {n}", version=version) for n in numbers)
    return [*parts, PlainTask("toy_tasks:total", {"marks": str(marks)}, parts, "total")]


def same(one: Record, two: Record) -> bool:
    """Bit by bit, up to the wall time."""
    names = list(one.arrays) == list(two.arrays)
    arrays = all(one.arrays[k].tobytes() == two.arrays[k].tobytes() for k in one.arrays)
    return names and arrays and repr(one.values) == repr(two.values) and one.failed == two.failed


# --- tasks ------------------------------------------------------------------------------------------------------------


def test_key_is_content():
    task = PlainTask("m:f", {"b": 1.0, "a": [1, 2]}, label="x", weight=3.0)
    assert task.key == PlainTask("m:f", {"a": (1, 2), "b": np.float64(1.0)}, label="y").key
    different = [
        PlainTask("m:g", task.spec),
        PlainTask("m:f", {"b": 1.0000000000000002, "a": [1, 2]}),
        PlainTask("m:f", task.spec, (task,)),
        PlainTask("m:f", task.spec, version="2"),
    ]
    assert len({task.key, *(other.key for other in different)}) == 5


def test_spec_is_copied():
    spec = {"a": [1]}
    task = PlainTask("m:f", spec)
    before = task.key
    spec["a"].append(2)
    assert task.spec == {"a": [1]} and PlainTask("m:f", task.spec).key == before


@pytest.mark.parametrize(
    "make", [lambda: PlainTask("no_colon", {}), lambda: PlainTask("m:f", {"x": object()}), lambda: Record({"x": {1, 2}})]
)
def test_what_is_not_plain_is_refused(make):
    with pytest.raises(InputError):
        make()


def test_order_is_by_need():
    a, b = PlainTask("m:f", {"n": 1}), PlainTask("m:f", {"n": 2})
    c = PlainTask("m:g", {}, (b, a))
    d = PlainTask("m:h", {}, (c, a))
    assert [t.key for t in in_order([d, a])] == [t.key for t in (b, a, c, d)]


# --- store ------------------------------------------------------------------------------------------------------------


def test_round_trip_is_exact(tmp_path):
    rng = np.random.default_rng(0)
    values = {"x": [float(v) for v in rng.standard_normal(50) * 10.0 ** rng.integers(-300, 300, 50)], "nan": math.nan, "n": None}
    arrays = {
        "f": rng.standard_normal((3, 4)),
        "i": np.arange(5),
        "b": np.array([True, False]),
        "z": np.array(1 + 2j),
        "0": np.empty(0),
    }
    store, task, record = Store(tmp_path), PlainTask("m:f", {}), Record(values, arrays, seconds=0.1)
    store.save(task, record)
    found = store.load(task)
    assert found is not None and same(replace(found, arrays=record.arrays), record) and found.seconds == 0.1
    for name, array in arrays.items():
        assert found.arrays[name].tobytes() == array.tobytes() and found.arrays[name].dtype == array.dtype
    assert store.load(PlainTask("m:f", {"other": 1})) is None


@pytest.mark.parametrize("suffix", [".json", ".h5"])
@pytest.mark.parametrize("harm", ["truncate", "flip", "empty", "remove"])
def test_damage_is_seen(tmp_path, suffix, harm):
    store, task = Store(tmp_path), PlainTask("m:f", {}, label="it")
    store.save(task, Record({"x": 1.25}, {"a": np.arange(100.0)}))
    path = store.records / f"{task.key}{suffix}"
    content = path.read_bytes()
    middle = content.index(b"1.25") if suffix == ".json" else len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    new = {"truncate": content[: len(content) // 2], "flip": flipped, "empty": b""}
    path.unlink() if harm == "remove" else path.write_bytes(new[harm])
    if (suffix, harm) == (".json", "remove"):
        assert store.load(task) is None  # no commit marker: never finished
    else:
        with pytest.raises(Damaged, match="'it'"):
            store.load(task)


def test_records_are_written_together(tmp_path, monkeypatch):
    """The same files as one after the other, in more than one group."""
    tasks = [PlainTask("m:f", {"n": n}) for n in range(150)]
    records = [Record({"n": n}, {"a": np.arange(n)} if n % 3 else {}) for n in range(150)]
    one, all_ = Store(tmp_path / "one"), Store(tmp_path / "all")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)  # 250 times, that takes seconds
        for task, record in zip(tasks, records, strict=True):
            one.save(task, record)
    all_.save_all(zip(tasks, records, strict=True))
    files = {path.name: path.read_bytes() for path in one.records.iterdir()}
    assert len(files) == 250 and files == {path.name: path.read_bytes() for path in all_.records.iterdir()}


def test_a_full_disk_leaves_whole_records_only(tmp_path):
    """While records are written together, at every place where it may become full."""
    tasks = [PlainTask("m:f", {"n": n}) for n in range(4)]
    records = [Record({"n": n}, {"a": np.full(40, float(n))}) for n in range(4)]
    whole = []
    for room in range(9):
        store, real, moved = Store(tmp_path / str(room)), os.replace, []

        def full(source, target, room=room, real=real, moved=moved):
            if len(moved) >= room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            moved.append(target)
            real(source, target)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "replace", full)
            if room < 8:
                with pytest.raises(StorageError, match="the disk is full"):
                    store.save_all(zip(tasks, records, strict=True))
            else:
                store.save_all(zip(tasks, records, strict=True))
        assert not list(store.records.glob(".*"))
        found = [store.load(task) for task in tasks]
        assert all(same(record, original) for record, original in zip(found, records, strict=True) if record is not None)
        whole.append(sum(record is not None for record in found))
    assert whole == [0, 0, 1, 1, 2, 2, 3, 3, 4]


def test_other_directories_are_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file"):
        Store(tmp_path / "file")
    store = Store(tmp_path / "run")
    store.claim("mine", 'name = "mine"\n')
    store.claim("mine", 'name = "mine"\nsize = 5\n')  # a changed specification of the same study is welcome
    with pytest.raises(InputError, match="'mine', not 'yours'"):
        store.claim("yours", "")
    assert "size = 5" in (store.directory / "spec.toml").read_text()
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "results.csv").write_text("a,b\n")
    with pytest.raises(InputError, match="no run of this program"):
        Store(tmp_path / "else").claim("mine", "")
    (tmp_path / "run" / "spec.toml").write_text("not toml at all [")
    with pytest.raises(InputError, match="no specification"):
        store.claim("mine", "")


def test_tables_keep_floats(tmp_path):
    path = Store(tmp_path).table("t.csv", [{"b": 0.1 + 0.2, "new": [1, 2]}, {"a": None, "b": math.nan}], ["a", "b"])
    assert path.read_text() == "a,b,new\n,0.30000000000000004,1 2\n,nan,\n"


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-x", "@x", "\t=1", "'=1", "''@x", "--1", "-1 +"])
def test_cells_are_no_formulas(tmp_path, text):
    path = Store(tmp_path).table("t.csv", [{"a": text, "b": -1.5, "c": "-1.5", "d": [-1.0, 2.0], "e": "-1e-05 +2"}], ["a"])
    with path.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["a"] == f"'{text}" and unguarded(row["a"]) == text
    assert (row["b"], row["c"], row["d"], row["e"]) == ("-1.5", "-1.5", "-1.0 2.0", "-1e-05 +2")
    assert guarded("\rx") == "'\rx" and unguarded("'\rx") == "\rx"
    assert unguarded("'quoted'") == "'quoted'" and guarded("plain") == "plain"


def test_links_are_not_followed(tmp_path):
    """Links to a precious file at every place that a run writes, and at the temporary names that were once used."""
    store, task = Store(tmp_path / "run"), PlainTask("m:f", {})
    precious = tmp_path / "precious"
    precious.write_text("precious")
    store.records.mkdir(parents=True)
    for name in ("results.csv", "results.csv.tmp", ".results.csv.part", "spec.toml", f"records/{task.key}.json"):
        (store.directory / name).symlink_to(precious)
    store.table("results.csv", [{"a": 1}], ["a"])
    store.save(task, Record({"x": 1}))
    assert (store.directory / "results.csv").read_text() == "a\n1\n" and not (store.directory / "results.csv").is_symlink()
    assert store.load(task) is not None and precious.read_text() == "precious"
    store.events.symlink_to(precious)
    with pytest.raises(StorageError, match="symbolic link"):
        store.log(Event("end"))
    (store.records / ".lock").symlink_to(precious)
    with pytest.raises(StorageError, match="symbolic link"):
        with store.lock():
            pass
    assert precious.read_text() == "precious"


def test_what_killed_writers_left_is_cleared(tmp_path):
    store = Store(tmp_path)
    left = [tmp_path / ".results.csv.0123.part", store.records / ".x.json.4567.part"]
    store.records.mkdir()
    for path in left:
        path.write_text("half")
    with store.lock():
        assert not any(path.exists() for path in left)


def test_lock_is_for_one(tmp_path):
    store = Store(tmp_path)
    with store.lock():
        with pytest.raises(InputError, match=f"process {os.getpid()} on"):
            with Store(tmp_path).lock():
                pass
    with store.lock():
        pass


def test_lock_of_a_dead_process_is_free(tmp_path):
    hold = f"s = Store({str(tmp_path)!r}).lock(); s.__enter__()"
    script = f"from defectgen.campaign import Store; {hold}; print('held', flush=True); input()"
    holder = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(InputError, match=f"process {holder.pid} "):
        with Store(tmp_path).lock():
            pass
    holder.kill()
    holder.wait()
    with Store(tmp_path).lock():
        pass


OLDER = """
import sys
from pathlib import Path
from defectgen.campaign import Store, run
from test_campaign import plan
tasks = plan(Path(sys.argv[1]))
run(tasks[: int(sys.argv[3])], Store(sys.argv[2]))
"""


def test_records_of_other_versions_are_computed_again(tmp_path, marks):
    tasks, seen = plan(marks), []
    run_as("0.0.1", tmp_path / "other", OLDER, marks, tmp_path, 4)
    assert calls(marks) == ["1", "2", "3"]
    marks.unlink()
    old = Store(tmp_path).records / f"{tasks[0].key}.json"
    assert json.loads(old.read_bytes())["origin"]["version"] == "0.0.1"
    records = run(tasks, Store(tmp_path, reuse_old=True), progress=seen.append)
    assert calls(marks) == [] and [event.event for event in seen] == ["begin", *["reused"] * 4, "end"]
    assert seen[1].detail.startswith("from defectgen 0.0.1, and this is ") and all(record.ok for record in records.values())
    assert json.loads(old.read_bytes())["origin"]["version"] == "0.0.1"  # keeping a record does not make it a new one
    seen.clear()
    again = run(tasks, Store(tmp_path), progress=seen.append)
    assert calls(marks) == ["1", "2", "3"] and [event.event for event in seen].count("outdated") == 4
    assert json.loads(old.read_bytes())["origin"]["version"] == provenance.own_version()
    assert all(same(records[key], again[key]) for key in records)
    marks.unlink()
    run(tasks, Store(tmp_path))
    assert calls(marks) == []


def test_what_was_computed_from_old_records_is_old(tmp_path, marks):
    *_, total = plan(marks)
    run_as("0.0.1", tmp_path / "other", OLDER, marks, tmp_path, 3)
    run([total], Store(tmp_path, reuse_old=True))
    seen = []
    run([total], Store(tmp_path), progress=seen.append)
    reasons = {event.label: event.detail for event in seen if event.event == "outdated"}
    assert set(reasons) == {"draw 1", "draw 2", "draw 3", "total"}
    assert reasons["total"] == "from code that has changed since"  # its own version is this one


def test_records_without_origin_are_old(tmp_path, marks):
    task, store = plan(marks)[0], Store(tmp_path)
    run([task], store)
    path = store.records / f"{task.key}.json"
    content = json.loads(path.read_bytes())
    del content["origin"], content["checksum"]
    content["format"] = 1
    path.write_text(json.dumps({**content, "checksum": _checksum(content)}))
    with pytest.raises(Outdated, match="did not note its code") as caught:
        store.load(task)
    assert caught.value.record.ok


def test_a_record_under_another_name_is_refused(tmp_path, marks):
    first, second, *_ = tasks = plan(marks)
    store = Store(tmp_path)
    right = run(tasks, store)
    for suffix in (".json", ".h5"):
        (store.records / f"{second.key}{suffix}").write_bytes((store.records / f"{first.key}{suffix}").read_bytes())
    with pytest.raises(Damaged, match=r"'draw 2' cannot be read \(it is that of 'draw 1' under another name"):
        store.load(second)
    assert all(same(right[key], record) for key, record in run(tasks, store).items())


def test_the_code_of_a_step_is_what_it_imports(tmp_path, monkeypatch):
    """A chain of modules, one of them named in a string, and one that nobody imports; then what is only prose in this package."""
    folder = tmp_path / "toy_package"
    folder.mkdir()
    texts = {
        "__init__": "",
        "step": "from . import middle\nfrom .named import (\n    one as two,  # why\n    three,\n)\n",
        "middle": "def f():\n    import toy_package.inner as inner\n    return inner, 'toy_package.text:function'\n",
        "inner": "x = 1\n",
        "text": "y = 1\n",
        "named": "one = three = 1\n",
        "apart": "z = 1\n",
    }
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))

    def digest() -> str:
        for cached in (provenance.code, provenance._text, provenance._file, provenance._root):
            cached.cache_clear()
        return provenance.code("toy_package.step:run")

    before = digest()
    assert {name.partition(".")[2] for name in provenance.closure("toy_package.step")} == set(texts) - {"apart", "__init__"}
    assert digest() == before
    for name in texts:
        (folder / f"{name}.py").write_text(texts[name] + "w = 2\n")
        assert (digest() == before) == (name in ("apart", "__init__"))
        (folder / f"{name}.py").write_text(texts[name])
    assert digest() == before


def test_a_reference_of_another_package_is_code_behind_the_tasks_that_name_it(tmp_path, monkeypatch):
    (tmp_path / "toy_potential.py").write_text("strength = 1\n")
    installed(tmp_path, "toy-potential", defectgen__references={"toy-potential": "toy_potential:make"})
    monkeypatch.syspath_prepend(str(tmp_path))

    def stamps() -> list[str]:
        for cached in (provenance._plugins, provenance.code, provenance._text, provenance._file, provenance._root):
            cached.cache_clear()
        references = ["toy-potential(2)", "LJ()"]
        return [provenance.origin(PlainTask("toy_tasks:draw", {"reference": name}), []).stamp for name in references]

    try:
        before = stamps()
        (tmp_path / "toy_potential.py").write_text("strength = 2\n")
        assert [one == other for one, other in zip(before, stamps(), strict=True)] == [False, True]
    finally:
        provenance._plugins.cache_clear()


def test_the_steps_of_studies_do_not_depend_on_report_and_command_line():
    found = provenance.closure("defectgen.study.tasks.trial")
    assert {"defectgen.study.tasks.trial", "defectgen.relax.greens", "defectgen.fit.problem", "defectgen.kernel"} <= set(found)
    rooms = {name.split(".")[1] for name in found}
    assert not rooms & {"report", "cli", "campaign", "surrogate"}
    assert "defectgen.study.diversity.crystals.steps" in provenance.closure("defectgen.study.diversity.crystals")


@dataclass(frozen=True, eq=False)
class Number:
    value: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Scaled(Step[Number]):
    """A step whose result is decided by a method of one of its inputs."""

    by: Any

    def run(self, given: Given) -> Number:
        return Number(self.by.factor())


def test_the_code_of_an_input_is_code_behind_the_step(tmp_path, monkeypatch):
    """A source of data is an input with methods: a change of the module of its class changes the stamp of the step."""
    module = tmp_path / "toy_input.py"
    text = "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass By:\n    def factor(self): return {}\n"
    module.write_text(text.format(2))
    monkeypatch.syspath_prepend(str(tmp_path))
    step = Scaled(by=import_module("toy_input").By())
    assert step.modules == ("toy_input",)

    def stamps() -> list[str]:
        for cached in (provenance.code, provenance._text, provenance._file, provenance._root):
            cached.cache_clear()
        return [provenance.origin(each, []).stamp for each in (step, Scaled(by=2))]

    before = stamps()
    module.write_text(text.format(3))
    assert [one == other for one, other in zip(before, stamps(), strict=True)] == [False, True]


def test_prose_is_no_code():
    """What is left out of a source is exactly its comments and docstrings, in every file of the package."""

    def parsed(text: str) -> str:
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                node.body = [one for one in node.body if not _is_text(one)] or [ast.Pass()]
        return ast.dump(tree)

    def _is_text(node: ast.AST) -> bool:
        return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)

    for path in sorted(Path(provenance.__file__).parents[1].rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        lines = provenance.code_only(text).splitlines()
        bodies = [  # a body that was a docstring only needs another statement before it can be parsed
            f"{line} pass" if line.endswith(":") and _ends(lines, number) else line for number, line in enumerate(lines)
        ]
        assert parsed("\n".join(bodies)) == parsed(text), path
    assert provenance.code_only('x = 1\n"""\nold\n"""\n\n# new\n') == "x = 1"
    assert provenance.code_only('x = """\n# data\n"""') == 'x = """\n# data\n"""'


def _ends(lines: list[str], number: int) -> bool:
    """Whether a body has no line."""
    depth = [len(line) - len(line.lstrip()) for line in lines[number : number + 2]]
    return len(depth) == 1 or depth[1] <= depth[0]


def moved(folder: Path, elsewhere: Path, text: str, monkeypatch) -> tuple[int, int]:
    """Tasks of a study in a folder, and those whose records a copy of the folder with its run knows."""
    found = []
    for place in (folder, elsewhere):
        if place is elsewhere:
            shutil.copytree(folder, elsewhere)
        monkeypatch.chdir(place)
        tasks = study.plan(study.parse(text, place))
        store = Store(place / "run")
        if place is folder:
            for task in tasks:
                store.save(task, Record({"made": True}))
        found.append(sum(store.load(task) is not None for task in tasks))
    return found[0], found[1]


def test_a_run_with_a_potential_file_moves(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    tables = toy_potentials.write_tables(tmp_path / "here")
    text = f"""
name = "moved"
observations = ["E+F"]
[materials.mine]
crystal = "fcc"
species = ["Cu"]
a = 3.6
equilibrate = false
reference = "EAM({tables["setfl"].name})"
[[cases]]
material = "mine"
defect = "vacancy"
simulation_size = 3
basis = {{ cutoff = 4.0, order = 2, degree = 3 }}
[cell_size]
sizes = [2]
"""
    before, after = moved(tmp_path / "here", tmp_path / "there", text, monkeypatch)
    assert before == after > 2
    content = tables["setfl"].read_text()
    (tmp_path / "there" / tables["setfl"].name).write_text(content.replace(content.split("\n")[0], "another comment", 1))
    tasks = study.plan(study.parse(text, tmp_path / "there"))
    assert all(Store(tmp_path / "there" / "run").load(task) is None for task in tasks)  # another file is another material


def test_a_run_with_a_data_file_moves(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    rng = np.random.default_rng(0)
    frames = []
    for number in range(40):
        atoms = [f"H {x:.6f} 0 0 0 0 0" for x in np.cumsum(0.7 + 0.1 * rng.random(2 + number % 8))]
        frames += [str(len(atoms)), f'Properties=species:S:1:pos:R:3:forces:R:3 energy=-1.0 name="m{number % 8}"', *atoms]
    (tmp_path / "here" / "data.extxyz").write_text("\n".join(frames) + "\n")
    text = """
name = "moved"
observations = ["E+F"]
[diversity]
source = "file"
settings = { path = "data.extxyz", structure = "name" }
budgets = [4]
seeds = 1
reserve = 1
baseline = false
[diversity.basis]
cutoff = 3.0
degree = 3
"""
    before, after = moved(tmp_path / "here", tmp_path / "there", text, monkeypatch)
    assert before == after > 3
    pool = next(t for t in study.plan(study.parse(text, tmp_path)) if t.function.endswith("file:ReadFile"))
    (tmp_path / "there" / "data.extxyz").write_text("\n".join(frames).replace("-1.0", "-2.0") + "\n")
    assert "was changed after the run had begun" in execute(pool, {}).failed
    changed = study.plan(study.parse(text, tmp_path))
    assert all(Store(tmp_path / "there" / "run").load(task) is None for task in changed)


# --- run --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 2], ids=["here", "two processes"])
def test_resume_is_bit_identical(tmp_path, marks, workers):
    tasks = plan(marks)
    whole = run(tasks, Store(tmp_path / "whole"))
    store = Store(tmp_path / "cut")
    run(tasks[:2], store)  # killed after two
    first, second = (store.records / f"{task.key}.json" for task in tasks[:2])
    first.unlink()
    second.write_bytes(second.read_bytes()[:100])
    marks.unlink()
    seen: list[Event] = []
    resumed = run(tasks, store, workers=workers, progress=seen.append)
    assert calls(marks) == ["1", "2", "3"]
    assert whole.keys() == resumed.keys() and all(same(whole[key], resumed[key]) for key in whole)
    assert whole[tasks[-1].key].values["sum"] != 0.0
    assert [event.label for event in seen if event.event == "damaged"] == ["draw 2"]
    assert [event.event for event in read(store.events)].count("done") == 2 + 4
    marks.unlink()
    again = run(tasks, store)
    assert calls(marks) == [] and all(same(whole[key], again[key]) for key in whole)


def test_a_changed_plan_recomputes_what_changed(tmp_path, marks):
    store = Store(tmp_path)
    run(plan(marks), store)
    lines = len(marks.read_text().splitlines())
    run(plan(marks, numbers=(1, 2, 4)), store)
    assert marks.read_text().splitlines()[lines:] == ["4", ""]  # the new part, and the total that needs it
    run(plan(marks), store)
    assert len(marks.read_text().splitlines()) == lines + 2  # the old plan is still there
    run(plan(marks, version="2"), store)
    assert len(marks.read_text().splitlines()) == lines + 2 + 4


def test_failure_is_recorded_and_spreads(tmp_path, marks):
    bad = PlainTask("toy_tasks:broken", {"until": str(tmp_path / "now"), "marks": str(marks)}, label="bad")
    good = PlainTask("toy_tasks:draw", {"n": 1}, label="good")
    last = PlainTask("toy_tasks:total", {}, (good, bad), label="sum")
    later = PlainTask("toy_tasks:total", {}, (last,), label="later")
    wrong = PlainTask("toy_tasks:nothing", {}, label="wrong")
    missing = PlainTask("toy_tasks:not_there", {}, label="missing")
    store = Store(tmp_path / "run")
    seen: list[Event] = []
    records = run([later, wrong, missing], store, progress=seen.append)
    assert records[bad.key].failed == "the cell is too small; use size >= 4"
    assert "toy_tasks.py" in records[bad.key].values["traceback"]
    assert records[good.key].ok
    assert records[last.key].failed == "not run, because 'bad' failed: the cell is too small; use size >= 4"
    assert records[later.key].failed.startswith("not run, because 'sum' failed")
    assert "not a Record" in records[wrong.key].failed and "not_there" in records[missing.key].failed
    assert [event.label for event in seen if event.event == "skipped"] == ["sum", "later"]
    assert seen[-1].event == "end" and seen[-1].done == seen[-1].total == 6
    (tmp_path / "now").touch()
    records = run([later], store)
    assert records[later.key].ok and len(marks.read_text().splitlines()) == 2  # tried again, good this time


def test_a_lost_record_that_cannot_be_computed_again(tmp_path, marks):
    """What was computed from it is there, and is not used; everything else is."""
    (tmp_path / "now").touch()
    bad = PlainTask("toy_tasks:broken", {"until": str(tmp_path / "now")}, label="bad")
    good = PlainTask("toy_tasks:draw", {"n": 1}, label="good")
    last = PlainTask("toy_tasks:total", {}, (good, bad), label="sum")
    later = PlainTask("toy_tasks:total", {"n": 0}, (last,), label="later")
    store = Store(tmp_path / "run")
    whole = run([later], store)
    (tmp_path / "now").unlink()
    (store.records / f"{bad.key}.json").unlink()
    seen: list[Event] = []
    records = run([later], store, progress=seen.append)
    assert records[good.key].ok and not records[bad.key].ok
    assert records[last.key].failed == "not used, because its input 'bad' failed: the cell is too small; use size >= 4"
    assert records[later.key].failed.startswith("not used, because its input 'sum' failed")
    assert [event.label for event in seen if event.event == "skipped"] == ["sum", "later"]
    (tmp_path / "now").touch()
    assert all(same(whole[key], record) for key, record in run([later], store).items())


def test_a_dead_worker_costs_only_its_task(tmp_path):
    once = PlainTask("toy_tasks:dies", {"once": str(tmp_path / "once")}, label="once")
    always = PlainTask("toy_tasks:dies", {}, label="always")
    others = [PlainTask("toy_tasks:draw", {"n": n}, label=f"draw {n}") for n in range(3)]
    after = PlainTask("toy_tasks:total", {}, tuple(others), label="total")
    seen: list[Event] = []
    records = run([once, always, after], Store(tmp_path / "run"), workers=2, progress=seen.append)
    assert records[after.key].ok
    assert records[once.key].values == {"survived": True}
    assert "died twice" in records[always.key].failed
    assert {"once", "always"} <= {event.label for event in seen if event.event == "retry"}


def test_workers_have_one_thread_and_a_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    before = dict(os.environ)
    task = PlainTask("toy_tasks:threads", {})
    seen = run([task], Store(tmp_path / "run"), workers=2)[task.key].values
    assert seen["pid"] != os.getpid() and os.environ == before
    assert seen["OMP_NUM_THREADS"] == seen["OPENBLAS_NUM_THREADS"] == seen["PJRT_NPROC"] == "1"
    assert "multi_thread_eigen=false" in seen["XLA_FLAGS"]
    assert seen["JAX_COMPILATION_CACHE_DIR"].startswith(str(tmp_path / "defectgen" / "jax"))


def test_full_disk_is_one_sentence(tmp_path, marks, monkeypatch):
    tasks, store = plan(marks), Store(tmp_path / "run")
    real, written = os.replace, []

    def full(source, target):
        if len(written) >= 3:  # the arrays and the values of one record, and the arrays of the second
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(target)
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(StorageError, match=r"disk is full.*free some space") as caught:
            run(tasks, store)
    assert "\n" not in str(caught.value)
    assert store.load(tasks[0]) is not None and store.load(tasks[1]) is None
    assert not list(store.records.glob(".*.part"))
    marks.unlink()
    run(tasks, store)
    assert calls(marks) == ["2", "3"]  # and the total: it leaves no number


@pytest.mark.parametrize("workers", [1, 2], ids=["here", "two processes"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["interrupt", "terminate"])
def test_stopping_keeps_what_is_done(tmp_path, marks, workers, number):
    quick = PlainTask("toy_tasks:draw", {"n": 1}, label="quick")
    long = [PlainTask("toy_tasks:slow", {"seconds": 600, "n": n, "marks": str(marks)}, (quick,), label="long") for n in range(3)]

    def stop(event: Event) -> None:
        if event.event == "start" and event.label == "long":
            signal.setitimer(signal.ITIMER_REAL, 0.3)

    store = Store(tmp_path / "run")
    old = signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), number))
    start = time.perf_counter()
    try:
        with pytest.raises(Interrupted, match="1 of 4 tasks done; give the same command again") as caught:
            run(long, store, workers=workers, progress=stop)
    finally:
        signal.signal(signal.SIGALRM, old)
    assert caught.value.signal == number
    assert time.perf_counter() - start < 200  # not the 600 s the tasks would take
    assert store.load(quick) is not None and store.load(long[0]) is None
    assert list(read(store.events))[-1].event == "interrupted"


def stopped_at_random(folder: Path, workers: int, number: int, seconds: float) -> None:
    """A run with one signal at a random moment; it stops, and its events say so."""
    rng = np.random.default_rng([workers, number])
    tasks = [PlainTask("toy_tasks:churn", {"seconds": 60.0, "n": n}, label=f"churn {n}") for n in range(workers)]
    which = (signal.SIGINT, signal.SIGTERM)[number % 2]
    timer = threading.Timer(seconds * rng.random(), os.kill, (os.getpid(), which))
    store = Store(folder)
    with pytest.raises(Interrupted) as caught:
        run(tasks, store, workers=workers, progress=lambda event: timer.start() if event.event == "begin" else None)
    timer.join()
    assert caught.value.signal == which and store.load(tasks[0]) is None
    assert list(read(store.events))[-1].event == "interrupted"
    assert not multiprocessing.active_children()


def test_every_signal_stops(tmp_path):
    execute(PlainTask("toy_tasks:churn", {"seconds": 0.1}), {})
    for number in range(20):
        stopped_at_random(tmp_path / str(number), 1, number, 0.3)


@pytest.mark.slow
def test_every_signal_stops_two_workers(tmp_path):
    for number in range(20):
        stopped_at_random(tmp_path / str(number), 2, number, 5.0)


def test_an_interruption_that_a_callback_swallows_is_repeated(tmp_path, capsys):
    task = PlainTask("toy_tasks:deaf", {})
    with pytest.raises(Interrupted):
        run([task], Store(tmp_path))
    assert "Exception ignored" not in capsys.readouterr().err


@pytest.mark.parametrize("signals", [1, 2])
def test_a_process_that_does_not_react_is_ended(signals):
    """Code that never comes back to the interpreter: a second signal ends it at once, one alone after the patience is over."""
    script = (
        "import hashlib, importlib.util\n"
        f"spec = importlib.util.spec_from_file_location('stop', {stop.__file__!r})\n"
        "stop = importlib.util.module_from_spec(spec); spec.loader.exec_module(stop)\n"
        f"stop.PATIENCE = {1.0 if signals == 1 else 1e9}\n"
        "with stop.stoppable(True) as found:\n"
        "    found.last_words = lambda: print('last words')\n"
        "    print('begun', flush=True); hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begun\n"
    for _ in range(signals):
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=200)[0] == "last words\n" and process.returncode == 130


def test_workers_end_with_a_killed_parent(tmp_path, marks):
    script = (
        "import sys\nfrom defectgen.campaign import PlainTask, Store, run\n"
        f"if __name__ == '__main__':\n    sys.path.insert(0, {str(HERE)!r})\n"
        f"    tasks = [PlainTask('toy_tasks:slow', dict(seconds=600, n=n, marks={str(marks)!r})) for n in range(2)]\n"
        f"    run(tasks, Store({str(tmp_path / 'run')!r}), workers=2)\n"
    )
    (tmp_path / "main.py").write_text(script)
    parent = subprocess.Popen([sys.executable, str(tmp_path / "main.py")], stdout=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while len(calls(marks)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(calls(marks)) == 2
    parent.kill()
    # the pipe closes when the last process that holds it is gone: the workers, which would sleep for 600 s
    parent.communicate(timeout=200)


def test_events_tell_the_story(tmp_path, marks):
    store = Store(tmp_path)
    seen: list[Event] = []
    tasks = plan(marks, numbers=(1, 2))
    run(tasks, store, progress=seen.append)
    assert list(read(store.events)) == seen
    assert [event.event for event in seen] == ["begin", *["start", "done"] * 3, "end"]
    done = [event for event in seen if event.event == "done"]
    assert [(event.done, event.total, event.label) for event in done] == [(1, 3, "draw 1"), (2, 3, "draw 2"), (3, 3, "total")]
    assert done[0].left > 0.0 and done[-1].left == 0.0
    with open(store.events, "a") as file:
        file.write('{"event": "do')  # a kill in the middle of a line
    store.log(Event("end"))
    assert len(list(read(store.events))) == len(seen) + 1
    assert json.loads(store.events.read_text().splitlines()[-1])["event"] == "end"


def test_batches_are_of_one_function_and_cost():
    """Tasks that run the same compiled programs, in the order of the plan; those that killed workers are alone."""
    kinds = [("m:f", 1.0), ("m:f", 8.0), ("m:g", 1.0)]
    tasks = [PlainTask(name, {"n": n, "size": weight}, weight=weight) for n in range(10) for name, weight in kinds]
    board = Board(tasks)
    asked: list[tuple] = []

    def four(kind, waiting) -> int:
        asked.append((kind, waiting))
        return 4

    first, other = board.batch(four), board.batch(four, like=("m:g", 1.0))
    assert first == tasks[0:12:3] and other == tasks[2:14:3]
    assert asked == [(("m:f", 1.0), 10), (("m:g", 1.0), 10)]
    assert board.batch(four, like=("m:h", 1.0)) == tasks[1:13:3]  # a shape of which there is none: the first of the plan
    assert board.batch(four, alone={tasks[17].key, tasks[16].key}) == [tasks[16]]
    assert board.batch(four, like=("m:f", 1.0)) == tasks[12:24:3]


def test_the_clock_goes_by_weight():
    light, heavy = PlainTask("m:f", {"n": 1}, weight=1.0), PlainTask("m:f", {"n": 2}, weight=8.0)
    board = Board([light, heavy])
    assert board.left(1) is None
    board.settle(light, Record(seconds=2.0))
    assert board.left(1) == board.left(4) == 16.0  # one task cannot be shared


@pytest.mark.parametrize("seed", range(30))
def test_the_board_says_what_the_records_say(seed):
    """Random plans and outcomes: what is ready and what is blocked, by its definition, after every step."""
    rng, tasks = np.random.default_rng(seed), []
    for n in range(12):
        after = [tasks[k] for k in rng.permutation(n)[: rng.integers(0, 3)]]
        tasks.append(PlainTask("m:f", {"n": n}, tuple(after), weight=float(rng.integers(1, 5))))
    board, good, lost = Board(tasks), Record(seconds=1.0), Record(failed="no")

    def holds(task: Task, ok: bool) -> bool:
        return task.key in board.records and board.records[task.key].ok == ok

    def is_open(task: Task) -> bool:
        return task.key not in board.records and task.key not in board.running

    for task in board.tasks:  # some were found on disk, whatever they need
        if rng.random() < 0.3:
            board.settle(task, good, fresh=False)
    running: list[Task] = []
    while len(board.records) < len(tasks) or running:
        while blocked := board.blocked():
            task, needed = blocked
            assert needed in task.after and holds(needed, False) and task.key not in board.running and not holds(task, False)
            board.settle(task, lost, fresh=False)
        assert not any(
            is_open(t) or (holds(t, True) and t.key not in board.running) for t in tasks if any(holds(o, False) for o in t.after)
        )
        ready = [task for task in board.tasks if is_open(task) and all(holds(other, True) for other in task.after)]
        assert board.ready() is (ready[0] if ready else None)
        waiting = [task.weight for task in board.tasks if task.key not in board.records]
        assert board.left(1) is None or board.left(1) == pytest.approx(board._seconds / max(board._weight, 1) * sum(waiting))
        if ready and (not running or rng.random() < 0.5):
            board.start(ready[0])
            running.append(ready[0])
        elif running:
            task = running.pop(int(rng.integers(len(running))))
            if rng.random() < 0.2:
                board.give_back(task)
            else:
                board.settle(task, good if rng.random() < 0.7 else lost)


def test_memory_of_large_tasks_is_given_back():
    """Arrays in a reference cycle live until they are collected, which is done when the process has grown."""
    task = PlainTask("toy_tasks:cycle", {"megabytes": 200})
    execute(PlainTask("toy_tasks:cycle", {"megabytes": 0}), {})
    before = workers.resident()
    if before is None:
        pytest.skip("this system does not say how large a process is")
    gc.disable()
    try:
        for _ in range(3):
            execute(task, {})
        assert workers.resident() < before + 150e6
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("settings", "collections"),
    [({"period": 1e9}, 0), ({"period": 0.0}, 2), ({"period": 1e9, "growth": 0}, 2), ({"period": 1e9, "size": lambda: None}, 2)],
    ids=["small", "not looked at for long", "grown", "of unknown size"],
)
def test_small_tasks_are_not_followed_by_a_collection(settings, collections):
    tidier, seen = workers.Tidier(**({"size": lambda: 1 << 30} | settings)), []

    def collected(phase: str, about: dict) -> None:
        if phase == "stop" and about["generation"] == 2:
            seen.append(phase)

    gc.disable()  # only what the tidier asks for is counted
    gc.callbacks.append(collected)
    try:
        assert sum(tidier.tidy() for _ in range(2)) == collections
    finally:
        gc.callbacks.remove(collected)
        gc.enable()
        gc.unfreeze()
    assert len(seen) == collections


def test_dask_gives_the_same(tmp_path, marks):
    distributed = pytest.importorskip("distributed")
    tasks = plan(marks)
    here = run(tasks, Store(tmp_path / "here"))
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        there = run(tasks, Store(tmp_path / "there"), scheduler=cluster.scheduler_address)
    assert all(same(here[key], there[key]) for key in here)


def test_bad_calls_are_refused(tmp_path):
    with pytest.raises(InputError, match="workers must be 0 or more"):
        run([], Store(tmp_path), workers=-1)
    with pytest.raises(InputError, match="no dask scheduler"):
        run([PlainTask("toy_tasks:draw", {"n": 1})], Store(tmp_path), scheduler="not an address")


# ------------------------------------------------------------------------------------------------ compiled kernels
def test_kernels_are_let_go_before_the_mappings_run_out(tmp_path):
    """A process has one line of its maps for every mapping; here the limit is lowered until the process stands at it."""
    import jax

    @jax.jit
    def double(x):
        return 2 * x

    double(1.0)
    assert not workers.release_kernels() and double._cache_size() == 1  # far from the limit of this machine, or none there
    limit, own = tmp_path / "limit", tmp_path / "maps"
    limit.write_text("10")
    own.write_text("one mapping\n" * 7)
    assert workers.release_kernels(limit, own) and double._cache_size() == 0
    assert double(3.0) == 6.0  # compiled again, or read from the cache on disk
    limit.write_text("12")
    assert not workers.release_kernels(limit, own)
    assert not workers.release_kernels(tmp_path / "absent", own)
