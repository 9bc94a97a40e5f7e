"""Choosing what to label: by what the fit does not know, and by what its basis cannot represent.

G-, A- and D-optimal designs take what a fit leaves over for independent noise and therefore like configurations in which
coefficients are best determined, with large displacements, where the error of a basis is largest. Here the labels are those of
a model with a richer basis, of which only a mean and a covariance are known, and the error is that of the fit of the small
basis to them, bias included (after G. E. P. Box, N. R. Draper, J. Am. Stat. Assoc. 54, 622 (1959)).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from ..._display import brief
from ..._input import InputError
from ..._typing import Float, Int

# ------ Which of many configurations to label

CRITERIA = ("G", "A", "D")
FLOOR = 1e-6
"""What is known of every coefficient before the first choice, as a row of this part of the size of its column."""


@dataclass(frozen=True)
class Choice:
    """A selection and what it promises."""

    chosen: tuple[int, ...]
    """Numbers of the candidates, in the order of their choice."""
    cost: float
    values: tuple[float, ...]
    """The criterion before any choice and after each one: G and A fall, D (log det) grows."""


def choose_data(
    candidates: Sequence[np.ndarray],
    costs: Sequence[float] | np.ndarray,
    budget: float | int,
    target: Float[np.ndarray, "n columns"] | None = None,
    *,
    known: Float[np.ndarray, "rows columns"] | None = None,
    criterion: str = "G",
    exchanges: int = 2,
) -> Choice:
    """Greedy choice of candidates within a budget, then exchanges while they help.

    Parameters
    ----------
    candidates : sequence of array (rows, columns)
        The weighted rows that each configuration would give; no labels are needed.
    costs : sequence of float
        What each candidate costs, any unit.
    budget : float
        What there is to spend, in the same unit.
    target : array (n, columns), optional
        Rows of the quantity of interest, as `Sensitivity.strains()` or the energy row of a pilot; the criterion G needs it.
    known : array (rows, columns), optional
        Weighted rows that are there already.
    criterion : {"G", "A", "D"}
        With N the sum of A'A over what is chosen and known: "G" tr(target N^-1 target'), the expected squared error of the
        quantity; "A" tr N^-1 and "D" log det N over columns of unit size.
    exchanges : int
        How many rounds of exchanges are tried.

    Returns
    -------
    Choice

    Raises
    ------
    InputError
        An unknown criterion, G without a target, costs that are not positive, and a budget that allows nothing.

    Notes
    -----
    Gains count per cost: A. C. Atkinson, A. N. Donev, R. D. Tobias, Optimum Experimental Designs (2007); V. V. Fedorov,
    Theory of Optimal Experiments (1972) for the exchanges.
    """
    cost = np.asarray(costs, dtype=float)
    if criterion not in CRITERIA:
        raise InputError(f"data are chosen by the criteria {', '.join(CRITERIA)}; got {criterion!r}")
    if criterion == "G" and target is None:
        raise InputError("the criterion G needs the rows of a quantity of interest; give target, or choose by A or D")
    if len(cost) != len(candidates) or not np.all(cost > 0):
        raise InputError(f"every one of the {len(candidates)} candidates has a positive cost; got {cost.tolist()}")
    if not len(cost):
        raise InputError(f"the budget {budget:g} allows no candidate: there are none")
    every = [*candidates] + ([known] if known is not None else [])
    size = np.sqrt(np.mean(np.concatenate(every) ** 2, axis=0))
    size[size == 0] = 1.0
    floor = FLOOR * np.diag(size)
    triangle = np.linalg.qr(np.concatenate([*every, floor]), mode="r")
    root = solve_triangular(triangle, np.eye(len(size)))  # coordinates in which all rows together are the identity

    def gram(rows: np.ndarray) -> np.ndarray:
        return (rows @ root).T @ (rows @ root)

    grams = np.stack([gram(rows) for rows in candidates])
    start = gram(floor) + (0.0 if known is None else gram(known))
    goal = gram(np.diag(size)) if target is None or criterion == "A" else gram(target)
    volume = 2 * float(np.sum(np.log(np.abs(np.diag(triangle)) / size)))

    def value(matrix: np.ndarray) -> float:
        factor = cho_factor(matrix, lower=True)
        if criterion == "D":
            return volume + 2 * float(np.sum(np.log(np.diag(factor[0]))))
        return float(np.trace(cho_solve(factor, goal)))

    return select(grams, start, value, cost, budget, exchanges, grows=criterion == "D")


def select(
    grams: Float[np.ndarray, "candidates columns wide"],
    start: Float[np.ndarray, "columns wide"],
    value: Callable[[np.ndarray], float],
    cost: Float[np.ndarray, " candidates"],
    budget: float | int,
    exchanges: int = 2,
    grows: bool = False,
) -> Choice:
    """The same for any `value` of the sum of the Gram matrices (or others that add up) of what is chosen and of the `start`.

    A value that `grows` is made large as it is, any other small by its logarithm; the choice ends where nothing more helps.
    Raises InputError for a budget that allows nothing.
    """
    if not len(cost) or cost.min() > budget:
        cheapest = f"the cheapest of {len(cost)} costs {cost.min():g}" if len(cost) else "there are none"
        raise InputError(f"the budget {budget:g} allows no candidate: {cheapest}")
    sign = -1.0 if grows else 1.0
    log = (lambda v: v) if grows else np.log
    chosen: list[int] = []
    now, spent, values = start, 0.0, [value(start)]
    while True:
        able = [k for k in range(len(cost)) if k not in chosen and spent + cost[k] <= budget * (1 + 1e-12)]
        if not able:
            break
        found = [value(now + grams[k]) for k in able]
        gains = [sign * (log(values[-1]) - log(v)) / cost[k] for k, v in zip(able, found, strict=True)]
        best = int(np.argmax(np.nan_to_num(gains, nan=-np.inf)))
        if not gains[best] >= 0:  # rows that a basis cannot represent may do harm
            break
        chosen.append(able[best])
        now, spent = now + grams[able[best]], spent + cost[able[best]]
        values.append(found[best])
    for _ in range(exchanges):
        if not _exchanged(chosen, grams, cost, budget, start, value, sign, values):
            break
    return Choice(tuple(chosen), float(cost[chosen].sum()), tuple(values))


def _exchanged(
    chosen: list[int],
    grams: np.ndarray,
    cost: np.ndarray,
    budget: float | int,
    start: np.ndarray,
    value: Callable[[np.ndarray], float],
    sign: float,
    values: list[float],
) -> bool:
    """One sweep: each chosen candidate is given up for the one that serves best in its stead. Whether any was."""
    moved = False
    for place, old in enumerate(list(chosen)):
        rest = [k for k in chosen if k != old]
        without, spent = start + grams[rest].sum(axis=0), cost[rest].sum()
        able = [k for k in range(len(cost)) if k not in rest and spent + cost[k] <= budget * (1 + 1e-12)]
        found = [sign * value(without + grams[k]) for k in able]
        best = int(np.argmin(np.nan_to_num(found, nan=np.inf, posinf=np.inf, neginf=-np.inf)))
        if able[best] != old and found[best] < sign * values[-1] - 1e-12 * abs(values[-1]):
            chosen[place] = able[best]
            values.append(sign * found[best])
            moved = True
    return moved


# ------ Which configurations to label when the basis cannot represent the reference: its misfit is no noise that averages out


@dataclass(frozen=True, eq=False)
class Misfit:
    """Expected errors of linear quantities of a fit in a small basis to labels of a richer one. theory: fit/design.

    With A the weighted rows in the richer basis, P its columns that the small basis has, N = P'A'A P + Gamma^2 and theta the
    richer coefficients, the fit is N^-1 P'A'A theta, and a quantity T errs by T (1 - P N^-1 P'A'A) theta; theta theta' is
    replaced by its expectation L L'. Everything is held in coordinates in which N of all rows there are is the identity; what a
    fit sees less than FLOOR of that is held by a prior of that size, in addition to its own.
    """

    parts: Float[np.ndarray, "candidates p pk"]
    """[P'A'A P | P'A'A L] of every candidate."""
    start: Float[np.ndarray, "p pk"]
    """The same of what is known, with the prior."""
    targets: tuple[tuple[np.ndarray, np.ndarray], ...]
    """T L and T P of every quantity."""

    __repr__ = brief

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
        """The misfit of a small basis, from rows of a richer one.

        Parameters
        ----------
        rows : sequence of array (rows, q)
            Weighted rows of every candidate.
        known : array (rows, q)
            Weighted rows of what is known.
        own : array (p,) of int
            Columns that are functions of the small basis.
        gamma : array (p,)
            Diagonal of the prior of the fit.
        moment : array (q, k)
            L, such as the mean of the richer coefficients next to a root of their covariance.
        targets : sequence of array (n, q)
            Rows of every quantity.

        Returns
        -------
        Misfit
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
        """Root mean square error of every quantity when candidates are labelled.

        Parameters
        ----------
        numbers : sequence of int
            Which candidates; none if not given.

        Returns
        -------
        tuple of float
            In the units of the quantities.
        """
        return self._errors(self.start + self.parts[list(numbers)].sum(axis=0))

    def _errors(self, summed: Float[np.ndarray, "p pk"]) -> tuple[float, ...]:
        width = len(summed)
        answer = cho_solve(cho_factor(summed[:, :width], lower=True), summed[:, width:])
        return tuple(float(np.linalg.norm(whole - own @ answer)) for whole, own in self.targets)

    def choose(self, costs: Float[np.ndarray, " candidates"], budget: float | int, exchanges: int = 2) -> Choice:
        """Candidates within a budget that make the errors smallest, summed as squares relative to those before any choice.

        Parameters
        ----------
        costs : array (candidates,)
            What each candidate costs, any unit.
        budget : float
            What there is to spend, in the same unit.
        exchanges : int
            How many rounds of exchanges are tried.

        Returns
        -------
        Choice

        Raises
        ------
        InputError
            A budget that allows nothing.
        """
        before = self.errors()

        def value(summed: np.ndarray) -> float:
            return float(sum((now / then) ** 2 for now, then in zip(self._errors(summed), before, strict=True)))

        return select(self.parts, self.start, value, costs, budget, exchanges)
