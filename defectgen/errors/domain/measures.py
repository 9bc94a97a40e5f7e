"""Measures of the domain: one number an atom, larger where the surroundings are less like the training data.

The extrapolation grade writes an environment as a combination of an active set. That is a square set of training environments
of largest volume (D-optimal). A linear model predicts the site energy of an environment b = c B as the same combination of site
energies on the active set: with gamma = max |c_j| <= 1 it interpolates, with gamma >> 1 it multiplies errors. theory:
domain/grade.
E. V. Podryabinkin, A. V. Shapeev, Comput. Mater. Sci. 140, 171 (2017); Y. Lysogorskiy et al., Phys. Rev. Mater. 7, 043801 (2023).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import cached_property
from typing import ClassVar

import numpy as np
from scipy.spatial import KDTree

from ..._display import brief
from ..._typing import Float, Int
from ...observe import Environments
from ...training.diversity import maxvol

# ------ What a measure of the domain is: one number an atom, larger where the surroundings are less like the training data


class Measure(ABC):
    """A number for every atom of a configuration."""

    unit: ClassVar[str] = ""
    """Unit of the numbers; empty if they have none."""

    @abstractmethod
    def grade(self, environments: Environments) -> Float[np.ndarray, " atoms"]:
        """The numbers of a configuration.

        Parameters
        ----------
        environments : Environments
            Of its atoms.

        Returns
        -------
        array (atoms,)
            In `unit`; infinite where the training data say nothing.
        """

    def grade_known(self, environments: Environments) -> Float[np.ndarray, " atoms"]:
        """The numbers of a training configuration, which must not find itself: a bound of them is a threshold.

        Parameters
        ----------
        environments : Environments
            Of its atoms.

        Returns
        -------
        array (atoms,)
            In `unit`.
        """
        return self.grade(environments)

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that is needed to build it again."""


class SiteMeasure(ABC):
    """A measure of the site rows of one species, without a unit; a frozen dataclass of arrays."""

    @classmethod
    @abstractmethod
    def fitted(cls, rows: Float[np.ndarray, "training m"]) -> "SiteMeasure":
        """The measure of training configurations.

        Parameters
        ----------
        rows : array (training, m)
            Site rows of one species.

        Returns
        -------
        SiteMeasure
        """

    @abstractmethod
    def grade(self, rows: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " n"]:
        """The number of every row.

        Parameters
        ----------
        rows : array (n, m)
            Site rows of one species.

        Returns
        -------
        array (n,)
        """

    def grade_known(self, rows: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " n"]:
        """The number of training rows, none of which may find itself.

        Parameters
        ----------
        rows : array (n, m)
            Site rows of one species, among those that it was fitted to.

        Returns
        -------
        array (n,)
        """
        return self.grade(rows)


@dataclass(frozen=True, eq=False)
class BySpecies(Measure):
    """A site measure for each species of the central atom: an environment of one is compared with environments of that one."""

    kind: type[SiteMeasure]
    columns: dict[str, Int[np.ndarray, " m"]]
    """The channels that a site of each species carries."""
    parts: dict[str, SiteMeasure]
    """One for every species that occurs in the training configurations; of others nothing is known."""

    __repr__ = brief

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


# ------ Whitening: coordinates in which the training environments of one species scatter by one in every direction

FLOOR = 1e-6
"""Differences below this part of a function's size are no differences: a direction in which the training environments scatter
less counts as if they scattered by this. Directions of less than about 1e-8 are rounding."""
SMALLEST = 1e-8
"""Functions smaller than this part of the largest are measured on its scale: they may vanish by symmetry, up to rounding."""


def sizes(rows: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " m"]:
    """Root mean square of every column, bounded from below by SMALLEST of the largest (and 1 if all are zero)."""
    rms = np.sqrt(np.mean(rows**2, axis=0))
    return np.maximum(rms, SMALLEST * rms.max(initial=0.0)) if rms.any() else np.ones(rows.shape[1])


