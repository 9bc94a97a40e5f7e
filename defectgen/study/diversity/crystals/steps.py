"""Steps of the source of crystals: relaxed phases, configurations, the pool, exact defects, a portrait for the page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ...._input import InputError
from ...._typing import Float
from ....campaign import Given, Step
from ....crystal import Cell, Lattice, defect_from_name
from ....crystal.lattices import phase
from ....dataset import Configuration, Dataset
from ....errors.domain import Extrapolation
from ....observe import environments
from ....reference import check_stable, equilibrate
from ....relax import relax
from ....training.crystals import configurations
from ....training.dynamics import BUCKET
from ...materials import Material, build_lattice
from ...tasks import Rest, box, truth_of
from ..domain import LIMIT
from ..pool import PackedPool, Pool
from ..rows import Opened
from ..source import OfDesign
from ..split import OWN, structures_of
from .settings import Settings

STRAYED = 0.5
"""Nearest-neighbour spacings: an atom that is farther from its site has hopped, or its phase is falling apart."""


@dataclass(frozen=True, eq=False)
class PhaseAtRest:
    """A phase at zero pressure, and whether it is a minimum."""

    stable: bool
    lowest_phonon: float | None
    """eV/A^2; None of a phase that is not stable."""
    why: str
    """Why it is not stable."""
    vectors: Float[np.ndarray, "3 3"]
    """Primitive vectors as rows, A."""
    motif: Float[np.ndarray, "sublattices 3"]
    """A."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Phase(Step[PhaseAtRest]):
    """One phase of a material, relaxed."""

    material: Material
    phase: str

    @property
    def label(self) -> str:
        return f"{self.material.name} {self.phase} at rest"

    @property
    def weight(self) -> float:
        return 3.0

    def run(self, given: Given) -> PhaseAtRest:
        """Equilibrate, and look for unstable waves."""
        start, truth = build_lattice(self.material), truth_of(self.material)
        found = equilibrate(phase(self.phase, start.species[0], start.volume / start.sublattices), truth)
        try:
            lowest, why = float(check_stable(found, truth)), ""
        except InputError as error:
            lowest, why = None, str(error)
        return PhaseAtRest(lowest is not None, lowest, why, found.vectors, found.motif)

    def lattice(self, given: Given) -> Lattice:
        """The relaxed phase."""
        species, rest = build_lattice(self.material).species, given[self]
        return replace(phase(self.phase, species[0], 1.0), vectors=rest.vectors, motif=rest.motif)


