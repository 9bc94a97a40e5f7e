"""Force constants of the perfect crystal, and Hessian columns of a defect, for all functions of a basis at once.

Why this case: force constants are what a fit must get right for a defect to relax as it should, so they are rows of the design
matrix; and the Hessian of every function is by far the largest jet that is asked for. It must stay seconds at 500 functions,
and compiling it must not be most of the work.

No other code has these rows, so the check is a second route: rows contracted with random coefficients, beside central differences
of the forces of that model (which contain no second derivative) in a supercell, where a displacement shows sums of force
constants over images. The error is relative to the largest force constant of the model, at the best step.

What limits it: a function of n one-particle sums gives P^T B'' P, P of shape (n, 3 atoms). `counted` are the operations of these
products and of B'' P, half of them by symmetry, at the rate of a large matrix product measured here. As n is six on average, the
higher bound is `moved`: every entry of every such product is written and read again once to be added to its pair, at the rate at
which a matrix of that size is copied here. Peak memory is what the process grew by.
"""

from timing import dgemm_rate, machine, peak, seconds, summary  # isort: skip  (first: it pins the threads)

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial import KDTree

import defectgen as dg
from defectgen.energy import (
    bonds,
    channel_hessian_product,
    channel_rows,
    crystal_bonds,
    energy_forces_virial,
    force_constants,
    pad,
)

CUTOFF = 5.5
DEGREES = (10, 12, 15)
"""Total degrees: about 110, 210 and 510 functions."""
STEPS = (1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5)
"""A: truncation falls with the square of the step, rounding grows with its inverse; the best lies in between."""
CRYSTALS = ((dg.fcc("Cu", 3.615), 4), (dg.bcc("W", 3.165), 5), (dg.diamond("Si", 5.431), 3))
"""Lattices, and conventional cells along each side of the supercell of the check."""


def model_of(basis):
    return dg.LinearACE(basis, np.random.default_rng(0).normal(size=basis.size) / (1 + basis.smoothness(2)))


def differences(model, cell, atom):
    """Minus the derivative of all forces in the position of one atom, (steps, atoms, 3, 3): what a Hessian's columns are."""
    near = bonds(cell.positions, cell.vectors, cell.periodic, cell.symbols, model, 2 * STEPS[0])
    box = jnp.asarray(cell.vectors)

    def forces(x):
        return np.asarray(energy_forces_virial(model, jnp.asarray(pad(x, near.index.shape[0])), box, near)[1])[: len(x)]

    columns = np.zeros((len(STEPS), *cell.positions.shape, 3))
    for s, step in enumerate(STEPS):
        for axis in range(3):
            move = np.zeros_like(cell.positions)
            move[atom, axis] = step
            columns[s, ..., axis] = (forces(cell.positions - move) - forces(cell.positions + move)) / (2 * step)
    return columns


def error(columns, model, cell, atom):
    """Deviation from central differences at the best step, over the largest entry."""
    apart = np.abs(differences(model, cell, atom) - columns).max(axis=(1, 2, 3))
    return apart.min() / np.abs(columns).max()


def in_supercell(constants, cell, coefficients):
    """What moving the first atom of a cubic supercell does to every atom, (atoms, 3, 3), for one sum of functions."""
    side = cell.vectors[0, 0]
    mine = constants.first == cell.perfect_sites.sublattices[0]

    def wrapped(x):
        return x % side % side  # the first of a small negative number is the side itself

    place = KDTree(wrapped(cell.positions), boxsize=side).query(wrapped(cell.positions[0] + constants.separations[mine]))[1]
    columns = np.zeros((len(cell), 3, 3))
    np.add.at(columns, place, np.swapaxes(constants.phi[mine] @ coefficients, 1, 2))
    return columns


def limits(basis, sites, neighbours):
    """Seconds: counted operations of all products at the rate of a matrix product, and their entries at that of copying."""
    edge = 3 * (neighbours + 1)
    block, copy = np.random.default_rng(0).normal(size=(edge, edge)), np.empty((edge, edge))
    moving = min(seconds(lambda: [np.copyto(copy, block) for _ in range(1000)]) for _ in range(5)) / 1000
    support = basis.curvature.support.array
    n = (support < basis.curvature.one).sum(axis=1)
    counted = sites * np.sum(2 * n**2 * edge + n * edge**2)
    return counted / dgemm_rate(), sites * len(n) * moving


