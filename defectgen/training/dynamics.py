"""Thermal snapshots of a crystal: short Langevin dynamics with the reference, one independent run a snapshot.

BAOAB splitting (B. Leimkuhler, C. Matthews, Appl. Math. Res. Express 2013, 34): half a kick, half a drift, the exact
Ornstein-Uhlenbeck step v -> c v + sqrt((1 - c^2) kT / m) xi with c = exp(-dt / tau), half a drift, half a kick.
"""

from dataclasses import dataclass, replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._input import InputError
from .._typing import Anywhere, Float, Int
from ..crystal.elements import element
from ..energy.bonds import Bonds, bonds, pad
from ..energy.native import Native, host_cell, native_of
from ..energy.site import SiteEnergy
from ..energy.total import energy_forces_virial

BOLTZMANN = 8.617333262e-5
"""eV/K, exact in the SI of 2019."""
FEMTOSECOND = 1 / 10.180505710774743
"""fs in units of A sqrt(u/eV), in which forces in eV/A move masses in u (CODATA 2018)."""
STEP = 0.4
"""fs per root of the mass in u: 2.1 fs for silicon, a thirtieth of its fastest period; the period grows like the same root."""
FRICTION = 15.0
"""Steps in which the thermostat forgets a velocity; about the period of a phonon, so that it disturbs and thermalises fast."""
SKIN = 0.8
"""A: atoms may move half of it before their neighbours are listed again."""
BUCKET = 32
"""Cells of a crystal data set are padded to multiples of so many atoms: a handful of compilations, some five seconds each."""
LEG = 20
"""Steps between looks at the neighbours."""


@dataclass(frozen=True, eq=False)
class Snapshots:
    """Where one run ended."""

    positions: Float[np.ndarray, "atoms 3"]
    """A, the drift of the centre of mass removed."""
    temperature: float
    """K, of the last velocities."""


def thermalise(
    potential: SiteEnergy,
    symbols: tuple[str, ...],
    positions: Float[np.ndarray, "atoms 3"],
    vectors: Float[np.ndarray, "3 3"],
    periodic: tuple[bool, bool, bool],
    temperature: float,
    seed: Int[np.ndarray, " numbers"] | list[int],
    steps: int = 60,
) -> Snapshots:
    """The atoms after `steps` of Langevin dynamics at `temperature` (K) from rest positions (A) in a fixed box.

    Velocities start at twice the temperature: half of it goes into the springs, so equipartition is near from the first period.
    Equal seeds give equal snapshots. Raises InputError for a temperature or a number of steps that is not positive.
    """
    if not temperature > 0 or steps < 1:
        raise InputError(f"dynamics needs a positive temperature (K) and at least one step; got {temperature!r} and {steps!r}")
    rng = np.random.default_rng(seed)
    mass = np.array([element(s).mass for s in symbols])[:, None]
    kick = np.sqrt(BOLTZMANN * temperature / mass)
    velocity = np.sqrt(2.0) * kick * rng.normal(size=positions.shape)
    velocity -= np.sum(mass * velocity, axis=0) / mass.sum()
    dt = STEP * FEMTOSECOND * float(np.sqrt(mass.min()))
    x, skin, built, done = np.array(positions, dtype=float), SKIN, None, 0
    near: Bonds | None = None
    while done < steps:
        leg = min(LEG, steps - done)
        noise = rng.normal(size=(leg, *x.shape))
        while True:
            if near is None or built is None or not np.linalg.norm(x - built, axis=1).max() <= skin / 4:
                near, built = bonds(x, vectors, periodic, symbols, potential, skin, BUCKET), x
            rows = near.index.shape[0]
            scale = np.concatenate([mass, np.ones((rows - len(x), 1))])
            padded = np.concatenate([noise, np.zeros((leg, rows - len(x), 3))], axis=1)
            atoms, box = (pad(x, rows), pad(velocity, rows), pad(built, rows)), np.asarray(vectors, dtype=float)
            at = *atoms, box, near, scale, padded, dt, BOLTZMANN * temperature
            native = native_of(potential, x, vectors)
            after, v, strayed = _leg(potential, *at) if native is None else _leg_of_compiled(native, *at)
            if float(strayed) < skin / 2:
                break
            if not np.isfinite(float(strayed)):
                raise InputError(
                    "the dynamics reached positions that are not finite; lower the temperature or check the potential"
                )
            near, skin = None, 1.5 * skin  # the list was too short: the leg is run again with a longer one
        x, velocity = np.asarray(after)[: len(x)], np.asarray(v)[: len(x)]
        done += leg
    kinetic = float(np.sum(mass * velocity**2)) / 2
    drift = np.sum(mass * (x - positions), axis=0) / mass.sum()
    return Snapshots(x - drift, 2 * kinetic / (3 * len(x) * BOLTZMANN))


