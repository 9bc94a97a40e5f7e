"""Watching a run and caring for its records: status, check, garbage, export."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import h5py
import numpy as np
import pytest

from defectgen._input import InputError
from defectgen.campaign import (
    Event,
    PlainTask,
    Record,
    Store,
    check,
    collect_garbage,
    export,
    status,
)
from defectgen.cli import main
from defectgen.cli.watching import lines

START = datetime(2026, 1, 1, tzinfo=UTC)


def logged(folder: Path, *events: tuple) -> Store:
    """A log of (seconds, kind, label, others) at stated times."""
    store = Store(folder)
    for seconds, kind, label, others in events:
        store.log(Event(kind, label, **{"total": 5, **others}, time=(START + timedelta(seconds=seconds)).isoformat()))
    return store


RUN = (
    (0, "begin", "", {"detail": {"workers": None, "scheduler": "tcp://x:1"}}),
    (0, "found", "old", {}),
    (1, "worker", "", {"detail": "worker w1 joined with 1 thread"}),
    (2, "start", "a", {"detail": "w1"}),
    (2, "start", "b", {"detail": "w2"}),
    (5, "done", "a", {"seconds": 3.0}),
    (6, "failed", "b", {"detail": "too small"}),
    (6, "skipped", "d", {}),
    (7, "start", "c", {"detail": "w1", "left": 50.0}),
)


def test_status_of_a_run_that_goes_on(tmp_path):
    store = logged(tmp_path, (0, "begin", "", {}), (1, "done", "of an earlier run", {}), *RUN)
    with store.lock():
        found = status(tmp_path, START + timedelta(seconds=17))
    assert (found.state, found.total, found.done, found.found, found.failed, found.skipped) == ("running", 5, 1, 1, 1, 1)
    assert [(one.label, one.seconds, one.worker) for one in found.running] == [("c", 10.0, "w1")]
    assert (found.left, found.seconds, found.quiet) == (40.0, 17.0, 10.0)
    assert found.slowest == (("a", 3.0),) and found.failures == (("b", "too small"),) and found.scheduler == "tcp://x:1"
    text = lines(tmp_path, found)
    assert text[1] == "2 of 5 tasks done (1 of them before), 1 failed, 1 not run, 1 running; less than a minute left"
    assert "running: c (10 s, worker w1)" in text and "failed: b: too small" in text


@pytest.mark.parametrize(
    ("last", "state"), [("end", "finished"), ("interrupted", "interrupted"), ("lost", "scheduler lost"), (None, "ended")]
)
def test_status_of_a_run_that_is_over(tmp_path, last, state):
    """A run that was killed left no word; its lock is free."""
    logged(tmp_path, *RUN, *([(20, last, "", {})] if last else []))
    found = status(tmp_path, START + timedelta(seconds=30))
    assert found.state == state and found.running == () and found.left is None
    assert found.seconds == (20.0 if last else 7.0)


def test_status_at_the_command_line(tmp_path, capsys):
    logged(tmp_path, *RUN, (20, "end", "", {}))
    with pytest.raises(SystemExit) as caught:
        main(["status", str(tmp_path), "--json"])
    assert caught.value.code == 1 and json.loads(capsys.readouterr().out)["done"] == 1
    with pytest.raises(SystemExit) as caught:
        main(["status", str(tmp_path / "nowhere")])
    assert caught.value.code == 2 and "has no events of a run" in capsys.readouterr().err


@pytest.fixture
def stored(tmp_path) -> tuple[Store, list[PlainTask]]:
    """Five records, one of a failed task; the last has no arrays."""
    store, tasks = Store(tmp_path / "run"), [PlainTask("m:f", {"n": n}, label=f"task {n}") for n in range(5)]
    for n, task in enumerate(tasks):
        arrays = {} if n == 4 else {"a": np.arange(n + 1.0), "b": np.array([True])}
        store.save(task, Record({"n": n}, arrays, failed="why" if n == 3 else None, seconds=float(n)))
    return store, tasks


def test_check_finds_every_damage(stored):
    store, tasks = stored
    good = check(store)
    assert (good.whole, good.failed, good.damaged, good.orphans, good.partial) == (5, 1, (), (), ())
    assert good.size == sum(path.stat().st_size for path in store.records.iterdir())
    paths = [store.records / task.key for task in tasks]
    path = paths[0].with_suffix(".json")
    path.write_text(path.read_text().replace('"n": 0', '"n": 7'))
    paths[1].with_suffix(".h5").write_bytes(b"other")
    paths[2].with_suffix(".h5").unlink()
    paths[3].with_suffix(".json").unlink()  # never committed
    paths[4].with_suffix(".json").rename(store.records / f"{'0' * 64}.json")
    (store.records / ".x.json.0123.part").write_text("half")
    bad = check(store)
    reasons = dict(bad.damaged)
    assert bad.whole == 0 and bad.orphans == (f"{tasks[3].key}.h5",) and bad.partial == (".x.json.0123.part",)
    assert reasons[f"{tasks[0].key}.json"] == "its checksum is wrong"
    assert reasons[f"{tasks[1].key}.json"] == "the checksum of its arrays is wrong"
    assert reasons[f"{tasks[2].key}.json"] == "its arrays are missing"
    assert "under another name" in reasons[f"{'0' * 64}.json"]


def test_garbage_is_what_no_plan_needs(stored):
    store, tasks = stored
    keep = {task.key for task in tasks[:2]}
    (store.records / "orphan.h5").write_bytes(b"x")
    before = sorted(path.name for path in store.records.iterdir())
    dry = collect_garbage(store, keep, dry_run=True)
    assert sorted(path.name for path in store.records.iterdir()) == before
    with store.lock():
        found = collect_garbage(store, keep)
    assert found == dry and len(found.records) == 3 and found.others == ("orphan.h5",)
    left = check(store)
    assert left.whole == 2 and not left.orphans and store.load(tasks[0]) is not None and store.load(tasks[2]) is None


def test_export_holds_every_number(stored, tmp_path):
    store, tasks = stored
    assert export(store, tmp_path / "all.h5") == 5
    with h5py.File(tmp_path / "all.h5") as file:
        keys = [key.decode() for key in file["key"][()]]
        assert sorted(task.key for task in tasks) == keys
        for n, task in enumerate(tasks):
            row = keys.index(task.key)
            assert json.loads(file["values"][row]) == {"n": n} and json.loads(file["spec"][row]) == {"n": n}
            assert file["seconds"][row] == n and file["failed"][row].decode() == ("why" if n == 3 else "")
            arrays = file[f"arrays/{task.key}"] if n < 4 else {}
            assert set(arrays) == ({"a", "b"} if n < 4 else set())
            assert n == 4 or np.array_equal(arrays["a"][()], np.arange(n + 1.0))
    with pytest.raises(InputError, match=r"ends in \.h5"):
        export(store, tmp_path / "all.parquet")
    path = store.records / f"{tasks[0].key}.json"
    path.write_text(path.read_text()[:50])
    with pytest.raises(InputError, match="is damaged"):
        export(store, tmp_path / "again.h5")
    assert not (tmp_path / "again.h5").exists() and not list(tmp_path.glob(".*.part"))


def test_the_verbs_of_a_store(tmp_path, capsys):
    """A small study: what it does not plan is removed, and it finds the rest again."""
    folder = tmp_path / "run"
    from defectgen import campaign, study

    spec = study.load("quickstart")
    store = Store(folder)
    store.claim(spec.name, study.dump(spec))
    task = campaign.in_order(study.plan(spec))[0]
    store.save(task, Record())
    store.save(PlainTask("m:f", {}), Record())
    (folder / "scratch").mkdir()
    (folder / "scratch" / "rows").write_bytes(b"x" * 1000)

    def said(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as caught:
            main(["store", *words])
        out = capsys.readouterr()
        return caught.value.code, out.out + out.err

    assert said("check", str(folder))[0] == 0
    assert "would be removed: 1 records" in said("gc", str(folder), "--dry-run")[1] and (folder / "scratch").exists()
    assert said("gc", str(folder))[1].startswith("removed: 1 records") and not (folder / "scratch").exists()
    assert store.load(task) is not None and check(store).whole == 1
    assert said("export", str(folder), "--out", str(tmp_path / "all.h5")) == (0, f"wrote 1 records to {tmp_path / 'all.h5'}\n")

    def data(*words: str) -> dict:
        return json.loads(said(*words, "--json")[1])

    checked = data("check", str(folder))
    assert (checked["whole"], checked["failed"], checked["damaged"]) == (1, 0, []) and list(checked["versions"].values()) == [1]
    swept = data("gc", str(folder), "--dry-run")
    assert swept == {"directory": str(folder), "removed": False, "scratch": 0, "records": [], "others": [], "size": 0}
    assert data("export", str(folder), "--out", str(tmp_path / "b.h5")) == {
        "directory": str(folder),
        "file": str(tmp_path / "b.h5"),
        "records": 1,
    }
    (store.records / f"{task.key}.json").write_text("{}")
    code, text = said("check", str(folder))
    assert code == 1 and "the next run computes it again" in text
    with pytest.raises(SystemExit) as caught:
        main(["store", "check", str(folder), "--json"])
    assert caught.value.code == 1 and json.loads(capsys.readouterr().out)["damaged"][0]["file"] == f"{task.key}.json"
    assert said("check", str(tmp_path)) == (
        2,
        f"error: '{tmp_path}' has no records of a run (No such file or directory); give the --out directory of 'defectgen run'\n",
    )
