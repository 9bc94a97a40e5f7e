"""Design rows: energy, forces and virial of every basis function at once, which is where a fit spends its time.

Why this case: rows are computed for every training cell and every function; the structured derivative of the basis (slopes of
the products, times the gradient of each one-particle function) is what makes large bases affordable. It must not become slower
than its peers unnoticed. The peers are ace-jax (if installed: `pip install ace-jax`), which computes the same rows of its own
ACE basis, with as many sites at once as ours and as it comes; and automatic differentiation of our own basis, one reverse
sweep a function.

What limits it: the two bases have the same order, total degree, cutoff and neighbours, but other radial functions and a number
of functions that differs by a few, so the ratio is also given per function; neighbour lists are left out on both sides. The
error is each side's own: force rows against central differences of its energy rows along one random displacement.
"""

from timing import dgemm_rate, in_turns, installed, machine, seconds, skipped, summary  # isort: skip  (first: it pins the threads)

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import defectgen as dg
from defectgen.energy import SiteEnergy, bonds, channel_rows, pad

CUTOFF = 5.5
CHUNK = 8
"""Sites at once on all sides (the default of our rows): the work arrays then stay in cache."""
GROWTH = (10, 12, 15)
"""Total degrees: about 110, 210 and 510 functions."""
STEPS = (3e-3, 1e-3, 3e-4)
"""A: truncation falls with the square of the step, rounding grows with its inverse; the best lies in between."""


class ByAutodiff(SiteEnergy):
    """The same basis, shown by its values only, so that derivatives are left to reverse differentiation."""

    basis: dg.ACEBasis
    cutoff: float = eqx.field(static=True)
    species: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, basis):
        self.basis, self.cutoff, self.species = basis, basis.cutoff, basis.species

    def __call__(self, stencil):
        return self.basis(stencil)


def near_of(basis, cell):
    return bonds(cell.positions, cell.vectors, cell.periodic, cell.symbols, basis, skin=0.0)


def our_rows(basis, cell):
    """A function of positions, the neighbour list made beforehand."""
    near = near_of(basis, cell)
    box = jnp.asarray(cell.vectors)

    def rows(x):
        return jax.block_until_ready(channel_rows(basis, jnp.asarray(pad(x, near.index.shape[0])), box, near, CHUNK))

    return lambda x: rows(x)[:2]


def their_rows(degree, cell, chunk):
    """The same of ace-jax: (rows as a function of positions, number of functions), the neighbour list made beforehand.

    `chunk`: sites at once; None is its own choice, which bounds memory (2 GiB) and not time.
    """
    from ace_jax.basis.model import BasisSpec, build_basis
    from ace_jax.fit.data import build_dataset, load_configs
    from ace_jax.fit.inducing import GPConfig
    from ace_jax.fit.rows import chunked_rows_fn

    model, meta = build_basis(BasisSpec(order=3, max_degree=degree, elements=tuple(set(cell.symbols)), rcut=CUTOFF)).eval_pair()
    config = GPConfig(r0=1.0, rcut=CUTOFF, n_B=meta["n_B"], n_pair=meta["n_pair"], NZ=1, C=1)
    compute = chunked_rows_fn(model, config, chunk)

    def batch(x):
        atoms = dg.to_ase(replace(cell, positions=x))
        atoms.info["energy"] = 0.0
        atoms.arrays["forces"] = np.zeros_like(x)
        data = build_dataset(load_configs([atoms]), meta, np.zeros(1), 1, node_chunk=1)
        return jax.tree.map(lambda a: a[0], data)

    made = {}

    def rows(x):
        key = x.tobytes()
        if key not in made:
            made[key] = batch(x)
        result = jax.block_until_ready(compute(made[key]))
        return result.E[0], result.F

    return rows, config.len_basis


def error(rows, x, rng):
    """Largest deviation of force rows from central differences of energy rows, over the largest row, at the best step."""
    direction = rng.normal(size=x.shape)
    direction /= np.linalg.norm(direction)
    forces = np.asarray(rows(x)[1])[: len(x)]
    exact = -np.einsum("ia,iac->c", direction, forces)
    found = []
    for h in STEPS:
        slope = (np.asarray(rows(x + h * direction)[0]) - np.asarray(rows(x - h * direction)[0])) / (2 * h)
        found.append(np.abs(slope - exact).max() / np.abs(exact).max())
    return min(found)


def cell_of(size):
    lattice = dg.fcc("Cu", 3.615)
    return rattled(dg.vacancy().apply(dg.supercell(lattice, size)))


def rattled(cell):
    rng = np.random.default_rng(0)
    return replace(cell, positions=cell.positions + 0.05 * rng.normal(size=cell.positions.shape))