def _leg_of_compiled(
    native: Native,
    x: Float[np.ndarray, "rows 3"],
    v: Float[np.ndarray, "rows 3"],
    built: Float[np.ndarray, "rows 3"],
    vectors: Float[np.ndarray, "3 3"],
    near: Bonds,
    mass: Float[np.ndarray, "rows 1"],
    noise: Float[np.ndarray, "steps rows 3"],
    dt: float,
    thermal: float,
) -> tuple[Float[np.ndarray, "rows 3"], Float[np.ndarray, "rows 3"], float]:
    """The same as `_leg` for a potential with compiled code, without a program of JAX."""
    keep = np.exp(-1.0 / FRICTION)
    real = np.asarray(near.real)[:, None]
    spread, push = np.where(real, np.sqrt((1 - keep**2) * thermal / mass), 0.0), dt / 2 / mass
    cell, strayed = host_cell(x, vectors, near), 0.0
    f = native.sums(cell)[1]
    for xi in noise:
        v = v + push * f
        x = x + dt / 2 * v
        v = keep * v + spread * xi
        x = x + dt / 2 * v
        f = native.sums(replace(cell, x=x))[1]
        strayed = np.maximum(strayed, np.max(np.sum((x - built) ** 2, axis=1)))  # and is not a number if a position is none
        v = v + push * f
    return x, v, float(np.sqrt(strayed))


@eqx.filter_jit
def _leg(
    potential: SiteEnergy,
    x: Float[Anywhere, "rows 3"],
    v: Float[Anywhere, "rows 3"],
    built: Float[Anywhere, "rows 3"],
    vectors: Float[Anywhere, "3 3"],
    near: Bonds,
    mass: Float[Anywhere, "rows 1"],
    noise: Float[Anywhere, "steps rows 3"],
    dt: float,
    thermal: float,
) -> tuple[Float[Anywhere, "rows 3"], Float[Anywhere, "rows 3"], Float[Anywhere, ""]]:
    """Some steps with one neighbour list: positions, velocities, and how far an atom was from where the list was made (A)."""
    keep = jnp.exp(-1.0 / FRICTION)
    spread = jnp.sqrt((1 - keep**2) * thermal / mass)
    real = near.real[:, None]

    def forces(x):
        return jnp.where(real, energy_forces_virial(potential, x, vectors, near)[1], 0.0)

    def step(carry, xi):
        x, v, f, strayed = carry
        v = v + dt / 2 * f / mass
        x = x + dt / 2 * v
        v = jnp.where(real, keep * v + spread * xi, 0.0)
        x = x + dt / 2 * v
        f = forces(x)
        strayed = jnp.maximum(strayed, jnp.max(jnp.sum((x - built) ** 2, axis=1)))
        return (x, v + dt / 2 * f / mass, f, strayed), None

    (x, v, _, strayed), _ = jax.lax.scan(step, (x, v, forces(x), jnp.array(0.0)), noise)
    return x, v, jnp.sqrt(strayed)