@dataclass(frozen=True, eq=False)
class DrawnPhase:
    """All configurations of one phase."""

    pool: PackedPool
    strayed: Float[np.ndarray, " configurations"]
    """How far an atom is from its site at most, nearest-neighbour spacings."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Drawn(Step[DrawnPhase]):
    """Configurations of the structures of one phase, trained on or tested."""

    settings: Settings
    rest: Phase

    @property
    def label(self) -> str:
        return f"{self.settings.material} {self.rest.phase} configurations"

    @property
    def weight(self) -> float:
        return 20.0

    def run(self, given: Given) -> DrawnPhase:
        """Make the cells, draw, label."""
        asked, name = self.settings, self.rest.phase
        truth, lattice = truth_of(asked.described), self.rest.lattice(given)
        made, skipped = asked.structures()
        sets = [(made, [(asked.law, asked.conformations), *((law, 1) for law in asked.wider)])]
        for apart in asked.apart.values():
            found, refused = asked.structures(apart)
            sets.append((found, [(asked.law, 2)]))
            skipped = skipped | refused
        wanted = {key: (one, laws) for each, laws in sets for key, one in each.items() if one.phase == name}
        rows: list[Configuration] = []
        for key, (one, laws) in wanted.items():
            cell = one.cell(lattice)
            for law, count in laws:
                rows += configurations(key, cell, law, count, truth, asked.seed)
        own = {key: (why,) for key, why in skipped.items() if key.startswith(f"{name} ")}
        away = [float(c.source.split()[1]) for c in rows]  # "strayed 0.123 spacings"
        virials = np.array([c.virial for c in rows])
        pool = _pool(asked, Dataset(tuple(rows), asked.described.reference), own, virials)
        return DrawnPhase(PackedPool.of(pool), np.array(away))


def phase_at_rest(asked: Settings, name: str) -> Phase:
    """The step that relaxes a phase."""
    return Phase(material=asked.described, phase=name)


def drawn(asked: Settings) -> tuple[Drawn, ...]:
    """A step for each phase."""
    return tuple(Drawn(settings=asked, rest=phase_at_rest(asked, name)) for name in asked.all_phases)


def seen_phases(asked: Settings, pool: Pool, chosen: np.ndarray, given: Given) -> list[tuple[Phase, PhaseAtRest]]:
    """The stable phases of the structures of a design, whose configurations have the numbers `chosen`."""
    seen = {pool.families[name] for name in structures_of(pool, chosen)}
    steps = [phase_at_rest(asked, name) for name in asked.phases if name in seen]
    return [(step, given[step]) for step in steps if given[step].stable]


@dataclass(frozen=True, eq=False, kw_only=True)
class CrystalPool(Step[PackedPool]):
    """The pool of all phases."""

    settings: Settings
    drawn: tuple[Drawn, ...]

    @property
    def label(self) -> str:
        return f"{self.settings.material} pool"

    @property
    def weight(self) -> float:
        return 2.0

    def run(self, given: Given) -> PackedPool:
        """Put the phases together."""
        parts = [given[step].pool.unpack() for step in self.drawn]
        dataset = Dataset(tuple(c for part in parts for c in part.dataset.configurations), parts[0].dataset.truth)
        skipped = {name: why for part in parts for name, why in part.skipped.items()}
        virials = np.concatenate([part.virials for part in parts if part.virials is not None])
        return PackedPool.of(_pool(self.settings, dataset, skipped, virials))


def _pool(asked: Settings, dataset: Dataset, skipped: dict[str, tuple[str, ...]], virials: np.ndarray) -> Pool:
    """The families of crystals are their phases; free atoms have no energy in an analytic reference."""
    present = set(dataset.structures)
    return Pool(
        dataset,
        families={name: name.split(" ", 1)[0] for name in dataset.structures},
        law=asked.law.name,
        offsets=dict.fromkeys(dataset.species, 0.0),
        apart={name: tuple(s for s in asked.names(one) if s in present) for name, one in asked.apart.items()},
        skipped=skipped,
        sizes={c.structure: len(c) for c in dataset.configurations},
        virials=virials,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class ExactDefect(Step[Rest]):
    """A defect relaxed with the reference in a large cell of a phase."""

    rest: Phase
    defect: str
    simulation_size: int | tuple
    """Of the large cell, as a study writes it."""

    @property
    def label(self) -> str:
        return f"{self.rest.material.name} {self.defect} reference"

    @property
    def weight(self) -> float:
        return 5.0

    def cell(self, given: Given) -> Cell:
        """The unrelaxed defect."""
        return defect_from_name(self.defect).apply(box(self.rest.lattice(given), self.simulation_size))

    def run(self, given: Given) -> Rest:
        """Relax, and refuse what has no equilibrium."""
        material = self.rest.material
        found = relax(self.cell(given), truth_of(material), chemical_potentials=material.potentials)
        if not found.converged or found.is_saddle:
            raise InputError(
                f"{self.defect} in {self.rest.material.name} has no equilibrium with the reference ({found.message}); "
                "choose another defect"
            )
        return Rest.of(found)


@dataclass(frozen=True, eq=False)
class Pictured:
    """A defect in a strained crystal, every atom with its grade, its force error and where it is."""

    test: str
    structure: str
    law: str
    level: float
    """Root mean square force error on new configurations of the structures that were seen, eV/A."""
    limit: float
    """Above which a force error is large, eV/A."""
    positions: Float[np.ndarray, "atoms 3"]
    """A."""
    vectors: Float[np.ndarray, "3 3"]
    """Of the cell, A."""
    grade: Float[np.ndarray, " atoms"]
    """Extrapolation grade; the threshold is 1, the largest of the active set."""
    error: Float[np.ndarray, " atoms"]
    """Of the force, eV/A."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Portrait(OfDesign[Pictured]):
    """The extrapolation grades of the most strained, largest cell of the tests apart."""

    @property
    def label(self) -> str:
        return f"{self.prefix}portrait"

    def run(self, given: Given) -> Pictured:
        """Fit the design, and look at one cell."""
        asked = self.source
        assert isinstance(asked, Settings)  # only crystals plan a portrait
        here, trained = self.opened(given), self.train(given)
        measure = Extrapolation.fitted(np.concatenate([_sites(here, n) for n in trained.chosen.tolist()]))
        theta = np.asarray(trained.fit.coefficients)
        sets = self.tests(trained, here.pool, 1)
        level = float(np.sqrt(np.mean(np.concatenate([_wrong(here, n, theta) for n in sets[OWN].tolist()]) ** 2)))
        shown = {
            key: (abs(one.dilation), name) for name, each in asked.apart.items() for key, one in asked.structures(each)[0].items()
        }
        number = max((shown[key][0], len(c), n) for n, key, c in _apart(here, sets, set(shown)))[2]
        c = here.pool.dataset.configurations[number]
        assert c.vectors is not None  # a crystal
        return Pictured(
            test=shown[c.structure][1],
            structure=c.structure,
            law=c.law,
            level=level,
            limit=LIMIT * level,
            positions=c.positions,
            vectors=c.vectors,
            grade=measure.grade(_sites(here, number)),
            error=_wrong(here, number, theta),
        )


def _apart(here: Opened, sets: dict[str, np.ndarray], names: set[str]) -> Iterator[tuple[int, str, Configuration]]:
    """Number, structure and configuration of what tests and is one of these structures."""
    for number in sorted({int(n) for numbers in sets.values() for n in numbers}):
        c = here.pool.dataset.configurations[number]
        if c.structure in names:
            yield number, c.structure, c


def _sites(here: Opened, number: int) -> np.ndarray:
    """Site rows of one configuration of the one element."""
    c = here.pool.dataset.configurations[number]
    vectors = np.eye(3) if c.vectors is None else c.vectors
    return environments(here.basis, c.symbols, c.positions, vectors, c.periodic, BUCKET).sites


def _wrong(here: Opened, number: int, theta: np.ndarray) -> np.ndarray:
    """Length of the force error of every atom, eV/A."""
    c, place = here.pool.dataset.configurations[number], int(here.places(np.array([number]))[0])
    rows = here.rows.of(place)[1:]
    assert c.forces is not None  # a pool has them all
    return np.linalg.norm((rows @ theta[here.rows.columns[place]]).reshape(-1, 3) - c.forces, axis=1)
