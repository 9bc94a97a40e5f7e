"""Stand-ins for both sides of the bridge: site energies, foreign calculators, and rattled atoms under every boundary."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator as ASECalculator
from ase.calculators.calculator import all_changes

from defectgen.energy import SiteEnergy

TRACES = []
"""One entry for each time a stand-in is traced, that is, compiled."""


class Binding(SiteEnergy):
    """A smooth many-body stand-in of two species: repulsive pairs minus the root of a density, eight times differentiable."""

    cutoff: float = eqx.field(static=True, default=4.0)
    species: tuple[str, ...] = eqx.field(static=True, default=("Cu", "Ag"))

    def __call__(self, stencil):
        TRACES.append(stencil.g.shape)
        square = jnp.sum(stencil.g**2, axis=-1)
        inside = square < self.cutoff**2
        safe = jnp.where(inside, square, 1.0)
        size = 1.0 + 0.2 * (stencil.neighbour + stencil.centre[:, None])
        fade = jnp.where(inside, (1.0 - safe / self.cutoff**2) ** 9, 0.0)
        density = jnp.sum(size * fade * jnp.exp(-0.1 * safe), axis=-1)
        return jnp.sum(6.0 * size * fade * jnp.exp(-0.4 * safe), axis=-1) - jnp.sqrt(density + 0.01)


class Pairs(SiteEnergy):
    """Lennard-Jones pairs, half to each atom, as ASE has them (faded in r^2 from `onset`) or matscipy (cut and shifted)."""

    cutoff: float = eqx.field(static=True, default=5.5)
    onset: float | None = eqx.field(static=True, default=3.5)
    epsilon: float = eqx.field(static=True, default=0.1)
    sigma: float = eqx.field(static=True, default=2.3)
    species: tuple[str, ...] = eqx.field(static=True, default=("Cu",))

    def __call__(self, stencil):
        square = jnp.sum(stencil.g**2, axis=-1)
        inside = square < self.cutoff**2
        safe = jnp.where(inside, square, 1.0)

        def pair(s):
            return 4.0 * self.epsilon * ((self.sigma**2 / s) ** 6 - (self.sigma**2 / s) ** 3)

        if self.onset is None:
            value = pair(safe) - pair(self.cutoff**2)
        else:
            c, o = self.cutoff**2, self.onset**2
            value = pair(safe) * jnp.where(safe < o, 1.0, (c - safe) ** 2 * (c + 2 * safe - 3 * o) / (c - o) ** 3)
        return 0.5 * jnp.sum(jnp.where(inside, value, 0.0), axis=-1)


class Basis(Binding):
    """Two channels per site: no potential."""

    def __call__(self, stencil):
        return jnp.stack([jnp.sum(stencil.g[..., 0], -1), jnp.sum(stencil.g[..., 1], -1)], axis=-1)


class Other(ASECalculator):
    """A foreign code of few words: a harmonic trap without a stress, optionally broken."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def __init__(self, broken=None):
        super().__init__()
        self.broken = broken

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)):
        super().calculate(atoms, properties, system_changes)
        x = self.atoms.positions
        self.results = {"energy": float((x**2).sum()), "forces": -2 * x}
        if self.broken is not None:
            self.results |= self.broken


class Noisy(ASECalculator):
    """Another calculator whose forces carry noise, as those of an electronic-structure code do."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def __init__(self, inner, noise):
        super().__init__()
        self.inner, self.noise, self.random = inner, noise, np.random.default_rng(0)

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)):
        super().calculate(atoms, properties, system_changes)
        forces = self.inner.get_property("forces", self.atoms)
        energy = self.inner.get_property("energy", self.atoms)
        self.results = {"energy": energy, "forces": forces + self.noise * self.random.standard_normal(forces.shape)}


def frame(name: str) -> Atoms:
    """Rattled atoms under every kind of boundary; the smallest cells see their own images."""
    atoms = {
        "one image cell": lambda: bulk("Cu", "fcc", a=3.6, cubic=True),
        "skewed primitive": lambda: bulk("Cu", "fcc", a=3.6) * (2, 1, 1),
        "several chunks": lambda: bulk("Cu", "fcc", a=3.6, cubic=True) * (3, 2, 2),
        "slab": lambda: Atoms(
            "Cu4", positions=[[0, 0, 0], [2.5, 0, 0.3], [1.2, 2, 0], [1.2, 0.8, 2]], cell=[5, 4.5, 0], pbc=[1, 1, 0]
        ),
        "wire": lambda: Atoms("Cu3", positions=[[0, 0, 0], [0.3, 0, 2.4], [2, 0.4, 1.2]], cell=[0, 0, 4.8], pbc=[0, 0, 1]),
        "molecule": lambda: Atoms("Cu4", positions=[[0, 0, 0], [2.4, 0, 0], [0, 2.4, 0], [1, 1, 2]]),
    }[name]()
    atoms.rattle(0.08, seed=3)
    return atoms


FRAMES = ["one image cell", "skewed primitive", "several chunks", "slab", "wire", "molecule"]
