"""What weighted rows say about a linear quantity of the coefficients: its size over all changes as large as the residual."""

from dataclasses import dataclass, field

import numpy as np

from ..._typing import Float
from ...fit import Fit
from ..domain.deviations import Leverage, regularised

UNSEEN = 1e-6
"""Part of the response along directions that no row has, relative to the whole response, beyond which it counts as moved."""


@dataclass(frozen=True, eq=False)
class Quantity:
    """One quantity Q(dtheta), in its unit. theory: fit/certificate."""

    spread: float
    """Root mean square of |Q| over all dtheta that change the weighted predictions by as much as the residual is."""
    bound: float
    """Largest |Q| over the same dtheta: factor times residual; infinite if the quantity moves where no row looks."""
    factor: float
    """sup |Q(dtheta)| / |A dtheta|, per unit of weighted residual."""
    deviation: float
    """Standard deviation of Q under the posterior of the fit: what independent errors of the labels would do to it."""
    weights: dict[str, float]
    """d log(spread) / d log(weight) of every "kind:group": if negative, more weight lowers the spread. Without a prior they sum
    to zero."""
    shares: dict[str, float]
    """Of the direction dtheta that attains the bound, the part of |A dtheta|^2 of each "kind:group"; the rest is the
    prior's."""
    direction: Float[np.ndarray, " columns"] = field(repr=False)
    """That direction, scaled to |A dtheta| = residual."""
    shift: float | None = None
    """What a richer fit to the same labels changes, |Q| of its difference; None without one."""
    remainder: float | None = None
    """The spread of the richer fit, with the bias of its prior."""
    prior: float = 0.0
    """Bias of the prior of the fit, to first order: |Q| of (R'R)^-1 Gamma^2 theta; zero without a prior."""

    @property
    def estimate(self) -> float:
        """The sharpest estimate there is: (shift^2 + remainder^2)^(1/2) of the richer fit, or (spread^2 + prior^2)^(1/2)."""
        if self.shift is None or self.remainder is None:
            return float(np.hypot(self.spread, self.prior))
        return float(np.hypot(self.shift, self.remainder))


class Rows:
    """The rows of a fit, ready to judge quantities."""

    def __init__(self, fit: Fit):
        problem = regularised(fit)
        self.residual = float(np.sqrt(fit.residual**2 + np.sum((problem.gamma * fit.coefficients) ** 2)))
        """|W (A theta - y)|, the prior's rows included."""
        self.leverage = Leverage.posed(problem)
        self.bias = self.leverage.root @ (self.leverage.root.T @ (problem.gamma**2 * fit.coefficients))
        """What the prior has taken from the coefficients, to first order: theta_true - theta = (R'R)^-1 Gamma^2 theta_true."""
        self.parameters = self.leverage.root.shape[1]
        """Independent directions that rows and prior determine."""
        freedom = problem.rows - fit.degrees_of_freedom
        known = fit.residual / np.sqrt(freedom) if freedom >= 0.5 else np.inf
        self.noise = float(known if fit.posterior is None else fit.posterior.noise)
        """Standard deviation of a row of weight one."""
        parts: dict[str, list[np.ndarray]] = {}
        for block, multiplier in zip(problem.blocks.items, problem.multipliers, strict=True):
            if multiplier > 0 and block.rows:
                parts.setdefault(f"{block.kind}:{block.group}", []).append(multiplier * block.factor)
        joined = {name: np.concatenate(factors) for name, factors in parts.items()}
        self._squares = {n: float(np.sum((f[:, :-1] @ fit.coefficients - f[:, -1]) ** 2)) for n, f in joined.items()}
        self._seen = {name: f[:, :-1] @ self.leverage.root for name, f in joined.items()}

    def judge(self, rows: Float[np.ndarray, "n columns"]) -> Quantity:
        """The quantity |rows @ dtheta|."""
        leverage, residual = self.leverage, self.residual
        answer = rows @ leverage.root
        gram = answer.T @ answer
        values, vectors = np.linalg.eigh(gram)
        total, worst = float(np.trace(gram)), vectors[:, -1]
        factor, typical = float(np.sqrt(max(values[-1], 0.0))), float(np.sqrt(total))
        scaled = rows / leverage.scale
        hidden = np.linalg.norm(scaled @ leverage.unseen) if leverage.unseen.shape[1] else 0.0
        if not hidden <= UNSEEN * np.linalg.norm(scaled):
            factor = typical = np.inf
        slopes = {
            name: self._squares[name] / residual**2 - float(np.sum((seen @ gram) * seen)) / total
            for name, seen in self._seen.items()
        }
        return Quantity(
            spread=residual * typical / np.sqrt(self.parameters),
            bound=residual * factor,
            factor=factor,
            deviation=self.noise * typical,
            weights=slopes,
            shares={name: float(np.sum((seen @ worst) ** 2)) for name, seen in self._seen.items()},
            direction=residual * leverage.root @ worst,
            prior=float(np.linalg.norm(rows @ self.bias)),
        )
