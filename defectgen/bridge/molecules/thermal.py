"""Thermal geometries: short Langevin runs of MMFF94 at a temperature, each from a conformer of its own choice.

A law is the Boltzmann distribution of the force field at its temperature around the conformers: well defined, free of the
labelling method, and wider in all directions at once when it is hotter. BAOAB splitting, whose positions follow it exactly in
harmonic wells at any step (B. Leimkuhler, C. Matthews, J. Chem. Phys. 138, 174102 (2013)).
"""

from collections.abc import Callable
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from ase.data import atomic_masses, atomic_numbers
from ase.units import fs, kB
from rdkit import Chem

from ..._display import brief
from ..._input import InputError
from ..._typing import Float, Int
from .geometries import Conformers, ForceField, parse

STRETCH = (0.6, 1.6)
"""A bond shorter or longer than this times its relaxed length is no bond: the sample is dropped."""


@dataclass(frozen=True)
class Law:
    """How geometries are drawn. Raises InputError for a temperature or times that are not positive."""

    temperature: float
    """K."""
    count: int
    """Configurations of each molecule."""
    name: str = ""
    """What configurations carry as their law; "300 K" by default."""
    duration: float = 200.0
    """fs from rest to the sample: after 200 the mean energy is that of equipartition within 4 %."""
    step: float = 1.0
    """fs."""
    friction: float = 0.05
    """1/fs."""

    def __post_init__(self):
        if not (self.temperature > 0 and self.duration >= self.step > 0 and self.friction > 0):
            raise InputError(
                f"a law needs a temperature (K), step and duration (fs) and friction (1/fs) that are positive; got {self}"
            )
        if isinstance(self.count, bool) or not isinstance(self.count, int | np.integer) or self.count < 0:
            raise InputError(f"a law needs a number of configurations for each molecule; got {self.count!r}")
        object.__setattr__(self, "name", self.name or f"{self.temperature:g} K")


@dataclass(frozen=True, eq=False)
class Sample:
    """Geometries of one molecule under one law."""

    positions: Float[np.ndarray, "samples atoms 3"]
    """A; the centre of mass does not move."""
    conformer: Int[np.ndarray, " samples"]
    """Where each run started."""
    failures: tuple[str, ...] = ()

    __repr__ = brief


def sample(found: Conformers, law: Law, seed: int = 0) -> Sample:
    """Independent draws: each starts from one of the conformers, with equal probability and thermal momenta.

    Equal seeds give equal draws, and the first ones of a larger count are those of a smaller one. A run that breaks a bond or
    leaves the numbers is dropped and said in `failures`.
    """
    atoms = len(found.symbols)
    if len(found) == 0:
        return Sample(np.zeros((0, atoms, 3)), np.zeros(0, dtype=int), ("there is no conformer to start from",))
    molecule = Chem.AddHs(parse(found.smiles))
    there = Chem.Conformer(atoms)
    there.SetPositions(np.ascontiguousarray(found.positions[0]))
    molecule.AddConformer(there)
    forces = ForceField(molecule).energy_forces
    bonds = np.array([(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in molecule.GetBonds()]).reshape(-1, 2)
    mass = atomic_masses[[atomic_numbers[s] for s in found.symbols]][:, None]
    own = crc32(f"{found.smiles} {law.temperature!r}".encode())  # no two molecules or temperatures share their noise
    positions, starts, failures = [], [], []
    for k in range(law.count):
        rng = np.random.default_rng([seed, own, k])
        start = int(rng.integers(len(found)))
        x = _langevin(found.positions[start], mass, lambda y: forces(y)[1], law, rng)
        if _whole(x, found.positions[start], bonds):
            positions.append(x)
            starts.append(start)
        else:
            failures.append(f"run {k} at {law.temperature:g} K broke a bond")
    return Sample(np.array(positions).reshape(-1, atoms, 3), np.array(starts, dtype=int), tuple(failures))


def _langevin(
    x: Float[np.ndarray, "atoms 3"],
    mass: Float[np.ndarray, "atoms 1"],
    forces: Callable[[np.ndarray], np.ndarray],
    law: Law,
    rng: np.random.Generator,
) -> Float[np.ndarray, "atoms 3"]:
    """The end of one run, its centre of mass where it started."""
    h, speed = law.step * fs, np.sqrt(kB * law.temperature / mass)
    keep = np.exp(-law.friction * law.step)
    kick = np.sqrt(1 - keep**2) * speed
    centre = np.sum(mass * x, axis=0) / mass.sum()
    v = speed * rng.normal(size=x.shape)
    f = forces(x)
    for _ in range(round(law.duration / law.step)):
        v = v + 0.5 * h * f / mass
        x = x + 0.5 * h * v
        v = keep * v + kick * rng.normal(size=x.shape)
        x = x + 0.5 * h * v
        f = forces(x)
        v = v + 0.5 * h * f / mass
    return x - np.sum(mass * x, axis=0) / mass.sum() + centre


def _whole(x: np.ndarray, rest: np.ndarray, bonds: np.ndarray) -> bool:
    """Whether every bond has about its relaxed length."""
    if not np.all(np.isfinite(x)):
        return False
    length, at_rest = (np.linalg.norm(y[bonds[:, 0]] - y[bonds[:, 1]], axis=1) for y in (x, rest))
    ratio = length / at_rest
    return bool(np.all((ratio > STRETCH[0]) & (ratio < STRETCH[1])))
