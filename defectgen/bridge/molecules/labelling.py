"""From molecules to a labelled data set, as steps of a campaign: stored one molecule at a time and reused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..._display import brief
from ..._input import InputError
from ..._typing import Float
from ...campaign import Event, Given, Step, Store, run
from ...dataset import Configuration, Dataset
from .geometries import conformers
from .library import Molecule
from .thermal import Law, sample
from .tight_binding import TightBinding


@dataclass(frozen=True, eq=False)
class Geometries:
    """Geometries of one molecule."""

    name: str
    symbols: tuple[str, ...]
    laws: tuple[str, ...]
    """Of every geometry, as its number among those of the law."""
    conformations: tuple[int, ...]
    failures: tuple[str, ...]
    """Sentences about what is missing."""
    positions: Float[np.ndarray, "geometries atoms 3"]
    """A."""

    __repr__ = brief


@dataclass(frozen=True, eq=False)
class LabelledGeometries:
    """Geometries of one molecule with their labels; what could not be labelled is left out."""

    geometries: Geometries
    truth: str
    """Name of the method."""
    energies: Float[np.ndarray, " geometries"]
    """eV."""
    forces: Float[np.ndarray, "geometries atoms 3"]
    """eV/A."""

    __repr__ = brief


@dataclass(frozen=True, eq=False, kw_only=True)
class Drawn(Step[Geometries]):
    """Geometries of one molecule under every law.

    A molecule that cannot be read or embedded has no geometries: others are not to wait for it.
    """

    name: str
    smiles: str
    seed: int
    count: int
    """Of conformers, as `window` (eV) and `distance` (A)."""
    window: float
    distance: float
    laws: tuple[Law, ...]

    @property
    def label(self) -> str:
        return f"{self.name} geometries"

    @property
    def weight(self) -> float:
        return sum(law.count for law in self.laws)

    def run(self, given: Given) -> Geometries:
        """Find conformers, and draw from them."""
        try:
            found = conformers(self.smiles, seed=self.seed, count=self.count, window=self.window, distance=self.distance)
        except InputError as error:
            return Geometries(self.name, (), (), (), (str(error),), np.zeros((0, 0, 3)))
        failures, laws, numbers, positions = list(found.failures), [], [], [np.zeros((0, len(found.symbols), 3))]
        for law in self.laws:
            draws = sample(found, law, self.seed)
            laws += [law.name] * len(draws.positions)
            numbers += range(len(draws.positions))
            positions.append(draws.positions)
            failures += draws.failures
        symbols = tuple(found.symbols)
        return Geometries(self.name, symbols, tuple(laws), tuple(numbers), tuple(failures), np.concatenate(positions))


@dataclass(frozen=True, eq=False, kw_only=True)
class Known(Step[Geometries]):
    """Geometries that came from elsewhere."""

    name: str
    symbols: tuple[str, ...]
    laws: tuple[str, ...]
    conformations: tuple[int, ...]
    positions: Float[np.ndarray, "geometries atoms 3"]
    """A."""

    @property
    def label(self) -> str:
        return f"{self.name} geometries"

    @property
    def weight(self) -> float:
        return 0.01

    def run(self, given: Given) -> Geometries:
        """As they are."""
        positions = np.asarray(self.positions, dtype=float).reshape(-1, len(self.symbols), 3)
        return Geometries(self.name, self.symbols, self.laws, self.conformations, (), positions)


@dataclass(frozen=True, eq=False, kw_only=True)
class Labels(Step[LabelledGeometries]):
    """Energies and forces of the geometries of one molecule."""

    geometries: Drawn | Known
    method: str
    accuracy: float

    @property
    def name(self) -> str:
        """Of the molecule."""
        return self.geometries.name

    @property
    def label(self) -> str:
        return f"{self.name} labels"

    @property
    def weight(self) -> float:
        return self.geometries.weight if isinstance(self.geometries, Drawn) else len(self.geometries.conformations)

    def run(self, given: Given) -> LabelledGeometries:
        """Label one by one; a geometry that fails is left out, with the reason."""
        reference, found = TightBinding(self.method, self.accuracy), given[self.geometries]
        kept, energies, forces, failures = [], [], [], list(found.failures)
        for number, x in enumerate(found.positions):
            try:
                energy, force = reference.label(found.symbols, x)
            except InputError as error:
                failures.append(f"configuration {found.conformations[number]} of {found.laws[number]}: {error}")
                continue
            kept.append(number)
            energies.append(energy)
            forces.append(force)
        return LabelledGeometries(
            Geometries(
                name=found.name,
                symbols=found.symbols,
                laws=tuple(found.laws[k] for k in kept),
                conformations=tuple(found.conformations[k] for k in kept),
                failures=tuple(failures),
                positions=found.positions[kept],
            ),
            truth=reference.name,
            energies=np.array(energies, dtype=float),
            forces=np.array(forces, dtype=float).reshape(len(kept), len(found.symbols), 3),
        )


@dataclass(frozen=True, eq=False)
class Labelled:
    """What was labelled, and why something is missing."""

    dataset: Dataset
    failures: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Sentences by structure. What failed is left out of the data set."""


