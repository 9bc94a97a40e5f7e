"""How diverse a data set is in its structures, and in the configurations of each: counts, and effective numbers."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from ..._input import InputError
from ..._typing import Float
from ...ace import ACEBasis
from ...dataset import Configuration, Dataset
from ...observe import environments
from ..dataset_rows import BUCKET
from .metric import APART, STRAIN
from .summary import MOST
from .vendi import gaussian_similarity, vendi_score


@dataclass(frozen=True, eq=False)
class DatasetDiversity:
    """Numbers of one data set; the Vendi scores are effective numbers of different environments (theory: fit/vendi)."""

    counts: dict[str, int]
    """Configurations of every structure."""
    environments: int
    sampled: int
    """Environments that `vendi` is of, an even sample; no score is larger than its sample."""
    vendi: float
    """Of the whole set."""
    structural: float
    """Of one configuration of each structure."""
    structural_sampled: int
    conformational: float
    """Mean over structures of the score of all their configurations over that of one of them: 1 if nothing moves."""

    @property
    def structures(self) -> int:
        return len(self.counts)

    @property
    def configurations(self) -> int:
        return sum(self.counts.values())

    @property
    def each(self) -> float:
        """Configurations of each structure, in the mean."""
        return self.configurations / self.structures

    def __str__(self) -> str:
        c = np.array(sorted(self.counts.values()))
        return "\n".join(
            [
                f"{self.configurations} configurations of {self.structures} structures: {self.each:.3g} of each in the mean "
                f"({c[0]} to {c[-1]}, half of them at most {int(np.median(c))})",
                f"{self.environments} environments; of {self.sampled} of them {self.vendi:.4g} are effectively different",
                f"one configuration of each structure: {self.structural:.4g} effectively different of {self.structural_sampled}",
                f"configurations of one structure have {self.conformational:.3g} times the effective number of one, on average",
            ]
        )


def dataset_diversity(dataset: Dataset, basis: ACEBasis, most: int = MOST) -> DatasetDiversity:
    """The diversity of a data set as a basis sees it, distances in units of what a strain of one per cent changes.

    Of many environments an even sample of `most` is taken; the conformational factor is that of at most 50 structures with
    several configurations. Raises InputError for an empty data set and species that the basis does not know.
    """
    if len(dataset) == 0:
        raise InputError("the diversity of a data set is asked, and it is empty")
    firsts = [int(dataset.where(name)[0]) for name in dataset.structures]
    bandwidth = _bandwidth(dataset, basis, [firsts[k] for k in _even(len(firsts), 100)])
    every = _even(int(dataset.atoms.sum()), most)
    numbers = np.repeat(np.arange(len(dataset)), dataset.atoms)[every]
    owners = np.concatenate([np.arange(a) for a in dataset.atoms])[every]
    points = np.concatenate(
        [_points(dataset.configurations[n], basis, bandwidth)[owners[numbers == n]] for n in dict.fromkeys(numbers.tolist())]
    )
    chosen = [firsts[k] for k in _even(len(firsts), max(most // int(np.ceil(dataset.atoms.mean())), 1))]
    single = np.concatenate([_points(dataset.configurations[n], basis, bandwidth) for n in chosen])[:most]
    counts = Counter(c.structure for c in dataset.configurations)
    several = [name for name in dataset.structures if counts[name] > 1]
    factors = [_factor(dataset, name, basis, bandwidth) for name in (several[k] for k in _even(len(several), 50))]
    return DatasetDiversity(
        *(dict(counts), int(dataset.atoms.sum()), len(points), _score(points), _score(single), len(single)),
        float(np.mean(factors)) if factors else 1.0,
    )


def _factor(dataset: Dataset, name: str, basis: ACEBasis, bandwidth: float) -> float:
    """The score of up to twenty configurations of a structure over that of the first."""
    numbers = dataset.where(name)
    each = [_points(dataset.configurations[int(numbers[k])], basis, bandwidth) for k in _even(len(numbers), 20)]
    return _score(np.concatenate(each)) / _score(each[0])


def _bandwidth(dataset: Dataset, basis: ACEBasis, numbers: list[int]) -> float:
    """Root mean square change of an environment by an isotropic strain of one per cent."""
    squares = []
    for n in numbers:
        rest, moved = (_points(dataset.configurations[n], basis, 1.0, f) for f in (1.0, 1.0 + STRAIN))
        squares.append(np.sum((moved - rest) ** 2, axis=1))
    found = float(np.sqrt(np.mean(np.concatenate(squares))))
    if not found > 0:
        raise InputError("a strain changes nothing in these configurations: no atom has a neighbour; use a larger cutoff")
    return found


def _points(c: Configuration, basis: ACEBasis, bandwidth: float, scale: float = 1.0) -> Float[np.ndarray, "atoms size"]:
    """Environments as points whose distance is that of the metric; species are APART."""
    vectors = np.eye(3) if c.vectors is None else c.vectors * scale
    bucket = None if any(c.periodic) else BUCKET
    sites = environments(basis, c.symbols, c.positions * scale, vectors, c.periodic, bucket).sites
    points = sites / (bandwidth * (1.0 + basis.smoothness()))
    kinds = len(basis.species)
    points[:, :kinds] = sites[:, :kinds] * APART / np.sqrt(2)
    return points


def _score(points: Float[np.ndarray, "n size"]) -> float:
    return vendi_score(gaussian_similarity(points))


def _even(there: int, most: int) -> list[int]:
    """At most so many of the numbers from 0, evenly spread."""
    return np.unique(np.linspace(0, there - 1, min(there, most)).round().astype(int)).tolist() if there else []