@dataclass(frozen=True, eq=False)
class Whitening:
    """z = (x - mean) @ root, with root root^T the inverse of the covariance plus FLOOR^2 of the squared sizes."""

    mean: Float[np.ndarray, " m"]
    root: Float[np.ndarray, "m m"]

    __repr__ = brief

    @classmethod
    def fitted(cls, rows: Float[np.ndarray, "n m"]) -> "Whitening":
        """From n >= 1 rows; their covariance is that of n observations, divided by n - 1 as usual."""
        size, mean = sizes(rows), rows.mean(axis=0)
        _, s, vt = np.linalg.svd((rows - mean) / size, full_matrices=True)
        spread = np.zeros(rows.shape[1])
        spread[: len(s)] = s / np.sqrt(max(len(rows) - 1, 1))
        return cls(mean, vt.T / np.hypot(spread, FLOOR) / size[:, None])

    def __call__(self, rows: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n m"]:
        return (rows - self.mean) @ self.root


# ------ The extrapolation grade: the largest coefficient when an environment is written as a combination of an active set


@dataclass(frozen=True, eq=False)
class Extrapolation(SiteMeasure):
    """gamma = max_j |c_j|, c = b B^-1, for one species.

    Fictitious environments are added to those of training, each FLOOR of the size of one function. So the active set is always
    square and well defined, also of few environments, and what differs from all of them gets a large grade. They are chosen
    only for directions in which training environments hardly differ.
    """

    inverse: Float[np.ndarray, "m m"]
    """B^-1."""
    active: Int[np.ndarray, " m"]
    """Numbers of the active training environments, in the order in which they were given; -1 for a fictitious one."""

    __repr__ = brief

    @classmethod
    def fitted(cls, rows: Float[np.ndarray, "training m"]) -> "Extrapolation":
        size = sizes(rows)
        scaled = np.concatenate([rows / size, FLOOR * np.eye(rows.shape[1])])
        found = maxvol(scaled).index
        inverse = np.linalg.inv(scaled[found]) / size[:, None]
        return cls(inverse, np.where(found < len(rows), found, -1))

    def grade(self, rows: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " n"]:
        return np.abs(rows @ self.inverse).max(axis=1)


# ------ The Mahalanobis distance: how many standard deviations an environment is away from the mean of the training environments


@dataclass(frozen=True, eq=False)
class Mahalanobis(SiteMeasure):
    """((x - mean)^T C^-1 (x - mean))^(1/2), C the covariance of the training environments of one species.

    For an ellipsoid of data that is the distance that matters; for several clusters it is blind between them.
    """

    mean: Float[np.ndarray, " m"]
    root: Float[np.ndarray, "m m"]

    __repr__ = brief

    @classmethod
    def fitted(cls, rows: Float[np.ndarray, "training m"]) -> "Mahalanobis":
        white = Whitening.fitted(rows)
        return cls(white.mean, white.root)

    def grade(self, rows: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " n"]:
        return np.linalg.norm(Whitening(self.mean, self.root)(rows), axis=1)


# ------ The distance to the nearest training environments, in coordinates in which these scatter by one in every direction

NEIGHBOURS = 5
"""The distance to the fifth neighbour: one training environment far from all others does not make its surroundings known."""
MOST = 20000
"""Training environments that are kept; of more an even sample is taken."""


@dataclass(frozen=True, eq=False)
class Neighbours(SiteMeasure):
    """Distance to the k-th nearest training environment of one species (k = NEIGHBOURS, or all there are)."""

    mean: Float[np.ndarray, " m"]
    root: Float[np.ndarray, "m m"]
    points: Float[np.ndarray, "kept m"]
    """Whitened training environments."""

    __repr__ = brief

    @classmethod
    def fitted(cls, rows: Float[np.ndarray, "training m"]) -> "Neighbours":
        white = Whitening.fitted(rows)
        kept = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), MOST)).round().astype(int))
        return cls(white.mean, white.root, white(rows[kept]))

    @cached_property
    def _tree(self) -> KDTree:
        return KDTree(self.points)

    def grade(self, rows: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " n"]:
        return self._distance(rows, NEIGHBOURS)

    def grade_known(self, rows: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " n"]:
        return self._distance(rows, NEIGHBOURS + 1)

    def _distance(self, rows: np.ndarray, k: int) -> np.ndarray:
        k = min(k, len(self.points))
        return self._tree.query(Whitening(self.mean, self.root)(rows), k=[k])[0][:, 0]
