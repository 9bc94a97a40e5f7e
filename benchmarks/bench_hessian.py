"""The Hessian of a whole cell as a sparse matrix, beside LAMMPS's `dynamical_matrix` and matscipy's analytic Hessian.

Why this case: vibrations, transition rates and free energies of a defect begin with the Hessian of a thousand atoms, for references
and fitted models alike. It is asked for as anyone would, `calculator.get_property("hessian", atoms)`, and it must stay sparse: of
9 N^2 numbers, 72 MB at 1,000 atoms, 2 to 20 MB are not zero.

Every call of ours starts from nothing but atoms: neighbour lists, energy and forces are included. LAMMPS takes central differences
of forces, two evaluations a coordinate (style `regular` with masses of one, so that the numbers are eV/A^2), and gives the dense
matrix as a file; its truncation error, of the order of the square of its displacement, 1e-4 A, is most of the difference. matscipy
is analytic, as ours is; it interpolates the table of copper by its own splines, and is left out of the largest cell, where it
takes a minute. A peer that takes long is called once. A fitted
model, which no peer evaluates, is put beside its own Hessian-vector products, one for each coordinate, 32 at a time.

What limits ours, for silicon: half is the jets of the sites, a third adding up their blocks, the rest the neighbour lists with energy
and forces. `kB / atom` is the size of the result; the counted limit is writing it once, at the rate of a copy in memory.
"""

from timing import bandwidth, in_turns, installed, machine, peak, seconds, skipped, summary  # isort: skip  (first: it pins the threads)

from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from bench_evaluate import ByLammps, matscipy_copper, matscipy_silicon, potentials

import defectgen as dg
from defectgen.energy import hessian

DISPLACEMENT = 1e-4
"""A, of LAMMPS."""
LARGEST = 500
"""Atoms of the largest cell for matscipy, which takes a minute for 1,000."""


def defect(lattice, size):
    """A rattled vacancy."""
    cell = dg.vacancy().apply(dg.supercell(lattice, size))
    return replace(cell, positions=cell.positions + 0.05 * np.random.default_rng(0).normal(size=cell.positions.shape))


class ByCalculator:
    """The Hessian through an ASE calculator, nothing remembered from the call before."""

    def __init__(self, cell, calculator):
        self.atoms, self.calculator = dg.to_ase(cell), calculator
        self.found = None

    def __call__(self):
        self.calculator.reset()
        self.found = self.calculator.get_property("hessian", self.atoms)
        return self.found


class ByDifferences:
    """The same by LAMMPS, through a file."""

    def __init__(self, cell, commands):
        self.lammps, self.n = ByLammps(cell, commands), len(cell)
        self.folder = TemporaryDirectory()
        self.file = Path(self.folder.name) / "matrix"

    def __call__(self):
        self.lammps.code.command(f"dynamical_matrix all regular {DISPLACEMENT} file {self.file} binary yes")

    @property
    def found(self):
        return np.fromfile(self.file).reshape(3 * self.n, 3 * self.n)


def cases(folder):
    """Name, cell, our potential, what makes matscipy's calculator, LAMMPS's commands."""
    for size in (3, 5):
        cell = defect(dg.diamond("Si", 5.431), size)
        commands = ["pair_style sw", f"pair_coeff * * {potentials()}/Si.sw Si"]
        yield "Si, Stillinger-Weber", cell, dg.reference.StillingerWeber("Si"), matscipy_silicon, commands
    if potentials():
        table = Path(folder) / "Cu.eam.alloy"
        lines = (potentials() / "Cu_mishin1.eam.alloy").read_text().splitlines(keepends=True)
        table.write_text("".join([*lines[:5], "29" + lines[5].removeprefix("1"), *lines[6:]]))  # matscipy believes the number
        ours, commands = (
            dg.reference.EAM(table, interpolation="lammps"),
            ["pair_style eam/alloy", f"pair_coeff * * {table} Cu", "mass * 1.0"],
        )
        yield "Cu, embedded atom", defect(dg.fcc("Cu", 3.615), 4), ours, partial(matscipy_copper, table), commands


class ByProducts:
    """Column by column from products with unit vectors."""

    def __init__(self, cell, potential):
        self.cell, self.potential, self.found = cell, potential, None

    def __call__(self):
        n = 3 * len(self.cell)
        self.found = hessian(self.potential, self.cell).reshape(n, n)


def fitted():
    """A linear ACE with random coefficients, in silicon."""
    basis = dg.ACEBasis(["Si"], cutoff=5.5, order=3, degree=15)
    return dg.LinearACE(basis, np.random.default_rng(1).normal(size=basis.size) / (1 + basis.smoothness(2)))


def dense(found):
    return found.toarray() if hasattr(found, "toarray") else found


def row(name, cell, potential, peers):
    """A line for each peer, by name."""
    ours = ByCalculator(cell, dg.Calculator(potential))
    first = seconds(ours)
    own, memory, found = min(seconds(ours) for _ in range(5)), peak(ours), ours()
    values = dense(found)
    written = found.data.nbytes + found.indices.nbytes + found.indptr.nbytes
    assert abs(values.reshape(len(values), -1, 3).sum(1)).max() < 1e-11 * abs(values).max()  # it is invariant
    fastest = None
    for peer, make in peers.items():
        theirs = make()
        once = seconds(theirs)
        pair = in_turns(ours, theirs, 3 if once < 10 else 1) if once < 30 else None  # else it is its own warm-up
        times = (pair.ours, pair.theirs, str(pair)) if pair else (own, once, f"ratio {once / own:.0f} (once)")
        difference = np.abs(dense(theirs.found) - values).max()
        print(
            f"{name:<22}{len(cell):>6}  {peer:<10}{first - own:>12.1f}{times[0]:>10.3f}{times[1]:>10.2f}   {times[2]:<30}"
            f"{difference:>9.1e}{written / len(cell) / 1e3:>13.2f}{memory:>11.0f}",
            flush=True,
        )
        fastest = min(fastest or (np.inf,), (times[1], times[0], peer, difference))
    limit = written / bandwidth()
    if fastest is None:
        summary(f"Hessian, {name}, {len(cell)} atoms", "s", own, limit=limit)
        return
    theirs, here, peer, difference = fastest
    summary(f"Hessian, {name}, {len(cell)} atoms", "s", here, peer, theirs, limit, f"{difference:.0e} eV/A^2")


def main():
    print(machine("lammps", "matscipy", "scipy"))
    skipped("lammps", "matscipy")
    print("processor seconds; compiled: the first call, less a later one; difference: largest entry, eV/A^2 (LAMMPS: truncation)")
    print(
        f"{'potential':<22}{'atoms':>6}  {'peer':<10}{'compiled':>12}{'ours':>10}{'peer':>10}   {'peer / ours':<30}{'diff.':>9}"
        f"{'kB / atom':>13}{'peak (MB)':>11}"
    )
    with TemporaryDirectory() as folder:
        for name, cell, potential, matscipy, commands in cases(folder):
            peers = {}
            if installed("matscipy") and len(cell) <= LARGEST:
                peers["matscipy"] = lambda cell=cell, matscipy=matscipy: ByCalculator(cell, matscipy())
            if installed("lammps"):
                peers["LAMMPS"] = partial(ByDifferences, cell, commands)
            row(name, cell, potential, peers)
    cell, model = defect(dg.diamond("Si", 5.431), 3), fitted()
    row(f"Si, ACE, {model.basis.size} functions", cell, model, {"products": partial(ByProducts, cell, model)})


if __name__ == "__main__":
    main()
