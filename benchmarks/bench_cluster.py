"""Campaigns on a dask cluster: what an empty task costs, compared with bare dask; what a record costs in a large store.

Why this case: the scheduler, the check of workers and the records are paid for every task, and the process of the run is the only
writer: its time a task bounds how many workers it can serve.

What is counted: wall seconds, as processes wait for each other, and processor seconds of each process; one scheduler and two
workers on loopback, after a warm-up. Memory is the largest of the scheduler's process so far. The store is filled without flushing,
then timed with it.

Usage: bench_cluster.py [TASKS [RECORDS]], 2,000 tasks and 10,000 records if none are given. Either may be 0.
"""

from timing import machine, summary  # isort: skip  (first: it pins the threads)

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from bench_machinery import nothing
from dask.distributed import Client

from defectgen.campaign import PlainTask, Record, Store, run

WORKERS = 2
MEGABYTES = 8
"""Of the arrays of the record that the tasks of `traffic` need."""


def plan(count: int, first: int = 0) -> list[PlainTask]:
    """Empty tasks that need nothing."""
    return [PlainTask("bench_machinery:nothing", {"n": n}, label=f"task {n}") for n in range(first, first + count)]


def single(count: int) -> list[PlainTask]:
    """Empty tasks of different relative costs, so that each is a batch of its own, as tasks of a second or more are."""
    return [PlainTask("bench_machinery:nothing", {"n": -n}, label=f"single {n}", weight=n) for n in range(1, count + 1)]


def large(spec: dict) -> Record:
    """A record with large arrays, which many tasks need."""
    return Record({"n": spec["n"]}, {"array": np.zeros(MEGABYTES << 17)})


def traffic(count: int) -> list[PlainTask]:
    """Empty tasks that need one large record."""
    start = PlainTask("bench_cluster:large", {"n": 0}, label="large")
    return [PlainTask("bench_machinery:nothing", {"n": n}, (start,), f"user {n}") for n in range(count)]


def used(process: int) -> float:
    """Processor seconds of a process so far (Linux; NaN elsewhere)."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def most(process: int) -> float:
    """Largest memory of a process so far, MB (Linux; NaN elsewhere)."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmHWM"))


@dataclass(frozen=True)
class Cost:
    """Of one task: wall time, and processor time of this process, of the scheduler and of the workers together (s)."""

    wall: float
    own: float
    scheduler: float
    workers: float

    @property
    def all(self) -> float:
        """Processor time of all processes (s)."""
        return self.own + self.scheduler + self.workers


def cost(call: Callable[[], object], processes: list[int], count: int) -> Cost:
    """What a task costs in a call that carries out so many; the scheduler is the first of the processes."""

    def now() -> tuple[float, ...]:
        return time.perf_counter(), time.process_time(), used(processes[0]), sum(map(used, processes[1:]))

    before = now()
    call()
    after = now()
    return Cost(*((late - early) / count for early, late in zip(before, after, strict=True)))


