"""What a study of diversity is about: a source gives the data set to choose from, and what else fits are shown and tested on.

To add a source, write a class like `Source` in a package of yours and name it in the entry-point group ``defectgen.sources``::

    [project.entry-points."defectgen.sources"]
    mine = "my_package.source:Mine"

A run file then has ``[diversity] source = "mine"``, and the fields of the class are the keys of ``[diversity.settings]``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import ValidationError, model_serializer

from ..._input import InputError
from ..._typing import Bool, Float, Int
from ...ace import LinearACE
from ...campaign import Given, Step
from ...dataset import Configuration, Dataset
from ...training import Blocks
from ..interface import Tables
from ..settings import Strict, sentence

if TYPE_CHECKING:
    from .steps import OfDesign

GROUP = "defectgen.sources"
"""Entry-point group of sources; the name of an entry is the name of the source."""


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
    """-dE/d(strain) of every configuration, eV; None if nobody computed them."""


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
                f"a study of diversity wants energies and forces of every configuration, and {said}; label them first"
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


class Source(Strict, ABC):
    """Where a data set comes from. A subclass is a pydantic model: its fields are its settings in the run file.

    Every fit is shown energies and forces of the configurations it was given, and is tested on the test sets of theory:
    diversity/experiments. A source that has more to show or to test overrides `blocks` and `metrics`.
    """

    name: ClassVar[str]
    """What ``source`` says in a run file."""
    kinds: ClassVar[tuple[str, ...]] = ()
    """Kinds of observations beyond E and F that `blocks` has rows of."""

    @property
    def called(self) -> str:
        """What a data set of this source is called in the tables of several."""
        return self.name

    def check(self) -> None:
        """Raises InputError where something is missing that the source needs; computes nothing."""

    def files(self) -> dict[str, str]:
        """Path -> digest of the content of the files that the settings name: a run may move, and a changed file is another
        one.
        """
        return {}

    @abstractmethod
    def pool(self) -> Step[PackedPool]:
        """The step that gives every labelled configuration."""

    @abstractmethod
    def counts(self) -> tuple[int, int]:
        """At most how many structures the law that is trained on has, and configurations of each, those for tests included.

        Budgets are checked against these before anything is computed.
        """

    def further(self) -> tuple[Step[Any], ...]:
        """Further steps whose results `blocks` and `metrics` read."""
        return ()

    def blocks(self, trial: OfDesign[Any], given: Given, chosen: Int[np.ndarray, " labels"]) -> Blocks:
        """Rows of the `kinds` that ``trial.observations`` names, for the basis ``trial.opened(given).basis``.

        Parameters
        ----------
        trial : OfDesign
            The step that fits; `given` has the results of its pool, its rows and of `further`.
        given : Given
            Results.
        chosen : array of int
            Numbers of the configurations in the data set of the pool that the fit is shown.
        """
        raise InputError(
            f"the source {self.name!r} has no rows of its own for {trial.observations}; its class must define `blocks`"
        )

    def metrics(self, model: LinearACE, trial: OfDesign[Any], given: Given) -> list[dict[str, Any]]:
        """Further tests of a model, such as a relaxed defect in a large cell: lines ``{"test": name, quantity: number, ...}``.

        Each is a further row of diversity.csv, and all numbers in it are analysed like the errors of a test set. The model
        predicts whole energies (offsets added).
        """
        return []

    def pictured(self, graded: Sequence[OfDesign[Any]]) -> list[Step[Any]]:
        """Further steps for the page, from the designs of the first repetition whose domain of applicability is measured."""
        return []

    def tables(self, called: str, rows: list[dict], steps: Sequence[Step[Any]], given: Given) -> Tables:
        """Tables that only this source has; `rows` are those of diversity.csv."""
        return Tables()

    @model_serializer(mode="wrap")
    def _named(self, handler: Any) -> dict[str, Any]:
        """The settings with the name: steps of two sources differ even where their settings are the same."""
        return {"source": self.name, **handler(self)}


@cache
def sources() -> dict[str, type[Source]]:
    """Every source by name: those of this package, then those of installed packages.

    Raises
    ------
    InputError
        An installed package registers a source that cannot be imported, is no `Source`, or takes the name of another one.
    """
    from .crystals import Crystals
    from .file import File
    from .molecules import Molecules

    found: dict[str, type[Source]] = {source.name: source for source in (Molecules, Crystals, File)}
    for entry in entry_points(group=GROUP):
        source = _installed(entry)
        if source.name in found:
            raise InputError(f"the package of {entry.value!r} registers a source {source.name!r}, but there is one of this name")
        found[source.name] = source
    return found


def _installed(entry: EntryPoint) -> type[Source]:
    try:
        source = entry.load()
    except Exception as error:
        raise InputError(
            f"the source {entry.name!r} of an installed package ({entry.value}) cannot be loaded "
            f"({type(error).__name__}: {error}); mend or uninstall that package"
        ) from None
    if not (isinstance(source, type) and issubclass(source, Source)):
        raise InputError(f"{entry.value} is registered as the source {entry.name!r}, but it is no subclass of defectgen's Source")
    return source


def find(name: str, settings: dict[str, Any]) -> Source:
    """The source of a data set.

    Raises
    ------
    InputError
        There is no source of this name, a setting makes no sense, or the source cannot be used.
    """
    known = sources()
    if name not in known:
        raise InputError(f"the sources of a study of diversity are {', '.join(known)}; got {name!r}")
    try:
        source = known[name].model_validate(settings)
    except ValidationError as error:
        raise InputError(f"diversity.settings.{sentence(error)}") from None
    source.check()
    return source