def tasks(
    molecules: Iterable[Molecule],
    laws: Sequence[Law],
    seed: int = 0,
    *,
    count: int = 10,
    window: float = 0.4,
    distance: float = 0.3,
    method: str = "GFN2-xTB",
) -> tuple[Labels, ...]:
    """One labelling step a molecule, each after the step that draws its geometries. `count`, `window` and `distance` are of
    `conformers`, `laws` what is drawn from these.

    Raises InputError for no molecules or laws, and for molecules or laws that share a name.
    """
    molecules, laws = tuple(molecules), tuple(laws)
    for what, names in (("molecules", [m.name for m in molecules]), ("laws", [law.name for law in laws])):
        twice = sorted({name for name in names if names.count(name) > 1})
        if not names or twice:
            raise InputError(f"{what} to be labelled need different names; got {f'{twice[0]!r} twice' if twice else 'none'}")
    reference = TightBinding(method)
    return tuple(
        Labels(
            geometries=Drawn(
                name=m.name,
                smiles=m.smiles,
                seed=seed,
                count=count,
                window=window,
                distance=distance,
                laws=laws,
            ),
            method=reference.method,
            accuracy=reference.accuracy,
        )
        for m in molecules
    )


def gather(found: Iterable[LabelledGeometries | None]) -> Labelled:
    """The data set of what labelling steps found, in their order; None for a step that failed."""
    configurations, failures, truths = [], {}, set()
    for each in found:
        if each is None:
            continue
        molecule = each.geometries
        truths.add(each.truth)
        if molecule.failures:
            failures[molecule.name] = molecule.failures
        lines = zip(molecule.laws, molecule.conformations, molecule.positions, each.energies, each.forces, strict=True)
        for law, number, x, energy, forces in lines:
            configurations.append(
                Configuration(molecule.name, number, molecule.symbols, x, law, float(energy), forces, source=each.truth)
            )
    return Labelled(Dataset(tuple(configurations), "; ".join(sorted(truths))), failures)


def label_molecules(
    molecules: Iterable[Molecule],
    laws: Sequence[Law],
    directory: str | Path,
    seed: int = 0,
    *,
    workers: int = 1,
    progress: Callable[[Event], None] | None = None,
    **settings,
) -> Labelled:
    """Draw and label; `directory` keeps every molecule that is done, and the same call finds it there. `settings` are of `tasks`.

    Raises InputError for a directory that cannot be written, and what `tasks` raises.
    """
    return _run(tasks(molecules, laws, seed, **settings), directory, workers, progress)


def label_dataset(
    dataset: Dataset,
    directory: str | Path,
    *,
    method: str = "GFN2-xTB",
    workers: int = 1,
    progress: Callable[[Event], None] | None = None,
) -> Labelled:
    """The molecules of a data set with labels of this method in the place of theirs, kept in `directory` likewise.

    Raises InputError for periodic configurations, and for structures whose configurations list their atoms in different orders.
    """
    reference, plan = TightBinding(method), []
    for name in dataset.structures:
        members = [dataset.configurations[n] for n in dataset.where(name)]
        if any(any(c.periodic) for c in members) or len({c.symbols for c in members}) > 1:
            raise InputError(f"labels need molecules whose atoms are in one order; {name!r} is periodic, or changes it")
        known = Known(
            name=name,
            symbols=tuple(members[0].symbols),
            laws=tuple(c.law for c in members),
            conformations=tuple(c.conformation for c in members),
            positions=np.array([c.positions for c in members]),
        )
        plan.append(Labels(geometries=known, method=reference.method, accuracy=reference.accuracy))
    return _run(plan, directory, workers, progress)


def _run(plan: Sequence[Labels], directory: str | Path, workers: int, progress: Callable[[Event], None] | None) -> Labelled:
    store = Store(directory)
    with store.lock():
        records = run(plan, store, workers, progress=progress)
    given = Given(records)
    found = gather(given.get(step) for step in plan)
    broken = {step.name: (str(records[step.key].failed),) for step in plan if not records[step.key].ok}
    return Labelled(found.dataset, {**found.failures, **broken})
