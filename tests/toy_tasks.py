"""Toy functions for the campaign tests: worker processes import this module by name."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from defectgen._input import InputError
from defectgen.campaign import Record


def note(spec: dict) -> None:
    """Leave a mark for every call, so that a test can count them across processes."""
    if "marks" in spec:
        with open(spec["marks"], "a") as file:
            file.write(f"{spec.get('n', '')}\n")


def draw(spec: dict) -> Record:
    """Random numbers from the seed in the specification: the same specification, the same record."""
    note(spec)
    numbers = np.random.default_rng(spec["n"]).standard_normal(100)
    return Record({"third": 1 / 3, "tiny": 5e-324, "inf": float("inf"), "first": numbers[0]}, {"numbers": numbers})


def total(spec: dict, *parts: Record) -> Record:
    """The sum over what it needs, in order."""
    note(spec)
    return Record({"sum": float(sum(part.arrays["numbers"].sum() for part in parts))}, {"numbers": np.zeros(1)})


def broken(spec: dict) -> Record:
    """Fails while the file ``spec['until']`` does not exist."""
    note(spec)
    if Path(spec["until"]).exists():
        return Record({"mended": True}, {"numbers": np.ones(3)})
    raise InputError("the cell is too small; use size >= 4")


def dies(spec: dict) -> Record:
    """Kills its own process, always or only the first time (``spec['once']`` names the mark)."""
    note(spec)
    if "once" in spec and Path(spec["once"]).exists():
        return Record({"survived": True})
    if "once" in spec:
        Path(spec["once"]).touch()
    os.kill(os.getpid(), signal.SIGKILL)
    return Record()


def slow(spec: dict, *needed: Record) -> Record:
    """Takes its time."""
    note(spec)
    time.sleep(spec["seconds"])
    return Record({"slept": spec["seconds"]})


def threads(spec: dict) -> Record:
    """What a worker sees of its surroundings."""
    names = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PJRT_NPROC", "XLA_FLAGS", "JAX_COMPILATION_CACHE_DIR"]
    return Record({name: os.environ.get(name) for name in names} | {"pid": os.getpid()})


def nothing(spec: dict) -> dict:
    """Forgets to give a Record."""
    return {"not": "a record"}


def churn(spec: dict, *needed: Record) -> Record:
    """Compiled arithmetic and garbage, whose collection calls back into JAX."""
    import gc

    import jax.numpy as jnp

    note(spec)
    start = time.monotonic()
    while time.monotonic() - start < spec["seconds"]:
        jnp.sin(jnp.ones(8)).block_until_ready()
        gc.collect(0)
    return Record()


def deaf(spec: dict) -> Record:
    """Is asked to stop inside a callback of the garbage collector, where the interpreter drops every exception."""
    import gc

    def call(phase: str, info: dict) -> None:
        gc.callbacks.remove(call)
        os.kill(os.getpid(), signal.SIGINT)

    gc.callbacks.append(call)
    gc.collect()
    start = time.monotonic()
    while time.monotonic() - start < 300:
        time.sleep(0.01)
    return Record({"heard": False})


def cycle(spec: dict) -> Record:
    """Leaves an array that only the garbage collector can free."""

    class Node:
        pass

    node = Node()
    node.own, node.array = node, np.ones(spec["megabytes"] << 17)
    return Record()


def fill(spec: dict) -> Record:
    """Takes memory step by step, and keeps it."""
    note(spec)
    kept = []
    for _ in range(spec["megabytes"] // 50):
        kept.append(np.ones(50 << 17))
        time.sleep(0.3)
    return Record({"arrays": len(kept)})
