"""The machinery around the calculations: start of the program, bookkeeping of a run, the report.

Why this case: none of it computes anything, and all of it is paid on every call, for every task, for every row. A module that is
imported without need, a list that is gone through once a task or a figure that is laid out again for every label shows here.

What is counted: processor seconds of new processes for the command line and the import; of one process for a run of empty tasks,
for a run that finds all its records on disk, and for the report of a run with many rows of results.

Usage: bench_machinery.py [RECORDS [ROWS]], 20,000 records and 400 rows if none are given.
"""

from timing import machine, seconds, summary  # isort: skip  (first: it pins the threads)

import os
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from defectgen.campaign import Event, PlainTask, Record, Store, run
from defectgen.report import write
from defectgen.study import RATES, RESULTS

SETS = ("E+F", "E+F+V", "E+F+FC", "E+F+FC+V")
RECORDS, ROWS = 20_000, 400


def nothing(spec: dict, *needed: Record) -> Record:
    """The task that does nothing."""
    return Record({"n": spec["n"]})


def process(*command: str) -> float:
    """Processor seconds of a new process, its children included; the second of two calls, which finds compiled modules."""
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def plan(count: int) -> list[PlainTask]:
    """Roots with ten tasks each: a tenth waits for nothing, all else for its root."""
    tasks: list[PlainTask] = []
    while len(tasks) < count:
        root = PlainTask("bench_machinery:nothing", {"n": len(tasks)}, label=f"root {len(tasks)}")
        tasks.append(root)
        tasks += [PlainTask("bench_machinery:nothing", {"n": len(tasks) + k}, (root,), f"task {k}") for k in range(9)]
    return tasks[:count]


def recalled(count: int) -> float:
    """Processor seconds to find `count` finished records."""
    with TemporaryDirectory() as folder:
        store, tasks = Store(folder), plan(count)
        flush, os.fsync = os.fsync, lambda handle: None  # what is written here need not survive the machine
        for task in tasks:
            store.save(task, Record({"n": task.spec["n"], "error": 0.1, "text": "converged"}))
        os.fsync = flush
        return seconds(lambda: run(plan(count), store))


def empty(count: int = 300) -> float:
    """Processor seconds of an empty task in one process that has JAX loaded."""
    with TemporaryDirectory() as folder:
        store = Store(folder)
        return seconds(lambda: run(plan(count), store)) / count


def tabulated(folder: Path, rows: int, sizes: int = 5) -> None:
    """A finished run of `rows` rows: each defect with four observation sets, `sizes` training cells and two predicted slopes."""
    rng, store = np.random.default_rng(0), Store(folder)
    results, rates = [], []
    for number in range(rows // (sizes * len(SETS))):
        case = {"study": "cell-size", "material": f"M{number % 10}", "defect": f"defect {number // 10}"}
        for place, name in enumerate(SETS):
            slope, radii = -1.5 - 0.5 * place, np.linspace(2, 7, sizes)
            factors = np.exp(0.1 * rng.standard_normal((2, sizes)))
            for radius, (one, two) in zip(radii, factors.T, strict=True):
                errors = {"geometry_error": 0.1 * radius**slope * one, "energy_error": 0.3 * radius ** (2 * slope) * two}
                row = {**dict.fromkeys(RESULTS, 1.0), **case, "observations": name, "training_radius": radius, **errors}
                results.append({**row, "converged": True, "same_basin": True})
            for quantity, value in (("geometry", slope), ("energy", 2 * slope)):
                numbers = {"slope": value + 0.1, "low": value - 0.2, "high": value + 0.3, "predicted": value, "window": "2 to 7"}
                row = {**dict.fromkeys(RATES, ""), **case, "observations": name, "quantity": quantity, **numbers}
                rates.append({**row, "verdict": "consistent"})
    store.claim("bench", 'name = "bench"\n')
    store.log(Event("command", detail={"command": "defectgen run bench"}))
    for name, lines, columns in (("results", results, RESULTS), ("rates", rates, RATES)):
        store.table(f"{name}.csv", lines, columns)


def reported(rows: int) -> float:
    """Processor seconds of the report of a run with `rows` rows."""
    with TemporaryDirectory() as folder:
        tabulated(Path(folder), rows)
        return seconds(lambda: write(folder))


def main(records: int, rows: int):
    print(machine())
    works = {
        "defectgen --help": lambda: process("-m", "defectgen", "--help"),
        "defectgen list": lambda: process("-m", "defectgen", "list"),
        "import defectgen": lambda: process("-c", "import defectgen"),
        "import defectgen, first potential": lambda: process("-c", "import defectgen as dg; dg.reference.CleriRosato('Cu')"),
        f"recalling {records} records": lambda: recalled(records),
        "an empty task": empty,
        f"report of {rows} rows": lambda: reported(rows),
    }
    for work, measure in works.items():
        time = measure()
        print(f"{work:<40}{time:>10.4f} s", flush=True)
        summary(work, "s", time)


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*given, *(RECORDS, ROWS)[len(given) :])
