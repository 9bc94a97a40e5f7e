"""The labelled configurations of a data set, of which some are trained on and others test."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..._input import InputError
from ..._typing import Bool, Float, Int
from ...dataset import Configuration, Dataset


@dataclass(frozen=True, eq=False)
class Pool:
    """Everything there is to choose from and to test on."""

    dataset: Dataset
    families: dict[str, str]
    """Structure -> what must not be shared across the scaffold split: Murcko scaffold, phase, space group, ..."""
    law: str
    """The law that is trained on."""
    offsets: dict[str, float]
    """One-body energies that no training data went into, eV."""
    wider: tuple[str, ...] = ()
    """Laws that only test, on the structures that were seen."""
    apart: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Structures that only test, by the name of their test set."""
    skipped: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Structure -> why all or some of its configurations are missing."""
    sizes: dict[str, int] | None = None
    """Structure -> what the size split is by; heavy atoms by default."""
    virials: Float[np.ndarray, "configurations 3 3"] | None = None
    """-dE/d(strain) of every configuration, eV; None if they were not computed."""


@dataclass(frozen=True, eq=False)
class PackedPool:
    """A pool as the result of a step: names, and all numbers in a few long arrays."""

    structures: tuple[str, ...]
    laws: tuple[str, ...]
    species: tuple[str, ...]
    truth: str
    families: dict[str, str]
    trained: str
    """The law that is trained on."""
    offsets: dict[str, float]
    """eV."""
    wider: tuple[str, ...]
    apart: dict[str, tuple[str, ...]]
    skipped: dict[str, tuple[str, ...]]
    sizes: dict[str, int] | None
    atoms: Int[np.ndarray, " configurations"]
    structure: Int[np.ndarray, " configurations"]
    """Place in `structures`, as `law` in `laws` and `kind` in `species`."""
    law: Int[np.ndarray, " configurations"]
    conformation: Int[np.ndarray, " configurations"]
    kind: Int[np.ndarray, " atoms"]
    positions: Float[np.ndarray, "atoms 3"]
    """A."""
    forces: Float[np.ndarray, "atoms 3"]
    """eV/A."""
    energies: Float[np.ndarray, " configurations"]
    """eV."""
    periodic: Bool[np.ndarray, "configurations 3"]
    vectors: Float[np.ndarray, "configurations 3 3"]
    """Cell vectors as rows, A; zero without a cell."""
    virials: Float[np.ndarray, "configurations 3 3"] | None
    """eV."""

    @classmethod
    def of(cls, pool: Pool) -> PackedPool:
        """A pool, packed.

        Raises
        ------
        InputError
            A configuration has no energy or no forces, or there is no configuration.
        """
        configurations = pool.dataset.configurations
        unlabelled = [c for c in configurations if c.energy is None or c.forces is None]
        if not configurations or unlabelled:
            said = f"{unlabelled[0].structure!r} has no energy or no forces" if unlabelled else "there is no configuration"
            raise InputError(
                f"a study of diversity needs energies and forces of every configuration, and {said}; label them first"
            )
        structures = {name: k for k, name in enumerate(pool.dataset.structures)}
        laws = {name: k for k, name in enumerate(pool.dataset.laws)}
        species = {name: k for k, name in enumerate(pool.dataset.species)}
        return cls(
            structures=tuple(structures),
            laws=tuple(laws),
            species=tuple(species),
            truth=pool.dataset.truth,
            families=pool.families,
            trained=pool.law,
            offsets=pool.offsets,
            wider=pool.wider,
            apart=pool.apart,
            skipped=pool.skipped,
            sizes=pool.sizes,
            atoms=np.asarray(pool.dataset.atoms),
            structure=np.array([structures[c.structure] for c in configurations]),
            law=np.array([laws[c.law] for c in configurations]),
            conformation=np.array([c.conformation for c in configurations]),
            kind=np.array([species[s] for c in configurations for s in c.symbols]),
            positions=np.concatenate([c.positions for c in configurations]),
            forces=np.concatenate([c.forces for c in configurations if c.forces is not None]),
            energies=np.asarray(pool.dataset.energies),
            periodic=np.array([c.periodic for c in configurations]),
            vectors=np.array([np.zeros((3, 3)) if c.vectors is None else c.vectors for c in configurations]),
            virials=pool.virials,
        )

    def unpack(self) -> Pool:
        """The pool."""
        species, configurations = np.array(self.species)[self.kind], []
        for k, (stop, atoms) in enumerate(zip(np.cumsum(self.atoms).tolist(), self.atoms.tolist(), strict=True)):
            own = slice(stop - atoms, stop)
            configurations.append(
                Configuration(
                    structure=self.structures[int(self.structure[k])],
                    conformation=int(self.conformation[k]),
                    symbols=tuple(species[own].tolist()),
                    positions=self.positions[own],
                    law=self.laws[int(self.law[k])],
                    energy=float(self.energies[k]),
                    forces=self.forces[own],
                    vectors=self.vectors[k] if self.vectors[k].any() else None,
                    periodic=tuple(self.periodic[k].tolist()),
                )
            )
        return Pool(
            Dataset(tuple(configurations), self.truth),
            families=self.families,
            law=self.trained,
            offsets=self.offsets,
            wider=self.wider,
            apart=self.apart,
            skipped=self.skipped,
            sizes=self.sizes,
            virials=self.virials,
        )