def overhead(folder: Path, count: int) -> list[tuple[str, str, float]]:
    """Lines of the table: what, unit, number."""
    file = folder / "scheduler.json"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])}
    options = ["--scheduler-file", str(file), "--no-dashboard", "--host", "127.0.0.1"]
    worker = ["dask_worker", "--nthreads", "1", "--no-nanny", "--memory-limit", "0"]
    quiet = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    started = [
        subprocess.Popen([sys.executable, "-m", f"distributed.cli.{c[0]}", *c[1:], *options], **quiet)
        for c in [["dask_scheduler"], *[worker] * WORKERS]
    ]
    try:
        while not file.exists() or not file.read_text().strip().endswith("}"):
            time.sleep(0.1)
        address, of = json.loads(file.read_text())["address"], [process.pid for process in started]
        run(plan(200, 10**6), Store(folder / "warm"), scheduler=address)
        empty = most(of[0])
        ours = cost(lambda: run(plan(count), Store(folder / "one"), scheduler=address), of, count)
        memory = most(of[0])
        flush, os.fsync = os.fsync, lambda handle: None
        unflushed = cost(lambda: run(plan(count), Store(folder / "two"), scheduler=address), of, count)
        few = max(1, count // 50)
        alone = cost(lambda: run(single(10 * few), Store(folder / "four"), scheduler=address), of, 10 * few)
        moved = cost(lambda: run(traffic(few), Store(folder / "three"), scheduler=address), of, few)
        os.fsync = flush
        after = most(of[0])
        with Client(address) as client:
            bare = cost(lambda: client.gather(client.map(nothing, [{"n": n} for n in range(count)], pure=False)), of, count)
        return [
            (f"an empty task on a cluster, of {count}", "ms", 1e3 * ours.wall),
            ("the same without flushing", "ms", 1e3 * unflushed.wall),
            ("bare dask", "ms", 1e3 * bare.wall),
            ("processor time of all processes, a task", "ms", 1e3 * ours.all),
            ("the same of bare dask", "ms", 1e3 * bare.all),
            ("processor time of the run, a task", "ms", 1e3 * ours.own),
            ("processor time of the scheduler, a task", "ms", 1e3 * ours.scheduler),
            ("processor time of the scheduler, a task of bare dask", "ms", 1e3 * bare.scheduler),
            (f"an empty task that needs a record of {MEGABYTES} MiB", "ms", 1e3 * moved.wall),
            ("an empty task alone in its batch, without flushing", "ms", 1e3 * alone.wall),
            ("processor time of the run, a batch of one task", "ms", 1e3 * alone.own),
            ("processor time of the scheduler, a batch of one task", "ms", 1e3 * alone.scheduler),
            ("memory of the scheduler before", "MB", empty),
            (f"memory of the scheduler after {count} tasks", "MB", memory),
            ("memory of the scheduler after large records", "MB", after),
            (f"memory of the scheduler after {count} tasks of bare dask", "MB", most(of[0])),
        ]
    finally:
        for process in started:
            process.kill()
            process.wait()


def records(folder: Path, count: int) -> list[tuple[str, str, float]]:
    """What it costs to fill a store, and to insert and look up a record in it."""
    store = Store(folder / "store")
    more, found = plan(300, count), plan(count)[:: max(1, count // 300)]
    flush, os.fsync = os.fsync, lambda handle: None
    start = time.perf_counter()
    for task in plan(count):
        store.save(task, Record({"n": task.spec["n"], "error": 0.1}))
    filled = time.perf_counter()
    os.fsync = flush
    for task in more:
        store.save(task, Record({"n": 0, "error": 0.1}))
    inserted = time.perf_counter()
    for task in found:
        store.load(task)
    looked = time.perf_counter()
    times = (filled - start) / count, (inserted - filled) / len(more), (looked - inserted) / len(found)
    names = (f"fill a store of {count} without flushing, a record", f"insert into {count} records", f"look up in {count} records")
    return [(name, "ms", 1e3 * seconds) for name, seconds in zip(names, times, strict=True)]


def show(lines: list[tuple[str, str, float]]) -> None:
    """Print lines of the table."""
    theirs = next((number for work, _, number in lines if work == "bare dask"), None)
    for work, unit, number in lines:
        print(f"{work:<60}{number:>10.3f} {unit}", flush=True)
        if "empty task on" in work:
            summary(work, unit, number, "bare dask", theirs)
        elif work.startswith(("insert", "look up")):
            summary(work, unit, number)


def main(tasks: int, count: int) -> None:
    print(machine("distributed"), flush=True)
    if tasks:
        with TemporaryDirectory() as folder:
            show(overhead(Path(folder), tasks))
    for size in sorted({max(1, count // 100), max(1, count // 10), count} if count else ()):
        with TemporaryDirectory() as folder:
            show(records(Path(folder), size))


if __name__ == "__main__":
    main(*(int(word) for word in (sys.argv[1:] + ["2000", "10000"][len(sys.argv) - 1 :])))
