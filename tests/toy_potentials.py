"""Potentials for tests: made-up tables of a closed form, one potential of each form, and the derivatives of any."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import defectgen  # noqa: F401 - float64
from defectgen.crystal import Cell, Sites, sc, supercell
from defectgen.energy import SiteEnergy, Stencil
from defectgen.reference import EAM, CleriRosato, FinnisSinclair, LennardJones, Morse, StillingerWeber

SW_TABLE = """# two made-up species whose triplets all differ
A A A 2.0 2.0 1.8 21.0 1.2 -0.333333333333 7.0 0.60 4.0 0.0 0.0
A B B 1.8 2.1 1.7 25.0 1.1 -0.30 7.5 0.65 4.0 0.0 0.0
B A A 1.8 2.1 1.7 19.0 1.1 -0.40 7.5 0.65 4.0 0.0 0.0
B B B 2.2 2.2 1.8 23.0 1.3 -0.20 6.5 0.55
  3.0 1.0 0.0
A A B 1.5 0.0 0.0 24.0 0.0 -0.25 0.0 0.0 0.0 0.0 0.0
A B A 1.5 0.0 0.0 24.0 0.0 -0.25 0.0 0.0 0.0 0.0 0.0
B A B 1.7 0.0 0.0 18.0 0.0 -0.35 0.0 0.0 0.0 0.0 0.0
B B A 1.7 0.0 0.0 18.0 0.0 -0.35 0.0 0.0 0.0 0.0 0.0
"""
REACH = 5.0


def density_of(source, site, r):
    return (1.0 + 0.3 * source + 0.1 * site) * jnp.exp(-0.8 * r) * (1 - r / REACH) ** 6 * 40.0


def charge_of(one, other, r):
    return (3.0 + 0.5 * (one + other)) * jnp.exp(-1.1 * r) * (1 - r / REACH) ** 6 * 200.0


def embedding_of(kind, rho):
    return -(1.5 + 0.4 * kind) * jnp.sqrt(rho + 0.3) + 0.02 * rho**2


class ClosedForm(SiteEnergy):
    """The same EAM without tables; `per_pair` makes the density depend on the site as well (eam.fs)."""

    per_pair: bool = eqx.field(static=True)
    cutoff: float = eqx.field(static=True, default=REACH)
    species: tuple[str, ...] = eqx.field(static=True, default=("Cu", "Ni"))

    def __call__(self, stencil):
        r = jnp.minimum(jnp.sqrt(jnp.sum(stencil.g**2, -1)), REACH)
        site = stencil.centre[:, None]
        rho = jnp.sum(density_of(stencil.neighbour, site if self.per_pair else 0, r), axis=1)
        return embedding_of(stencil.centre, rho) + 0.5 * jnp.sum(charge_of(site, stencil.neighbour, r) / r, axis=1)


def write_table(path, kind, species=("Cu", "Ni"), points=2001):
    """A setfl, eam.fs or funcfl file of the closed form."""
    r, rho = np.linspace(0, REACH, points), np.linspace(0, 40, points)

    def numbers(values):
        return "\n".join(f"{v:.16e}" for v in np.asarray(values))

    dr, drho = r[1], rho[1]
    if kind == "funcfl":  # effective charge: z = 27.2 x 0.529 Z^2
        charge = np.sqrt(np.asarray(charge_of(0, 0, r)) / (27.2 * 0.529))
        blocks = [numbers(embedding_of(0, rho)), numbers(charge), numbers(density_of(0, 0, r))]
        head = f"made up\n29 63.5 3.6 fcc\n{points} {drho:.16e} {points} {dr:.16e} {REACH}"
        path.write_text("\n".join([head, *blocks]) + "\n")
        return path
    lines = ["made", "up", "here", f"{len(species)} {' '.join(species)}", f"{points} {drho:.16e} {points} {dr:.16e} {REACH}"]
    for a in range(len(species)):
        lines += [f"{29 - a} 60.0 3.6 fcc", numbers(embedding_of(a, rho))]
        lines += [numbers(density_of(a, b, r)) for b in (range(len(species)) if kind == "fs" else [0])]
    lines += [numbers(charge_of(a, b, r)) for a in range(len(species)) for b in range(a + 1)]
    path.write_text("\n".join(lines) + "\n")
    return path


NAMES = (
    "StillingerWeber(Si)",
    "StillingerWeber(file)",
    "CleriRosato(Cu)",
    "FinnisSinclair(W)",
    "EAM(setfl)",
    "LennardJones(Ar+Kr)",
    "Morse(Cu)",
)


def some_stencil(potential, slots=7, seed=3, padding=3):
    """One site with neighbours between 0.5 and 0.95 of the cutoff, in random directions, then padding."""
    rng = np.random.default_rng(seed)
    g = rng.standard_normal((1, slots, 3))
    g *= (rng.uniform(0.5, 0.95, (1, slots, 1)) * potential.cutoff) / np.linalg.norm(g, axis=-1, keepdims=True)
    far = np.tile([2.0 * potential.cutoff, 0.0, 0.0], (1, padding, 1))
    kinds = rng.integers(0, len(potential.species), (1, slots + padding))
    return Stencil(jnp.asarray(np.concatenate([g, far], axis=1)), jnp.zeros(1, dtype=int), jnp.asarray(kinds))


@eqx.filter_jit
def jets(potential, stencil, direction, times):
    """V and its first three derivatives along one direction of the stencil, (4, times)."""

    def value(t):
        return potential(Stencil(stencil.g + t * direction, stencil.centre, stencil.neighbour))[0]

    def slope_of(f):
        return lambda t: jax.jvp(f, (t,), (jnp.ones_like(t),))[1]

    orders = [value]
    for _ in range(3):
        orders.append(slope_of(orders[-1]))
    return jnp.stack([jax.vmap(f)(times) for f in orders])


def jets_at(potential, stencil, direction, times):
    """The same on the host, always 64 times at once: one compilation for each potential and number of slots."""
    times = np.atleast_1d(np.asarray(times, dtype=float))
    padded = jnp.asarray(np.concatenate([times, np.zeros(64 - len(times))]))
    return np.asarray(jets(potential, stencil, jnp.asarray(direction), padded))[:, : len(times)]


def rattled(lattice, size, amplitude, seed):
    """A periodic supercell with displaced atoms."""
    cell = supercell(lattice, size)
    shift = np.random.default_rng(seed).standard_normal(cell.positions.shape)
    return replace(cell, positions=cell.positions + amplitude * shift)


def cluster(symbols, positions):
    """Free atoms as a cell without periodicity."""
    lattice = sc("Cu", 3.0)
    n = len(positions)
    none = Sites(np.zeros((n, 3), dtype=int), np.zeros(n, dtype=int), None)
    free = np.ones(n, dtype=bool)
    return Cell(lattice, 50 * np.eye(3), (False,) * 3, positions, symbols, -np.ones(n, dtype=int), free, none, np.zeros(3))


def write_tables(folder):
    """Files of the closed form in every format, by its name."""
    return {kind: write_table(folder / f"made_up.{kind}", kind) for kind in ("setfl", "fs", "funcfl")}


def every_potential(folder):
    """One potential of each form, by name; NAMES has the names."""
    path = folder / "made_up.sw"
    path.write_text(SW_TABLE)
    return {
        "StillingerWeber(Si)": StillingerWeber("Si"),
        "StillingerWeber(file)": StillingerWeber.from_file(path),
        "CleriRosato(Cu)": CleriRosato("Cu"),
        "FinnisSinclair(W)": FinnisSinclair("W"),
        "EAM(setfl)": EAM.from_file(write_tables(folder)["setfl"]),
        "LennardJones(Ar+Kr)": LennardJones(("Ar", "Kr")),
        "Morse(Cu)": Morse("Cu"),
    }