def row(peer, cell, ours, theirs, sizes, turns):
    """One line: milliseconds an atom of both, the ratio, the same per function, and both errors."""
    x, rng = cell.positions, np.random.default_rng(1)
    ours(x), theirs(x)  # compilation
    errors = error(ours, x, rng), error(theirs, x, rng)
    pair = in_turns(lambda: ours(x), lambda: theirs(x), turns)
    scale = 1e3 / len(x)
    per_function = pair.ratio * sizes[0] / sizes[1]
    print(
        f"{peer:<14}{len(x):>6}{sizes[0]:>6}{sizes[1]:>6}{pair.ours * scale:>9.3f}{pair.theirs * scale:>9.3f}   {pair!s:<28}"
        f"{per_function:>8.2f}{errors[0]:>11.1e}{errors[1]:>9.1e}"
    )


def main():
    print(machine("ace-jax", "equinox"))
    print("rattled copper with a vacancy, order 3, cutoff 5.5 A; ms an atom; error: rows against central differences, relative")
    print(f"{'':<20}{'functions':>12}{'time':>9}{'':>12}{'peer / ours':<28}{'per':>8}{'error':>11}")
    print(f"{'peer':<14}{'atoms':>6}{'ours':>6}{'peer':>6}{'ours':>9}{'peer':>9}{'':>31}{'function':>8}{'ours':>11}{'peer':>9}")
    cell = cell_of(3)
    for degree in (10, 14):
        basis = dg.ACEBasis(["Cu"], cutoff=CUTOFF, order=3, degree=degree)
        ours = our_rows(basis, cell)
        if not skipped("ace-jax"):
            for label, chunk in (("ace-jax", CHUNK), ("ace-jax as is", None)):
                if degree == 10 or chunk:  # its own choice of chunk is shown once; compiling it takes half a minute
                    theirs, count = their_rows(degree, cell, chunk)
                    row(label, cell, ours, theirs, (basis.size, count), turns=7)
        if degree == 10:  # one sweep a function: at 400 functions it would take minutes
            autodiff = our_rows(ByAutodiff(basis), cell)
            row("autodiff", cell, ours, autodiff, (basis.size, basis.size), turns=3)
    growth()


def largest_peer(cell):
    """Name and us an atom of ace-jax on the same silicon, with about as many functions as the largest of ours."""
    if not installed("ace-jax"):
        return "", None
    rows, count = their_rows(GROWTH[-1], cell, CHUNK)
    rows(cell.positions)  # compilation
    return f"ace-jax, {count} functions", min(seconds(lambda: rows(cell.positions)) for _ in range(3)) / len(cell) * 1e6


def growth():
    """Ours alone, on silicon: time against the number of functions, beside the operations that cannot be saved.

    Counted: two operations for each entry of dB/dA that is not zero and each of the 3 slots + 12 columns, at the rate of a
    matrix product of this machine. The rest is moving 8 bytes a function and column through the caches, twice.
    """
    cell = rattled(dg.supercell(dg.diamond("Si", 5.431), 2))
    rng, counts, times = np.random.default_rng(0), [], []
    rate = dgemm_rate()
    print(f"rows of rattled silicon, {len(cell)} atoms; counted at {rate / 1e9:.0f} GFLOP/s, the rate of a matrix product")
    print(f"{'functions':>9}{'compiled (s)':>14}{'us / atom':>11}{'ns / function':>15}{'counted (us)':>14}{'error':>9}")
    for degree in GROWTH:
        basis = dg.ACEBasis(["Si"], cutoff=CUTOFF, order=3, degree=degree)
        rows = our_rows(basis, cell)
        first = seconds(lambda: rows(cell.positions))  # noqa: B023 (called in this turn)
        time = min(seconds(lambda: rows(cell.positions)) for _ in range(7)) / len(cell)  # noqa: B023
        slots = int(np.asarray(near_of(basis, cell).mask).sum(axis=1).max())
        counted = 2 * len(basis.slopes.target.array) * (3 * slots + 12) / rate
        wrong = error(rows, cell.positions, rng)
        print(
            f"{basis.size:>9}{first:>14.1f}{time * 1e6:>11.1f}{time / basis.size * 1e9:>15.0f}{counted * 1e6:>14.1f}{wrong:>9.1e}"
        )
        counts.append(basis.size)
        times.append(time)
        last = f"design rows E F V, {basis.size} functions", "us/atom", time * 1e6
    summary(*last, *largest_peer(cell), limit=counted * 1e6, error=f"{wrong:.0e}")
    print(f"time grows like functions^{np.polyfit(np.log(counts), np.log(times), 1)[0]:.2f}")


if __name__ == "__main__":
    main()
