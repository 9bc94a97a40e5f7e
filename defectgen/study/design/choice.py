"""Choices from a pool within a budget: by G-, A- and D-optimality, by misfit, at random, or the usual defect cells.

None of them uses a label of the pool. The rows give how well each candidate determines the coefficients, and the sensitivity
of the relaxed defect gives how well these determine the quantity of interest. theory: fit/design.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..._typing import Float, Int
from ...ace import ACEBasis
from ...errors.certificate import Sensitivity
from ...errors.design import Misfit, choose_data
from ...errors.domain.deviations import Leverage, regularised
from ...fit import CONVENTION, Fit, as_prior, resolve_weights
from ...training import Blocks, Cost
from .pool import DEFECT, Candidate, joined

START = {kind: CONVENTION[kind] for kind in ("E", "V0")}
"""Weights from which a loss is designed, and those of fits to few data, which heavier energies can cost the defect; all others
are 1."""

USUAL = "largest defect cells"
RANDOM = "random"

MISFIT = "M"
CRITERIA = ("G", "A", "D", MISFIT)


@dataclass(frozen=True, eq=False)
class Offer:
    """A start and the rows that every candidate would add, in a basis that is richer than that of the fit."""

    start: Blocks
    parts: Sequence[Blocks]
    """Rows of every candidate of the pool."""
    basis: ACEBasis
    """Of the fit; its functions are among those of the rows."""
    kinds: Sequence[str]
    atoms: Int[np.ndarray, " candidates"]
    costs: Float[np.ndarray, " candidates"]
    weights: dict
    """Of the fit, by kind."""
    prior: str | float | None

    @classmethod
    def of(
        cls, parts: Sequence[Blocks], first: int, pool: Sequence[Candidate], cost: Cost, basis: ACEBasis, prior: str
    ) -> "Offer":
        """The offer of a `pool` at the weights START, the rows of the start being the `first` of all `parts`."""
        kinds, atoms = [one.kind for one in pool], np.array([one.atoms for one in pool])
        costs = np.array([one.hours(cost) for one in pool])
        return cls(joined(parts[:first]), parts[first:], basis, kinds, atoms, costs, START, prior)

    @cached_property
    def own(self) -> Int[np.ndarray, " p"]:
        """Columns of the rows that the basis of the fit has."""
        return np.asarray(self.start.basis.columns_of(self.basis))

    @cached_property
    def gamma(self) -> Float[np.ndarray, " p"]:
        """Diagonal of the prior of the fit."""
        prior = as_prior(self.prior)
        return np.zeros(len(self.own)) if prior is None else prior.diagonal(self.basis, len(self.own))

    @cached_property
    def known(self) -> Float[np.ndarray, "rows q"]:
        """The weighted rows of the start."""
        return self._weighted(self.start)

    @cached_property
    def rows(self) -> list[Float[np.ndarray, "rows q"]]:
        """The weighted rows of every candidate."""
        return [self._weighted(part) for part in self.parts]

    def _weighted(self, blocks: Blocks) -> Float[np.ndarray, "rows q"]:
        weights = resolve_weights(blocks)
        for kind, value in self.weights.items():
            for group in weights.get(kind, {}):
                weights[kind][group] = float(value)
        return np.concatenate([weights[b.kind][b.group] * b.scale * b.factor[:, :-1] for b in blocks.items])

    def blocks(self, numbers: Sequence[int] = ()) -> Blocks:
        """The training set of a choice, for the basis of the fit."""
        return joined([self.start, *(self.parts[k] for k in numbers)]).restrict(self.own, self.basis)

    def usual(self, budget: float) -> list[int]:
        """Rattled defect cells, the largest first, while the budget lasts."""
        own = [k for k, kind in enumerate(self.kinds) if kind == DEFECT]
        return self._afforded(sorted(own, key=lambda k: -self.atoms[k]), budget)

    def random(self, budget: float, seed: int) -> list[int]:
        """Candidates in random order, each taken if it still fits into the budget."""
        return self._afforded(np.random.default_rng([seed, 11]).permutation(len(self.costs)).tolist(), budget)

    def _afforded(self, order: Sequence[int], budget: float) -> list[int]:
        taken, left = [], budget * (1 + 1e-12)
        for k in order:
            if self.costs[k] <= left:
                taken.append(int(k))
                left -= self.costs[k]
        return taken


class Promise:
    """Expected errors of the relaxed defect after a choice: for independent errors of the labels, and for misfit.

    `sensitive` is that of the richer basis at the equilibrium of a pilot, `richer` a fit of that basis to the start.
    """

    def __init__(self, offer: Offer, sensitive: Sensitivity, richer: Fit):
        self.offer = offer
        self.targets = _triangle(sensitive.strains()), sensitive.energy[None]
        own = offer.own
        self._start = np.concatenate([offer.known[:, own], np.diag(offer.gamma)])
        self.size = np.linalg.norm(self._start, axis=0)
        self.size[self.size == 0] = 1.0
        before = self.spreads([])
        self._relative = np.concatenate([rows[:, own] / then for rows, then in zip(self.targets, before, strict=True)])
        problem = regularised(richer)
        noise = richer.residual / np.sqrt(max(problem.rows - richer.degrees_of_freedom, 1.0))
        self.moment = np.column_stack([richer.coefficients, noise * Leverage.posed(problem).root])
        """Mean and root of the covariance of the richer coefficients, as the labels of the start leave them."""
        self.misfit = Misfit.of(offer.rows, offer.known, own, offer.gamma, self.moment, self.targets)

    def spreads(self, numbers: Sequence[int]) -> tuple[float, float]:
        """Of geometry and energy, per unit of independent error in every weighted row: what G makes small."""
        own = self.offer.own
        every = np.concatenate([self._start, *(self.offer.rows[k][:, own] for k in numbers)]) / self.size
        factor = _triangle(every)
        geometry, energy = (
            float(np.linalg.norm(np.linalg.solve(factor.T, (rows[:, own] / self.size).T))) for rows in self.targets
        )
        return geometry, energy

    def errors(self, numbers: Sequence[int]) -> tuple[float, float]:
        """Expected errors of geometry (A) and energy (eV) with the misfit of the basis: what M makes small."""
        geometry, energy = self.misfit.errors(numbers)
        return geometry, energy

    def choose(self, criterion: str, budget: float) -> list[int]:
        """Candidates by G, A, D or M. Raises InputError for a budget that allows nothing."""
        offer = self.offer
        if criterion == MISFIT:
            return list(self.misfit.choose(offer.costs, budget).chosen)
        rows = [part[:, offer.own] for part in offer.rows]
        return list(choose_data(rows, offer.costs, budget, self._relative, known=self._start, criterion=criterion).chosen)


def _triangle(rows: Float[np.ndarray, "n columns"]) -> Float[np.ndarray, "k columns"]:
    """With the same Gram matrix."""
    return np.linalg.qr(rows, mode="r")  # pyright: ignore[reportReturnType]


def by_kind(kinds: Sequence[str], numbers: Sequence[int]) -> dict[str, int]:
    """How many of each kind a choice takes, in the order of KINDS."""
    found: dict[str, int] = {}
    for k in sorted(numbers, key=lambda k: kinds[k]):
        found[kinds[k]] = found.get(kinds[k], 0) + 1
    return found
