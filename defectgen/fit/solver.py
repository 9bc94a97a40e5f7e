"""What a solver is: a pure function from a problem to coefficients, with what it learnt on the way."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np

from .._typing import Float
from .posterior import Posterior
from .problem import Problem


@dataclass(frozen=True, eq=False)
class Solution:
    """Coefficients and how they came about."""

    coefficients: Float[np.ndarray, " columns"]
    rank: int | None
    """Number of independent directions kept; None if the solver cannot tell."""
    posterior: Posterior | None = None
    details: dict[str, float] = field(default_factory=dict)
    """Numbers chosen or reached by the solver: truncation, strength, noise, iterations."""


class Solver(ABC):
    """An algorithm for weighted linear least squares with a diagonal prior."""

    @abstractmethod
    def solve(self, problem: Problem) -> Solution:
        """Minimise ||W (A theta - y)||^2 + ||Gamma theta||^2."""
