"""Choose training data for one defect in one crystal within a budget, and estimate the gain over a random choice."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..._input import InputError
from ...crystal import defect_from_name, supercell
from ...relax import relax
from ..settings import FitSettings
from .choice import CRITERIA, MISFIT, START, Offer
from .data import promise_of
from .one_defect import Designed
from .pool import Candidate, candidates, cost_of, rows_of
from .settings import DesignData

SEEDS = 20
"""Random choices of the same cost to compare with."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """Training data for one defect, none of it labelled yet."""

    start: tuple[Candidate, ...]
    """What every choice needs in addition."""
    pool: tuple[Candidate, ...]
    numbers: tuple[int, ...]
    """Of the pool, in the order of their choice."""
    cost: float
    """Of what was chosen, in calculations of the training cell."""
    start_cost: float
    promise: tuple[float, float]
    """Expected errors of geometry and energy: of M with the misfit of the basis (A, eV), else per unit of independent error."""
    chance: tuple[tuple[float, float], ...]
    """The same of random choices of the same cost."""

    @property
    def data(self) -> tuple[Candidate, ...]:
        """What is to be labelled."""
        return (*self.start, *(self.pool[k] for k in self.numbers))


def check(criterion: str, budget: float) -> None:
    """Raises InputError for a criterion or a budget that makes no sense."""
    if criterion not in CRITERIA:
        raise InputError(f"data are chosen by the criteria {', '.join(CRITERIA)}; got {criterion!r}")
    if not 0 < budget < np.inf:
        raise InputError(f"a budget is a positive number of calculations of the training cell; got {budget:g}")


def data_for(
    designed: Designed,
    defect: str,
    size: int,
    budget: float,
    criterion: str = "G",
    progress: Callable[[str], None] = lambda _: None,
) -> Chosen:
    """Choose from rattled and strained cells of `size` and one less, surfaces, strained crystals and force constants.

    `budget` is in calculations of the training cell of `size`; the quantities of interest of G and M are geometry and energy of
    the defect in the cell of `designed`. The reference relaxes the defect in the small cells and computes labels; a choice
    uses only the labels of the start. Raises InputError for criteria and budgets that make no sense.
    """
    check(criterion, budget)
    lattice, truth, basis = designed.lattice, designed.truth, designed.wide
    edit, resting = defect_from_name(defect), {}
    for n in (size - 1, size):
        try:
            resting[n] = relax(edit.apply(supercell(lattice, n)), truth, eigenvalue=False).displacement
        except InputError:
            if n == size:
                raise
    asked = DesignData(sizes=tuple(resting))  # pyright: ignore[reportCallIssue]  all others have defaults
    cost = cost_of(asked)
    start, pool = candidates(lattice, defect, asked, resting, basis.cutoff)
    progress(f"rows of {len(start) + len(pool)} candidates for {basis.size} functions")
    unit = cost.hours(len(edit.apply(supercell(lattice, size))))
    parts = [rows_of(one, truth, basis) for one in (*start, *pool)]
    offer = Offer.of(parts, len(start), pool, cost, designed.loss.fit.blocks.basis, asked.prior)
    progress("choices")
    settings = FitSettings(prior=asked.prior, weights=START)
    promise = promise_of(settings, designed.cell, offer, designed.potentials)
    numbers = promise.choose(criterion, budget * unit)
    measure = promise.errors if criterion == MISFIT else promise.spreads
    return Chosen(
        start=tuple(start),
        pool=tuple(pool),
        numbers=tuple(numbers),
        cost=float(offer.costs[numbers].sum()) / unit,
        start_cost=sum(one.hours(cost) for one in start) / unit,
        promise=measure(numbers),
        chance=tuple(measure(offer.random(budget * unit, seed)) for seed in range(SEEDS)),
    )
