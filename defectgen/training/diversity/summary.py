"""How diverse a set of configurations is: what there is to count, and how many different environments that amounts to."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..._input import InputError
from ..._typing import Float
from ...ace import ACEBasis
from ...crystal.snapshot import Snapshot
from .coverage import covered, nearest_distances
from .metric import Metric, metric_of, points_of
from .vendi import effective_rank, gaussian_similarity, similarity_entropy, vendi_score

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
    cells: Iterable[Snapshot], basis: ACEBasis, *, metric: Metric | None = None, pool: Iterable[Snapshot] | None = None
) -> Diversity:
    """The diversity of configurations as `basis` sees them.

    `metric`: that of another set (`other.metric`), needed to compare two sets; by default one of this set's own, from the
    first conformation of each structure. `pool`: configurations of which the covered part is reported.
    Raises InputError for what are no snapshots.
    """
    cells = list(cells) if isinstance(cells, Iterable) else [cells]
    if not cells or any(not isinstance(c, Snapshot) for c in cells):
        came = ", ".join(dict.fromkeys(type(c).__name__ for c in cells)) or "none"
        raise InputError(f"diversity is asked of snapshots, from dg.training_cells or dg.read_extxyz; got {came}")
    firsts = {structure(c): c for c in reversed(cells)}
    metric = metric_of(list(firsts.values()), basis) if metric is None else metric
    points = np.concatenate([points_of(metric, c) for c in cells])
    sample = points[np.unique(np.linspace(0, len(points) - 1, min(len(points), MOST)).round().astype(int))]
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
