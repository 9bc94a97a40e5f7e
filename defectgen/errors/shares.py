"""Shares of cases that hold something, where cases come in clusters: many fits of one defect are no independent cases."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from .._input import InputError
from .._typing import Bool
from .slopes import CONFIDENCE, student


@dataclass(frozen=True)
class Share:
    """A share with its interval."""

    value: float
    low: float
    high: float
    """95 % interval; 0 to 1 for one cluster."""
    cases: int
    clusters: int


def clustered_share(hits: Bool[np.ndarray, " cases"], clusters: Sequence[Hashable]) -> Share:
    """The share of hits among cases that come in clusters.

    Parameters
    ----------
    hits : array of bool (cases,)
        What holds of every case.
    clusters : sequence (cases,)
        The cluster of every case, such as its material and defect.

    Returns
    -------
    Share
        With a 95 % interval over the clusters.

    Raises
    ------
    InputError
        For no cases, or lengths that differ.

    Notes
    -----
    The interval of Clopper and Pearson with an effective number of cases (E. L. Korn and B. I. Graubard, Surv. Methodol. 24, 193
    (1998)): p (1 - p) / v, where v is the variance of the share between clusters, at most the number of cases, times
    (t(cases - 1) / t(clusters - 1))^2 for the few clusters that v is known from. Where no case differs from the others, v says
    nothing, and the effective number is that of the clusters.
    """
    hits = np.asarray(hits, dtype=bool)
    if len(hits) == 0 or len(hits) != len(clusters):
        raise InputError(f"a share is of cases, each with its cluster; got {len(hits)} cases and {len(clusters)} clusters")
    share, cases, names = float(hits.mean()), len(hits), list(dict.fromkeys(clusters))
    count = len(names)
    if count < 2:
        return Share(share, 0.0, 1.0, cases, count)
    place = np.array([names.index(name) for name in clusters])
    sums = np.bincount(place, weights=hits - share, minlength=count)
    variance = count / (count - 1) * float((sums**2).sum()) / cases**2
    effective = float(count)
    if 0 < share < 1:
        free = share * (1 - share) / variance if variance > 0 else np.inf
        effective = min(float(cases), free) * float((student(cases - 1) / student(count - 1)) ** 2)
    return Share(share, *_exact(share, effective), cases, count)


def _exact(share: float, cases: float) -> tuple[float, float]:
    """The interval of Clopper and Pearson; the number of cases may be a fraction."""
    from scipy.special import betaincinv

    tail, hits = (1 - CONFIDENCE) / 2, share * cases
    low = 0.0 if hits <= 0 else float(betaincinv(hits, cases - hits + 1, tail))
    high = 1.0 if hits >= cases else float(betaincinv(hits + 1, cases - hits, 1 - tail))
    return low, high
