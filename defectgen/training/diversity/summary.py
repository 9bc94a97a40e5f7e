"""How diverse training cells and data sets are: the measures of diversity in one result."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..._display import shown
from ..._input import InputError
from ..._typing import Float
from ...ace import ACEBasis
from ...crystal.snapshot import Snapshot
from ...dataset import Configuration, Dataset
from ...observe import environments
from ..dataset_rows import BUCKET
from .measures import (
    APART,
    STRAIN,
    Metric,
    covered,
    effective_rank,
    gaussian_similarity,
    metric_of,
    nearest_distances,
    points_of,
    similarity_entropy,
    vendi_score,
)

# ------ How diverse a set of configurations is: what there is to count, and how many different environments that amounts to

MOST = 2000
"""Environments whose similarities are computed: a second and 32 MB. Of more an even sample is taken."""

ROUNDING = 1e-9
"""Distances below this part of the unit are rounding: points are numbers up to a hundred."""


@dataclass(frozen=True, eq=False)
class Diversity:
    """Numbers of one set; environments are compared in `metric`, where 1 is what one per cent of strain changes."""

    structures: dict[str, int]
    """Conformations of every structure: what differs in crystal, defect, size or composition is another structure."""
    environments: int
    vendi: float
    """Effective number of different environments, at most `sampled`."""
    entropy: float
    """Entropy of the environments in nats, at most log(`sampled`)."""
    effective_rank: float
    """Effective number of directions in which environments differ from the mean of their species; 0 if none differs."""
    nearest: Float[np.ndarray, " sampled"]
    """Distance of every environment to the nearest other one."""
    sampled: int
    """Environments that these numbers are of."""
    metric: Metric
    coverage: float | None = None
    """Part of the environments of the pool within a distance of 1 of one of these; None without a pool."""

    def __repr__(self) -> str:
        return shown(
            self,
            f"{len(self.structures)} structures",
            f"{self.conformations:,} configurations",
            f"{self.environments:,} environments",
            f"{self.vendi:.4g} effectively different",
        )

    @property
    def conformations(self) -> int:
        """All configurations."""
        return sum(self.structures.values())

    def __str__(self) -> str:
        lines = [f"{len(self.structures)} structures, {self.conformations} conformations, {self.environments} environments"]
        lines += [f"  {count} of {name}" for name, count in self.structures.items()]
        near = np.quantile(self.nearest, [0.1, 0.5, 0.9]) if self.sampled > 1 else np.full(3, np.inf)
        lines += [
            f"of {self.sampled} environments, {self.vendi:.4g} effectively different; entropy {self.entropy:.4g} of at most "
            f"{np.log(self.sampled):.4g}; {self.effective_rank:.4g} effective directions",
            f"nearest other environment at {near[1]:.3g} (a tenth below {near[0]:.3g}, a tenth above {near[2]:.3g})",
        ]
        lines += [] if self.coverage is None else [f"covers {self.coverage:.1%} of the pool"]
        return "\n".join(lines)


def diversity(
    cells: Iterable[Snapshot],
    basis: ACEBasis,
    *,
    metric: Metric | None = None,
    pool: Iterable[Snapshot] | None = None,
    most: int = MOST,
) -> Diversity:
    """The diversity of configurations as a basis describes them.

    Parameters
    ----------
    cells : iterable of Snapshot
        The configurations.
    basis : ACEBasis
        What the environments are described with.
    metric : Metric, optional
        That of another set (``other.metric``), needed to compare two sets; by default one of this set's own, from the first
        conformation of each structure.
    pool : iterable of Snapshot, optional
        Configurations of which the covered part is reported.
    most : int
        Environments that are compared with each other; of more, an even sample is.

    Returns
    -------
    Diversity
        Counts of configurations, environments and species, and effective numbers of different environments.

    Raises
    ------
    InputError
        For what are no snapshots.

    Notes
    -----
    theory: fit/vendi.
    """
    cells = list(cells) if isinstance(cells, Iterable) else [cells]
    if not cells or any(not isinstance(c, Snapshot) for c in cells):
        came = ", ".join(dict.fromkeys(type(c).__name__ for c in cells)) or "none"
        raise InputError(f"diversity is computed for snapshots, from dg.training_cells or dg.read_extxyz; got {came}")
    firsts = {structure(c): c for c in reversed(cells)}
    metric = metric_of(list(firsts.values()), basis) if metric is None else metric
    points = np.concatenate([points_of(metric, c) for c in cells])
    sample = points[np.unique(np.linspace(0, len(points) - 1, min(len(points), most)).round().astype(int))]
    similarity = gaussian_similarity(sample)
    return Diversity(
        structures=dict(Counter(structure(c) for c in cells)),
        environments=len(points),
        vendi=vendi_score(similarity),
        entropy=similarity_entropy(similarity),
        effective_rank=effective_rank(_about_means(sample, len(basis.species)), least=ROUNDING * np.sqrt(len(sample))),
        nearest=nearest_distances(sample),
        sampled=len(sample),
        metric=metric,
        coverage=None if pool is None else covered(points, np.concatenate([points_of(metric, c) for c in pool])),
    )


def structure(snapshot: Snapshot) -> str:
    """The name of a structure: crystal, defect and the atoms in the cell."""
    cell = snapshot.cell
    formula = " ".join(f"{symbol}{count}" for symbol, count in sorted(Counter(cell.symbols).items()))
    return ", ".join(part for part in (cell.lattice.name, cell.defect, formula) if part)


def _about_means(points: Float[np.ndarray, "n size"], kinds: int) -> Float[np.ndarray, "n functions"]:
    """Differences from the mean point of the same species of the central atom, without the constants that tell the species."""
    centre, values = np.argmax(points[:, :kinds], axis=1), points[:, kinds:].copy()
    for z in np.unique(centre):
        values[centre == z] -= values[centre == z].mean(axis=0)
    return values


# ------ How diverse a data set is in its structures, and in the configurations of each: counts, and effective numbers


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
    """The diversity of a data set in terms of a basis, distances in units of what a strain of one per cent changes.

    Parameters
    ----------
    dataset : Dataset
        The data set.
    basis : ACEBasis
        What environments are described with.
    most : int
        How many environments are compared with each other; of more, an even sample.

    Returns
    -------
    DatasetDiversity
        Its conformational factor is that of at most 50 structures with several configurations.

    Raises
    ------
    InputError
        An empty data set, and species that the basis does not know.
    """
    if len(dataset) == 0:
        raise InputError("the data set is empty and has no diversity")
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
