"""Two cores: what every hot path gives when two processes do it at once, each pinned to a core of its own.

Why this case: studies use cores by processes, one thread each (workers, dask). What this loses is what two processes take from each
other: caches and memory traffic. The first two lines say what the machine itself loses, in matrix products (arithmetic alone) and in
copies that are larger than its caches (memory alone); a hot path below both of them would share something it should not. A script of
a user is one process: there the compiled kernel spreads the sites of a fitted potential over threads. The second table compares two
threads with one.

Both processes stay for all paths. Each repeats a call for some seconds of wall time, after a warm-up, both beginning together;
counted are calls a second.
Threads are compared by wall time in one process, one and two in turns, at the shortest of many calls, as other work of the machine
makes calls longer and never shorter. Meaningful on a quiet machine only. 2 would be perfect.

    python benchmarks/bench_cores.py            all
    python benchmarks/bench_cores.py "rows"     those whose name begins so
    python benchmarks/bench_cores.py threads    the second table alone
"""

from timing import machine, summary  # isort: skip  (first: it pins the threads)

import os
import subprocess
import sys
from time import perf_counter

import jax
import jax.numpy as jnp
import numpy as np
from bench_scaling import setting

import defectgen as dg
from defectgen import kernel
from defectgen.energy import channel_rows, energy_forces_virial, force_constants, hessian_product
from defectgen.training import Compressor

SECONDS = 3.0
"""Each process works for so long, and to the end of the call it is in."""


def product():
    a = np.random.default_rng(0).normal(size=(1024, 1024))
    return lambda: a @ a


def copy():
    a = np.ones(32 << 20)
    b = np.empty_like(a)
    return lambda: np.copyto(b, a)


def rows():
    basis, _, at, _, _ = setting(degree=15)
    return lambda: jax.block_until_ready(channel_rows(basis, *at))


def forces():
    _, model, at, _, _ = setting(degree=15, size=4)
    return lambda: jax.block_until_ready(energy_forces_virial(model, *at))


def products():
    _, model, at, _, _ = setting(degree=15, size=4)
    v = jnp.asarray(np.random.default_rng(1).normal(size=(8, *at[0].shape)))
    return lambda: jax.block_until_ready(hessian_product(model, *at, v))


def factor():
    batch = np.random.default_rng(0).normal(size=(3000, 1000))

    def call():
        compressor = Compressor(1000)
        for _ in range(4):
            compressor.add(batch, batch[:, 0])
        return compressor.factor()

    return call


def constants():
    basis = dg.ACEBasis(["Si"], cutoff=5.5, order=3, degree=15)
    lattice = dg.diamond("Si", 5.431)
    return lambda: force_constants(lattice, basis)


def matrix():
    atoms = dg.to_ase(dg.vacancy().apply(dg.supercell(dg.diamond("Si", 5.431), 5)))
    calculator = dg.Calculator(dg.reference.StillingerWeber("Si"))

    def call():
        calculator.reset()
        return calculator.get_property("hessian", atoms)

    return call


def relaxation():
    truth = dg.reference.StillingerWeber("Si")
    lattice = dg.equilibrate(dg.diamond("Si", 5.43), truth)
    cell = dg.interstitial("tetrahedral").apply(dg.supercell(lattice, 8))
    return lambda: dg.relax(cell, truth, eigenvalue=False)


PATHS = {
    "matrix product, 1024": product,
    "copy, 256 MB": copy,
    "rows, 510 functions": rows,
    "energy and forces, 510 functions": forces,
    "Hessian product, 510 functions, of 8 vectors": products,
    "R factor, 12,000 x 1,000": factor,
    "force constants, Si, 510 functions": constants,
    "Hessian, Si, 999 atoms": matrix,
    "relaxing Si, 4,097 atoms": relaxation,
}


class Worker:
    """A process on a core of its own."""

    def __init__(self, core: int):
        call = [sys.executable, __file__, "--work", str(core)]
        self.process = subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def send(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


def rate(workers: list[Worker]) -> float:
    """Calls a second of the processes together, of the work that they have prepared."""
    for worker in workers:
        worker.send("go")
    return sum(float(worker.answer()) for worker in workers)


def work(core: int) -> None:
    """What a process does: prepare the work that a line names and call it once, or, told to go, print its calls a second."""
    os.sched_setaffinity(0, {core})
    call = None
    for line in sys.stdin:
        name = line.rstrip("\n")
        if name != "go":
            call = PATHS[name]()
            call()
            print("ready", flush=True)
            continue
        assert call is not None
        start, turns = perf_counter(), 0
        while perf_counter() - start < SECONDS:
            call()
            turns += 1
        print(turns / (perf_counter() - start), flush=True)


def calls_by_threads():
    """Names and calls of what the kernel does with threads, of 216 atoms."""
    basis, model, at, _, _ = setting(degree=15, size=3)
    v = jnp.asarray(np.random.default_rng(1).normal(size=(8, *at[0].shape)))
    yield "energy and forces, 510 functions", lambda: energy_forces_virial(model, *at)
    yield "Hessian product, 510 functions, of 8 vectors", lambda: jax.block_until_ready(hessian_product(model, *at, v))
    yield "rows, 510 functions", lambda: jax.block_until_ready(channel_rows(basis, *at))


def by_threads() -> None:
    """One process, one thread and two in turns."""
    library = kernel.library()
    print(f"{'work in one process':<48}{'one thread (ms)':>15}{'two (ms)':>16}{'times':>8}")
    for name, call in calls_by_threads():
        call()
        shortest = {1: np.inf, 2: np.inf}
        start = perf_counter()
        while perf_counter() - start < 2 * SECONDS:
            for threads in shortest:
                library.defectgen_use_threads(threads, threads)
                begin = perf_counter()
                call()
                shortest[threads] = min(shortest[threads], perf_counter() - begin)
        one, two = (1e3 * t for t in shortest.values())
        print(f"{name:<48}{one:>15.2f}{two:>16.2f}{one / two:>8.2f}", flush=True)
        summary(f"{name}, two threads", "ms", two, "one thread", one, one / 2)
    kernel.use_threads()


def main(begin: str) -> None:
    print(machine())
    if begin in ("", "threads"):
        by_threads()
    if begin == "threads":
        return
    print(f"{'work':<48}{'one core (ms)':>15}{'two cores (ms)':>16}{'times':>8}")
    workers = [Worker(core) for core in sorted(CORES)[:2]]
    for name in (name for name in PATHS if name.startswith(begin)):
        for worker in workers:
            worker.send(name)
        for worker in workers:
            worker.answer()  # compiled
        one, two = rate(workers[:1]), rate(workers)
        print(f"{name:<48}{1e3 / one:>15.2f}{1e3 / two:>16.2f}{two / one:>8.2f}", flush=True)
        summary(f"{name}, on two cores", "ms", 1e3 / two, "ours on one core", 1e3 / one, 5e2 / one)
    for worker in workers:
        worker.process.communicate()  # ends with its input


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(int(sys.argv[2]))
        sys.exit()
    try:
        os.sched_setaffinity(0, range(os.cpu_count() or 1))  # `make bench` pins its cases to one
        CORES = os.sched_getaffinity(0)
    except (AttributeError, OSError):
        CORES = set()
    if len(CORES) < 2:
        print("this machine has one core for us, or says nothing of its cores: nothing to compare")
        sys.exit()
    main(sys.argv[1] if len(sys.argv) > 1 else "")
