"""Which structures are labelled first: at random, the farthest from those chosen, or those that raise a determinant most."""

import numpy as np

from ..._typing import Float
from ...ace import ACEBasis
from ...training import dataset_rows
from ...training.diversity.selection import d_optimal, farthest_points
from .source import Pool

RANDOM = "random"
SELECTIONS = (RANDOM, "farthest", "d-optimal")
POWER = 2.0
DIRECTIONS = 64
"""Principal directions of the structures that a choice looks at: more only describe single structures."""


def structure_points(pool: Pool, basis: ACEBasis, names: list[str]) -> Float[np.ndarray, "structures directions"]:
    """Structures as points: the mean of the site rows of one configuration, wiggly functions counting less, principal components.

    The weights 1 / (1 + smoothness) are those of a smoothness prior of order POWER.
    """
    chosen = [int(pool.dataset.where(name, pool.law)[0]) for name in names]
    rows = dataset_rows(pool.dataset[chosen], basis)
    points = np.zeros((len(names), basis.size))
    for k, atoms in enumerate(rows.dataset.atoms.tolist()):
        points[k, rows.columns[k]] = rows.of(k)[0] / atoms
    points = points / (1.0 + np.asarray(basis.smoothness(POWER)))
    points = points - points.mean(axis=0)
    u, s, _ = np.linalg.svd(points, full_matrices=False)
    kept = s > 1e-10 * s.max(initial=1e-300)
    return (u * s)[:, kept][:, :DIRECTIONS]


def ordered(selection: str, names: list[str], points: Float[np.ndarray, "structures directions"], count: int) -> list[str]:
    """The structures in the order of choice; beyond `count` in the order given."""
    if selection == RANDOM:
        return list(names)
    count = min(count, len(names))
    chosen = farthest_points(points, count) if selection == "farthest" else d_optimal(points, count)
    taken = set(chosen.tolist())
    return [names[k] for k in chosen.tolist()] + [name for k, name in enumerate(names) if k not in taken]
