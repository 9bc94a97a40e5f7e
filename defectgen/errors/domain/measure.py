"""What a measure of the domain is: one number an atom, larger where the surroundings are less like the training data."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np

from ..._typing import Float, Int
from ...observe import Environments


class Measure(ABC):
    """A number for every atom of a configuration."""

    unit: ClassVar[str] = ""
    """Unit of the numbers; empty if they have none."""

    @abstractmethod
    def grade(self, environments: Environments) -> Float[np.ndarray, " atoms"]:
        """The numbers; infinite where the training data say nothing."""

    def grade_known(self, environments: Environments) -> Float[np.ndarray, " atoms"]:
        """The numbers of a training configuration, which must not find itself: a bound of them is a threshold."""
        return self.grade(environments)

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that is needed to build it again."""


class SiteMeasure(ABC):
    """A measure of the site rows of one species, without a unit; a frozen dataclass of arrays."""

    @classmethod
    @abstractmethod
    def fitted(cls, rows: Float[np.ndarray, "training m"]) -> "SiteMeasure":
        """From the site rows of the training configurations."""

    @abstractmethod
    def grade(self, rows: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " n"]:
        """The number of every row."""

    def grade_known(self, rows: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " n"]:
        """The number of training rows, none of which may find itself."""
        return self.grade(rows)


@dataclass(frozen=True, eq=False)
class BySpecies(Measure):
    """A site measure for each species of the central atom: an environment of one is compared with environments of that one."""

    kind: type[SiteMeasure]
    columns: dict[str, Int[np.ndarray, " m"]]
    """The channels that a site of each species carries."""
    parts: dict[str, SiteMeasure]
    """One for every species that occurs in the training configurations; of others nothing is known."""

    def grade(self, environments: Environments) -> Float[np.ndarray, " atoms"]:
        return self._grade(environments, "grade")

    def grade_known(self, environments: Environments) -> Float[np.ndarray, " atoms"]:
        return self._grade(environments, "grade_known")

    def _grade(self, environments: Environments, what: str) -> Float[np.ndarray, " atoms"]:
        found = np.full(len(environments), np.inf)
        for symbol, part in self.parts.items():
            own = environments.of(symbol)
            if len(own):
                found[own] = getattr(part, what)(environments.sites[np.ix_(own, self.columns[symbol])])
        return found

    def arrays(self) -> dict[str, np.ndarray]:
        names = [f.name for f in fields(self.kind)]  # pyright: ignore[reportArgumentType]  a dataclass, see SiteMeasure
        return {f"{symbol}/{name}": np.asarray(getattr(part, name)) for symbol, part in self.parts.items() for name in names}
