"""Campaign: same plan, same records, whatever happens in between."""

import errno
import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from defectgen._input import InputError
from defectgen.campaign import Event, Interrupted, PlainTask, Record, StorageError, Store, Task, in_order, kernels, run
from defectgen.campaign.events import read
from defectgen.campaign.store import Damaged

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


def test_workers_end_with_a_killed_parent(tmp_path, marks):
    script = (
        "import sys\nfrom defectgen.campaign import Store, Task, run\n"
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


def test_the_clock_goes_by_weight():
    from defectgen.campaign.board import Board

    light, heavy = PlainTask("m:f", {"n": 1}, weight=1.0), PlainTask("m:f", {"n": 2}, weight=8.0)
    board = Board([light, heavy])
    assert board.left(1) is None
    board.settle(light, Record(seconds=2.0))
    assert board.left(1) == board.left(4) == 16.0  # one task cannot be shared


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
def test_kernels_are_let_go_before_the_mappings_run_out(tmp_path, monkeypatch):
    """A process has one line of its maps for every mapping; here the limit is lowered until the process stands at it."""
    import jax

    @jax.jit
    def double(x):
        return 2 * x

    double(1.0)
    assert not kernels.release_kernels() and double._cache_size() == 1  # far from the limit of this machine, or none there
    limit = tmp_path / "limit"
    limit.write_text("10")
    (tmp_path / "maps").write_text("one mapping\n" * 7)
    monkeypatch.setattr(kernels, "LIMIT", limit)
    monkeypatch.setattr(kernels, "OWN", tmp_path / "maps")
    assert kernels.release_kernels() and double._cache_size() == 0
    assert double(3.0) == 6.0  # compiled again, or read from the cache on disk
    limit.write_text("12")
    assert not kernels.release_kernels()
    monkeypatch.setattr(kernels, "LIMIT", tmp_path / "absent")
    assert not kernels.release_kernels()