def crystals():
    print(f"perfect crystals, order 3, cutoff {CUTOFF} A; compiled: the first call, less a later one; median of five")
    print(
        f"{'crystal':<9}{'neighbours':>11}{'functions':>10}{'pairs':>7}{'compiled (s)':>14}{'time (s)':>10}{'counted (s)':>13}"
        f"{'moved (s)':>11}{'time / moved':>14}{'peak (MB)':>11}{'error':>10}"
    )
    for lattice, size in CRYSTALS:
        name = lattice.species[0]
        for degree in DEGREES:
            basis = dg.ACEBasis([name], cutoff=CUTOFF, order=3, degree=degree)
            neighbours = int(np.asarray(crystal_bonds(lattice, basis)[1].mask).sum(axis=1).max())
            first = seconds(lambda: force_constants(lattice, basis))  # noqa: B023 (called in this turn)
            time = float(np.median([seconds(lambda: force_constants(lattice, basis)) for _ in range(5)]))  # noqa: B023
            memory = peak(lambda: force_constants(lattice, basis))  # noqa: B023
            counted, moved = limits(basis, lattice.sublattices, neighbours)
            model, cell, constants = model_of(basis), dg.supercell(lattice, size), force_constants(lattice, basis)
            wrong = error(in_supercell(constants, cell, np.asarray(model.coefficients)), model, cell, 0)
            print(
                f"{name:<9}{neighbours:>11}{basis.size:>10}{len(constants.phi):>7}{first - time:>14.1f}{time:>10.3f}{counted:>13.4f}"
                f"{moved:>11.3f}{time / moved:>14.1f}{memory:>11.0f}{wrong:>10.1e}",
                flush=True,
            )
        summary(f"force constants, {name}, {basis.size} functions", "s", time, limit=max(counted, moved), error=f"{wrong:.0e}")
    print(f"a matrix product runs at {dgemm_rate() / 1e9:.0f} GFLOP/s here")


def defects():
    """Columns of the Hessian of growing cells: the sites that see the atom move are the same in all of them."""
    print("a vacancy in rattled copper, one column of the Hessian for all functions; rows: energy, forces, virial of the cell")
    print(
        f"{'atoms':>6}{'functions':>10}{'sites that see':>15}{'compiled (s)':>14}{'column (ms)':>13}{'us / site':>11}"
        f"{'rows (ms)':>11}{'rows / column':>15}{'peak (MB)':>11}{'error':>10}"
    )
    basis = dg.ACEBasis(["Cu"], cutoff=CUTOFF, order=3, degree=DEGREES[-1])
    model, rng = model_of(basis), np.random.default_rng(0)
    for size in (4, 6):
        cell = dg.vacancy().apply(dg.supercell(CRYSTALS[0][0], size))
        cell = replace(cell, positions=cell.positions + 0.05 * rng.normal(size=cell.positions.shape))
        near = bonds(cell.positions, cell.vectors, cell.periodic, cell.symbols, basis)
        atom = int(np.argmin(cell.distance_to_defect()))
        v = jnp.zeros((near.index.shape[0], 3)).at[atom, 0].set(1.0)
        at = jnp.asarray(pad(cell.positions, len(v))), jnp.asarray(cell.vectors), near
        sees = int(np.any(np.asarray(near.difference(v)) != 0.0, axis=(1, 2)).sum())

        def column(at=at, v=v):
            return jax.block_until_ready(channel_hessian_product(basis, *at, v))

        def rows(at=at):
            return jax.block_until_ready(channel_rows(basis, *at))

        first, _ = seconds(column), seconds(rows)
        time, all_rows = (float(np.median([seconds(call) for _ in range(5)])) for call in (column, rows))
        memory = peak(column)
        ours = np.asarray(column())[: len(cell)] @ np.asarray(model.coefficients)
        apart = np.abs(differences(model, cell, atom)[..., 0] - ours).max(axis=(1, 2))
        print(
            f"{len(cell):>6}{basis.size:>10}{sees:>15}{first - time:>14.1f}{time * 1e3:>13.1f}{time / sees * 1e6:>11.0f}"
            f"{all_rows * 1e3:>11.1f}{all_rows / time:>15.2f}{memory:>11.0f}{apart.min() / np.abs(ours).max():>10.1e}",
            flush=True,
        )
    summary(f"a column of Hessians, {basis.size} functions", "ms", time * 1e3)


def main():
    print(machine("numpy", "scipy"))
    crystals()
    defects()
    print(machine().split(", one")[0] + " at the end")


if __name__ == "__main__":
    main()
