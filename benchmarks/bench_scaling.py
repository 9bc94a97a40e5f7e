"""How the cost of a fitted model and of its design rows grows: functions, order, neighbours, atoms, species.

Why this case: a user who doubles a basis or a cutoff needs to know the price. Expected: rows grow like functions times
neighbours (the result has that many numbers), energy and forces like the products of one-particle sums and like neighbours times
one-particle functions, both linearly with atoms, and hardly with species for the same number of functions of a site.

What limits it: see `operations` of bench_evaluate and `growth` of bench_design_rows for the counted limits. Exponents are fitted
to three sizes, so they say how it grows here and not in the limit. What two cores give is in bench_cores.
"""

from timing import bandwidth, dgemm_rate, machine, seconds  # isort: skip  (first: it pins the threads)

from resource import RUSAGE_SELF, getrusage

import jax
import jax.numpy as jnp
import numpy as np

import defectgen as dg
from defectgen.energy import bonds, channel_rows, energy_forces_virial, hessian_product

SIX = ("Si", "Ge", "C", "Al", "P", "N")


def setting(degree=12, order=3, cutoff=5.5, size=2, species=1):
    """A rattled diamond crystal, its sites shared out among the species, with a basis and a model."""
    lattice = dg.supercell(dg.diamond("Si", 5.431), size)
    rng = np.random.default_rng(0)
    symbols = tuple(SIX[k % species] for k in range(len(lattice)))
    basis = dg.ACEBasis(SIX[:species], cutoff=cutoff, order=order, degree=degree)
    model = dg.LinearACE(basis, rng.normal(size=basis.size) / (1 + basis.smoothness(2)))
    x = lattice.positions + 0.05 * rng.normal(size=lattice.positions.shape)
    near = bonds(x, lattice.vectors, lattice.periodic, symbols, basis)
    x = np.concatenate([x, np.zeros((len(near.index) - len(x), 3))])
    neighbours = float(np.asarray(near.mask).sum() / len(lattice))
    return basis, model, (jnp.asarray(x), jnp.asarray(lattice.vectors), near), len(lattice), neighbours


def costs(at, basis, model, atoms):
    """Microseconds an atom of rows, of energy and forces, of a Hessian product."""
    v = jnp.asarray(np.random.default_rng(1).normal(size=at[0].shape))
    calls = (
        lambda: channel_rows(basis, *at),
        lambda: energy_forces_virial(model, *at),
        lambda: hessian_product(model, *at, v),
    )
    for call in calls:
        jax.block_until_ready(call())
    return [min(seconds(lambda: jax.block_until_ready(call())) for _ in range(5)) / atoms * 1e6 for call in calls]  # noqa: B023


STUDIES = {
    "functions": [dict(degree=d) for d in (10, 12, 15)],
    "order": [dict(order=o, degree=9) for o in (2, 3, 4)],
    "neighbours": [dict(cutoff=c) for c in (4.5, 5.5, 7.0)],
    "atoms": [dict(size=n) for n in (2, 4, 6)],
    "species": [dict(species=s, degree=7) for s in (1, 2, 3)],
}


def grow(name: str) -> None:
    """One table: what is varied, and the three costs; with the exponents of all but the order."""
    values, table = [], []
    for choice in STUDIES[name]:
        basis, model, at, atoms, neighbours = setting(**choice)
        us = costs(at, basis, model, atoms)
        value = {"functions": basis.size, "order": basis.order, "neighbours": neighbours, "atoms": atoms}.get(
            name, len(basis.species)
        )
        values.append(value)
        table.append(us)
        print(f"{name:<12}{value:>7.0f}{basis.size:>10}{neighbours:>11.0f}{atoms:>7}" + "".join(f"{t:>9.1f}" for t in us))
        jax.clear_caches()
    slopes = [np.polyfit(np.log(values), np.log([row[k] for row in table]), 1)[0] for k in range(3)]
    if name != "order":
        print(f"{'':<12}{'exponent':>35}" + "".join(f"{s:>9.2f}" for s in slopes))


def main():
    print(machine())
    print(f"matrix products {dgemm_rate() / 1e9:.0f} GFLOP/s, copies {bandwidth() / 1e9:.0f} GB/s; us an atom, one core")
    print(f"{'varied':<12}{'value':>7}{'functions':>10}{'neighbours':>11}{'atoms':>7}{'rows':>9}{'E+F':>9}{'Hv':>9}")
    for name in STUDIES:
        grow(name)
    print(f"largest memory of this process: {getrusage(RUSAGE_SELF).ru_maxrss / 2**20:.1f} GB")


if __name__ == "__main__":
    main()
