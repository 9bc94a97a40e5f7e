"""Compilation: how much of the quickstart it takes, cold and warm, and that it does not grow with the number of cells.

Why this case: JAX compiles every kernel for every shape it meets. Cells are therefore padded to few shapes, so that a study of
many cells compiles no more than one of a few, and what was compiled is kept on disk for the next process. A kernel whose
shapes slip out of these bins shows here first.

What is counted: JAX's own events, in one process that does all tasks of the embedded quickstart, with an empty cache and again in
a new process with the cache that the first one left; seconds are of compiling (or of reading what was compiled), and apart from
it of tracing and lowering, which no cache saves. Then labels and rows of one to eight rattled training cells.
"""

from timing import machine, summary  # isort: skip  (first: it pins the threads)

import json
import os
import subprocess
import sys
from collections import Counter
from tempfile import TemporaryDirectory
from time import process_time

import jax

import defectgen as dg
from defectgen.campaign import Store, run
from defectgen.campaign.workers import worker_environment
from defectgen.study import load, plan

COMPILE = "/jax/core/compile/backend_compile_duration"
PREPARE = ("/jax/core/compile/jaxpr_trace_duration", "/jax/core/compile/jaxpr_to_mlir_module_duration")


class Heard:
    """What JAX said of its compilations."""

    def __init__(self):
        self.times, self.seconds = Counter(), Counter()
        jax.monitoring.register_event_duration_secs_listener(self._hear)

    def _hear(self, event: str, duration: float, **_: object) -> None:
        self.times[event] += 1
        self.seconds[event] += duration

    def told(self) -> dict[str, float]:
        """Number of compilations, seconds of them, seconds of preparing them."""
        return {
            "compilations": self.times[COMPILE],
            "compile": self.seconds[COMPILE],
            "prepare": sum(self.seconds[e] for e in PREPARE),
        }


def quickstart(folder: str) -> None:
    """All its tasks in this process; what was heard goes to standard output."""
    heard, start = Heard(), process_time()
    run(plan(load("quickstart")), Store(folder), workers=0)
    print(json.dumps({**heard.told(), "processor": process_time() - start}))


def cold_and_warm() -> None:
    print(f"{'quickstart':<12}{'compilations':>14}{'compiling (s)':>15}{'tracing (s)':>13}{'processor (s)':>15}")
    with TemporaryDirectory() as cache, worker_environment():
        environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"} | {"XDG_CACHE_HOME": cache}
        for label in ("cold", "warm"):
            with TemporaryDirectory() as folder:
                call = [sys.executable, __file__, "--quickstart", folder]
                done = subprocess.run(call, env=environment, capture_output=True, text=True, check=True)
            told = json.loads(done.stdout.splitlines()[-1])
            print(
                f"{label:<12}{told['compilations']:>14}{told['compile']:>15.1f}{told['prepare']:>13.1f}{told['processor']:>15.1f}"
            )
            summary(f"compiling, quickstart, {label} cache", "s", told["compile"])


def more_cells() -> None:
    truth, basis = dg.reference.CleriRosato("Cu"), dg.ACEBasis(["Cu"], cutoff=5.0, order=3, degree=8)
    lattice = dg.equilibrate(dg.fcc("Cu", 3.615), truth)
    heard = Heard()
    print("labels and rows of a vacancy and of rattled copies of it: compilations so far")
    for copies in (0, 1, 3, 7):
        cells = dg.training_cells(lattice, dg.vacancy(), 2, rattle=dg.training.Rattle(copies, 0.02))
        dg.label(cells, truth, basis, ["E", "F", "FC", "V"])
        print(f"{1 + copies:>3} cells{heard.told()['compilations']:>8}")


def main():
    print(machine())
    cold_and_warm()
    more_cells()


if __name__ == "__main__":
    quickstart(sys.argv[2]) if sys.argv[1:2] == ["--quickstart"] else main()
