"""Campaigns on a dask cluster: what an empty task costs, compared with bare dask; what a record costs in a large store.

Why this case: the scheduler, the check of workers and the records are paid for every task, and the process of the run is the only
writer: its time a task bounds how many workers it can serve.

What is counted: wall seconds, as processes wait for each other; one scheduler and one worker on loopback, after a warm-up. The
store is filled without flushing, then timed with it.

Usage: bench_cluster.py [TASKS [RECORDS]], 5,000 tasks and 100,000 records if none are given.
"""

from timing import machine, summary  # isort: skip  (first: it pins the threads)

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from bench_machinery import nothing
from dask.distributed import Client

from defectgen.campaign import PlainTask, Record, Store, run


def wall(call: Callable[[], object]) -> float:
    """Seconds of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def plan(count: int, first: int = 0) -> list[PlainTask]:
    """Empty tasks that need nothing."""
    return [PlainTask("bench_machinery:nothing", {"n": n}, label=f"task {n}") for n in range(first, first + count)]


def overhead(folder: Path, count: int) -> tuple[float, float, float]:
    """Seconds a task: ours, ours without flushing records to disk, bare dask."""
    file = folder / "scheduler.json"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])}
    options = ["--scheduler-file", str(file), "--no-dashboard", "--host", "127.0.0.1"]
    commands = [["dask_scheduler"], ["dask_worker", "--nthreads", "1", "--no-nanny", "--memory-limit", "0"]]
    quiet = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    started = [subprocess.Popen([sys.executable, "-m", f"distributed.cli.{c[0]}", *c[1:], *options], **quiet) for c in commands]
    try:
        while not file.exists() or not file.read_text().strip().endswith("}"):
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        run(plan(10, 10**6), Store(folder / "warm"), scheduler=address)
        ours = wall(lambda: run(plan(count), Store(folder / "one"), scheduler=address)) / count
        flush, os.fsync = os.fsync, lambda handle: None
        unflushed = wall(lambda: run(plan(count), Store(folder / "two"), scheduler=address)) / count
        os.fsync = flush
        with Client(address) as client:
            bare = wall(lambda: client.gather(client.map(nothing, [{"n": n} for n in range(count)], pure=False))) / count
        return ours, unflushed, bare
    finally:
        for process in started:
            process.kill()
            process.wait()


def records(folder: Path, count: int) -> tuple[float, float]:
    """Seconds to insert and to look up a record in a store of `count`."""
    store = Store(folder / "store")
    flush, os.fsync = os.fsync, lambda handle: None
    for task in plan(count):
        store.save(task, Record({"n": task.spec["n"], "error": 0.1}))
    os.fsync = flush
    more = plan(300, count)
    insert = wall(lambda: [store.save(task, Record({"n": 0, "error": 0.1})) for task in more]) / len(more)
    found = plan(count)[:: max(1, count // 300)]
    return insert, wall(lambda: [store.load(task) for task in found]) / len(found)


def main(tasks: int, count: int) -> None:
    print(machine("distributed"))
    with TemporaryDirectory() as folder:
        ours, unflushed, bare = overhead(Path(folder), tasks)
    rows = [(f"an empty task on a cluster, of {tasks}", ours), ("the same without flushing", unflushed), ("bare dask", bare)]
    for size in sorted({max(1, count // 100), max(1, count // 10), count}):
        with TemporaryDirectory() as folder:
            insert, look_up = records(Path(folder), size)
        rows += [(f"insert into {size} records", insert), (f"look up in {size} records", look_up)]
    for work, seconds in rows:
        print(f"{work:<50}{1e3 * seconds:>10.3f} ms")
        summary(work, "ms", 1e3 * seconds, "bare dask" if "empty" in work else "", 1e3 * bare if "empty" in work else None)


if __name__ == "__main__":
    main(*(int(word) for word in (sys.argv[1:] + ["5000", "100000"][len(sys.argv) - 1 :])))
