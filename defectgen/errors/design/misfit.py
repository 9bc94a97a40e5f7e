"""Which configurations to label when the basis cannot represent the reference: its misfit is no noise that averages out.

G-, A- and D-optimal designs take what a fit leaves over for independent noise and hence like configurations in which
coefficients are seen best, far from rest, where a basis fails most. Here the labels are those of a model with a richer basis, of
which only a mean and a covariance are known, and the error is that of the fit of the small basis to them, bias included
(after G. E. P. Box, N. R. Draper, J. Am. Stat. Assoc. 54, 622 (1959)).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from ..._typing import Float, Int
from .data import FLOOR, Choice, select


@dataclass(frozen=True, eq=False)
class Misfit:
    """Expected errors of linear quantities of a fit in a small basis to labels of a richer one. theory: fit/design.

    With A the weighted rows in the richer basis, P its columns that the small basis has, N = P'A'A P + Gamma^2 and theta the
    richer coefficients, the fit is N^-1 P'A'A theta, and a quantity T errs by T (1 - P N^-1 P'A'A) theta; theta theta' is
    replaced by its expectation L L'. Everything is held in coordinates in which N of all rows there are is the identity; what a
    fit sees less than FLOOR of that is held by a prior of that size, beside its own.
    """

    parts: Float[np.ndarray, "candidates p pk"]
    """[P'A'A P | P'A'A L] of every candidate."""
    start: Float[np.ndarray, "p pk"]
    """The same of what is known, with the prior."""
    targets: tuple[tuple[np.ndarray, np.ndarray], ...]
    """T L and T P of every quantity."""

    @classmethod
    def of(
        cls,
        rows: Sequence[Float[np.ndarray, "_ q"]],
        known: Float[np.ndarray, "_ q"],
        own: Int[np.ndarray, " p"],
        gamma: Float[np.ndarray, " p"],
        moment: Float[np.ndarray, "q k"],
        targets: Sequence[Float[np.ndarray, "_ q"]],
    ) -> "Misfit":
        """From the weighted rows of the candidates and of what is known.

        `own`: columns that are functions of the small basis; `gamma`: diagonal of the prior of the fit; `moment`: L, such as the
        mean of the richer coefficients beside a root of their covariance; `targets`: rows of every quantity.
        """
        every = np.concatenate([known, *rows])[:, own]
        size = np.linalg.norm(every, axis=0)
        floor = np.diag(np.hypot(gamma, FLOOR * np.where(size > 0, size, 1.0)))
        triangle = np.linalg.qr(np.concatenate([every, floor]), mode="r")
        root = solve_triangular(triangle, np.eye(len(own)))

        def part(some: np.ndarray) -> np.ndarray:
            seen = some[:, own] @ root
            return np.column_stack([seen.T @ seen, seen.T @ (some @ moment)])

        start = part(known)
        start[:, : len(own)] += (floor @ root).T @ (floor @ root)
        return cls(np.stack([part(some) for some in rows]), start, tuple((t @ moment, t[:, own] @ root) for t in targets))

    def errors(self, numbers: Sequence[int] = ()) -> tuple[float, ...]:
        """Root mean square error of every quantity when these candidates are labelled."""
        return self._errors(self.start + self.parts[list(numbers)].sum(axis=0))

    def _errors(self, summed: Float[np.ndarray, "p pk"]) -> tuple[float, ...]:
        width = len(summed)
        answer = cho_solve(cho_factor(summed[:, :width], lower=True), summed[:, width:])
        return tuple(float(np.linalg.norm(whole - own @ answer)) for whole, own in self.targets)

    def choose(self, costs: Float[np.ndarray, " candidates"], budget: float | int, exchanges: int = 2) -> Choice:
        """Candidates within a budget that make the errors smallest, summed as squares relative to those before any choice.

        Raises InputError for a budget that buys nothing.
        """
        before = self.errors()

        def value(summed: np.ndarray) -> float:
            return float(sum((now / then) ** 2 for now, then in zip(self._errors(summed), before, strict=True)))

        return select(self.parts, self.start, value, costs, budget, exchanges)
